"""Reads the files of a data set in place, unpacked or inside a zip archive that may be split into numbered parts.

Nothing is ever extracted to disk, and no member is trusted: what its name, size or contents claim is checked.

Known limit: zipfile keeps the whole directory of an archive in memory, about 0.6 GB and 8 s for a million members, once in
every process that reads it. Unpacked files need neither.
"""

import bisect
import functools
import io
import itertools
import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

from data_prep import raw
from data_prep.entries import Problem
from flipjax.core.errors import DataError, ImageError

MAX_MEMBER_BYTES = 200_000_000
MAX_RATIO = 200
RATIO_FROM_BYTES = 10_000_000  # small files of one colour reach any ratio
_CHUNK_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 16
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others decompress without a limit on their output
_PART = re.compile(r"(.+\.zip)\.(\d{3,})")
_RESOURCE_FORKS = "__MACOSX/"  # added by the packer of macOS, one per file
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Tree:
    """The files of a data set by name, the same whether unpacked or not.

    path: the folder that holds them, or the archive (its first part). prefix: what stands before the names inside the
    archive, None for a folder. names: relative, with forward slashes, sorted. problems: members that are never read.
    """

    path: Path
    prefix: str | None
    names: list[str]
    problems: list[Problem] = field(default_factory=list)

    def place(self, name: str) -> tuple[Path, str]:
        """Returns `Entry.path` and `Entry.member` of a file."""
        return (self.path / name, "") if self.prefix is None else (self.path, self.prefix + name)

    def read(self, name: str) -> bytes | None:
        """Returns the contents of a file as `read_file` does."""
        return read_file(*self.place(name))


def open_tree(given: Path, *, dataset: str, folders: Sequence[str], archive: str) -> Tree:
    """Returns the files of a data set below `folders`, the first of which it must have.

    Args:
      given: the root itself, unpacked; a folder with the archive, whole or in parts; the archive's (first) file; or a
        folder above exactly one root.
      dataset: its title, for errors.
      folders: names of the folders to list.
      archive: name of the whole archive; its parts are called `<archive>.001` and so on.

    Raises:
      DataError: none of these is there, a part is missing or cut short, or the archive cannot be read.
    """
    if given.is_file():
        return _packed(given, folders)
    names = (folders[0], f"{archive}.001", archive)
    root = raw.find_root(given, names, dataset)
    if (root / folders[0]).is_dir():
        found = (f"{folder}/{name}" for folder in folders for name in raw.files_below(root / folder))
        return Tree(root, None, sorted(found))
    return _packed(next(root / name for name in names[1:] if (root / name).exists()), folders)


def read_file(path: Path, member: str) -> bytes | None:
    """Returns the contents of a file, or of the member of the archive `path`; None where there is no such file.

    Raises:
      ImageError: it is there and cannot be read.
    """
    if member:
        return None if _info(path, member) is None else read_member(path, member)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error


def list_members(path: Path) -> tuple[list[str], list[Problem]]:
    """Returns the names of the files in an archive that are safe to read, and a problem for each that is not.

    Refused are names that leave the folder (absolute, drives, `..`, backslashes), links and devices, encrypted members,
    compression other than deflate, claimed sizes above `MAX_MEMBER_BYTES` or out of proportion, and repeated names.

    Raises:
      DataError: the archive or one of its parts is missing, cut short or no zip archive.
    """
    infos = [info for info in _opened(path, os.getpid()).infolist() if not info.filename.startswith(_RESOURCE_FORKS)]
    counts = Counter(info.filename for info in infos)
    names: list[str] = []
    faults: dict[str, str] = {}
    for info in infos:
        repeats = f"it is there {counts[info.filename]} times" if counts[info.filename] > 1 else ""
        fault = _fault(info) or repeats
        if fault:
            faults[info.orig_filename] = fault
        elif not info.is_dir():
            names.append(info.filename)
    reasons = {shown(name): fault for name, fault in faults.items()}
    return names, [Problem(n, f"{path.name}: member '{n}' is not read: {fault}") for n, fault in reasons.items()]


def read_member(path: Path, name: str) -> bytes:
    """Returns the contents of a member, at most `MAX_MEMBER_BYTES` of it whatever the archive claims.

    Raises:
      ImageError: no such member, a wrong checksum or other damage, encryption, or more bytes than that.
      DataError: the archive itself cannot be read.
    """
    where = f"{path}/{shown(name)}"
    info = _info(path, name)
    if info is None:
        raise ImageError(f"{where}: no such member of the archive; check that it is the one that was listed")
    if info.compress_type not in _METHODS:
        raise ImageError(f"{where}: {_fault(info)}")
    try:
        with _opened(path, os.getpid()).open(info) as file:
            data = _read_capped(file)
    except _DAMAGE as error:
        raise ImageError(f"{where}: cannot be read from the archive ({error}); copy the archive again") from error
    if len(data) > MAX_MEMBER_BYTES:
        raise ImageError(f"{where}: more than {MAX_MEMBER_BYTES} bytes once unpacked; no picture is that large")
    return data


def shown(name: str) -> str:
    """Returns a name from a file as it may stand in a message: on one line."""
    return name if name.isprintable() else ascii(name)[1:-1]


def part_paths(path: Path) -> list[Path]:
    """Returns the files that make up an archive, in order: `path` alone, or for `x.zip.001` it and all other parts.

    Raises:
      DataError: a part is missing before the last one there is, or differs in size from the first.
    """
    name = _PART.fullmatch(path.name)
    if name is None:
        return [path]
    matches = ((_PART.fullmatch(file.name), file) for file in path.parent.iterdir())
    found = {int(match[2]): file for match, file in matches if match and match[1] == name[1]}
    for number in range(1, max(found) + 1):
        if number not in found:
            raise DataError(
                f"{path.parent}: part '{name[1]}.{number:03d}' is missing; all parts must lie in one folder"
            )
    parts = [found[number] for number in sorted(found)]
    size = parts[0].stat().st_size
    for part in parts[1:]:
        if part.stat().st_size > size or (part != parts[-1] and part.stat().st_size != size):
            raise DataError(f"{part}: {part.stat().st_size} bytes, the first part has {size}; copy that part again")
    return parts


class JoinedFiles(io.RawIOBase):
    """Several files read as one; the file under the cursor is the only one open."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._ends = list(itertools.accumulate(path.stat().st_size for path in paths))
        self._at = 0
        self._current: tuple[int, BinaryIO | None] = (-1, None)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ends[-1]}[whence]
        if start + offset < 0:
            raise ValueError(f"cannot go to {start + offset}, before the first byte")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer) -> int:  # type: ignore[override]
        number = bisect.bisect_right(self._ends, self._at)
        if number == len(self._ends):
            return 0
        file = self._file(number)
        file.seek(self._at - (self._ends[number - 1] if number else 0))
        count = file.readinto(buffer)  # type: ignore[attr-defined]
        self._at += count
        return count

    def close(self) -> None:
        if self._current[1] is not None:
            self._current[1].close()
        super().close()

    def _file(self, number: int) -> BinaryIO:
        current, file = self._current
        if current != number or file is None:
            if file is not None:
                file.close()
            file = self._paths[number].open("rb", buffering=0)
            self._current = (number, file)  # type: ignore[assignment]
        return file  # type: ignore[return-value]


@functools.lru_cache(maxsize=2)
def _opened(path: Path, process: int) -> zipfile.ZipFile:
    """One open archive per process: a forked one would share the cursor of its parent's file."""
    if not path.is_file():
        raise DataError(f"{path}: no such archive; check the path")
    file = io.BufferedReader(JoinedFiles(part_paths(path)), _BUFFER_BYTES)
    try:
        return zipfile.ZipFile(file)
    except _DAMAGE as error:
        raise DataError(
            f"{path}: not a whole zip archive ({error}); check that no part at its end is missing and copy it again"
        ) from error


def _packed(path: Path, folders: Sequence[str]) -> Tree:
    names, problems = list_members(path)
    prefix = _prefix(path, names, folders[0])
    tops = tuple(f"{prefix}{folder}/" for folder in folders)
    inside = sorted(name.removeprefix(prefix) for name in names if name.startswith(tops))
    return Tree(path, prefix, inside, [Problem(p.name.removeprefix(prefix), p.reason) for p in problems])


def _prefix(path: Path, names: Iterable[str], folder: str) -> str:
    """What stands before the one folder of that name."""
    found: set[str] = set()
    for name in names:
        before, middle, _ = f"/{name}".partition(f"/{folder}/")
        if middle:
            found.add(f"{before}/".removeprefix("/"))
    if len(found) != 1:
        which = f"several ({', '.join(sorted(found))})" if found else "none"
        raise DataError(
            f"{path}: one folder '{folder}' expected in the archive, found {which}; give the data set's own"
        )
    return found.pop()


def _fault(info: zipfile.ZipInfo) -> str:
    """Why a member must not be read; empty where nothing speaks against it."""
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/") or re.match("[A-Za-z]:", name):
        return "its name leads out of the folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "it is a link or device, not a file"
    if info.flag_bits & 1:
        return "it is encrypted; unpack the archive with its password"
    if info.compress_type not in _METHODS:
        return f"it is compressed by method {info.compress_type}, expected 0 or 8 (deflate); pack the archive again"
    is_bomb = info.file_size > RATIO_FROM_BYTES and info.file_size > MAX_RATIO * info.compress_size
    if is_bomb or info.file_size > MAX_MEMBER_BYTES:
        return (
            f"it claims {info.file_size} bytes packed into {info.compress_size}, too many for a picture or label file"
        )
    return ""


def _info(path: Path, name: str) -> zipfile.ZipInfo | None:
    try:
        return _opened(path, os.getpid()).getinfo(name)
    except KeyError:
        return None


def _read_capped(file: IO[bytes]) -> bytes:
    """Reads in small steps, because zipfile unpacks a whole step before it looks at the size that was claimed."""
    data = bytearray()
    while len(data) <= MAX_MEMBER_BYTES and (chunk := file.read(_CHUNK_BYTES)):
        data += chunk
    return bytes(data)
