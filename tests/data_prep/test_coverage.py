"""What the default data hold: every instrument and condition where it is needed, read from the plan without drawing a pixel."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data_prep.synthetic import captures
from data_prep.synthetic.build import Plan, deal
from data_prep.synthetic.captures import Subject, plan_videos, subject_records
from data_prep.synthetic.presentations import Presentation
from data_prep.synthetic.scene import Stage
from data_prep.synthetic.sites import DOMAINS, META
from flipjax.core.labels import ATTACK_INSTRUMENTS, CAMERA_QUALITIES, ENVIRONMENTS, ILLUMINATIONS
from flipjax.core.schemas import SPLITS

STYLES = {"illumination": ILLUMINATIONS, "environment": ENVIRONMENTS, "camera_quality": CAMERA_QUALITIES}
LARGEST_SHARE_GAP = 0.05
HEAD = SimpleNamespace(eye_px=30.0, population="drawn", source_name="")


def people(domain: str) -> list[Subject]:
    return deal(Plan(domains=(domain,), subjects=None, seed=0, size=32, faces=None, frames=1), domain, [])


def videos(domain: str, split: str | None = None) -> Counter[str]:
    """Returns videos by instrument of a domain's default people, or of those of one split."""
    chosen = [person for person in people(domain) if split in (None, person.split)]
    return Counter(name for person in chosen for name, _ in plan_videos(person.domain_number, person.number))


@pytest.fixture(scope="module")
def labels() -> dict[str, list[dict[str, Any]]]:
    """Labels of every domain's default people; everything that only draws pixels is left out."""
    nothing = np.zeros((1, 1, 3), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captures, "draw_traits", lambda *_: None)
        patch.setattr(captures, "draw_head", lambda *_: HEAD)
        patch.setattr(captures, "source_photo", lambda *_: (nothing, None))
        patch.setattr(captures, "draw_room", lambda *_: nothing)
        patch.setattr(captures, "draw_stage", lambda rng, shape, light, place: Stage(light, place))
        patch.setattr(captures, "present", lambda *_: Presentation("", lambda *_: None, {}))
        patch.setattr(
            captures,
            "film_record",
            lambda labels, *_: (dict(labels), SimpleNamespace(frame=np.zeros((2, 2, 3), np.uint8), exposure=1.0)),
        )
        patch.setattr(captures, "conditions_text", lambda *_, **__: "")
        return {
            domain: [record for person in people(domain) for record in subject_records(person)] for domain in DOMAINS
        }


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_domain_shows_every_instrument_and_every_split_both_classes(domain):
    met = videos(domain)
    assert set(met) == set(ATTACK_INSTRUMENTS)
    attacks = [met[name] for name in ATTACK_INSTRUMENTS[1:]]
    assert min(attacks) >= 4 and max(attacks) <= 3.5 * min(attacks), met
    for split in SPLITS:
        there = videos(domain, split)
        assert 0.3 <= there["bona_fide"] / there.total() <= 0.5, split
        assert len(there) == len(ATTACK_INSTRUMENTS) or domain != META, split


@pytest.mark.parametrize("domain", DOMAINS)
def test_both_classes_are_filmed_in_every_condition_of_their_domain(domain, labels):
    found = labels[domain]
    assert {r["is_bona_fide"] for r in found} == {True, False}
    for is_bona_fide in (True, False):
        rows = [r for r in found if r["is_bona_fide"] == is_bona_fide]
        for name, options in STYLES.items():
            shares = np.bincount([r[name] for r in rows], minlength=len(options)) / len(rows)
            assert shares.min() > 0.08, (name, is_bona_fide, shares)


def test_the_meta_domain_combines_the_conditions(labels):
    found = labels[META]
    cells = {
        is_bona_fide: Counter(tuple(r[name] for name in STYLES) for r in found if r["is_bona_fide"] == is_bona_fide)
        for is_bona_fide in (True, False)
    }
    for is_bona_fide, counts in cells.items():
        for first, second in ((0, 1), (0, 2), (1, 2)):
            options = [list(STYLES.values())[k] for k in (first, second)]
            pairs = {(cell[first], cell[second]) for cell in counts}
            assert len(pairs) == len(options[0]) * len(options[1]), is_bona_fide
    assert len(cells[True] + cells[False]) == 24


def test_no_condition_gives_the_class_away(labels):
    found = [record for domain in DOMAINS for record in labels[domain]]
    for name, options in STYLES.items():
        bona_fide, attack = (
            np.bincount([r[name] for r in rows], minlength=len(options)) / len(rows)
            for rows in ([r for r in found if r["is_bona_fide"] == c] for c in (True, False))
        )
        assert np.abs(bona_fide - attack).max() < LARGEST_SHARE_GAP, (name, bona_fide, attack)
