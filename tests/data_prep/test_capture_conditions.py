"""Cameras, sites and conditions: measured quality, disjoint splits, smooth videos, recorded circumstances."""

import dataclasses
import itertools
import json

import cv2
import numpy as np
import pytest

from data_prep.synthetic.build import Plan, build
from data_prep.synthetic.camera import camera
from data_prep.synthetic.camera_quality import measured_quality
from data_prep.synthetic.cameras import CAMERAS, JPEG, VIDEO
from data_prep.synthetic.captures import ATTACKS, Subject, deal, deal_conditions, plan_videos, subject_records
from data_prep.synthetic.cutouts import CUTOUTS, HELD_SHARE
from data_prep.synthetic.faces import draw_head
from data_prep.synthetic.lighting import draw_light
from data_prep.synthetic.presentations import Cast, present
from data_prep.synthetic.rooms import FURNITURE, room
from data_prep.synthetic.scene import draw_poses
from data_prep.synthetic.sites import DOMAINS, META, SITES, room_number, site_of
from data_prep.synthetic.traits import draw_traits
from flipjax.core.errors import DataError
from flipjax.core.labels import ATTACK_INSTRUMENTS, ENVIRONMENTS, ILLUMINATIONS
from flipjax.core.schemas import INDEX_FILE, SPLITS

SIZE = 48
FLAT = ("photo", "a4_paper", "poster", "pc_screen", "pad_screen", "phone_screen")


@pytest.fixture(scope="module")
def records() -> list[dict]:
    """All records of one drawn person."""
    return subject_records(Subject(0, 1, 3, "syn_b_003", "train", SIZE))


@pytest.mark.parametrize("model", [model for models in CAMERAS.values() for model in models], ids=lambda m: m.name)
def test_the_quality_of_a_camera_is_what_it_measures(model):
    assert measured_quality(model) == model.quality
    worse = dataclasses.replace(model, psf=1.6, full_well=300.0, saturation=0.2, contrast=-0.2)
    assert measured_quality(worse) == 0


def test_domains_share_no_device_and_hold_every_quality():
    assert tuple(CAMERAS) == DOMAINS == (*(f"syn_{x}" for x in "abcdef"), META)
    for kind in ("cameras", "printers", "screens"):
        names = [device.name for site in SITES for device in getattr(site, kind)]
        assert len(set(names)) == len(names), kind
    for site in SITES:
        shares = 2 if site.domain == META else 1
        assert sorted(model.quality for model in site.cameras) == sorted([0, 1, 2] * shares)


def test_splits_of_the_meta_domain_share_no_device_and_no_room():
    number = DOMAINS.index(META)
    sites = [site_of(number, split) for split in SPLITS]
    for kind in ("cameras", "printers", "screens"):
        names = [device.name for site in sites for device in getattr(site, kind)]
        everything = [device.name for device in getattr(SITES[number], kind)]
        assert sorted(names) == sorted(everything), "each device belongs to exactly one split"
    for site in sites:
        kinds = [device.instrument for device in (*site.printers, *site.screens)]
        assert sorted(kinds) == sorted(FLAT)
    assert {model.quality for model in sites[0].cameras} == {0, 1, 2}
    rooms = [{room_number(split, k) for k in range(400)} for split in SPLITS]
    assert not rooms[0] & rooms[1] and not rooms[0] & rooms[2] and not rooms[1] & rooms[2]
    assert site_of(0, "test") == SITES[0]
    with pytest.raises(DataError, match="did you mean 'train'"):
        site_of(number, "trian")


def test_four_subjects_show_every_instrument():
    assert set(ATTACKS) == set(ATTACK_INSTRUMENTS[1:])
    for number in range(len(ATTACKS)):
        shown = [name for k in range(number, number + 4) for name, _ in plan_videos(2, k)]
        assert set(shown) == set(ATTACK_INSTRUMENTS) and shown.count("bona_fide") == 16
    meta = [name for name, _ in plan_videos(DOMAINS.index(META), 7)]
    assert sorted(meta) == sorted([*ATTACK_INSTRUMENTS[1:], *["bona_fide"] * 5])


def test_conditions_are_dealt_evenly_and_apart_for_both_classes():
    shares = (0.5, 0.3, 0.2)
    dealt = deal(np.random.default_rng(3), 10, shares)
    assert [dealt.count(k) for k in range(3)] == [5, 3, 2] and dealt != sorted(dealt)
    assert deal(np.random.default_rng(4), 10, shares) != dealt
    videos = plan_videos(1, 3)
    found = deal_conditions(Subject(0, 1, 3, "s", "train", SIZE), SITES[1], videos)
    for bona_fide in (True, False):
        mine = [c for c, (name, _) in zip(found, videos, strict=True) if (name == "bona_fide") == bona_fide]
        assert {c.camera.quality for c in mine} == {0, 1, 2} and len({c.illumination for c in mine}) >= 3


@pytest.mark.parametrize(("share", "shown"), [(0.0, "worn"), (1.0, "held")])
def test_a_paper_mask_says_whether_it_is_held(monkeypatch, share, shown):
    monkeypatch.setitem(HELD_SHARE, CUTOUTS[0], share)
    rng = np.random.default_rng(0)
    head = draw_head(draw_traits(rng), rng, 20.0)
    cast = Cast(head, head, head.albedo, head.landmarks)
    light = draw_light(rng, illumination=0, environment=0, warmth=0.0)
    assert present(CUTOUTS[0], cast, SITES[0], light, rng).facts["shown"] == shown


def test_a_frame_does_not_depend_on_the_number_of_frames(records):
    longer = subject_records(Subject(0, 1, 3, "syn_b_003", "train", SIZE, frames=3))
    assert [r for r in longer if r["frame_index"] < 2] == records
    assert len(longer) == len(records) // 2 * 3


def test_motion_is_smooth_and_starts_anywhere():
    poses = draw_poses(np.random.default_rng(1), (300, 240), canvas_eye_px=40.0, frame_eye_px=52.0, frames=32)
    eyes = np.array([pose.matrix[:2, 2] + pose.matrix[:2, :2] @ (2.9 * 40, 2.8 * 40) for pose in poses]) / 52
    steps = np.linalg.norm(np.diff(eyes, axis=0), axis=1)
    assert steps.mean() > 0.002 and steps.max() < 0.12
    assert np.abs(np.diff([pose.yaw for pose in poses])).max() < 0.06
    assert np.ptp([pose.roll for pose in poses]) > 0.2


def test_conditions_agree_with_the_labels(records):
    for record in records:
        facts = json.loads(record["conditions"])
        assert list(facts) == sorted(facts)
        assert facts["camera"] == record["device"]
        assert facts["background"]["environment"] == ENVIRONMENTS[record["environment"]]
        assert facts["light"]["illumination"] == ILLUMINATIONS[record["illumination"]]
        points = np.array(record["landmarks"]).reshape(5, 2)
        if record["is_bona_fide"]:
            assert facts["shown"] == "person" and "printer" not in facts
            seen = np.linalg.norm(points[1] - points[0])
            assert abs(seen / facts["distance_eye_px"] - 1) < 0.05
            assert abs(np.rad2deg(np.arctan2(*(points[1] - points[0])[::-1])) - facts["roll_deg"]) < 4
        else:
            device = next(facts[kind] for kind in ("printer", "screen", "material") if kind in facts)
            assert record["pai_species"].endswith(device["name"])
        assert 0.2 <= facts["exposure"] <= 8


def test_a_room_is_the_same_for_everyone_and_has_fine_detail():
    walls, furniture = SITES[0].walls, (1.0,) * len(FURNITURE)
    for environment in (0, 1):
        one, two = (
            room(np.random.default_rng(3), (150, 120), environment=environment, walls=walls, furniture=furniture)
            for _ in range(2)
        )
        assert np.array_equal(one, two) and one.min() >= 0
        assert np.abs(np.diff(one.mean(axis=-1), axis=1)).mean() > 0.005


def test_exposure_follows_the_light_within_its_limits():
    radiance = np.random.default_rng(0).uniform(0.3, 0.5, (96, 80, 3)).astype(np.float32)
    model = SITES[2].cameras[1]
    means = [camera(radiance * level, model, np.random.default_rng(3)).mean() for level in (0.3, 1.0, 2.0, 0.01, 6.0)]
    assert max(means[:3]) - min(means[:3]) < 4
    assert means[3] < min(means[:3]) - 20 and means[4] > max(means[:3]) + 20


def test_video_keeps_less_colour_detail_than_a_photograph():
    radiance = np.full((128, 128, 3), 0.2, np.float32)
    radiance[np.arange(128) % 4 < 2] *= (1.6, 1.0, 0.4)  # every second sensor row: 4:2:2 keeps rows, 4:2:0 does not
    model = dataclasses.replace(CAMERAS["syn_a"][0], bayer=False, compression=80, full_well=1e6)
    detail = {}
    for codec in (JPEG, VIDEO):
        frame = camera(radiance, dataclasses.replace(model, codec=codec), np.random.default_rng(1))
        chroma = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)[..., 1].astype(np.float32)
        detail[codec] = chroma[8:-8, 8:-8].std()
    assert detail[VIDEO] < 0.5 * detail[JPEG], detail


@pytest.mark.slow
def test_nothing_in_the_meta_domain_is_in_two_splits(tmp_path):
    import pyarrow.parquet as pq

    assert build(
        Plan(domains=(META,), subjects=3, seed=0, size=32, faces=None, frames=1), tmp_path, processes=2, overwrite=False
    )
    rows = pq.read_table(tmp_path / META / INDEX_FILE).to_pylist()
    assert len(rows) == 3 * 15
    seen: dict[str, dict[str, set]] = {split: {} for split in SPLITS}
    for row in rows:
        facts = json.loads(row["conditions"])
        device = facts.get("printer", facts.get("screen", {"name": ""}))["name"]
        things = {"subject": row["subject_id"], "camera": row["device"], "device": device}
        for name, value in {**things, "room": facts["background"]["room"]}.items():
            seen[row["split"]].setdefault(name, set()).update({value} - {""})
    for one, two in itertools.combinations(SPLITS, 2):
        assert all(seen[one][name] and not seen[one][name] & seen[two][name] for name in seen[one]), (one, two)
