"""What bob.measure says of twenty score sets: the recipe of the sets, and the script that wrote bob_measure.json.

    python3.11 -m venv BOB && BOB/bin/pip install numpy numba && BOB/bin/pip install --no-deps bob.measure==6.1.1
    BOB/bin/python tests/golden_metrics/bob_measure.py

It runs in an environment of its own: the package pins an old NumPy and much else that its one library module, which is
all that is loaded here, does not need.
"""

import importlib.metadata
import importlib.util
import json
import platform
from datetime import date
from pathlib import Path
from types import ModuleType

import numpy as np

GOLDEN = Path(__file__).with_name("bob_measure.json")
SHARES = (0.01, 0.05)
# Presentations of either class, distance of their means, decimals kept (few make ties), stretch (much saturates).
RECIPES = tuple(
    {"bona_fide": bona_fide, "attack": attack, "gap": gap, "decimals": decimals, "stretch": stretch}
    for bona_fide, attack in ((40, 120), (80, 400), (140, 440), (710, 2870), (7, 5))
    for gap, decimals, stretch in ((1.0, 12, 1.0), (3.0, 12, 1.0), (2.0, 2, 1.0), (2.5, 4, 30.0))
)


def score_set(
    *, bona_fide: int, attack: int, gap: float, decimals: int, stretch: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores and is_bona_fide: logistic latent scores at evenly scattered quantiles, squashed to [0, 1]."""
    label = np.arange(bona_fide + attack) < bona_fide
    place = np.where(label, np.arange(len(label)), np.arange(len(label)) - bona_fide)
    count = np.where(label, bona_fide, attack)
    quantile = ((place * 0.6180339887498949 + np.where(label, 0.25, 0.7)) % 1 * (count - 1) + 0.5) / count
    latent = stretch * (np.log(quantile / (1 - quantile)) + np.where(label, gap, -gap))
    return np.round(1 / (1 + np.exp(-np.clip(latent, -700, 700))), decimals), label


def main() -> None:
    """Writes bob_measure.json."""
    library = _library()
    origin = {
        "package": f"bob.measure {importlib.metadata.version('bob.measure')}, module bob.measure._library",
        "versions": {name: importlib.metadata.version(name) for name in ("numpy", "numba")}
        | {"python": platform.python_version()},
        "date": date.today().isoformat(),
        "script": "tests/golden_metrics/bob_measure.py",
    }
    sets = [{"recipe": recipe, **_answers(library, *score_set(**recipe))} for recipe in RECIPES]
    GOLDEN.write_text(json.dumps({"ORIGIN": origin, "sets": sets}, indent=1) + "\n", encoding="utf-8")


def _answers(library: ModuleType, scores: np.ndarray, label: np.ndarray) -> dict[str, dict[str, float]]:
    negatives, positives = np.sort(scores[~label]), np.sort(scores[label])
    thresholds = {"eer": library.eer_threshold(negatives, positives)}
    for share in SHARES:
        thresholds[f"far_{share:g}"] = library.far_threshold(negatives, positives, share)
        thresholds[f"frr_{share:g}"] = library.frr_threshold(negatives, positives, share)
    rates = {name: library.farfrr(negatives, positives, cut) for name, cut in thresholds.items()}
    return {
        name: {"threshold": float(cut), "far": float(rates[name][0]), "frr": float(rates[name][1])}
        for name, cut in thresholds.items()
    }


def _library() -> ModuleType:
    """The module alone: importing the package would import what is not installed."""
    folder = Path(importlib.metadata.distribution("bob.measure").locate_file("bob/measure"))
    spec = importlib.util.spec_from_file_location("bob_measure_library", folder / "_library.py")
    library = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(library)
    return library


if __name__ == "__main__":
    main()
