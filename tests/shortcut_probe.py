"""How far simulated attacks can be told from bona fide by statistics that have nothing to do with presentation attacks.

    python tests/shortcut_probe.py DIR

DIR is a data folder, as `python -m data_prep.synthetic --out=DIR` makes it. A logistic regression on standardised
features learns on all capture domains but one and is judged on that one. Level 1 sees the size of the PNG file and the
mean colour; level 2 also colour histograms and the radial spectrum of the grey crop. Nobody should be able to solve the
task with level 1, and level 2 should leave much to do.
"""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from flipjax.core import command
from flipjax.core.errors import ConfigError, DataError
from flipjax.core.labels import ATTACK_INSTRUMENTS
from flipjax.data.source import Records, domains_in, read_index

# Highest balanced accuracy, percent, averaged over the held-out domains.
BARS = {1: 65.0, 2: 85.0}
META_DOMAIN = "syn_meta"
LEVEL_1_COLUMNS = 4
COLOUR_BINS, SPECTRUM_BANDS = 16, 16
# Feature columns whose distance from bona fide is shown by instrument; the last two are bands of the spectrum.
SHOWN = {"size": 0, "red": 1, "green": 2, "blue": 3, "mid": -7, "fine": -2}
LOWEST_BAND = 1 / 64  # cycles per pixel


@dataclass(frozen=True)
class Samples:
    """Crops as feature rows [n, k], level 1 first, with their labels [n]; `instrument` is an option index."""

    features: np.ndarray
    instrument: np.ndarray
    domain: np.ndarray

    @property
    def is_bona_fide(self) -> np.ndarray:
        return self.instrument == 0

    def level(self, number: int) -> np.ndarray:
        """Returns the features that level 1 or 2 sees."""
        return self.features[:, :LEVEL_1_COLUMNS] if number == 1 else self.features


def crop_features(image: np.ndarray) -> np.ndarray:
    """Returns log file size, mean colour (3), then histograms (3 x 16) and log spectrum energies (16) of an RGB crop."""
    done, data = cv2.imencode(".png", image[..., ::-1])
    assert done
    counts = [cv2.calcHist([image], [c], None, [COLOUR_BINS], [0, 256])[:, 0] for c in range(3)]
    histograms = np.concatenate(counts) / image[..., 0].size
    return np.concatenate([[np.log(len(data))], image.mean(axis=(0, 1)), histograms, spectrum_energies(image)])


def spectrum_energies(image: np.ndarray) -> np.ndarray:
    """Returns the log mean power of the grey crop in bands of spatial frequency that widen by a constant factor."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    height, width = grey.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2 / window.sum()
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    edges = np.geomspace(LOWEST_BAND, 0.5, SPECTRUM_BANDS + 1)
    band = np.clip(np.searchsorted(edges, radius.ravel()) - 1, 0, SPECTRUM_BANDS - 1)
    counts = np.bincount(band, minlength=SPECTRUM_BANDS)
    return np.log(np.bincount(band, power.ravel(), SPECTRUM_BANDS) / np.maximum(counts, 1) + 1e-7)


def read_samples(data_dir: Path) -> Samples:
    """Reads every crop of the capture domains in a data folder; the meta-domain is left out."""
    parts = []
    for domain in domains_in(data_dir):
        if domain == META_DOMAIN:
            continue
        index = read_index(data_dir, domain)
        records = Records(data_dir, index)
        rows = np.stack([crop_features(records.image(row)) for row in range(len(index))])
        parts.append(Samples(rows, index["attack_instrument"], index["domain"]))
    if len(parts) < 2:
        raise DataError(f"'{data_dir}' holds {len(parts)} capture domains, the probe needs 2; make more of them")
    return joined(parts)


def joined(parts: list[Samples]) -> Samples:
    """Returns the rows of all parts."""
    return Samples(
        np.concatenate([p.features for p in parts]),
        np.concatenate([p.instrument for p in parts]),
        np.concatenate([p.domain for p in parts]),
    )


def says_bona_fide(features: np.ndarray, samples: Samples) -> np.ndarray:
    """Returns the probe's decision [n] for every row, made by the probe that never saw the row's domain."""
    decided = np.zeros(len(features), bool)
    for domain in np.unique(samples.domain):
        held_out = samples.domain == domain
        scaler = StandardScaler().fit(features[~held_out])
        probe = LogisticRegression(class_weight="balanced", solver="newton-cholesky")
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            probe.fit(scaler.transform(features[~held_out]), samples.is_bona_fide[~held_out])
        decided[held_out] = probe.predict(scaler.transform(features[held_out]))
    return decided


def balanced_accuracy(decided: np.ndarray, is_bona_fide: np.ndarray) -> float:
    """Returns the mean of the shares of both classes that are decided rightly, in percent."""
    return 50 * (float(decided[is_bona_fide].mean()) + float((~decided[~is_bona_fide]).mean()))


def accuracies(samples: Samples, level: int) -> dict[str, float]:
    """Returns balanced accuracy in percent by held-out domain."""
    decided = says_bona_fide(samples.level(level), samples)
    return {
        str(domain): balanced_accuracy(decided[rows], samples.is_bona_fide[rows])
        for domain in np.unique(samples.domain)
        for rows in [samples.domain == domain]
    }


def relative(samples: Samples, column: int) -> np.ndarray:
    """Returns a feature [n] in standard deviations of the bona fide crops of the same domain, from their mean."""
    values = samples.features[:, column]
    distance = np.zeros(len(values))
    for domain in np.unique(samples.domain):
        rows = samples.domain == domain
        bona_fide = values[rows & samples.is_bona_fide]
        distance[rows] = (values[rows] - bona_fide.mean()) / bona_fide.std()
    return distance


def domain_table(samples: Samples) -> str:
    """Returns balanced accuracy by held-out domain and level, with means and bars."""
    found = {level: accuracies(samples, level) for level in BARS}
    lines = [f"{'held out':<20}{'level 1, %':>12}{'level 2, %':>12}"]
    lines += [f"{domain:<20}{found[1][domain]:12.1f}{found[2][domain]:12.1f}" for domain in found[1]]
    lines.append(f"{'mean':<20}" + "".join(f"{np.mean(list(found[level].values())):12.1f}" for level in BARS))
    return "\n".join([*lines, f"{'bar':<20}" + "".join(f"{bar:12.1f}" for bar in BARS.values())])


def instrument_table(samples: Samples) -> str:
    """Returns, by instrument, the share that each level decides rightly and the distances of features from bona fide.

    Distances (z) are means in standard deviations of the bona fide crops of the same domain; those of the file size also
    by domain.
    """
    right = {level: says_bona_fide(samples.level(level), samples) == samples.is_bona_fide for level in BARS}
    distances = {name: relative(samples, column) for name, column in SHOWN.items()}
    domains = np.unique(samples.domain)
    head = f"{'instrument':<20}{'crops':>6}{'right 1':>9}{'right 2':>9}" + "".join(f"{n:>7}" for n in SHOWN)
    lines = [f"{head}   size z by domain ({' '.join(map(str, domains))})"]
    for number in np.unique(samples.instrument):
        rows = samples.instrument == number
        by_domain = [distances["size"][rows & (samples.domain == domain)] for domain in domains]
        shares = "".join(f"{100 * right[level][rows].mean():9.1f}" for level in BARS)
        means = "".join(f"{distance[rows].mean():+7.2f}" for distance in distances.values())
        cells = "  ".join(f"{values.mean():+.2f}" if len(values) else "  -  " for values in by_domain)
        lines.append(f"{ATTACK_INSTRUMENTS[number]:<20}{rows.sum():6d}{shares}{means}   {cells}")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Prints both tables for the data folder named on the command line."""
    if len(argv) != 2:
        raise ConfigError("name one data folder: python tests/shortcut_probe.py DIR")
    samples = read_samples(Path(argv[1]))
    sys.stdout.write(f"{domain_table(samples)}\n\n{instrument_table(samples)}\n")


if __name__ == "__main__":
    command.run(main)
