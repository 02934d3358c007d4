"""Speed and memory of what surrounds a rate: bootstrap intervals, the paired bootstrap, DeLong's test.

    python tests/benchmarks/evaluation.py [--scores=200000] [--resamples=2000] [--people=0]

Prints one JSON line. The bar is 20 s and 1 GiB for the intervals of 200,000 scores with 2,000 resamples on two cores. Without
people every presentation is drawn by itself, which is the slowest case. `peak_mib` is the most memory the process has held
until then, libraries and the scores themselves included.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from absl import flags

from flipjax.core import command
from flipjax.core.schemas import ScoreTable
from flipjax.metrics.delong import delong_test
from flipjax.metrics.intervals import bootstrap
from flipjax.metrics.paired import paired_bootstrap

BAR_SECONDS, BAR_MIB = 20.0, 1024
INSTRUMENTS = ("photo", "poster", "a4", "face_mask", "pc_screen", "phone")
THRESHOLD = 0.5
SEED = 0


def main(argv: list[str]) -> None:
    """Times each, and prints it."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    videos = score_table(given.scores, given.people)
    line = {"benchmark": "evaluation", "scores": given.scores, "resamples": given.resamples, "people": given.people}
    line |= {"bar_s": BAR_SECONDS, "bar_mib": BAR_MIB}
    for name, task in tasks(videos, given.resamples).items():
        started, cpu = time.perf_counter(), time.process_time()
        task()
        line[name] = {
            "seconds": round(time.perf_counter() - started, 1),
            "cpu_s": round(time.process_time() - cpu, 1),
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    sys.stdout.write(json.dumps(line) + "\n")


def tasks(videos: ScoreTable, resamples: int) -> dict[str, Callable[[], object]]:
    """Returns what is timed, by name; the first two are what one target costs in an evaluation."""
    noise = np.random.default_rng(SEED).normal(0, 0.05, len(videos))
    other = replace(videos, score=np.clip(videos.score + noise, 0, 1))
    return {
        "bootstrap_fixed_threshold": lambda: bootstrap(videos, threshold=THRESHOLD, resamples=resamples, seed=SEED),
        "bootstrap_grid_eer": lambda: bootstrap(videos, threshold=None, resamples=resamples, seed=SEED),
        "paired_bootstrap": lambda: paired_bootstrap(
            videos, other, thresholds=(THRESHOLD, THRESHOLD), resamples=resamples, seed=SEED
        ),
        "delong_test": lambda: delong_test(videos.score, other.score, videos.is_bona_fide),
    }


def score_table(count: int, people: int) -> ScoreTable:
    """Returns made-up scores, three in ten bona fide, of `people` persons; 0: unknown ones."""
    rng = np.random.default_rng(SEED)
    label = rng.random(count) < 0.3
    names = np.arange(count).astype(str).astype(object)
    unknown = np.full(count, "", dtype=object)
    subjects = rng.integers(people, size=count).astype(str).astype(object) if people else unknown
    kinds = np.array(INSTRUMENTS, dtype=object)[rng.integers(len(INSTRUMENTS), size=count)]
    score = np.clip(rng.normal(0.35 + 0.3 * label, 0.15), 0, 1)
    return ScoreTable(names, names, subjects, unknown, label, np.where(label, "", kinds), score)


if __name__ == "__main__":
    flags.DEFINE_integer("scores", 200_000, "scores to rate", lower_bound=10)
    flags.DEFINE_integer("resamples", 2000, "bootstrap resamples", lower_bound=2)
    flags.DEFINE_integer("people", 0, "persons that the scores are of; 0: unknown", lower_bound=0)
    command.run(main)
