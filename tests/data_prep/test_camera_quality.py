"""The three sources of camera quality: device lists, a CSV, and the measured rule with its laws."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep import camera_quality
from data_prep.entries import Entry
from flipjax.core.errors import DataError


def crop(seed: int = 0, side: int = 224) -> np.ndarray:
    """Noise with the falling spectrum of photographs, in the middle of the range so that little below clips."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1 / side
    white = np.fft.rfft2(np.random.default_rng(seed).normal(size=(side, side)))
    grey = np.fft.irfft2(white / frequency**1.5, s=(side, side))
    tint = np.array([1.0, 0.9, 0.8])
    return np.clip(120 + 30 * tint * (grey / grey.std())[..., None], 0, 255).astype(np.uint8)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1))


def enlarged(image: np.ndarray, side: int) -> np.ndarray:
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("worsen", "amounts"),
    [
        (lambda image, sigma: cv2.GaussianBlur(image, (0, 0), sigma), (0.7, 1.0, 1.5, 2.5)),
        (enlarged, (160, 112, 80, 56)),
        (compressed, (95, 60)),
    ],
    ids=["out of focus", "small face", "compressed"],
)
def test_every_loss_of_detail_lowers_the_sharpness(
    seed: int, worsen: Callable[[np.ndarray, float], np.ndarray], amounts: tuple[float, ...]
) -> None:
    image = crop(seed)
    values = [camera_quality.sharpness(image), *(camera_quality.sharpness(worsen(image, a)) for a in amounts)]
    assert all(before > after + 0.02 for before, after in itertools.pairwise(values)), values


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 30.0), (1.0, -30.0), (1.2, -24.0), (0.6, 48.0)])
def test_brightness_and_contrast_do_not_matter(gain: float, offset: float) -> None:
    image = crop()
    other = np.clip(np.round(gain * image.astype(np.float64) + offset), 0, 255).astype(np.uint8)
    assert camera_quality.sharpness(other) == pytest.approx(camera_quality.sharpness(image), abs=0.02)


def test_crops_of_any_size_compare() -> None:
    image = crop(side=896)
    for side, tolerance in ((224, 0.02), (336, 0.25)):  # a size between two whole shrinkings is a little softer
        smaller = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        assert camera_quality.sharpness(smaller) == pytest.approx(camera_quality.sharpness(image), abs=tolerance)
    assert math.isfinite(camera_quality.sharpness(image[:16, :24]))
    assert math.isnan(camera_quality.sharpness(image[:1, :1]))


def test_only_the_face_counts() -> None:
    image = crop()
    framed = image.copy()
    framed[:50] = framed[-50:] = framed[:, :50] = framed[:, -50:] = 0
    assert camera_quality.sharpness(framed) == camera_quality.sharpness(image)


def test_a_worked_case() -> None:
    """Columns of 100 and 120 alternating: variance 100, and every grey value has the Laplacian +-40, variance 1600."""
    image = np.full((112, 112, 3), 100, np.uint8)
    image[:, ::2] = 120
    whole = np.tile(image, (2, 2, 1))
    assert camera_quality.sharpness(whole) == pytest.approx(math.log10(1600 / 100), abs=1e-6)


@pytest.mark.parametrize("change", [0, 1])
def test_a_flat_crop_has_no_sharpness(change: int) -> None:
    image = np.full((224, 224, 3), 90, np.uint8)
    image[100:110, 100:110] += change
    assert math.isnan(camera_quality.sharpness(image))


def test_tertiles_share_the_split_in_three() -> None:
    values = list(np.random.default_rng(0).normal(size=300))
    cuts = camera_quality.tertiles([*values, math.nan, math.nan])
    given = [camera_quality.quality_of(value, cuts) for value in values]
    assert [given.count(quality) for quality in (-1, 0, 1, 2)] == [0, 100, 100, 100]
    assert camera_quality.quality_of(math.nan, cuts) == -1


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_without_a_known_value_every_quality_is_unknown(values: list[float]) -> None:
    cuts = camera_quality.tertiles(values)
    assert all(math.isnan(cut) for cut in cuts)
    assert camera_quality.quality_of(0.0, cuts) == -1


def test_device_lists_are_found_anywhere() -> None:
    ends = [f"test_on_{device}_quality_device/test_label.json" for device in ("low", "middle", "high")]
    names = ["metas/" + ends[0], "metas/protocol2/" + ends[1], "metas/a/b/" + ends[2]]
    others = ["metas/protocol2/test_on_low_quality_device/train_label.json", "metas/protocol1/test_label.json", "a.txt"]
    assert camera_quality.device_lists([*names, *others]) == dict(zip(names, (0, 1, 2), strict=True))


def test_a_picture_of_two_device_qualities_has_none() -> None:
    keys = {"low": ["a", "b"], "again": ["a"], "high": ["b", "c"]}
    known, problems = camera_quality.device_qualities({"low": 0, "again": 0, "high": 2}, keys.__getitem__)
    assert known == {"a": 0, "c": 2}
    assert [problem.name for problem in problems] == ["b"]
    assert problems[0].reason.startswith("'b' is in the test lists of two device qualities")


def entry(sample_id: str, quality: int = -1) -> Entry:
    return Entry(Path("x.jpg"), "train", "CA", sample_id, "s", sample_id, False, 1, camera_quality=quality)


def write(folder: Path, text: str) -> Path:
    path = folder / "quality.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_fills_what_is_unknown_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffsample_id, camera_quality\r\n a,low\r\n\r\nb,high\r\n")
    table = camera_quality.read_quality_csv(path)
    assert table.qualities == {"a": 0, "b": 2}
    entries = [entry("a"), entry("b", quality=1), entry("c")]
    assert [made.camera_quality for made in camera_quality.assign(entries, table)] == [0, 1, -1]
    assert [made.sample_id for made in camera_quality.assign(entries, table)] == ["a", "b", "c"]


def test_an_id_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    table = camera_quality.read_quality_csv(write(tmp_path, "sample_id,camera_quality\na,low\nm,low\nz,low\nb,low\n"))
    with pytest.raises(DataError, match=r"quality\.csv, line 3: no sample 'm' in the data set \(3 such lines\)"):
        camera_quality.assign([entry("a")], table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("id,quality\na,low\n", "header 'id,quality'; expected 'sample_id,camera_quality'"),
        (
            "sample_id,camera_quality\na,best\n",
            "line 2: camera_quality 'best' unknown; expected one of low, medium, high",
        ),
        ("sample_id,camera_quality\na,\n", "line 2: 'a,' is not a sample id and a quality"),
        ("sample_id,camera_quality\na,low,x\n", "line 2: 'a,low,x' is not a sample id and a quality"),
        ("sample_id,camera_quality\na,low\nb,low\na,high\n", "line 4: sample_id 'a' is also in line 2"),
        ('sample_id,camera_quality\n"a,low\n', "not a UTF-8 CSV file"),
    ],
)
def test_what_is_wrong_with_a_csv_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        camera_quality.read_quality_csv(write(tmp_path, text))
