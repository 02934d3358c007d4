"""Writes one domain as a TFDS/ArrayRecord data set plus its `index.parquet`, without TensorFlow.

`<root>/<domain>/` is what `tfds.builder_from_directory` reads. The index is built by reading the written records back,
because TFDS shuffles by a hash of the key while writing; it is written last, so a folder without it is not a data set.
"""

import io
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow_datasets as tfds
from PIL import Image

from flipjax.core import labels, schemas
from flipjax.core.errors import DataError, suggest

BUILDER_NAME = "face_records"
REQUIRED_FIELDS = ("image", "box", "landmarks", "is_bona_fide", "sample_id", "subject_id", "video_id")

_ALL_FIELDS = (*schemas.IMAGE_FIELDS, *schemas.VECTOR_FIELDS, *schemas.SCALAR_FIELDS)
_DOMAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_UNKNOWN = {bool: False, int: labels.UNKNOWN, str: "", float: 0.0}
_NUMPY_TYPES = {bool: np.bool_, int: np.int32, float: np.float32}
_ARROW_TYPES = {bool: pa.bool_(), int: pa.int32(), float: pa.float32(), str: pa.string()}


def write_domain(
    root: Path, domain: str, splits: Mapping[str, Iterable[Mapping[str, Any]]], *, encoding: str = "png"
) -> Path:
    """Writes the records of one domain and returns `root/domain`.

    Everything is built in a sibling folder that takes the final name at the end; a data set that already has that
    name stays as it is until then, and stays for good when the new one fails.

    Args:
      root: the `data.dir`; made if missing.
      domain: folder name and value of the field `domain`.
      splits: records by split name (train, dev, test), each a mapping with `image` (bytes of an 8-bit RGB picture file), `box`
        (x0 y0 x1 y1) and `landmarks` (five x, y), pixels of the original image; `is_bona_fide`, `sample_id` (unique in
        the domain), `subject_id`, `video_id`; optionally `attack_mask` (PNG bytes) and any other scalar field.
        Missing fields become unknown ("", -1, 0.0); `attack_instrument` of a bona fide record becomes 0. The
        iterables are consumed once, one record at a time; an empty split is left out.
      encoding: format of all images, "png" or "jpeg".

    Raises:
      DataError: a bad domain or split name, a folder in the way that is no data set, no record at all, or a record
        with an unknown or missing field, a wrong type or option, a repeated `sample_id` or an image that is not a
        readable RGB picture in that format; the sample is named.
    """
    _check_names(domain, splits)
    work = _fresh_work_folder(root, domain)
    try:
        built = _build(work, domain, splits, encoding)
        _write_index(built)
        _put_in_place(built, root / domain)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return root / domain


def complete_record(record: Mapping[str, Any], domain: str, encoding: str = "png") -> dict[str, Any]:
    """Returns the record with every field present and typed; absent fields become unknown.

    Raises:
      DataError: what `write_domain` lists, except repeated ids.
    """
    name = record.get("sample_id") or "(no sample_id)"
    for key in record:
        if key not in _ALL_FIELDS:
            raise DataError(f"sample '{name}' has the unknown field '{key}'{suggest(key, _ALL_FIELDS)}")
    missing = [
        key for key in REQUIRED_FIELDS if record.get(key) is None or (isinstance(record[key], str) and not record[key])
    ]
    if missing:
        raise DataError(f"sample '{name}' lacks the required field(s) {', '.join(missing)}")
    if record.get("domain", domain) not in ("", domain):
        raise DataError(f"sample '{name}' says domain '{record['domain']}' but is written to domain '{domain}'")
    given = {**record, "domain": domain}
    full = {key: _scalar(given.get(key), key, kind, name) for key, kind in schemas.SCALAR_FIELDS.items()}
    full["attack_instrument"] = _instrument(full["is_bona_fide"], full["attack_instrument"], name)
    full |= {key: _vector(record[key], key, size, name) for key, size in schemas.VECTOR_FIELDS.items()}
    full["image"] = _checked_picture(record["image"], encoding, "image", ("RGB",), name)
    mask = record.get("attack_mask") or b""
    full["attack_mask"] = _checked_picture(mask, "png", "attack_mask", ("1", "L", "RGB"), name) if mask else b""
    return full


def check_domain_name(domain: str) -> None:
    """Raises DataError where `domain` cannot name a data set."""
    if not _DOMAIN_NAME.fullmatch(domain) or "_to_" in domain or domain.endswith("_shots"):
        raise DataError(
            f"domain name '{domain}' cannot be used; expected letters, digits, '_', '.' or '-' without '_to_' inside "
            "or '_shots' at the end"
        )


def _check_names(domain: str, splits: Mapping[str, Any]) -> None:
    check_domain_name(domain)
    for split in splits:
        if split not in schemas.SPLITS:
            raise DataError(
                f"split '{split}' of domain '{domain}' unknown; expected one of {', '.join(schemas.SPLITS)}"
            )


def _fresh_work_folder(root: Path, domain: str) -> Path:
    final = root / domain
    if final.exists() and not (final / schemas.INDEX_FILE).exists() and any(final.iterdir()):
        raise DataError(f"'{final}' exists and is not a data set of ours; move it away or choose another output folder")
    work = root / f".{domain}.partial"
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise DataError(f"cannot make a folder under '{root}' ({error}); choose another output folder") from error
    return work


def _scalar(value: Any, key: str, kind: type, name: str) -> Any:
    if value is None:
        return _UNKNOWN[kind]
    accepted = {
        bool: (bool, np.bool_),
        int: (int, np.integer),
        float: (float, int, np.floating, np.integer),
        str: (str,),
    }[kind]
    if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
        raise DataError(f"sample '{name}': {key} is {value!r}, expected {kind.__name__}")
    if key in labels.OPTIONS and not labels.UNKNOWN <= value < len(labels.OPTIONS[key]):
        raise DataError(f"sample '{name}': {key} is {value}, expected -1 (unknown) to {len(labels.OPTIONS[key]) - 1}")
    return kind(value)


def _instrument(is_bona_fide: bool, index: int, name: str) -> int:
    if is_bona_fide and index > 0:
        raise DataError(f"sample '{name}' is bona fide but has attack_instrument {index}, expected 0")
    if not is_bona_fide and index == 0:
        raise DataError(f"sample '{name}' is an attack but has attack_instrument 0 (bona fide); expected 1..10 or -1")
    return 0 if is_bona_fide else index


def _vector(value: Any, key: str, size: int, name: str) -> np.ndarray:
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        array = np.zeros(0, np.float32)
    if array.shape != (size,):
        raise DataError(f"sample '{name}': {key} is {value!r}, expected {size} numbers")
    return array


def _checked_picture(data: Any, encoding: str, key: str, modes: tuple[str, ...], name: str) -> bytes:
    form = encoding.upper()
    if not isinstance(data, bytes):
        raise DataError(f"sample '{name}': {key} is {type(data).__name__}, expected {form} bytes")
    try:
        with Image.open(io.BytesIO(data), formats=(form,)) as image:
            mode = image.mode
            image.load()
    except Exception as error:  # damaged files make Pillow's decoders raise nearly every built-in type
        raise DataError(f"sample '{name}': {key} is not a readable {form} ({error}); encode it again") from error
    if mode not in modes:
        raise DataError(f"sample '{name}': {key} is a {form} of mode {mode}, expected {' or '.join(modes)}")
    return data


def _features(encoding: str) -> tfds.features.FeaturesDict:
    features: dict[str, Any] = {"image": tfds.features.Image(shape=(None, None, 3), encoding_format=encoding)}
    # Image features cannot be optional: the mask is its PNG bytes, empty where there is none.
    features["attack_mask"] = tfds.features.Scalar(dtype=np.object_)
    for key, size in schemas.VECTOR_FIELDS.items():
        features[key] = tfds.features.Tensor(shape=(size,), dtype=np.float32)
    for key, kind in schemas.SCALAR_FIELDS.items():
        features[key] = tfds.features.Text() if kind is str else tfds.features.Scalar(dtype=_NUMPY_TYPES[kind])
    return tfds.features.FeaturesDict(features)


class _LocalInfo(tfds.core.DatasetInfo):
    """Describes a data set without asking a server whether it knows it."""

    def initialize_from_bucket(self) -> None:
        """Looks nothing up: the data sets of this project exist on this machine alone."""


class _FaceRecords(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Face crops of one domain."""

    name = BUILDER_NAME
    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self, domain: str, records: Mapping[str, Iterable[Mapping[str, Any]]], encoding: str, **builder_arguments: Any
    ) -> None:
        self._domain = domain
        self._encoding = encoding
        self._records = records
        self._seen: set[str] = set()
        self.failure: DataError | None = None
        super().__init__(**builder_arguments)

    def _info(self) -> tfds.core.DatasetInfo:
        return _LocalInfo(builder=self, description=f"Face crops, {self._domain}.", features=_features(self._encoding))

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        del dl_manager
        return {split: self._generate_examples(records) for split, records in self._records.items()}

    def _generate_examples(self, records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        for record in records:
            try:
                example = complete_record(record, self._domain, self._encoding)
                if example["sample_id"] in self._seen:
                    raise DataError(f"sample_id '{example['sample_id']}' occurs twice in domain '{self._domain}'")
            except DataError as error:
                self.failure = error
                raise
            self._seen.add(example["sample_id"])
            yield example["sample_id"], example

    def _log_download_bytes(self) -> None:
        """Keeps the standard output for results; TFDS prints here."""

    def _log_download_done(self) -> None:
        """Keeps the standard output for results; TFDS prints here."""


def _build(work: Path, domain: str, splits: Mapping[str, Iterable[Mapping[str, Any]]], encoding: str) -> Path:
    present = {}
    for split in schemas.SPLITS:
        records = iter(splits.get(split, ()))
        first = next(records, None)
        if first is not None:
            present[split] = itertools.chain([first], records)
    if not present:
        raise DataError(f"domain '{domain}' has no records; nothing was written")
    tfds.disable_progress_bar()
    builder = _FaceRecords(domain, present, encoding, data_dir=str(work), file_format="array_record")
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        builder.download_and_prepare(download_dir=str(work / "downloads"), download_config=config)
    except Exception:
        if builder.failure is not None:
            raise builder.failure from None  # TFDS rewrites messages of errors that pass through it
        raise
    return Path(builder.data_dir)


def _write_index(folder: Path) -> None:
    builder: Any = tfds.builder_from_directory(str(folder))
    undecoded = {"image": tfds.decode.SkipDecoding()}
    rows: dict[str, list[Any]] = {column: [] for column in schemas.INDEX_COLUMNS}
    for split in schemas.SPLITS:
        if split not in builder.info.splits:
            continue
        for position, record in enumerate(builder.as_data_source(split=split, decoders=undecoded)):
            rows["split"].append(split)
            rows["position"].append(position)
            for key, kind in schemas.SCALAR_FIELDS.items():
                rows[key].append(record[key].decode() if kind is str else kind(record[key]))
    types = {"split": pa.string(), "position": pa.int64()}
    types |= {key: _ARROW_TYPES[kind] for key, kind in schemas.SCALAR_FIELDS.items()}
    table = pa.table({column: pa.array(values, types[column]) for column, values in rows.items()})
    pq.write_table(table, folder / schemas.INDEX_FILE)


def _put_in_place(built: Path, final: Path) -> None:
    if final.exists():
        os.replace(final, built.parent / "replaced")
    os.replace(built, final)
