"""The benchmark of evaluation runs, and a small part of it stays well within its bar."""

import time
import tracemalloc

import pytest

from benchmarks import evaluation


@pytest.mark.parametrize("people", [0, 40])
def test_every_task_runs(people: int) -> None:
    videos = evaluation.score_table(600, people)
    assert len(set(videos.subject_id)) == (people or 1)
    results = {name: task() for name, task in evaluation.tasks(videos, 20).items()}
    assert "hter" in results["bootstrap_fixed_threshold"] and "eer" in results["bootstrap_grid_eer"]


def test_intervals_of_many_scores_are_quick_and_small() -> None:
    """20,000 scores and 100 resamples, a two-hundredth of the work: that share of the bar would be 0.1 s."""
    videos = evaluation.score_table(20_000, 0)
    task = evaluation.tasks(videos, 100)["bootstrap_grid_eer"]
    started = time.process_time()
    task()
    assert time.process_time() - started < 1
    tracemalloc.start()
    task()
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert peak_mib < evaluation.BAR_MIB / 10
