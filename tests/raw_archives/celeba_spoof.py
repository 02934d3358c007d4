"""A miniature CelebA-Spoof: unpacked, or as the numbered parts of CelebA_Spoof.zip, with its known oddities or damage."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SUBJECTS = {"train": ("1", "940", "3329", "7870"), "test": ("4980", "5028")}
LIVE, ATTACKS = 2, 3  # pictures per subject
PICTURES = {split: len(subjects) * (LIVE + ATTACKS) for split, subjects in SUBJECTS.items()}
EMPTY_BOX, BAD_BOX = "Data/train/3329/spoof/000013", "Data/train/1/spoof/000003"
STRAY = "Data/train/1/live/000001 copy.jpg"
DEVICES = ("low", "middle", "high")
TOP = "CelebA_Spoof/"
_BOX_TEXT = b"61 45 100 112 0.9970805\n"


def write_celeba_spoof(
    root: Path, *, face: np.ndarray | None = None, as_parts: int = 0, devices: bool = False, damage: str = ""
) -> Path:
    """Writes the data set into the folder `root` and returns `root`, which is what `--raw` takes.

    Args:
      root: made if missing.
      face: RGB picture to show in every file; noise where None. A little noise of its own makes every file differ.
      as_parts: number of parts CelebA_Spoof.zip.001 ... to write instead of files; 0 writes files.
      devices: add the lists of the device protocol; the n-th attack of a subject has the n-th quality, others none.
      damage: "short_row" (43 values for `Data/train/1/live/000001.png`), or, in an archive, "escaping_member"
        (../escaped.jpg) or "bomb" (Data/train/1/spoof/999999.jpg).
    """
    rows = _rows()
    files = _pictures(rows, face) | _odd_files() | _label_files(rows, devices, damage)
    root.mkdir(parents=True, exist_ok=True)
    if not as_parts:
        for name, data in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return root
    members = {f"{TOP}{name}": data for name, data in files.items()}
    if damage == "escaping_member":
        members["../escaped.jpg"] = b"never to be written"
    if damage == "bomb":
        members[f"{TOP}Data/train/1/spoof/999999.jpg"] = bytes(11_000_000)
    return write_parts(root / "CelebA_Spoof.zip", members, as_parts).parent


def write_parts(path: Path, members: dict[str, bytes], parts: int) -> Path:
    """Zips `members` and writes `path` with .001 and so on behind it; all parts but the last are of one size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    data = buffer.getvalue()
    size = -(-len(data) // parts)
    for number in range(parts):
        path.with_name(f"{path.name}.{number + 1:03d}").write_bytes(data[number * size : (number + 1) * size])
    return path


def _rows() -> dict[str, list[int]]:
    """Picture -> its 44 values; the ten instruments follow each other, light and place cycle."""
    rows: dict[str, list[int]] = {}
    attack = 0
    for split, subjects in SUBJECTS.items():
        for subject in subjects:
            for i in range(LIVE + ATTACKS):
                number = f"{len(rows) + 1:06d}"
                if i < LIVE:
                    suffix = "png" if i == 0 else "jpg"
                    rows[f"Data/{split}/{subject}/live/{number}.{suffix}"] = [0, 1] * 20 + [0, 0, 0, 0]
                    continue
                last = [1 + attack % 10, 1 + attack % 4, 1 + attack % 2, 1]
                rows[f"Data/{split}/{subject}/spoof/{number}.jpg"] = [0] * 40 + last
                attack += 1
    return rows


def _pictures(rows: dict[str, list[int]], face: np.ndarray | None) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for seed, name in enumerate(rows):
        stem, _, suffix = name.rpartition(".")
        files[name] = _encoded(_content(face, seed), "PNG" if suffix == "png" else "JPEG")
        files[f"{stem}_BB.txt"] = {EMPTY_BOX: b"", BAD_BOX: b"61 45 100\n"}.get(stem, _BOX_TEXT)
    return files


def _content(face: np.ndarray | None, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if face is None:
        return rng.integers(0, 256, (56, 48, 3), np.uint8)
    return np.clip(face.astype(np.int16) + rng.integers(-3, 4, face.shape, np.int16), 0, 255).astype(np.uint8)


def _encoded(picture: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    return buffer.getvalue()


def _odd_files() -> dict[str, bytes]:
    return {
        "Data/train_2/1/live/000001.png": b"the crashed folder",
        STRAY: b"made by a file manager",
        "metas/intra_test/train_label.txt": b"Data/train/1/live/000001.png 0\n",
    }


def _label_files(rows: dict[str, list[int]], devices: bool, damage: str) -> dict[str, bytes]:
    lists = {f"intra_test/{split}_label": [name for name in rows if f"/{split}/" in name] for split in SUBJECTS}
    if devices:
        attacks = [name for name in rows if "/spoof/" in name]
        for place, device in enumerate(DEVICES):
            for split, has in (("test", True), ("train", False)):
                chosen = [name for i, name in enumerate(attacks) if (i % ATTACKS == place) == has]
                lists[f"protocol2/test_on_{device}_quality_device/{split}_label"] = chosen
    if damage == "short_row":
        rows = {**rows, "Data/train/1/live/000001.png": [0] * 43}
    return {f"metas/{n}.json": json.dumps({key: rows[key] for key in keys}).encode() for n, keys in lists.items()}
