"""Crops on disk between the two stages of a conversion: one file per entry, complete or absent.

A file holds a JSON header (what made it, which frames, their fields) and the encoded pictures behind it, each with a
checksum. It counts only while the raw file, the entry's options and the format are those that made it, so a killed
conversion goes on where it stopped and a changed one starts anew where it changed.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_prep.crops import CropFrame, EntryCrops
from data_prep.entries import Entry
from data_prep.recipes import CropOptions
from flipjax.core.errors import DataError

FORMAT = 1  # raised when crops of the same file and options would differ
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Outcome:
    """What a stored entry holds, without its pictures."""

    sharpness: tuple[float, ...]
    missed: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Stored crops."""
        return len(self.sharpness)


@dataclass(frozen=True)
class CropCache:
    """The crops of one data set under `folder`, cut with `options`."""

    folder: Path
    options: CropOptions

    def path(self, entry: Entry) -> Path:
        """Returns the file of an entry."""
        name = hashlib.sha256(f"{entry.domain}\0{entry.sample_id}".encode()).hexdigest()[:32]
        return self.folder / name[:2] / f"{name}.crops"

    def outcome(self, entry: Entry) -> Outcome | None:
        """Returns what is stored of an entry, or None where nothing is or what is belongs to other data or options."""
        header = self._header(self.path(entry))
        if header is None or header["made_from"] != made_from(entry, self.options):
            return None
        return _outcome(header)

    def store(self, entry: Entry, crops: EntryCrops) -> Outcome:
        """Writes the crops of an entry at once and returns what `outcome` will say of them."""
        frames = [
            {"fields": f.fields, "sharpness": f.sharpness, "bytes": len(f.image), "crc": zlib.crc32(f.image)}
            for f in crops.frames
        ]
        header = {"made_from": made_from(entry, self.options), "frames": frames, "missed": crops.missed}
        text = json.dumps(header).encode()
        path = self.path(entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        work = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with work.open("wb") as file:
                file.write(len(text).to_bytes(_LENGTH_BYTES, "little"))
                file.write(text)
                file.writelines(f.image for f in crops.frames)
            os.replace(work, path)
        finally:
            work.unlink(missing_ok=True)
        return _outcome(header)

    def read(self, entry: Entry) -> Iterator[CropFrame]:
        """Yields the stored crops of an entry.

        Raises:
          DataError: the file is missing or damaged.
        """
        path = self.path(entry)
        header = self._header(path)
        if header is None:
            raise DataError(f"the crops of '{entry.name}' are gone from '{path}'; run the conversion again")
        with path.open("rb") as file:
            file.seek(header["start"])
            for frame in header["frames"]:
                image = file.read(frame["bytes"])
                if zlib.crc32(image) != frame["crc"]:
                    path.unlink()
                    raise DataError(f"the crops of '{entry.name}' in '{path}' are damaged; run the conversion again")
                yield CropFrame(image, frame["fields"], frame["sharpness"])

    def _header(self, path: Path) -> dict[str, Any] | None:
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
                size = os.fstat(file.fileno()).st_size
                text = file.read(length) if length < size else b""
            header = json.loads(text)
            start = _LENGTH_BYTES + length
            is_whole = size == start + sum(frame["bytes"] for frame in header["frames"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return {**header, "start": start} if is_whole else None


def made_from(entry: Entry, options: CropOptions) -> str:
    """Returns a digest of everything a crop depends on: raw file (size and time of change), entry, options, format.

    Labels are not among it: they are joined to the crops only when the data set is written. Nor is the folder: data that
    was moved, or is seen under another path by another machine, is the same data.
    """
    wanted = (entry.path.name, entry.member, _stamp(entry.path), entry.frames, entry.source_name, entry.has_frames)
    facts = json.dumps([FORMAT, wanted, entry.sample_id, entry.camera_quality, asdict(options)], default=str)
    return hashlib.sha256(facts.encode()).hexdigest()


def _stamp(path: Path) -> Any:
    """Size and time of change; of a folder those of the files in it."""
    try:
        if path.is_dir():
            return sorted((file.name, *_stamp(file)) for file in path.iterdir() if file.is_file())
        where = path.stat()
    except FileNotFoundError:
        return None
    return where.st_size, where.st_mtime_ns


def _outcome(header: dict[str, Any]) -> Outcome:
    return Outcome(tuple(frame["sharpness"] for frame in header["frames"]), tuple(header["missed"]))
