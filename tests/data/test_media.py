"""Pictures come upright, clips give frames 6 and 6 + n // 2, and every failure is one ImageError naming the file."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from flipjax.core.errors import ImageError
from flipjax.data import media
from flipjax.data.frames import FrameRule


def load_frames(path: Path) -> list[media.Frame]:
    clip = media.open_clip(path)
    return list(clip.read(FrameRule("pair").choose(clip.numbers)))


def write_clip(path: Path, frames: int) -> Path:
    """A 64x48 clip whose frame i is grey of brightness 8 i, its left half black."""
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*("mp4v" if path.suffix != ".avi" else "MJPG")), 25, (64, 48)
    )
    for i in range(frames):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[:, 32:] = 8 * i
        writer.write(frame)
    writer.release()
    return path


def rotate_header(path: Path) -> None:
    """Turns the mp4 track's display matrix by 90 degrees clockwise, as a phone held upright does."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :20] = 255
    exif = Image.Exif()
    exif[274] = 6  # shown after a turn of 90 degrees clockwise
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    upright = media.load_image(tmp_path / "a.png")
    assert upright.shape == (40, 20, 3)
    assert upright[0].min() == 255
    assert upright[-1].max() == 0


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(file)
    assert media.load_image(file).tolist() == np.full((4, 5, 3), 255).tolist()


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0x8000, 0xFFFF]], np.uint16)).save(tmp_path / "a.png")
    assert media.load_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 0x80, 0xFF]


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"\xff\xd8\xff\xe0" + b"\1" * 60]
)
def test_damaged_pictures_name_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.jpg: "):
        media.load_image(tmp_path / "x.jpg")


def test_truncated_picture_is_an_error(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes((tmp_path / "x.jpg").read_bytes()[:900])
    with pytest.raises(ImageError, match=r"x\.jpg: cannot be read as a picture"):
        media.load_image(tmp_path / "x.jpg")


@pytest.mark.parametrize("side", [12_000, 14_000])
def test_enormous_pictures_are_refused_before_decoding(tmp_path: Path, side: int) -> None:
    Image.new("1", (side, side)).save(tmp_path / "x.png")
    with pytest.raises(ImageError, match=r"x\.png: picture .* pixels; shrink it first"):
        media.load_image(tmp_path / "x.png")


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file"):
        media.load_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="not a file"):
        media.load_image(tmp_path)


@pytest.mark.parametrize(("frames", "expected"), [(20, [6, 16]), (9, [6, 8]), (3, [2]), (1, [0])])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mov"])
def test_clip_gives_the_published_frames(tmp_path: Path, name: str, frames: int, expected: list[int]) -> None:
    found = load_frames(write_clip(tmp_path / name, frames))
    assert [index for index, _ in found] == expected
    for index, frame in found:
        assert frame.shape == (48, 64, 3)
        assert abs(float(frame[:, 48:].mean()) - 8 * index) < 4


def test_a_damaged_frame_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.avi", 20)
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xd8"]
    assert len(starts) == 20
    data[starts[8] : starts[8] + 200] = bytes(200)
    path.write_bytes(data)
    clip = media.open_clip(path)
    assert list(clip.numbers) == [number for number in range(20) if number != 8]
    (last,) = (frame for number, frame in clip.read([7, 8, 15]) if number == 15)
    assert abs(float(last[:, 48:].mean()) - 8 * 15) < 4


def test_rotation_stored_in_the_clip_is_applied(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 20)
    rotate_header(path)
    _, frame = load_frames(path)[-1]
    assert frame.shape == (64, 48, 3)
    assert frame[:24].mean() < 10 < 100 < frame[40:].mean()


@pytest.mark.parametrize("content", [b"", b"\0\0\0\x20ftypisom" + b"\0" * 500, b"no video"])
@pytest.mark.parametrize("name", ["clip_001.mp4", "clip_001.avi"])
def test_broken_clip_names_the_file(
    tmp_path: Path, name: str, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=name):
        load_frames(tmp_path / name)
    assert "WARN" not in capfd.readouterr().err
