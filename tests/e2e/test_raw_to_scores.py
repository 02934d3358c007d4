"""From the raw layout of every public data set to scores: converted, examined, trained on for two steps, evaluated."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from data_prep.catalogue import load_dataset
from data_prep.conversion import Conversion, Summary, convert
from data_prep.doctor.diagnosis import Options
from data_prep.doctor.raw_data import examine_raw
from data_prep.doctor.record_data import examine_records
from data_prep.recipes import options_for
from flipjax.data.media import load_image
from flipjax.evaluation.score_files import read_scores
from raw_archives import celeba_spoof, videos, wcs

if TYPE_CHECKING:
    from conftest import Commands

ROOT = Path(__file__).parents[2]
LONDON = ROOT.parent / "shared/faces/london"
ARCHIVES: dict[str, tuple[str, Callable[..., Path]]] = {
    "msu_mfsd": ("M", videos.write_msu),
    "casia_fasd": ("C", videos.write_casia),
    "replay_attack": ("I", videos.write_replay),
    "oulu_npu": ("O", videos.write_oulu),
    "wmca": ("W", wcs.write_wmca),
    "casia_cefa": ("Ce", wcs.write_cefa),
    "casia_surf": ("S", wcs.write_surf),
    "celeba_spoof": ("CA", celeba_spoof.write_celeba_spoof),
}
# What a miniature cannot have right: it is not the whole data set, and the doctor says so.
EXPECTED_ERRORS = {"counts"}


def convert_all(folder: Path, face: np.ndarray | None, **given: object) -> dict[str, Summary]:
    """Writes every archive below `folder`/raw and converts it into `folder`/data."""
    said = {}
    for name, (_, write) in ARCHIVES.items():
        raw = write(folder / "raw" / name, face=face)
        options = options_for(load_dataset(name).FACTS, "default", {"size": 32, **given})
        said[name] = convert(Conversion(name, raw, folder / "data", options, max_failures=0.2))
    return said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    convert_all(folder, None, detector="none")
    return folder


@pytest.mark.parametrize("name", ARCHIVES)
def test_doctor_finds_nothing_wrong_but_the_size(folder: Path, name: str) -> None:
    module, domain = load_dataset(name), ARCHIVES[name][0]
    records = examine_records(module.FACTS, folder / "data" / domain, Options(images=False))
    assert {finding.check for finding in records.findings if finding.level == "error"} <= EXPECTED_ERRORS
    raw = examine_raw(module, folder / "raw" / name, Options(images=False))
    known = EXPECTED_ERRORS | ({"listing"} if name == "celeba_spoof" else set())
    assert {finding.check for finding in raw.findings if finding.level == "error"} <= known


def test_every_data_set_trains_and_is_evaluated(commands: "Commands", folder: Path, tmp_path: Path) -> None:
    flags = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    commands = dataclasses.replace(commands, xla_flags=flags)
    domains = [domain for domain, _ in ARCHIVES.values()]
    both = "+".join(domains)
    workdir = tmp_path / "run"
    changes = {"data__dir": folder / "data", "protocol": f"{both}_to_{both}", "train__steps": 2}
    commands.train(workdir, **changes, train__batch_size=32, train__checkpoint_every=2, eval__every=2)
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert list(metrics["targets"]) == domains
    for domain in domains:
        conversion = json.loads((folder / "data" / domain / "conversion.json").read_text())
        table = read_scores(workdir / "scores" / f"{domain}.csv")
        assert len(table) == sum(conversion["records"]["test"].values())
        assert np.isfinite(table.score).all()
    done = commands.run("-m", "flipjax.evaluate", f"--workdir={workdir}", f"--records={folder / 'data'}")
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = (workdir / "evaluations").glob("records_data_step2/metrics.json")
    assert sorted(json.loads(found.read_text())["targets"]) == sorted(domains)


@pytest.mark.slow
def test_faces_are_found_in_every_kind_of_file(tmp_path: Path) -> None:
    """The same with the real detector and the commands as a user types them."""
    if not LONDON.is_dir():
        pytest.skip("no ../shared/faces/london on this machine")
    portrait = load_image(LONDON / "001_neutral.jpg")
    face = np.asarray(cv2.resize(portrait, (200, 200), interpolation=cv2.INTER_AREA), np.uint8)
    for name, (domain, write) in ARCHIVES.items():
        raw = write(tmp_path / "raw" / name, face=face)
        words = [f"--dataset={name}", f"--raw={raw}"]
        converted = command("data_prep.convert", *words, f"--out={tmp_path / 'data'}", "--max_failures=0.2")
        assert converted.returncode in (0, 2), converted.stderr
        facts = json.loads((tmp_path / "data" / domain / "conversion.json").read_text())
        kept = sum(sum(of.values()) for of in facts["records"].values())
        assert kept > 20 and facts["dropped_count"] <= 0.02 * kept, name
        page = tmp_path / f"{name}.html"
        examined = command("data_prep.doctor", words[0], f"--records={tmp_path / 'data' / domain}", f"--out={page}")
        errors = [line for line in examined.stdout.splitlines() if line.startswith("error")]
        assert examined.returncode == bool(errors), examined.stderr
        wrong = [line for line in errors if "presentations" not in line and "copies" not in line]
        assert not wrong, f"wrong are the size of a miniature and that one person plays all: {wrong}"
        assert page.stat().st_size > 5000


def command(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs one of the commands from the root of the repository."""
    line = [sys.executable, "-m", module, *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
