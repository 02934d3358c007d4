"""Simulated attacks are not given away by file size, colours or the spectrum; the probe that says so can say no."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.synthetic.build import Plan, build
from shortcut_probe import BARS, Samples, accuracies, crop_features, domain_table, instrument_table, read_samples

DOMAINS = ("syn_a", "syn_b", "syn_c")


def planted(plant: str, count: int = 60) -> Samples:
    """Returns noise crops of three domains, half of them attacks that differ from bona fide in one statistic."""
    rows, instrument, domain = [], [], []
    rng = np.random.default_rng(0)
    for number, name in enumerate(DOMAINS):
        for k in range(count):
            is_attack = k % 2 == 1
            noise = rng.normal(0, 12 + 6 * rng.random(), (32, 32, 3))
            if plant == "smooth" and is_attack:
                noise = 2 * cv2.GaussianBlur(noise, (0, 0), 0.7)
            warmth = 20.0 if plant == "warm" and is_attack else 0.0
            level = 110 + 5 * number + 15 * rng.random() + warmth * np.array([1.0, 0.0, -1.0])
            rows.append(crop_features(np.clip(noise + level, 0, 255).astype(np.uint8)))
            instrument.append(int(is_attack))
            domain.append(name)
    return Samples(np.stack(rows), np.array(instrument), np.array(domain, object))


@pytest.mark.parametrize("plant", ["smooth", "warm"])
def test_a_planted_shortcut_is_found_on_domains_never_seen(plant):
    samples = planted(plant)
    for level in BARS:
        found = accuracies(samples, level)
        assert set(found) == set(DOMAINS) and min(found.values()) > 85, level


def test_nothing_is_found_where_there_is_nothing():
    samples = planted("nothing", 120)
    for level in BARS:
        assert abs(np.mean(list(accuracies(samples, level).values())) - 50) < 9, level
    shown = domain_table(samples) + instrument_table(samples)
    assert all(word in shown for word in (*DOMAINS, "bona_fide", "photo"))


@pytest.mark.slow
def test_simulated_attacks_offer_no_shortcut(tmp_path: Path):
    domains = tuple(f"syn_{letter}" for letter in "abcd")
    build(Plan(domains=domains, subjects=None, seed=0, size=96, faces=None), tmp_path, processes=2, overwrite=False)
    samples = read_samples(tmp_path)
    shown = domain_table(samples) + "\n" + instrument_table(samples)
    for level, bar in BARS.items():
        assert np.mean(list(accuracies(samples, level).values())) <= bar, shown
