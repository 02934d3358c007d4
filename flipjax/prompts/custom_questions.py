"""Questions of a config: checked against the record column that holds their right answers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flipjax.core import labels
from flipjax.core.errors import ConfigError, suggest
from flipjax.core.schemas import SCALAR_FIELDS, Question

BRANCHES = ("content", "style")
_KEYS = ("branch", "field", "text", "options")
_OPTION_COUNTS = {
    "is_bona_fide": len(labels.CLASS_NAMES),
    **{field: len(names) for field, names in labels.OPTIONS.items()},
}


def numbered(words: Sequence[str]) -> tuple[str, ...]:
    """Returns the options with their numbers.

    Example:
      >>> numbered(["Indoor", "Outdoor"])
      ('(1) Indoor', '(2) Outdoor')
    """
    return tuple(f"({number}) {word}" for number, word in enumerate(words, start=1))


def options_line(options: Sequence[str]) -> str:
    """Returns what ends a question's text: a line break and the options, joined by spaces."""
    return "\n" + " ".join(options)


def custom_question(name: str, given: Mapping[str, Any], base: Question | None) -> Question:
    """Returns the question `name` from the keys branch, field, text and options; those not given are `base`'s.

    Raises:
      ConfigError: an unknown or missing key, another branch than content or style, a field that holds no option indices,
        options that are not texts, not as many as the field has values, equal or wrongly numbered.
    """
    for key in given:
        if key not in _KEYS:
            raise ConfigError(
                f"question '{name}' has an unknown key '{key}'; expected {', '.join(_KEYS)}{suggest(key, _KEYS)}"
            )
    values: dict[str, Any] = {key: given[key] if key in given else getattr(base, key, None) for key in _KEYS}
    missing = [key for key in _KEYS if not values[key]]
    if missing:
        raise ConfigError(f"question '{name}' has no {missing[0]}; give {', '.join(_KEYS)}")
    branch, field, text, words = (values[key] for key in _KEYS)
    if branch not in BRANCHES:
        raise ConfigError(f"question '{name}': branch '{branch}' unknown; expected content or style")
    _check_field(name, field)
    options = _options(name, field, words)
    if base is not None and "text" not in given:
        text = base.text.removesuffix(options_line(base.options))
    return Question(name, branch, field, _with_options(name, str(text), options), options)


def _check_field(name: str, field: str) -> None:
    countable = tuple(column for column, kind in SCALAR_FIELDS.items() if kind in (int, bool))
    if field not in countable:
        raise ConfigError(
            f"question '{name}': field '{field}' is no record column of option indices; expected one of "
            f"{', '.join(countable)}{suggest(str(field), countable)}"
        )


def _options(name: str, field: str, words: Any) -> tuple[str, ...]:
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) and word.strip() for word in words):
        raise ConfigError(
            f"question '{name}': options {words!r} are not a list of texts, such as ['indoor', 'outdoor']"
        )
    needed = _OPTION_COUNTS.get(field)
    if len(words) < 2 or (needed and len(words) != needed):
        expected = f"column '{field}' has {needed} values" if needed else "a choice needs at least 2"
        raise ConfigError(f"question '{name}' has {len(words)} options but {expected}; give one option for each")
    texts = tuple(word.strip() for word in words)
    bare = tuple(text.removeprefix(f"({number})").strip() for number, text in enumerate(texts, start=1))
    wrong = next((text for text in bare if re.match(r"\(\d+\)", text)), None)
    if wrong is not None:
        raise ConfigError(
            f"question '{name}': option '{wrong}' has another number than its place; leave the numbers out"
        )
    folded = [text.casefold() for text in bare]
    twice = next((text for text in bare if folded.count(text.casefold()) > 1), None)
    if twice is not None:
        raise ConfigError(f"question '{name}': option '{twice}' occurs twice; options must differ")
    return numbered(bare)


def _with_options(name: str, text: str, options: tuple[str, ...]) -> str:
    if "\n" in text.removesuffix(options_line(options)):
        raise ConfigError(
            f"question '{name}': the text has a line break before other options than its own; leave them out"
        )
    return text.removesuffix(options_line(options)) + options_line(options)
