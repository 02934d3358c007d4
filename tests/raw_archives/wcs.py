"""Miniature archives of WMCA, CASIA-SURF CeFA and CASIA-SURF: their exact layouts and containers, generated content.

Every function takes `face`, an RGB picture that is then the content of every colour file, so that a detector finds it; a
little noise keeps the files apart. Without it the content is noise that differs from file to file. Pictures have the black
border that FLIP's recipe for these sets trims.
"""

import io
import itertools
import zlib
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

BORDER_PX = 16  # whole blocks of a JPEG file, so that the border stays black
_NOISE_PX = 48
_DATE = "15.05.18"
WMCA_FRAMES = (0, 2, 3, 5, 10, 11, 20)  # gaps, and numbers that sort otherwise as text
# Every type in the splits that the clients' numbers lead to, and people who appear as presenters too.
WMCA_STEMS = (
    "001_01_000_0_00",
    "002_01_000_0_01",
    "019_05_000_0_02",
    "513_02_001_1_04",
    "519_02_000_1_08",
    "530_03_001_2_18",
    "018_02_000_3_10",
    "018_02_000_3_06",
    "019_05_069_4_07",
    "012_01_000_0_00",
    "012_04_001_4_03",
    "022_01_000_0_00",
    "505_01_000_2_06",
    "098_03_000_3_11",
)
CEFA_SUBJECTS = ("AF-000", "CA-199", "EA-001", "AF-200", "EA-299", "CA-300", "AF-499")
CEFA_TAKES = ("1_1_1", "3_1_2", "3_2_2", "3_1_4")
CEFA_MASKS = ("3D-Mask/073/1_073_1_0_2_1_2", "Silicone-Mask/001/2_001_1_1_2_1_3")
CEFA_FILES = ("0001.jpg", "0002.jpg", "0004.jpg")
SURF_PEOPLE = ("CLKJ_AS0005", "CLKJ_BS0831", "CLKJ_CS0110")
SURF_ATTACKS = ("04_en_b", "05_enm_s", "06_enm_b")
SURF_NUMBERS = (1, 91, 101)
SURF_LISTED = {"Val": (0, 37, 38, 1500), "Testing": (0, 1, 999, 57709)}  # picture numbers; the even ones are bona fide
_RACES = {"AF": 1, "CA": 2, "EA": 3}


def write_wmca(root: Path, *, face: np.ndarray | None = None) -> Path:
    """Writes colour recordings of every type with gaps in their frame numbers, their CDIT files, and the documentation."""
    for stem in WMCA_STEMS:
        colour = root / "preprocessed-face-station_RGB" / _DATE / f"{stem}.hdf5"
        write_recording(colour, {k: _picture(f"{stem}{k}", face) for k in WMCA_FRAMES})
        others = root / "preprocessed-face-station_CDIT" / _DATE / f"{stem}.hdf5"
        write_recording(others, {0: np.zeros((8, 8, 4), np.uint8)})
    names = "".join(f"{_DATE}/{stem}.hdf5\n" for stem in WMCA_STEMS)
    _write(root / "documentation/attack_illustration_files.csv", names.encode())
    return root


def write_recording(path: Path, frames: dict[int, np.ndarray]) -> Path:
    """Writes pictures (height x width x channels) as one HDF5 recording, latest frame first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for number, picture in reversed(frames.items()):
            file.create_dataset(f"Frame_{number}/array", data=picture.transpose(2, 0, 1))
    return path


def write_cefa(root: Path, *, face: np.ndarray | None = None) -> Path:
    """Writes the four presentations of people of three ethnicities in every split, two masks, and the other channels."""
    stems = [
        f"{subject[:2]}/{subject}/{_RACES[subject[:2]]}_{subject[3:]}_{take}"
        for subject, take in itertools.product(CEFA_SUBJECTS, CEFA_TAKES)
    ]
    colour = [(stem, "profile") for stem in stems] + [(stem, "color") for stem in CEFA_MASKS]
    for stem, folder in colour:
        for name in CEFA_FILES:
            _write(root / stem / folder / name, _jpeg(_picture(f"{stem}{name}", face)))
        for channel in ("depth", "ir"):
            _write(root / stem / channel / CEFA_FILES[0], _jpeg(np.zeros((8, 8, 3), np.uint8)))
    return root


def write_surf(root: Path, *, face: np.ndarray | None = None) -> Path:
    """Writes Training, Val and Testing with the other channels, their lists with labels, and one without."""
    clips = [f"real_part/{person}/real" for person in SURF_PEOPLE]
    clips += [f"fake_part/{person}/{attack}" for person, attack in itertools.product(SURF_PEOPLE, SURF_ATTACKS)]
    rows: dict[str, list[str]] = {}
    for clip, number in itertools.product(clips, SURF_NUMBERS):
        names = [f"Training/{clip}.rssdk/{channel}/{number}.jpg" for channel in ("color", "depth", "ir")]
        rows.setdefault("train_list", []).append(" ".join([*names, str(int(clip.startswith("real")))]))
    for part, numbers in SURF_LISTED.items():
        for number in numbers:
            stem = f"{part}/{number // 1000:04d}/{number:06d}"
            names = [f"{stem}-{channel}.jpg" for channel in ("color", "depth", "ir")]
            rows.setdefault(f"{part.removesuffix('ing').lower()}_private_list", []).append(
                " ".join([*names, str(1 - number % 2)])
            )
    rows["val_public_list"] = [row.rpartition(" ")[0] for row in rows["val_private_list"]]
    for name, lines in rows.items():
        _write(root / f"{name}.txt", "".join(f"{line}\n" for line in lines).encode())
    for colour, *others, _ in (row.split() for name, lines in rows.items() if "public" not in name for row in lines):
        _write(root / colour, _jpeg(_picture(colour, face)))
        for other in others:
            _write(root / other, _jpeg(np.zeros((8, 8, 3), np.uint8)))
    return root


def _picture(name: str, face: np.ndarray | None) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if face is None:
        content = rng.integers(1, 256, (_NOISE_PX, _NOISE_PX, 3))
    else:
        content = np.clip(face.astype(int) + rng.integers(-2, 3, face.shape), 1, 255)
    return np.pad(content.astype(np.uint8), ((BORDER_PX,) * 2, (BORDER_PX,) * 2, (0, 0)))


def _jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
