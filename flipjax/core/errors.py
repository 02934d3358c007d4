"""Errors meant for a person: each message names the value, what was expected and what to do, in one line.

Commands print the message and exit with code 1; nothing below the commands catches them.
"""

import difflib
from collections.abc import Sequence


class FlipjaxError(Exception):
    """Anything a user can mend; the message is one line."""


class ConfigError(FlipjaxError):
    """A flag, config key or protocol that is unknown or does not fit the others."""


class DataError(FlipjaxError):
    """A record, index, CSV or data set that is missing, empty or malformed."""


class ImageError(DataError):
    """One image or video that cannot be decoded or holds no usable face."""


class WeightError(FlipjaxError):
    """A checkpoint of another project that is missing, unsafe or does not fit our tree."""


class MetricError(FlipjaxError):
    """A metric asked of scores that cannot define it."""


class CheckpointError(FlipjaxError):
    """Our own checkpoint that is missing, damaged or could not be written."""


class TrainingError(FlipjaxError):
    """Training that cannot go on, such as a loss that is not a number."""


def suggest(name: str, known: Sequence[str]) -> str:
    """Returns `; did you mean 'x'?` for the known name nearest to `name`, or the empty string.

    Example:
      >>> suggest("oci_m", ["oci_to_m", "omi_to_c"])
      "; did you mean 'oci_to_m'?"
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def check_choice(key: str, value: str, known: Sequence[str]) -> None:
    """Raises a ConfigError that names the key where `value` is none of the known ones.

    Example:
      >>> check_choice("text.views", "disjoint", ("with_replacement", "disjoint"))
    """
    if value not in known:
        raise ConfigError(f"{key} '{value}' unknown; expected {', '.join(known)}{suggest(value, known)}")
