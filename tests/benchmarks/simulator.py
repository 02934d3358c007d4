"""Speed of the simulator: face crops of all instruments and domains, filmed by worker processes.

    python tests/benchmarks/simulator.py [--crops=1000] [--size=224] [--processes=2]

Prints one JSON line, then CPU seconds a crop by instrument. The time runs from the start of the processes to the last crop;
writing the files is not in it. The bar is 1,000 crops of 224 px in 120 s on two cores that do nothing else. The heads of a
person and of their attackers, drawn once for all videos, are shared among the person's crops as `people`.
"""

import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from unittest import mock

from absl import flags

from data_prep.synthetic import captures
from data_prep.synthetic.build import Plan, deal
from data_prep.synthetic.captures import Subject, film_record, plan_videos, subject_records
from data_prep.synthetic.sites import DOMAINS
from flipjax.core import command
from flipjax.core.labels import ATTACK_INSTRUMENTS

BAR_SECONDS, BAR_CROPS = 120.0, 1000
PEOPLE = "people"
SEED = 0

Work = Counter[str]


def main(argv: list[str]) -> None:
    """Films, and prints what it took."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    seconds, cpu, crops = measure(given.crops, given.size, given.processes)
    line = {
        "benchmark": "simulator",
        "size_px": given.size,
        "processes": given.processes,
        "crops": crops.total(),
        "seconds": round(seconds, 1),
        "crops_per_s": round(crops.total() / seconds, 2),
        "seconds_per_1000_crops": round(seconds * BAR_CROPS / crops.total(), 1),
        "bar_s": BAR_SECONDS,
        "cpu_s_per_crop": round(cpu.total() / crops.total(), 4),
        "cpu_s_per_crop_by_instrument": {n: round(cpu[n] / crops[n], 4) for n in crops},
        "cpu_s_per_crop_people": round(cpu[PEOPLE] / crops.total(), 4),
    }
    sys.stdout.write(json.dumps(line) + "\n\n" + table(cpu, crops))


def measure(crops: int, size: int, processes: int) -> tuple[float, Work, Work]:
    """Films at least `crops` crops; returns wall seconds, then CPU seconds and crops by instrument."""
    cpu, made = Counter[str](), Counter[str]()
    started = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        subjects = list(subjects_for(crops, size))
        for spent, count in pool.map(film, subjects):
            cpu, made = cpu + spent, made + count
    return time.perf_counter() - started, cpu, made


def subjects_for(crops: int, size: int) -> Iterator[Subject]:
    """Yields subjects, the domains in turn, until their videos amount to `crops` crops."""
    plan = Plan(domains=DOMAINS, subjects=crops, seed=SEED, size=size, faces=None)
    rounds = zip(*(deal(plan, domain, []) for domain in DOMAINS), strict=True)
    planned = 0
    for subject in (subject for one_each in rounds for subject in one_each):
        if planned >= crops:
            return
        planned += subject.frames * len(plan_videos(subject.domain_number, subject.number))
        yield subject


def film(subject: Subject) -> tuple[Work, Work]:
    """Films one subject; returns CPU seconds and crops by instrument.

    The clock is read when the plan is asked for, which is after the heads are drawn, and at the end of every crop.
    """
    cpu, made = Counter[str](), Counter[str]()
    last = time.process_time()

    def spend(name: str) -> None:
        nonlocal last
        now = time.process_time()
        cpu[name] += now - last
        last = now

    def plan(*arguments: Any) -> list[tuple[str, int]]:
        spend(PEOPLE)
        return plan_videos(*arguments)

    def record(labels: Mapping[str, Any], *arguments: Any) -> Any:
        made_record = film_record(labels, *arguments)
        name = ATTACK_INSTRUMENTS[labels["attack_instrument"]]
        spend(name)
        made[name] += 1
        return made_record

    with mock.patch.object(captures, "plan_videos", plan), mock.patch.object(captures, "film_record", record):
        subject_records(subject)
    return cpu, made


def table(cpu: Work, crops: Work) -> str:
    """Returns CPU seconds a crop by instrument, and their mean over all crops."""
    rows = [(name, crops[name], cpu[name]) for name in ATTACK_INSTRUMENTS if crops[name]]
    rows += [(PEOPLE, crops.total(), cpu[PEOPLE]), ("all", crops.total(), cpu.total())]
    lines = [f"{name:<20}{count:>6}{spent / count:9.3f}" for name, count, spent in rows]
    return "\n".join([f"{'instrument':<20}{'crops':>6}{'CPU s':>9}", *lines, ""])


if __name__ == "__main__":
    flags.DEFINE_integer("crops", BAR_CROPS, "crops to make, at least", lower_bound=1)
    flags.DEFINE_integer("size", 224, "side of the crops in pixels")
    flags.DEFINE_integer("processes", 2, "processes that film", lower_bound=1)
    command.run(main)
