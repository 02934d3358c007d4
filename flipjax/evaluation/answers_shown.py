"""Answers as a report shows them: accuracies beside chance, and bars of the likeliest options for telling faces."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flipjax.evaluation.answers import ACCURACY_SUFFIX, SUMMARY
from flipjax.evaluation.gallery import ERRORS
from flipjax.evaluation.tables import Cell, cell_of

SHOWN_OPTIONS = 3
CUE_MAP = "cue_map"


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption, the name of the heat map in it, and the answers about the face (both empty if none).

    An answer, by question name, is a mapping with `answer`, `options` (text -> probability) and `right` (empty: unknown).
    `outcome` says what was decided (empty: unknown), one of `flipjax.evaluation.gallery.OUTCOMES`. `views` are the crop and
    the overlay of every heat map as JPEG by name; where there are any, a report shows them in place of the PNG.
    """

    png: bytes
    caption: str
    heat_map: str = ""
    answers: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    views: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Face:
    """A picture as a page shows it: (data address, label) of each view, and a caption; `is_error` where decided wrongly."""

    views: list[tuple[str, str]]
    caption: str
    is_error: bool


@dataclass(frozen=True)
class Bar:
    """One option of a question with its probability in percent."""

    option: str
    percent: str
    is_answer: bool
    is_right: bool


@dataclass(frozen=True)
class Accuracy:
    """How well one question about a target is answered, in percent, beside chance.

    `width` is the accuracy as the length of a bar, `constant` the most that one answer for all reaches, `labelled` counts
    frames and `present` the options that occur among them; all are empty where unknown, as in the row of the mean.
    """

    target: str
    question: str
    cell: Cell
    width: str
    chance: str
    constant: str
    labelled: str
    present: str


def run_accuracies(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns (key, heading) of the accuracies that some run of a sweep has."""
    keys = dict.fromkeys(key for run in metrics.get("runs", ()) for key in run["mean"] if key.endswith(ACCURACY_SUFFIX))
    return [(key, f"{_spaced(key.removesuffix(ACCURACY_SUFFIX))} answers right, %") for key in keys]


def questions(targets: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns (name, text) of every question asked about some target."""
    asked = {name: fact["question"] for result in targets.values() for name, fact in result.get(SUMMARY, {}).items()}
    return [(_spaced(name), text) for name, text in asked.items()]


def accuracies(metrics: Mapping[str, Any]) -> Iterator[Accuracy]:
    """Yields a row per target and question; behind several targets one per question for their mean."""
    chances: dict[str, float] = {}
    targets = metrics["targets"]
    for target, result in targets.items():
        for name, fact in result.get(SUMMARY, {}).items():
            chances[name] = fact["chance"]
            yield _accuracy(target, name, result, fact)
    for name, chance in chances.items() if len(targets) > 1 else ():
        yield _accuracy("mean", name, metrics["mean"], {"chance": chance})


def _accuracy(target: str, name: str, result: Mapping[str, Any], fact: Mapping[str, Any]) -> Accuracy:
    key = f"{name}{ACCURACY_SUFFIX}"
    return Accuracy(
        target=target,
        question=_spaced(name),
        cell=cell_of(result, key),
        width=f"{result[key]:.1f}" if key in result else "",
        chance=f"{fact['chance']:.1f}",
        constant=f"{fact['constant']:.1f}" if "constant" in fact else "",
        labelled=str(fact.get("labelled", "")),
        present=f"{fact['options_present']} of {fact['options']}" if "options" in fact else "",
    )


def shown(picture: Picture) -> Face:
    """Returns the picture for a page; a picture without views is the PNG alone, whose heat map the caption names."""
    decided = f"; {_spaced(picture.outcome)}" if picture.outcome else ""
    is_error = picture.outcome in ERRORS
    if picture.views:
        views = [(_address("jpeg", data), _meaning(name)) for name, data in picture.views.items()]
        return Face(views, picture.caption + decided, is_error)
    named = f"; {_meaning(picture.heat_map)}" if picture.heat_map else ""
    return Face([(_address("png", picture.png), "")], picture.caption + decided + named, is_error)


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _meaning(name: str) -> str:
    return _spaced(name) + (": 1 = attack" if name == CUE_MAP else "")


def bars_by_question(picture: Picture) -> list[tuple[str, str, list[Bar]]]:
    """Returns (question, right option, bars) of the likeliest options and the right one, likeliest first."""
    found = []
    for name, said in picture.answers.items():
        right, answer = said.get("right", ""), said["answer"]
        options = {option: value for option, value in said["options"].items() if value is not None}
        order = sorted(options, key=lambda option: -options[option])
        kept = order[:SHOWN_OPTIONS] + [option for option in order[SHOWN_OPTIONS:] if option == right]
        bars = [Bar(option, f"{100 * options[option]:.1f}", option == answer, option == right) for option in kept]
        found.append((_spaced(name), right, bars))
    return found


def _spaced(name: str) -> str:
    return name.replace("_", " ")
