"""Indexes and images of data sets on disk: labels and splits without touching a pixel, then random access by row.

A data set is `<data.dir>/<domain>/`: TFDS splits in ArrayRecord files with `index.parquet` beside them, written last.
TensorFlow is never imported.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Int, UInt8

from flipjax.core import schemas
from flipjax.core.errors import DataError, ImageError, suggest

FOLDER = "folder"


@dataclass(frozen=True)
class Index:
    """Rows that point at records: every column of `schemas.INDEX_COLUMNS` plus `folder`, one array each.

    `domain` is what sampling and reports call a row's data set; `folder` is where its record lies. They differ only for
    target samples used in training, whose domain is renamed. Text columns are object arrays of str.
    """

    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["position"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def take(self, rows: Int[np.ndarray, "rows"]) -> "Index":
        """Returns the given rows in the given order."""
        return Index({name: values[rows] for name, values in self.columns.items()})

    def where(self, keep: Bool[np.ndarray, "all"]) -> "Index":
        """Returns the rows where `keep` is True."""
        return self.take(np.flatnonzero(keep))

    def renamed(self, domain: str) -> "Index":
        """Returns the same rows under another `domain`."""
        return Index({**self.columns, "domain": _repeated(domain, len(self))})


def concatenate(indexes: list[Index]) -> Index:
    """Returns the rows of all `indexes` in order; no index at all gives an empty one."""
    if not indexes:
        return Index({name: np.zeros(0, object) for name in (*schemas.INDEX_COLUMNS, FOLDER)})
    return Index({name: np.concatenate([index[name] for index in indexes]) for name in indexes[0].columns})


def domains_in(data_dir: Path) -> list[str]:
    """Returns the names of the finished data sets in `data_dir`, sorted."""
    return sorted(path.parent.name for path in data_dir.glob(f"*/{schemas.INDEX_FILE}"))


def read_index(data_dir: Path, domain: str) -> Index:
    """Returns every row of the data set `data_dir/domain`; its folder name is its domain.

    Raises:
      DataError: the folder is missing, not a finished data set, or its index cannot be used.
    """
    path = data_dir / domain / schemas.INDEX_FILE
    if not path.parent.is_dir():
        raise DataError(_missing(data_dir, domain))
    if not path.is_file():
        raise DataError(f"'{path.parent}' is not a finished data set (no {schemas.INDEX_FILE}); {_how_to_make(domain)}")
    try:
        present = set(pq.read_schema(path).names)
        lacking = [name for name in schemas.INDEX_COLUMNS if name not in present]
        table = pq.read_table(path, columns=[name for name in schemas.INDEX_COLUMNS if name in present])
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"'{path}' cannot be read ({reason}); {_how_to_make(domain)}") from error
    if lacking or not table.num_rows:
        what = f"of an earlier version lacks {', '.join(lacking)}" if lacking else "has no rows"
        raise DataError(f"'{path}' {what}; {_how_to_make(domain)}")
    columns = {name: np.asarray(table[name].to_numpy()) for name in schemas.INDEX_COLUMNS}
    named = _repeated(domain, table.num_rows)
    return Index({**columns, "domain": named, FOLDER: named})


@dataclass(frozen=True)
class Records:
    """Images of the rows of `index`; files are opened at first use, and any number of threads may read.

    `change` gets every decoded crop with its sample id and returns what is seen of it; None leaves crops as stored.
    """

    data_dir: Path
    index: Index
    change: Callable[[np.ndarray, str], np.ndarray] | None = None
    _sources: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.index)

    def image(self, row: int) -> UInt8[np.ndarray, "h w 3"]:
        """Returns the decoded RGB crop of index row `row`.

        Raises:
          ImageError: the record or its image is damaged; the sample and its file are named.
          DataError: the shards are missing or belong to another index.
        """
        encoded = np.frombuffer(self._record(row).image, np.uint8)
        try:
            image = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:
            raise ImageError(f"the image of {self._name(row)} is damaged ({error}); {self._mend(row)}") from error
        if image is None:
            raise ImageError(f"the image of {self._name(row)} is damaged; {self._mend(row)}")
        crop = np.asarray(image, np.uint8)
        return crop if self.change is None else self.change(crop, str(self.index["sample_id"][row]))

    def _record(self, row: int) -> "_Record":
        folder, split, position = (self.index[name][row] for name in (FOLDER, "split", "position"))
        source = self._source(folder, split)
        try:
            record = _parsed(source[int(position)])
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ImageError(f"{self._name(row)} cannot be read ({reason}); {self._mend(row)}") from error
        if record.sample_id != self.index["sample_id"][row]:
            raise DataError(f"{self._name(row)}: the index does not belong to these shards; {self._mend(row)}")
        return record

    def _source(self, folder: str, split: str) -> Any:
        with self._lock:
            if (folder, split) not in self._sources:
                self._sources[folder, split] = _open(self.data_dir / folder, split)
            return self._sources[folder, split]

    def _name(self, row: int) -> str:
        folder, split = self.index[FOLDER][row], self.index["split"][row]
        return f"sample '{self.index['sample_id'][row]}' in '{self.data_dir / folder}' ({split})"

    def _mend(self, row: int) -> str:
        return _how_to_make(self.index[FOLDER][row])


@dataclass(frozen=True)
class _Record:
    """What is read of a record: the encoded picture, and the id that tells whether it is the right one."""

    image: bytes
    sample_id: str


def _parsed(serialized: bytes) -> _Record:
    """Parses two fields alone: the index knows the rest, and parsing all of them takes longer than reading the record."""
    from tensorflow_datasets.proto import tf_example_pb2

    generated: Any = tf_example_pb2  # its messages are made at import, unseen by type checkers
    fields = generated.Example.FromString(serialized).features.feature
    image, sample_id = (fields[name].bytes_list.value[0] for name in ("image", "sample_id"))
    return _Record(image, sample_id.decode())


def _open(folder: Path, split: str) -> Any:
    import tensorflow_datasets as tfds

    try:
        builder: Any = tfds.builder_from_directory(str(folder))
        return builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"split '{split}' of '{folder}' cannot be opened ({reason}); {_how_to_make(folder.name)}"
        ) from error


def _repeated(text: str, count: int) -> np.ndarray:
    return np.full(count, text, dtype=object)


def _how_to_make(domain: str) -> str:
    if domain.startswith(schemas.SYNTHETIC_PREFIX):
        return "make it with 'python -m data_prep.synthetic --out=DIR'"
    return "make it with 'python -m data_prep.convert --dataset=NAME --raw=DIR --out=DIR'"


def _missing(data_dir: Path, domain: str) -> str:
    found = domains_in(data_dir)
    there = f"data sets there: {', '.join(found)}" if found else "no data set there"
    return f"data set '{data_dir / domain}' is missing ({there}{suggest(domain, found)}); {_how_to_make(domain)}"
