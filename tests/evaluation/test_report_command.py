"""The command as a user runs it: its own process, plain files in, files out."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.score_files import write_scores


def _scores(path: Path, seed: int, *, flip: bool = False, attack_only: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    label = (np.arange(40) < 15) & (not attack_only)
    scores = np.clip(rng.normal(0.4 + 0.3 * label, 0.2), 0, 1)
    ids = np.array([f"f{i}" for i in range(40)], dtype=object)
    kinds = np.where(label, "", "photo").astype(object)
    domain = np.full(40, "m", dtype=object)
    write_scores(path, ScoreTable(ids, ids, ids, domain, label, kinds, 1 - scores if flip else scores))
    return path


def _run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flipjax.report", *args], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_scores_to_metrics_and_report(tmp_path: Path) -> None:
    _scores(tmp_path / "a.csv", 0), _scores(tmp_path / "b.csv", 1), _scores(tmp_path / "dev.csv", 2)
    done = _run("--scores=a.csv", "--scores=b.csv", "--dev=dev.csv", "--out=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(metrics["targets"]) == ["a", "b"] and "source_val" in metrics["targets"]["a"]["rules"]
    assert "out/metrics.json" in done.stdout and "out/report.html" in done.stdout
    assert f"{metrics['mean']['hter']:.2f}" in done.stdout
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["metrics.json", "report.html"]


def test_polarity_flag_gives_the_same_numbers(tmp_path: Path) -> None:
    _scores(tmp_path / "x" / "t.csv", 0), _scores(tmp_path / "y" / "t.csv", 0, flip=True)
    assert _run("--scores=x/t.csv", "--out=p", cwd=tmp_path).returncode == 0
    assert _run("--scores=y/t.csv", "--out=n", "--positive=attack", cwd=tmp_path).returncode == 0
    results = [json.loads((tmp_path / out / "metrics.json").read_text())["mean"] for out in ("p", "n")]
    assert results[0]["auc"] == pytest.approx(results[1]["auc"]) and results[0]["auc"] > 50
    assert results[0]["hter"] == pytest.approx(results[1]["hter"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--scores=none.csv", "--out=out"], "none.csv does not exist"),
        (["--out=out"], "give --scores=CSV"),
        (["--scores=good.csv"], "give --scores=CSV"),
        (["--scores=good.csv", "--out=out", "stray"], "'stray' is no flag"),
        (["--scores=attacks.csv", "--out=out"], "target 'attacks': 40 scores hold no bona fide"),
        (["--scores=good.csv", "--dev=attacks.csv", "--out=out"], "source validation: 40 scores hold no bona fide"),
        (["--scores=good.csv", "--out=good.csv"], "cannot write good.csv"),
        (["--scores=good.csv", "--out=out", "--positive=fake"], "positive"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path: Path, args: list[str], message: str) -> None:
    _scores(tmp_path / "good.csv", 0), _scores(tmp_path / "attacks.csv", 0, attack_only=True)
    done = _run(*args, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["attacks.csv", "good.csv"]


def test_jax_is_never_imported(tmp_path: Path) -> None:
    _scores(tmp_path / "a.csv", 0)
    code = (
        "import sys; from flipjax import report; report._define_flags()\n"
        "from absl import flags; flags.FLAGS(['report', '--scores=a.csv', '--out=out']); report.main(['report'])\n"
        "print([name for name in ('jax', 'flax', 'tensorflow', 'torch', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_quick(tmp_path: Path) -> None:
    start = time.perf_counter()
    done = _run("--help", cwd=tmp_path)
    assert "--scores" in done.stdout and "--positive" in done.stdout
    assert time.perf_counter() - start < 1.5
