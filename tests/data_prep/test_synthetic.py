"""The simulator: same data whatever the process count, honest labels, points that lie where the picture says."""

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep.synthetic import build as building
from data_prep.synthetic import photographs
from data_prep.synthetic.build import Plan, build, deal, deal_splits
from data_prep.synthetic.camera import draw_settings
from data_prep.synthetic.captures import Subject, film_record, subject_records
from data_prep.synthetic.cutouts import FACE_MASK, HOLES_SHARE, make_cutout, show_cutout
from data_prep.synthetic.faces import Head, draw_head
from data_prep.synthetic.geometry import canvas_px, tilt, to_canvas, to_linear, to_srgb
from data_prep.synthetic.lighting import draw_light
from data_prep.synthetic.presentations import draw_stage
from data_prep.synthetic.prints import make_print, show_print
from data_prep.synthetic.scene import Scene, draw_poses, lit_head, show_head
from data_prep.synthetic.screens import make_replay, show_replay
from data_prep.synthetic.sites import DOMAINS, SITES
from data_prep.synthetic.traits import draw_traits
from flipjax.core.errors import ConfigError, DataError, ImageError
from flipjax.core.labels import ATTACK_INSTRUMENTS
from flipjax.core.schemas import INDEX_FILE, SCALAR_FIELDS, SPLITS
from flipjax.data.align import alignment_matrix

SIZE = 48
EYE_PX = 40.0
FACE_POINTS = to_canvas(np.array([[-0.5, 0], [0.5, 0], [0, 0.65], [-0.4, 1.0], [0.4, 1.0]]), EYE_PX)

FLAT = ("photo", "a4_paper", "poster", "pc_screen", "pad_screen", "phone_screen")
STRONG_LEAN = tilt(canvas_px(EYE_PX), 0.4, 0.3)


@pytest.fixture(scope="module")
def records() -> list[dict]:
    """All records of one drawn person."""
    return subject_records(Subject(0, 1, 3, "syn_b_003", "train", SIZE))


def _plan(**changes) -> Plan:
    return Plan(**{"domains": DOMAINS, "subjects": None, "seed": 0, "size": SIZE, "faces": None, **changes})


def _pixels(record: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(record["image"])))


def test_a_subject_does_not_depend_on_what_was_filmed_before(records):
    subject_records(Subject(0, 0, 0, "other", "train", 32))
    again = subject_records(Subject(0, 1, 3, "syn_b_003", "train", SIZE))
    assert again == records


def test_seed_and_domain_change_the_pictures(records):
    for subject in (Subject(1, 1, 3, "x", "train", SIZE), Subject(0, 2, 3, "x", "train", SIZE)):
        assert subject_records(subject)[0]["image"] != records[0]["image"]


def test_every_field_is_filled(records):
    for record in records:
        assert set(SCALAR_FIELDS) - {"domain"} <= set(record)
        for name, kind in SCALAR_FIELDS.items():
            if name == "domain" or (name == "pai_species" and record["is_bona_fide"]):
                continue
            assert isinstance(record[name], kind), name
            assert record[name] != "" and (kind is not int or record[name] >= 0), name
        assert len(record["box"]) == 4 and len(record["landmarks"]) == 10
        assert _pixels(record).shape == (SIZE, SIZE, 3)


def test_labels_agree_with_each_other(records):
    assert {r["is_bona_fide"] for r in records} == {True, False}
    for record in records:
        bona_fide = record["is_bona_fide"]
        assert bona_fide == (record["attack_instrument"] == 0) == (record["pai_species"] == "")
        assert bona_fide == ("attack_mask" not in record)
    for label in ("illumination", "environment", "camera_quality", "session", "device"):
        values = {
            is_bona_fide: {r[label] for r in records if r["is_bona_fide"] == is_bona_fide}
            for is_bona_fide in (True, False)
        }
        assert values[True] & values[False] or len(values[True]) == 1, label


def test_a_video_has_two_different_frames_of_one_presentation(records):
    videos: dict[str, list[dict]] = {}
    for record in records:
        videos.setdefault(record["video_id"], []).append(record)
    for frames in videos.values():
        assert [f["frame_index"] for f in frames] == [0, 1]
        assert len({(f["attack_instrument"], f["device"], f["session"], f["illumination"]) for f in frames}) == 1
        assert frames[0]["image"] != frames[1]["image"]
    assert len({r["sample_id"] for r in records}) == len(records)


def test_attack_masks_cover_the_face_that_is_attacked(records):
    for record in (r for r in records if not r["is_bona_fide"]):
        mask = np.asarray(Image.open(io.BytesIO(record["attack_mask"])))
        assert mask.shape == (SIZE, SIZE) and set(np.unique(mask)) <= {0, 255}
        share = (mask == 255).mean()
        is_flat = ATTACK_INSTRUMENTS[record["attack_instrument"]] in FLAT
        assert share > (0.5 if is_flat else 0.02)


def test_crops_are_aligned_to_the_landmarks(records):
    for record in records:
        points = np.array(record["landmarks"]).reshape(5, 2)
        matrix = alignment_matrix(points, SIZE, record["padding"])
        left, right = points[:2] @ matrix[:, :2].T + matrix[:, 2]
        template = np.array([[0.224152, 0.756101], [0.2119465, 0.2119465]])
        expected = (0.37 + template) / 1.74 * SIZE
        assert np.abs([left[0] - expected[0, 0], right[0] - expected[0, 1]]).max() < 3
        assert abs((left + right)[1] / 2 - 0.4 * SIZE) < 0.01


def test_same_radiance_gives_the_same_pixels_whatever_the_label():
    radiance = np.random.default_rng(0).uniform(0, 1, (120, 100, 3)).astype(np.float32)
    points = np.array([[40.0, 50], [60, 50], [50, 63], [42, 70], [58, 70]])
    scenes = {
        True: Scene(radiance, np.zeros((120, 100), np.float32), points),
        False: Scene(radiance.copy(), np.ones((120, 100), np.float32), points),
    }
    for model in SITES[0].cameras:
        settings = draw_settings(np.random.default_rng(5))
        images = [
            film_record(
                {"is_bona_fide": label, "video_id": "v"}, 0, scene, model, settings, np.random.default_rng(7), SIZE
            )[0]["image"]
            for label, scene in scenes.items()
        ]
        assert images[0] == images[1]


def _markers(points: np.ndarray, shape: tuple[int, int], sigma: float) -> np.ndarray:
    y, x = np.indices(shape, dtype=np.float32)
    return sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points)


def _marked_head() -> Head:
    width, height = canvas_px(EYE_PX)
    ones = np.ones((height, width), np.float32)
    marks = (0.01 + 0.95 * _markers(FACE_POINTS, (height, width), 2.0)).astype(np.float32)
    up = np.dstack([0 * ones, 0 * ones, ones])
    y, x = np.indices((height, width), dtype=np.float32)
    depth = (0.8 - 0.3 * ((x / width - 0.5) ** 2 + (y / height - 0.4) ** 2)).astype(np.float32)
    return Head(np.repeat(marks[..., None], 3, 2), ones, up, ones, 0 * ones, depth, FACE_POINTS, EYE_PX, "p", "s")


def _worst_offset(scene: Scene) -> float:
    """Distance of the points from the centroid of the bright marker next to each, in radiance pixels."""
    worst = 0.0
    light = scene.radiance.mean(axis=-1)
    for x, y in scene.landmarks:
        left, top = round(float(x)) - 8, round(float(y)) - 8
        window = light[top : top + 17, left : left + 17]
        weight = np.clip(window - np.quantile(window, 0.7), 0, None)
        rows, columns = np.indices(window.shape)
        centre = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        worst = max(worst, float(np.hypot(*(centre + np.array([left - x, top - y])))))
    return worst


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["bona_fide", "print", "replay", "cutout"])
def test_points_lie_on_the_marks_they_name(kind, seed, monkeypatch):
    monkeypatch.setitem(HOLES_SHARE, FACE_MASK, 0.0)
    rng = np.random.default_rng(seed)
    head = _marked_head()
    light = draw_light(rng, illumination=0, environment=0, warmth=0.0)
    stage = draw_stage(rng, (300, 240), light, np.full((180, 150, 3), 0.3, np.float32))
    pose = draw_poses(rng, (300, 240), canvas_eye_px=EYE_PX, frame_eye_px=52.0, frames=2)[1]
    if kind == "bona_fide":
        scene = show_head(head, lit_head(head, light), stage, pose)
    elif kind == "print":
        sheet = make_print(head.albedo, FACE_POINTS, SITES[0].printers[0], EYE_PX, rng)
        bare = dataclasses.replace(sheet, bend=0.6, lean=STRONG_LEAN, glare=np.zeros((0, 4)), grip=None)
        scene = show_print(bare, stage, pose)
    elif kind == "replay":
        replay = make_replay(head.albedo, FACE_POINTS, SITES[0].screens[2], EYE_PX, rng)
        bare = dataclasses.replace(replay, lean=STRONG_LEAN, glare=np.zeros((0, 4)), grip=None)
        scene = show_replay(bare, stage, pose)
    else:
        mask = make_cutout(head.albedo, FACE_POINTS, FACE_MASK, SITES[0].printers[0], head, rng)
        scene = show_cutout(dataclasses.replace(mask, grip=None), 0 * lit_head(head, light), stage, pose)
    assert _worst_offset(scene) < 1.5


def test_drawn_faces_have_dark_eyes_at_their_landmarks():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        head = draw_head(draw_traits(rng), rng, EYE_PX)
        luminance = head.albedo.mean(axis=-1)
        for x, y in head.landmarks[:2].round().astype(int):
            assert luminance[y, x] < 0.5 * np.median(luminance[y - 20 : y + 20, x - 20 : x + 20])


def test_srgb_round_trip():
    codes = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
    assert np.abs(to_srgb(to_linear(codes)) * 255 - codes).max() < 0.6


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 11, 40])
def test_splits_are_complete(count):
    splits = deal_splits(count, 0, 1)
    assert len(splits) == count and set(splits) <= set(SPLITS)
    assert set(splits) == set(SPLITS[::2] if count == 2 else SPLITS) if count > 1 else splits == ["train"]
    assert splits.count("train") >= max(splits.count("dev"), splits.count("test"))


def _photos(count: int) -> list[photographs.Photo]:
    names = [f"/p/{k:02d}_{shot}.jpg" for k in range(count) for shot in ("a", "b")]
    return [photographs.Photo(name, photographs.subject_of(Path(name)), ((0.0, 0.0),) * 5) for name in names]


@pytest.mark.parametrize("faces", [None, "/p"])
def test_no_subject_is_in_two_splits_or_domains(faces):
    plan = _plan(faces=faces, subjects=4)
    people = [subject for domain in DOMAINS for subject in deal(plan, domain, _photos(31))]
    assert len({p.subject_id for p in people}) == len(people) == 28
    files = [photo.path for p in people for photo in p.photos]
    assert len(set(files)) == len(files) == (56 if faces else 0)
    assert all(p.subject_id.startswith(DOMAINS[p.domain_number]) for p in people)


def test_choosing_domains_does_not_change_them():
    every, one = _plan(faces="/p"), _plan(faces="/p", domains=("syn_c",))
    assert deal(every, "syn_c", _photos(9)) == deal(one, "syn_c", _photos(9))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"domains": ("syn_x",)}, "did you mean"),
        ({"domains": ("syn_a", "syn_a")}, "once"),
        ({"domains": ()}, "once"),
        ({"subjects": 2}, "too few"),
        ({"size": 8}, "outside"),
        ({"seed": -1}, "negative"),
        ({"frames": 0}, "--frames=0"),
        ({"frames": 33}, "--frames=33"),
    ],
)
def test_impossible_plans_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        _plan(**changes)


def test_photo_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        photographs.list_photos(tmp_path / "missing")
    with pytest.raises(DataError, match="no jpg or png"):
        photographs.list_photos(tmp_path)
    broken = tmp_path / "001_x.jpg"
    broken.write_bytes(b"not a picture")
    with pytest.raises(ImageError, match="001_x"):
        photographs.read_rgb(broken)
    with pytest.raises(DataError, match="2 subjects"):
        photographs.deal_subjects(_photos(2), 4, None)


def test_a_photograph_lands_on_the_canvas_with_its_points(tmp_path):
    points = np.array([[110.0, 130], [200, 150], [148, 190], [108, 230], [180, 245]])
    marks = (255 * np.clip(_markers(points, (320, 300), 4.0), 0, 1)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "7_smile.png"), np.repeat(marks[..., None], 3, 2))
    photo = photographs.Photo(str(tmp_path / "7_smile.png"), "7", tuple((float(x), float(y)) for x, y in points))
    head = photographs.photo_head(photo, EYE_PX)
    ones = np.ones(head.alpha.shape, np.float32)
    assert _worst_offset(Scene(head.albedo, ones, head.landmarks)) < 0.6
    assert np.allclose(head.landmarks[:2], FACE_POINTS[:2], atol=0.01)
    assert head.source_name == "7_smile.png" and head.population == ""


def _fake_film(pool, subjects, out):
    for domain in subjects:
        (out / domain).mkdir()
        (out / domain / INDEX_FILE).write_text(str(len(subjects[domain])))


def test_finished_work_is_kept_and_other_work_is_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_film", _fake_film)
    out = tmp_path / "data"
    assert build(_plan(), out, processes=1, overwrite=False)
    assert json.loads((out / "synthetic.json").read_text())["seed"] == 0
    assert not build(_plan(), out, processes=1, overwrite=False)
    with pytest.raises(ConfigError, match="--overwrite"):
        build(_plan(seed=1), out, processes=1, overwrite=False)
    assert build(_plan(seed=1, subjects=5), out, processes=1, overwrite=True)
    assert (out / "syn_a" / INDEX_FILE).read_text() == "5"


def test_an_interrupted_run_keeps_the_domains_that_are_complete(tmp_path, monkeypatch):
    def stop_after_one(pool, subjects, out):
        _fake_film(pool, {"syn_a": subjects["syn_a"]}, out)
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "_film", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        build(_plan(), tmp_path, processes=1, overwrite=False)
    assert not (tmp_path / "synthetic.json").exists()
    seen = []
    monkeypatch.setattr(
        building, "_film", lambda pool, subjects, out: (seen.extend(subjects), _fake_film(pool, subjects, out))
    )
    assert build(_plan(), tmp_path, processes=1, overwrite=False)
    assert seen == list(DOMAINS[1:]) and (tmp_path / "synthetic.json").exists()


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "syn_a").mkdir()
    with pytest.raises(ConfigError, match="other arguments"):
        build(_plan(), tmp_path, processes=1, overwrite=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        build(_plan(), tmp_path / "file", processes=1, overwrite=False)


@pytest.mark.slow
def test_data_do_not_depend_on_the_number_of_processes(tmp_path):
    import pyarrow.parquet as pq
    import tensorflow_datasets as tfds

    plan = _plan(domains=("syn_a",), subjects=3, size=32)
    for processes in (1, 2):
        assert build(plan, tmp_path / str(processes), processes=processes, overwrite=False)
    indexes = [pq.read_table(tmp_path / name / "syn_a" / INDEX_FILE) for name in ("1", "2")]
    assert indexes[0].equals(indexes[1])
    for split in SPLITS:
        one, two = (tfds.builder_from_directory(str(tmp_path / n / "syn_a")).as_data_source(split) for n in ("1", "2"))
        assert len(one) == len(two) > 0
        assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(one, two, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--out is missing"),
        (["--out=x", "--domains=syn_q"], "syn_q"),
        (["--out=x", "--faces=missing"], "missing"),
        (["--out=x", "extra"], "extra"),
        (["--out=x", "--processes=0"], "--processes=0"),
    ],
)
def test_command_errors_are_one_line(tmp_path, arguments, message):
    done = subprocess.run(
        [sys.executable, "-m", "data_prep.synthetic", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1 and message in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr and not (tmp_path / "x").exists()


@pytest.mark.slow
def test_photographs_become_domains(tmp_path):
    folder = Path("../shared/faces/london")
    if not folder.is_dir():
        pytest.skip("the shared face photographs are not here")
    faces = tmp_path / "faces"
    faces.mkdir()
    for path in sorted(folder.glob("*_neutral.jpg"))[:7]:
        (faces / path.name).write_bytes(path.read_bytes())
    cv2.imwrite(str(faces / "wall_x.png"), np.full((200, 200, 3), 128, np.uint8))
    plan = _plan(faces=str(faces), size=32, domains=("syn_a", "syn_d"))
    assert build(plan, tmp_path / "out", processes=2, overwrite=False)
    assert (tmp_path / "out" / "syn_d" / INDEX_FILE).is_file()
