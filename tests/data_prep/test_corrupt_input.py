"""Damaged archives: every bad file is named and counted, the rest is converted, and the exit code says that some failed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_prep.catalogue import load_dataset
from data_prep.conversion import Conversion, Summary, convert
from data_prep.recipes import options_for
from flipjax.core import schemas
from flipjax.core.errors import DataError
from raw_archives import celeba_spoof, videos, wcs

ROOT = Path(__file__).parents[2]
Damage = Callable[[Path], str]


def truncated_jpg(root: Path) -> str:
    victim = sorted(root.rglob("*.jpg"))[3]
    victim.write_bytes(victim.read_bytes()[:120])
    return victim.name


def clip_without_frames(root: Path) -> str:
    victim = sorted(root.rglob("*.avi"))[3]
    victim.write_bytes(b"RIFF\x10\0\0\0AVI LIST" + bytes(60))
    return victim.name


def hdf5_without_the_dataset(root: Path) -> str:
    victim = sorted(path for path in root.rglob("*.hdf5") if "CDIT" not in str(path))[1]
    with h5py.File(victim, "w") as file:
        file.create_group("Frame_0").create_dataset("other", data=np.zeros((3, 4, 4), np.uint8))
    return victim.name


CASES: dict[str, tuple[str, Callable[..., Path], Damage]] = {
    "truncated jpg": ("celeba_spoof", celeba_spoof.write_celeba_spoof, truncated_jpg),
    "avi with no frames": ("casia_fasd", videos.write_casia, clip_without_frames),
    "hdf5 without the dataset": ("wmca", wcs.write_wmca, hdf5_without_the_dataset),
}


def converted(name: str, raw: Path, out: Path, max_failures: float) -> Summary:
    options = options_for(load_dataset(name).FACTS, "default", {"detector": "none", "size": 32})
    return convert(Conversion(name, raw, out, options, max_failures=max_failures))


def records_of(said: Summary, domain: str) -> int:
    return sum(sum(counts.values()) for counts in said[domain]["records"].values())


@pytest.mark.parametrize("case", CASES)
def test_one_bad_file_is_named_and_the_rest_converted(tmp_path: Path, case: str) -> None:
    name, write, damage = CASES[case]
    domain = load_dataset(name).FACTS.domain
    raw = write(tmp_path / "raw")
    before = converted(name, raw, tmp_path / "whole", 0.5)
    victim = damage(raw)
    said = converted(name, raw, tmp_path / "out", 0.5)
    (failure,) = [f for f in said[domain]["failures"] if f not in before[domain]["failures"]]
    assert victim in failure["name"] and victim in failure["reason"]
    assert 1 <= records_of(before, domain) - records_of(said, domain) <= 10, "one entry's frames are gone, no more"
    with pytest.raises(DataError, match=r"cannot be used, more than the 0\.0% of --max_failures"):
        converted(name, raw, tmp_path / "strict", 0.0)
    assert not (tmp_path / "strict" / domain).exists()


@pytest.mark.parametrize(
    ("damage", "told", "as_parts"),
    [
        ("short_row", "43", 0),
        ("short_row", "43", 3),
        ("escaping_member", "..", 3),
        ("bomb", "claims 11000000 bytes", 3),
    ],
)
def test_bad_rows_and_hostile_members_are_named_and_the_rest_converted(
    tmp_path: Path, damage: str, told: str, as_parts: int
) -> None:
    whole = converted("celeba_spoof", celeba_spoof.write_celeba_spoof(tmp_path / "a", as_parts=as_parts), tmp_path, 0.5)
    raw = celeba_spoof.write_celeba_spoof(tmp_path / "raw", as_parts=as_parts, damage=damage)
    said = converted("celeba_spoof", raw, tmp_path / "out", 0.5)
    new = [f for f in said["CA"]["failures"] if f not in whole["CA"]["failures"]]
    assert len(new) == 1 and told in new[0]["name"] + new[0]["reason"], new
    assert records_of(whole, "CA") - records_of(said, "CA") == (damage == "short_row")
    assert not list(tmp_path.rglob("*escaped*")), "nothing is unpacked"


@pytest.mark.slow
def test_exit_code_and_words_of_the_command(tmp_path: Path) -> None:
    raw = videos.write_casia(tmp_path / "raw")
    victim = clip_without_frames(raw)

    def run(limit: float) -> subprocess.CompletedProcess[str]:
        words = ["--dataset=casia_fasd", f"--raw={raw}", f"--out={tmp_path / 'out'}", "--detector=none", "--size=32"]
        line = [sys.executable, "-m", "data_prep.convert", *words, f"--max_failures={limit}"]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    stopped = run(0.01)
    assert stopped.returncode == 1 and f"error: {raw}" in stopped.stderr and victim in stopped.stderr
    assert not (tmp_path / "out/C").exists()
    done = run(0.02)
    assert done.returncode == 2 and f"failed: {raw}" in done.stderr and "1 files could not be used" in done.stderr
    assert (tmp_path / "out/C" / schemas.INDEX_FILE).exists()
