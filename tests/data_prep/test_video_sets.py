"""The four data sets of clips alike: every file of an archive is an entry, left out on purpose, a stray or a problem."""

import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from data_prep.datasets import casia_fasd, msu_mfsd, oulu_npu, replay_attack
from data_prep.entries import Entry
from data_prep.raw import files_below
from data_prep.video_sets import clip_entry, list_clips
from flipjax.core.errors import DataError
from flipjax.data import media
from flipjax.data.frames import FrameRule
from raw_archives import videos


@dataclass(frozen=True)
class Case:
    """A data set: its module, who writes its miniature, the names of the whole set, clips and FLIP's bona fide and attacks."""

    module: ModuleType
    write: Callable[..., Path]
    names: list[str]
    listed: tuple[int, int]


def replay_clients() -> dict[str, range]:
    return {"train": range(1, 16), "devel": range(16, 31), "test": range(31, 51)}


CASES = {
    "msu_mfsd": Case(
        msu_mfsd, videos.write_msu, videos.msu_names((*videos.MSU_TRAIN, *videos.MSU_TEST)), listed=(70, 210)
    ),
    "casia_fasd": Case(
        casia_fasd,
        videos.write_casia,
        videos.casia_names("train", range(1, 21)) + videos.casia_names("test", range(1, 31)),
        listed=(150, 450),
    ),
    "replay_attack": Case(
        replay_attack,
        videos.write_replay,
        [name for part, clients in replay_clients().items() for name in videos.replay_names(part, clients)],
        listed=(140, 700),
    ),
    "oulu_npu": Case(
        oulu_npu,
        videos.write_oulu,
        videos.oulu_names("Train_files", range(1, 21))
        + videos.oulu_names("Dev_files", range(21, 36))
        + videos.oulu_names("Test_files", range(36, 56)),
        listed=(720, 2880),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def archive(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case.write(tmp_path_factory.mktemp("raw") / "archive")


def test_every_clip_is_an_entry_and_every_other_file_is_known(case: Case, archive: Path) -> None:
    listing = case.module.read(archive)
    assert (listing.strays, listing.problems) == ([], [])
    found = [entry.path.relative_to(archive).as_posix() for entry in listing.entries]
    assert sorted(found + listing.unused) == sorted(files_below(archive))
    assert all(entry.path.is_file() and media.is_video(entry.path) and entry.has_frames for entry in listing.entries)


def test_miniature_has_every_instrument_of_every_split(case: Case, archive: Path) -> None:
    listing = case.module.read(archive)
    assert {(e.split, e.instrument) for e in listing.entries} == {
        (split, instrument) for split, counts in case.module.FACTS.totals.items() for instrument in counts
    }
    subjects = Counter(split for split, _ in {(e.split, e.subject_id) for e in listing.entries})
    assert subjects == {split: 3 if split == "train" else 2 for split in case.module.FACTS.totals}


def test_ids_are_unique_and_no_person_is_in_two_splits(case: Case, archive: Path) -> None:
    entries = case.module.read(archive).entries
    for field in ("sample_id", "video_id", "path"):
        assert len({getattr(entry, field) for entry in entries}) == len(entries), field
    listed = [entry.source_name for entry in entries if entry.split != "dev"]
    assert len(set(listed)) == len(listed) and all(name.endswith("_frame{rank}") for name in listed)
    assert all(entry.source_name == "" for entry in entries if entry.split == "dev")
    splits = {(entry.subject_id, entry.split) for entry in entries}
    assert len(splits) == len({subject for subject, _ in splits})


def test_the_folder_above_will_do(case: Case, archive: Path) -> None:
    assert case.module.read(archive.parent) == case.module.read(archive)


def test_another_folder_is_an_error_that_says_what_is_looked_for(case: Case, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=rf"does not hold '.*' as {case.module.FACTS.name} does"):
        case.module.read(tmp_path)


def test_a_file_that_matches_no_rule_is_a_stray_and_the_rest_goes_on(case: Case, archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(archive, copy)
    before = case.module.read(copy)
    videos.write_text(copy, "notes/seen.doc", "")
    assert case.module.read(copy) == replace(before, strays=["notes/seen.doc"])


def test_names_of_the_whole_set_give_its_totals(case: Case) -> None:
    totals: Counter[tuple[str, str]] = Counter()
    for name in case.names:
        entry = case.module.parse(name)
        assert entry is not None, name
        split = entry.split or ("train" if int(entry.subject_id) in videos.MSU_TRAIN else "test")
        totals[split, entry.instrument] += 1
    expected = {
        (split, instrument): count
        for split, counts in case.module.FACTS.totals.items()
        for instrument, count in counts.items()
    }
    assert dict(totals) == expected


def test_counts_of_the_papers_follow_from_the_totals(case: Case) -> None:
    facts = case.module.FACTS
    used = [facts.totals[split] for split in ("train", "test")]
    bona_fide = sum(counts["bona_fide"] for counts in used)
    attack = sum(sum(counts.values()) for counts in used) - bona_fide
    assert (bona_fide, attack) == case.listed
    for group, clips in (("bona_fide", bona_fide), ("attack", attack)):
        lines = {part: facts.flip_counts[part, group] for part in ("train", "test", "shot")}
        assert lines == {"train": clips, "test": clips - 10, "shot": 10}
        assert facts.instruct_flip_counts["extracted", group] == 2 * clips
    assert (facts.frames, facts.no_face) == ("pair", "drop")


def test_every_container_decodes_and_gives_two_frames(case: Case, archive: Path) -> None:
    entries = case.module.read(archive).entries
    for suffix in {entry.path.suffix for entry in entries}:
        clip = media.open_clip(next(entry.path for entry in entries if entry.path.suffix == suffix))
        assert 14 <= len(clip.numbers) <= 20
        frames = list(clip.read(FrameRule("pair").choose(clip.numbers)))
        assert [number for number, _ in frames] == [6, 6 + len(clip.numbers) // 2]
        assert frames[0][1].shape == (96, 96, 3)


def test_clips_differ_and_are_written_alike_each_time(case: Case, archive: Path) -> None:
    entries = case.module.read(archive).entries[:6]
    pictures = [next(iter(media.open_clip(entry.path).read([0])))[1].astype(int) for entry in entries]
    assert all(np.abs(one - two).mean() > 30 for one, two in itertools.combinations(pictures, 2))
    again = archive.parent.parent / "again"
    name = entries[0].path.relative_to(archive).as_posix()
    videos.write_clip(again, name)
    assert (again / name).read_bytes() == entries[0].path.read_bytes()
    shutil.rmtree(again)


def test_a_given_face_fills_the_middle_of_the_frames_and_clips_still_differ(tmp_path: Path) -> None:
    face = np.full((120, 101, 3), (200, 120, 60), np.uint8)
    middles = []
    for name in ("a.avi", "b.avi"):
        videos.write_clip(tmp_path, name, face=face)
        _, frame = next(iter(media.open_clip(tmp_path / name).read([0])))
        assert frame.shape == (152, 134, 3)
        middles.append(frame[24:128, 24:110].astype(float))
        assert middles[-1].mean(axis=(0, 1)) == pytest.approx(0.65 * face[0, 0] + 0.35 * 127.5, abs=15)
    assert np.abs(middles[0] - middles[1]).mean() > 15


def any_clip(name: str) -> Entry | None:
    if not name.endswith(".avi"):
        return None
    clip = Path(name).stem
    return clip_entry(name, domain="X", split="train", subject_id="1", video_id=clip, instrument="photo")


def test_a_clip_that_is_there_twice_is_a_problem_of_the_second(tmp_path: Path) -> None:
    for name in ("a/1.avi", "b/1.avi", "b/2.avi", "b/2.txt", "c.doc"):
        videos.write_text(tmp_path, name, "")
    listing = list_clips(tmp_path, any_clip, unused=("*/*.txt",))
    assert [entry.path for entry in listing.entries] == [tmp_path / "a/1.avi", tmp_path / "b/2.avi"]
    assert [problem.name for problem in listing.problems] == ["b/1.avi"]
    assert "the same clip '1' as a/1.avi; keep one of them" in listing.problems[0].reason
    assert (listing.unused, listing.strays) == (["b/2.txt"], ["c.doc"])
