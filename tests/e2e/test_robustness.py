"""The robustness sweep as a user starts it: what it writes, says and refuses."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Commands


def test_sweep_leaves_numbers_and_a_page(commands: "Commands", copied: Path):
    words = ["--robustness=blur,jpeg", "--robustness_frames=6"]
    done = commands.run("-m", "flipjax.evaluate", f"--workdir={copied}", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = (copied / "evaluations").iterdir()
    assert {path.name for path in folder.iterdir()} == {"robustness.json", "robustness.html"}
    result = json.loads((folder / "robustness.json").read_text())
    assert list(result["corruptions"]) == ["blur", "jpeg"] and result["counts"]["syn_a"]["frames"] == 6
    lines = done.stdout.splitlines()
    assert lines[0].startswith("first level with HTER more than 5 points above")
    assert [line.split()[0] for line in lines[1:4]] == ["corruption", "blur", "jpeg"]
    assert lines[-1] == f"page: {folder / 'robustness.html'}"


def test_mistakes_are_one_line(
    commands: "Commands", copied: Path, one_line_error: Callable[[subprocess.CompletedProcess[str]], str]
):
    done = commands.run("-m", "flipjax.evaluate", f"--workdir={copied}", "--robustness=blurr")
    assert "did you mean 'blur'" in one_line_error(done)
    done = commands.run("-m", "flipjax.evaluate", f"--workdir={copied}", "--robustness_frames=6")
    assert "give --robustness as well" in one_line_error(done)
