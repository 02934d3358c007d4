"""Protocols: which domains train, which are tested, and the split of their rows into training, validation and targets.

The names are those of FLIP (leave-one-out over MCIO and W/Ce/S, one-to-one) and InstructFLIP (CelebA-Spoof to all).
Which rows a domain gives is decided in `division`: by the splits and subjects of the records, or by the authors' lists.
"""

import difflib
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from absl import logging

from flipjax.core.errors import ConfigError, DataError, check_choice, suggest
from flipjax.core.labels import ATTACK_INSTRUMENTS, CLASS_NAMES
from flipjax.data.division import NATIVE, PROFILES, Rules, Side, divide_source, divide_target
from flipjax.data.source import Index, concatenate, domains_in, read_index

REAL_DOMAINS = ("M", "C", "I", "O", "W", "Ce", "S")
META_DOMAIN = "CA"

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
_META = {
    "ca_to_all": ((META_DOMAIN,), (*REAL_DOMAINS, META_DOMAIN)),
    "ca_to_mcio": ((META_DOMAIN,), ("M", "C", "I", "O")),
}
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


def select(protocol: Protocol, data_dir: Path, *, profile: str, rules: Rules = NATIVE) -> Selection:
    """Returns the rows of `protocol` from the data sets in `data_dir`; the choice depends on no seed.

    Without lists, sources train on every split but `dev`, targets are tested on every split but `dev`; a domain on both
    sides trains on its `train` split and is tested on its `test` split. Source validation is the `dev` split of a source,
    or, where it has none, a tenth of its subjects (the first by SHA-256 of `subject_id`), which do not train except under
    profile 'released'. The first `shots` videos per class of a target (by SHA-256 of `video_id`) train as the domain
    `<target>_shots`; every other video of their subjects leaves the target.

    With the authors' lists these say which rows train and which are tested, see `matching.Lists`; a `dev` split of which
    they train on some validates no more. Shots are the first lines of the shot lists.

    `syn_meta_to_all` is tested on those of its targets that `data_dir` holds, `ca_to_all` on CelebA-Spoof only where that
    has a `test` split.

    Raises:
      ConfigError: an unknown profile, or lists that do not fit the protocol.
      DataError: a domain is missing, a part of it ends up without one of the two classes, or lists name what is not there.
    """
    check_choice("profile", profile, PROFILES)
    protocol = _on_disk(protocol, data_dir)
    indexes = {name: _read(protocol, data_dir, name) for name in dict.fromkeys((*protocol.sources, *protocol.targets))}
    protocol = _with_testable_meta(protocol, indexes)
    is_limited = {name: name in protocol.sources and name in protocol.targets for name in indexes}
    sides = {name: Side(protocol.name, name, is_limited[name]) for name in indexes}
    divided = {
        name: divide_source(indexes[name], sides[name], profile=profile, rules=rules) for name in protocol.sources
    }
    seen = seen_targets(protocol.sources, protocol.targets)
    tested = {
        name: divide_target(indexes[name], sides[name], shots=0 if name in seen else protocol.shots, rules=rules)
        for name in protocol.targets
    }
    parts = {
        **{f"source '{name}'": rows for name, (rows, _, _) in divided.items()},
        **{f"target '{name}'": rows for name, (_, rows) in tested.items()},
        "validation on the sources": concatenate([held for _, held, _ in divided.values()]),
    }
    for part, rows in parts.items():
        _need_both_classes(protocol, part, rows)
    train = [rows for rows, _, _ in divided.values()] + [taken for taken, _ in tested.values() if len(taken)]
    return Selection(
        train=concatenate(train),
        source_val=parts["validation on the sources"],
        targets={name: rows for name, (_, rows) in tested.items()},
        source_val_seen=any(seen for _, _, seen in divided.values()),
    )


def seen_targets(sources: Iterable[str], targets: Iterable[str]) -> tuple[str, ...]:
    """Returns the targets that are sources as well, unless all are: they give no shots and means leave them out.

    Example:
      >>> seen_targets(("CA",), ("M", "C", "CA"))
      ('CA',)
      >>> seen_targets(("own",), ("own",))
      ()
    """
    trained, tested = set(sources), tuple(targets)
    seen = tuple(name for name in tested if name in trained)
    return seen if len(seen) < len(tested) else ()


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


def _with_testable_meta(protocol: Protocol, indexes: dict[str, Index]) -> Protocol:
    """Drops CelebA-Spoof from the targets of `ca_to_all` where it has no `test` split."""
    if protocol.name not in _META or META_DOMAIN not in protocol.targets:
        return protocol
    if (indexes[META_DOMAIN]["split"] == "test").any():
        return protocol
    logging.info("domain '%s' has no test split here; %s leaves it out of its targets", META_DOMAIN, protocol.name)
    return replace(protocol, targets=tuple(name for name in protocol.targets if name != META_DOMAIN))


def _read(protocol: Protocol, data_dir: Path, domain: str) -> Index:
    try:
        return read_index(data_dir, domain)
    except DataError as error:
        optional = domain == META_DOMAIN and len(protocol.sources) > 1
        hint = "; or train without it (--config.data.with_ca=False)" if optional else ""
        near = suggest(protocol.name.lower(), protocol_names()) if protocol.name not in protocol_names() else ""
        raise DataError(f"protocol '{protocol.name}' needs domain '{domain}': {error}{hint}{near}") from error


def _need_both_classes(protocol: Protocol, part: str, rows: Index) -> None:
    present = set(rows["is_bona_fide"].tolist())
    missing = [CLASS_NAMES[index] for index in (0, 1) if bool(index) not in present]
    if missing:
        lack, remedy = " and no ".join(missing), _REMEDY[part.partition(" ")[0]]
        raise DataError(f"protocol '{protocol.name}': {part} has no {lack} record left; {remedy}")
