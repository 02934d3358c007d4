"""Free text of any model -> the option it chooses, strictly: a text that names none, or two, is no answer."""

import re

from flipjax.core.errors import DataError
from flipjax.core.schemas import Question

_IN_BRACKETS = re.compile(r"[(\[]\s*(\d+)\s*[)\]]")
# A number that starts the text or follows "option", "answer", "choice"; 2 of "2D" or of "2.5" is none.
_LEADING = re.compile(r"^[\s\"'*`]*(\d+)(?![\w]|[.,]\d)")
_ANNOUNCED = re.compile(r"\b(?:option|answer|choice)\b(?:\s+is\b)?\W{0,3}(\d+)(?![\w]|[.,]\d)", re.IGNORECASE)
_AFTER_NUMBER = (")", ".", ":", ",", "-", "or ", "and ")
_DENIAL = re.compile(r"\b(?:no|not|never|neither|nor|without|unable|cannot|can't|\w+n't)\b")


def parse_answer(text: str, question: Question) -> int:
    """Returns the index of the option that `text` chooses: by its number, its words or both.

    Numbers count in brackets, at the start, or behind "option", "answer" or "choice". Words count whatever their case and
    whether spaces, hyphens or underscores part them; inside a longer text only where nothing is denied ("not a photo").

    Raises:
      DataError: no option, several, a number without option, or a number with the words of another option alone.

    Example:
      >>> from flipjax.prompts.instruct import PUBLISHED
      >>> [parse_answer(text, PUBLISHED[0]) for text in ("(8) PC screen", "8", "It is a PC-screen.")]
      [7, 7, 7]
    """
    plain = text.replace("\u2019", "'")
    worded, rest = _worded(plain, question)
    numbers = _numbers(plain, is_bare=not rest.strip(" .!?\"'*`"))
    if len(numbers) > 1:
        raise _error(text, question, "names several options")
    if numbers:
        (chosen,) = numbers
        if not 0 <= chosen < len(question.options):
            raise _error(text, question, f"names option {chosen + 1}, which does not exist")
        if worded and chosen not in worded:
            raise _error(text, question, "gives a number and the words of another option")
        return chosen
    if len(worded) > 1:
        raise _error(text, question, "names several options")
    if not worded or _DENIAL.search(rest):
        raise _error(text, question, "names none of the options")
    return next(iter(worded))


def option_words(option: str) -> str:
    """Returns an option without its number.

    Example:
      >>> option_words("(8) PC screen")
      'PC screen'
    """
    return re.sub(r"^\(\d+\)\s*", "", option)


def _numbers(text: str, *, is_bare: bool) -> set[int]:
    """Option indices named by number; `is_bare`: nothing but numbers and options' words is in the text."""
    found = [*_IN_BRACKETS.findall(text), *_ANNOUNCED.findall(text)]
    leading = _LEADING.match(text)
    if leading and (is_bare or text[leading.end() :].lstrip().startswith(_AFTER_NUMBER)):
        found.append(leading[1])
    return {int(number) - 1 for number in found}


def _worded(text: str, question: Question) -> tuple[set[int], str]:
    """The options whose words occur, and the text without them and without leading numbers; longer options match first."""
    rest = _folded(_LEADING.sub(" ", text))
    words = {i: _folded(option_words(option)) for i, option in enumerate(question.options)}
    found: set[int] = set()
    for i in sorted(words, key=lambda i: -len(words[i])):
        rest, count = re.subn(rf"(?<!\w){re.escape(words[i])}(?!\w)", " | ", rest)
        if count:
            found.add(i)
    return found, " ".join(rest.replace("|", " ").split())


def _folded(text: str) -> str:
    return " ".join(re.sub(r"[\s_\-]+", " ", text.casefold()).split())


def _error(text: str, question: Question, why: str) -> DataError:
    given = " ".join(text.split())
    shown = given if len(given) <= 120 else f"{given[:117]}..."
    return DataError(
        f"answer '{shown}' to question '{question.name}' {why}; expected one of {', '.join(question.options)}"
    )
