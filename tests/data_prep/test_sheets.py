"""Contact sheets: whole frames that belong to their records, and every instrument and domain in its place."""

import io

import numpy as np
import pytest
from PIL import Image

from data_prep.synthetic import captures, sheets
from data_prep.synthetic.captures import Subject
from data_prep.synthetic.sites import DOMAINS
from flipjax.core.labels import ATTACK_INSTRUMENTS
from flipjax.data.align import crop_face

LABELS = {
    "pai_species": "print_a_laser",
    "illumination": 0,
    "environment": 1,
    "camera_quality": 2,
    "landmarks": [280.0, 320.0] * 5,
}


def shot(number: int, level: int) -> sheets.Shot:
    frame = np.full((700, 500, 3), level, np.uint8)
    return sheets.Shot(frame, frame[: sheets.CROP_PX, : sheets.CROP_PX], {**LABELS, "attack_instrument": number})


def test_every_frame_is_the_one_that_its_record_was_cut_from(monkeypatch):
    monkeypatch.setattr(captures, "plan_videos", lambda *_: [("bona_fide", 0), ("photo", 1)])
    subject = Subject(0, 1, 2, "syn_b_002", "train", 32, frames=1)
    shots = list(captures.subject_shots(subject))
    assert [ATTACK_INSTRUMENTS[record["attack_instrument"]] for record, _ in shots] == ["bona_fide", "photo"]
    for record, frame in shots:
        points = np.array(record["landmarks"]).reshape(5, 2)
        crop = np.asarray(Image.open(io.BytesIO(record["image"])))
        np.testing.assert_array_equal(crop_face(frame, points, size=32, padding=captures.PADDING), crop)


def test_sheets_show_frames_at_their_own_scale_and_crops_in_columns_of_domains():
    found = {
        domain: {name: [shot(k, 20 * k + 10)] for k, name in enumerate(ATTACK_INSTRUMENTS)}
        for domain in ("syn_a", "syn_b")
    }
    found["syn_b"]["photo"] = []
    sheet = sheets.instrument_sheet("photo", found)
    height, width = sheets.FRAME_CELL
    columns = sheet[-2 * sheets.INSTRUMENT_CELL :, : 2 * sheets.INSTRUMENT_CELL]
    assert (sheet[-2 * sheets.INSTRUMENT_CELL + 80, 80] == 30).all() and (columns[80, 240] == 255).all()
    assert (sheet[20 + height // 2, 30 + np.arange(500)] == 30).all() and (sheet[20 + height // 2, 29] == 255).all()
    assert sheets.domain_sheet(found["syn_a"]).shape == (3 * 244, 4 * 224, 3)
    assert sheet.shape[1] == 2 * width


@pytest.mark.slow
def test_the_command_makes_all_sheets_small(tmp_path):
    found = {domain: sheets.film_domain(domain, 0) for domain in DOMAINS}
    assert all(len(shots) == sheets.SAMPLES for samples in found.values() for shots in samples.values())
    drawn = {name: sheets.instrument_sheet(name, found) for name in ATTACK_INSTRUMENTS}
    drawn |= {domain: sheets.domain_sheet(samples) for domain, samples in found.items()}
    assert sum(sheets.write_jpeg(tmp_path / f"{name}.jpg", sheet) for name, sheet in drawn.items()) < 3e6
