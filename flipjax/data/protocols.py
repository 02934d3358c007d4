"""Protocols: which domains train, which are tested, and the split of their rows into training, validation and targets.

The names are those of FLIP (leave-one-out over MCIO and W/Ce/S, one-to-one) and InstructFLIP (CelebA-Spoof to all).
Difference from FLIP: no list of rows is baked in; the splits and subjects of the records decide, and shot subjects
leave the evaluation of their target altogether (the published W/Ce/S lists keep other frames of the shot videos).
"""

import difflib
import hashlib
import itertools
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from flipjax.core.errors import ConfigError, DataError, suggest
from flipjax.core.labels import ATTACK_INSTRUMENTS, CLASS_NAMES
from flipjax.data.source import Index, concatenate, domains_in, read_index

REAL_DOMAINS = ("M", "C", "I", "O", "W", "Ce", "S")
META_DOMAIN = "CA"
PROFILES = ("default", "paper", "released")
HELD_OUT_SHARE = 0.1

_LEAVE_ONE_OUT = {
    "oci_to_m": (("O", "C", "I"), ("M",)),
    "omi_to_c": (("O", "M", "I"), ("C",)),
    "ocm_to_i": (("O", "C", "M"), ("I",)),
    "icm_to_o": (("I", "C", "M"), ("O",)),
    "ces_to_w": (("Ce", "S"), ("W",)),
    "sw_to_ce": (("S", "W"), ("Ce",)),
    "cew_to_s": (("Ce", "W"), ("S",)),
}
_ONE_TO_ONE = {f"{x}_to_{y}".lower(): ((x,), (y,)) for x, y in itertools.permutations("CIMO", 2)}
_META = {"ca_to_all": ((META_DOMAIN,), REAL_DOMAINS), "ca_to_mcio": ((META_DOMAIN,), ("M", "C", "I", "O"))}
_SYN_META = {"syn_meta_to_all": (("syn_meta",), tuple(f"syn_{x}" for x in "abcdef"))}
_NAMED = {**_LEAVE_ONE_OUT, **_ONE_TO_ONE, **_META, **_SYN_META}
_SYN_ROTATIONS = tuple(f"syn_{'abcd'.replace(x, '')}_to_{x}" for x in "abcd")
_SYN_LETTERS = re.compile(r"syn_([a-f]+)_to_([a-f]+)")
_NEAR_MISS = 0.85
_REMEDY = {
    "source": "add records of that class outside the dev split",
    "target": "add records of that class outside the dev split, or use fewer shots",
    "validation": "give a source a dev split or more subjects, or use profile=released",
}


@dataclass(frozen=True)
class Protocol:
    """Domains trained on and tested on, and the number of target videos per class that join training."""

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    shots: int


@dataclass(frozen=True)
class Selection:
    """Rows of a protocol; `source_val_seen` says that (part of) the source validation rows are trained on as well."""

    train: Index
    source_val: Index
    targets: dict[str, Index]
    source_val_seen: bool


def protocol_names() -> tuple[str, ...]:
    """Returns the protocols that have a name of their own."""
    return (*_NAMED, *_SYN_ROTATIONS)


def get_protocol(name: str, *, with_ca: bool, shots: int) -> Protocol:
    """Returns the protocol called `name`.

    Beside `protocol_names()`: `syn_<letters>_to_<letters>` over a..f, and domain names joined by '+', as in
    `own+M_to_other`. `with_ca` adds CelebA-Spoof as a source where all domains are of M, C, I, O, W, Ce, S.

    Raises:
      ConfigError: an unknown name, a domain named twice on one side, or negative `shots`.

    Example:
      >>> get_protocol("sw_to_ce", with_ca=True, shots=0).sources
      ('S', 'W', 'CA')
    """
    if shots < 0:
        raise ConfigError(f"shots={shots} is negative; expected the number of target videos per class, 0 for none")
    sources, targets = _domains(name)
    for side in (sources, targets):
        if len(set(side)) < len(side):
            raise ConfigError(f"protocol '{name}' names a domain twice in {'+'.join(side)}; name each once")
    if with_ca and set(sources + targets) <= set(REAL_DOMAINS):
        sources = (*sources, META_DOMAIN)
    return Protocol(name, sources, targets, shots)


def select(protocol: Protocol, data_dir: Path, *, profile: str) -> Selection:
    """Returns the rows of `protocol` from the data sets in `data_dir`; the choice depends on no seed.

    Sources train on every split but `dev`, targets are tested on every split but `dev`; a domain on both sides trains
    on its `train` split and is tested on its `test` split. Source validation is the `dev` split of a source, or, where
    it has none, a tenth of its subjects (the first by SHA-256 of `subject_id`), which do not train except under
    profile 'released'. The first `shots` videos per class of a target (by SHA-256 of `video_id`) train as the domain
    `<target>_shots`; every other video of their subjects leaves the target. `syn_meta_to_all` is tested on those of its
    targets that `data_dir` holds.

    Raises:
      ConfigError: an unknown profile.
      DataError: a domain is missing, or a part of it ends up without one of the two classes.
    """
    if profile not in PROFILES:
        raise ConfigError(
            f"profile '{profile}' unknown; expected one of {', '.join(PROFILES)}{suggest(profile, PROFILES)}"
        )
    protocol = _on_disk(protocol, data_dir)
    domains = dict.fromkeys((*protocol.sources, *protocol.targets))
    indexes = {domain: _read(protocol, data_dir, domain) for domain in domains}
    divided = {
        domain: _divide_source(indexes[domain], _training_rows(protocol, domain, indexes[domain]), profile)
        for domain in protocol.sources
    }
    shots = {domain: _divide_target(protocol, domain, indexes[domain]) for domain in protocol.targets}
    parts = {
        **{f"source '{domain}'": rows for domain, (rows, _, _) in divided.items()},
        **{f"target '{domain}'": rows for domain, (_, rows) in shots.items()},
        "validation on the sources": concatenate([held for _, held, _ in divided.values()]),
    }
    for part, rows in parts.items():
        _need_both_classes(protocol, part, rows)
    train = [rows for rows, _, _ in divided.values()] + [taken for taken, _ in shots.values() if len(taken)]
    return Selection(
        train=concatenate(train),
        source_val=parts["validation on the sources"],
        targets={domain: rows for domain, (_, rows) in shots.items()},
        source_val_seen=any(seen for _, _, seen in divided.values()),
    )


def keep_instruments(selection: Selection, instruments: tuple[int, ...]) -> Selection:
    """Returns `selection` with the training rows of these attack instruments alone (0 = bona fide); none named keeps all.

    Validation and targets stay whole (InstructFLIP Table 5 varies what is trained on).

    Raises:
      ConfigError: a number that is no instrument, or a class without a training row.
    """
    if not instruments:
        return selection
    shown = ",".join(map(str, instruments))
    if not set(instruments) <= set(range(len(ATTACK_INSTRUMENTS))):
        known = ", ".join(f"{number} {name}" for number, name in enumerate(ATTACK_INSTRUMENTS))
        raise ConfigError(f"data.instruments ({shown}) names an unknown instrument; expected some of {known}")
    train = selection.train.where(np.isin(selection.train["attack_instrument"], instruments))
    for index in (0, 1):
        if not (train["is_bona_fide"] == bool(index)).any():
            there = ", ".join(map(str, sorted(set(selection.train["attack_instrument"].tolist()))))
            raise ConfigError(
                f"data.instruments ({shown}) leaves no {CLASS_NAMES[index]} training record; the sources have {there}"
            )
    return replace(selection, train=train)


def _domains(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    letters = _SYN_LETTERS.fullmatch(name)
    if letters:
        return tuple(f"syn_{x}" for x in letters[1]), tuple(f"syn_{x}" for x in letters[2])
    if name in _NAMED:
        return _NAMED[name]
    sides = tuple(tuple(side.split("+")) for side in name.split("_to_"))
    is_typo = "+" not in name and difflib.get_close_matches(name, protocol_names(), n=1, cutoff=_NEAR_MISS)
    if len(sides) != 2 or is_typo or not all(itertools.chain(*sides)):
        raise ConfigError(
            f"protocol '{name}' unknown{suggest(name, protocol_names())}; known: {', '.join(protocol_names())}; "
            "own domains: folder names joined by '+', as in x+y_to_z"
        )
    return sides[0], sides[1]


def _on_disk(protocol: Protocol, data_dir: Path) -> Protocol:
    """Drops missing targets of `syn_meta_to_all`; with none at all they stay, so that reading names the first one."""
    present = tuple(target for target in protocol.targets if target in domains_in(data_dir))
    return replace(protocol, targets=present) if protocol.name in _SYN_META and present else protocol


def _read(protocol: Protocol, data_dir: Path, domain: str) -> Index:
    try:
        return read_index(data_dir, domain)
    except DataError as error:
        optional = domain == META_DOMAIN and len(protocol.sources) > 1
        hint = "; or train without it (--config.data.with_ca=False)" if optional else ""
        near = suggest(protocol.name.lower(), protocol_names()) if protocol.name not in protocol_names() else ""
        raise DataError(f"protocol '{protocol.name}' needs domain '{domain}': {error}{hint}{near}") from error


def _is_on_both_sides(protocol: Protocol, domain: str) -> bool:
    return domain in protocol.sources and domain in protocol.targets


def _training_rows(protocol: Protocol, domain: str, index: Index) -> Index:
    is_limited = _is_on_both_sides(protocol, domain)
    return index.where(index["split"] == "train" if is_limited else index["split"] != "dev")


def _divide_source(index: Index, rows: Index, profile: str) -> tuple[Index, Index, bool]:
    """Returns the rows to train on, the rows to validate on, and whether training sees the latter."""
    dev = index.where(index["split"] == "dev")
    if len(dev):
        return rows, dev, False
    held = _held_out(rows)
    if profile == "released":
        return rows, rows.where(held), bool(held.any())
    return rows.where(~held), rows.where(held), False


def _held_out(rows: Index) -> Bool[np.ndarray, "rows"]:
    """Marks a tenth of the subjects in hash order, then more until both classes occur; no class leaves training."""
    names, subject_of_row = np.unique(rows["subject_id"], return_inverse=True)
    per_class = [np.bincount(subject_of_row[rows["is_bona_fide"] == c], minlength=len(names)) for c in (False, True)]
    shows = np.stack(per_class, axis=1) > 0
    rank = {name: i for i, name in enumerate(_in_hash_order(names))}
    wanted = math.ceil(HELD_OUT_SHARE * len(names))
    held = np.zeros(len(names), bool)
    covered, left = np.zeros(2, bool), shows.sum(axis=0)
    for subject in sorted(range(len(names)), key=lambda i: rank[names[i]]):
        adds_class = (shows[subject] & ~covered).any()
        if (held.sum() < wanted or adds_class) and (left > 1)[shows[subject]].all():
            held[subject] = True
            covered |= shows[subject]
            left -= shows[subject]
    return held[subject_of_row]


def _divide_target(protocol: Protocol, domain: str, index: Index) -> tuple[Index, Index]:
    """Returns the shots, renamed to a domain of their own, and the rows to test on."""
    is_limited = _is_on_both_sides(protocol, domain)
    rows = index.where(index["split"] == "test" if is_limited else index["split"] != "dev")
    taken = np.zeros(len(rows), bool)
    for is_bona_fide in (False, True) if protocol.shots else ():
        of_class = rows["is_bona_fide"] == is_bona_fide
        videos = _in_hash_order(rows["video_id"][of_class])
        if len(videos) < protocol.shots:
            raise DataError(
                f"protocol '{protocol.name}': target '{domain}' has {len(videos)} {CLASS_NAMES[int(is_bona_fide)]} "
                f"videos, expected at least shots={protocol.shots}; use fewer shots"
            )
        taken |= of_class & np.isin(rows["video_id"], videos[: protocol.shots])
    has_shot_subject = np.isin(rows["subject_id"], rows["subject_id"][taken])
    return rows.where(taken).renamed(f"{domain}_shots"), rows.where(~has_shot_subject)


def _in_hash_order(names: np.ndarray) -> list[str]:
    return sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def _need_both_classes(protocol: Protocol, part: str, rows: Index) -> None:
    present = set(rows["is_bona_fide"].tolist())
    missing = [CLASS_NAMES[index] for index in (0, 1) if bool(index) not in present]
    if missing:
        lack, remedy = " and no ".join(missing), _REMEDY[part.partition(" ")[0]]
        raise DataError(f"protocol '{protocol.name}': {part} has no {lack} record left; {remedy}")
