"""What lets a run be repeated: digests, data used, git revision."""

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from flipjax.evaluation import repeat


def columns(**extra) -> dict[str, np.ndarray]:
    texts = {"domain": ["b", "a", "b", "b"], "sample_id": ["x", "y", "z", "w"]}
    found = {name: np.array(values, dtype=object) for name, values in (texts | extra).items()}
    return found | {"is_bona_fide": np.array([True, False, False, False])}


def test_data_used_per_domain() -> None:
    first, second = repeat.data_uses(repeat.TRAIN, columns(split=["train", "train", "dev", "train"]))
    assert (first.domain, first.splits, first.bona_fide, first.attack) == ("a", "train", 0, 1)
    assert (second.domain, second.splits, second.bona_fide, second.attack) == ("b", "dev, train", 1, 2)
    assert second.digest == hashlib.sha256(b"w\nx\nz").hexdigest()[:16]


def test_unknown_splits_are_empty_and_no_rows_give_nothing() -> None:
    assert [use.splits for use in repeat.data_uses(repeat.TARGET, columns())] == ["", ""]
    none = {name: values[:0] for name, values in columns().items()}
    assert list(repeat.data_uses(repeat.TARGET, none)) == []


def test_digest_depends_on_the_rows_and_not_on_their_order() -> None:
    rows = np.array(["b", "a", "c"], dtype=object)
    assert repeat.digest(rows) == repeat.digest(rows[::-1]) != repeat.digest(rows[:2])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "code.py").write_text("x = 1\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_revision_of_a_checkout_says_whether_files_differ(checkout: Path) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
    assert repeat.revision(checkout / "package") == commit.stdout.strip()
    (checkout / "package" / "code.py").write_text("x = 2\n")
    assert repeat.revision(checkout / "package") == f"{commit.stdout.strip()} and changes that are not committed"


def test_a_package_that_no_checkout_tracks_has_no_revision(checkout: Path, tmp_path_factory) -> None:
    installed = checkout / "site-packages"
    installed.mkdir()
    (installed / "code.py").write_text("x = 1\n")
    assert repeat.revision(installed) == "" and repeat.revision(tmp_path_factory.mktemp("elsewhere")) == ""
    assert repeat.revision(checkout / "missing") == ""
