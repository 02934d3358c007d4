"""Examines one data set of records, or a folder of them, from end to end."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.doctor import conversion_checks, leaks, record_checks, similarity
from data_prep.doctor.diagnosis import Diagnosis, Opened, Options, chosen, count_findings, counts_of, groups_of
from data_prep.doctor.findings import Finding, ordered
from data_prep.doctor.samples import Samples, from_index
from data_prep.doctor.workers import in_slices
from data_prep.entries import Facts
from flipjax.data.source import Index, concatenate

_RECORDS_PER_TASK = 500


def examine_records(facts: Facts, folder: Path, options: Options) -> Diagnosis:
    """Returns what is to be said of the records in `folder`, one data set or several; `facts` are those of one of them.

    Raises:
      DataError: no data set is there, or its index or conversion.json cannot be used.
    """
    data_dir, domains = record_checks.find_domains(folder)
    indexes = {domain: record_checks.opened(data_dir, domain).index for domain in domains}
    samples = from_index(concatenate(list(indexes.values())))
    places = [(domain, row) for domain, index in indexes.items() for row in range(len(index))]
    opened = _open(data_dir, places, samples, options)
    seen = opened.readable()
    pairs = similarity.look_alikes(similarity.stacked(look.thumbnail for look in seen.looks), seen.samples.group())
    accounts = {domain: conversion_checks.read_account(data_dir, domain) for domain in domains}
    explained = {d: conversion_checks.left_out(account, samples.of(d)) for d, account in accounts.items()}
    counts = counts_of(samples, facts)

    def read(row: int) -> np.ndarray:
        domain, place = places[seen.rows[row]]
        return record_checks.opened(data_dir, domain).image(place)

    findings = [
        *count_findings(counts, explained),
        *(finding for d in domains for finding in _domain_findings(data_dir, d, indexes[d], opened, seen)),
        *(finding for d in domains for finding in conversion_checks.account_findings(d, accounts[d])),
        *leaks.subject_findings(samples, facts),
        *leaks.crop_findings(seen.samples, pairs),
    ]
    return Diagnosis(
        facts=facts,
        unit="records",
        examined=[
            ("data sets", f"{', '.join(domains)} in {data_dir}"),
            ("records", f"{len(samples):,}, {len(opened.rows):,} of them opened"),
        ],
        findings=ordered(findings),
        counts=counts,
        groups=groups_of(seen.samples, pairs, read, options),
    )


def _open(data_dir: Path, places: Sequence[tuple[str, int]], samples: Samples, options: Options) -> Opened:
    rows = chosen(len(places), options)
    tasks = [places[row] for row in rows]
    look = partial(record_checks.look_at_all, data_dir)
    looks = in_slices(
        look, tasks, processes=options.processes, per_task=_RECORDS_PER_TASK, what="opening records", unit="record"
    )
    return Opened(rows, samples.take(rows), looks)


def _domain_findings(data_dir: Path, domain: str, index: Index, opened: Opened, seen: Opened) -> Iterator[Finding]:
    yield from record_checks.shard_findings(data_dir, domain, index)
    yield record_checks.reading_findings(domain, opened.of(domain).looks)
    here = seen.of(domain)
    yield from record_checks.crop_findings(domain, here.samples, here.looks)
    yield from record_checks.label_findings(domain, index)
