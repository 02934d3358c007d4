"""Which frames of a clip become records: the published choices and plain ones, joined by '+'.

`pair` is FLIP's data page for the four video sets: frames 6 and 6 + floor(n / 2). `equidistant:10` is its choice for WMCA and
CeFA. `every:K` and `first:K` speak of frame numbers, the others of places in the clip, which differ only where a
recording lacks frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flipjax.core.errors import ConfigError, suggest

FIRST_FRAME = 6
RULES = ("pair", "all", "equidistant", "every", "first")
_WITHOUT_NUMBER = ("pair", "all")


@dataclass(frozen=True)
class FrameRule:
    """A choice of frames such as "pair", "all", "every:5" or "first:10+every:5".

    Raises:
      ConfigError: a word that is no rule, or a number that is missing, superfluous or not positive.
    """

    text: str

    def __post_init__(self) -> None:
        for term in self.text.split("+"):
            name, _, number = term.partition(":")
            needs_number = name not in _WITHOUT_NUMBER
            if name not in RULES:
                raise ConfigError(
                    f"frame rule '{term}' unknown; expected pair, all, equidistant:N, every:N or first:N, joined by "
                    f"'+'{suggest(name, RULES)}"
                )
            if needs_number != bool(number) or (needs_number and not (number.isdigit() and int(number))):
                wanted = f"'{name}:N' with N of 1 or more" if needs_number else f"'{name}' alone"
                raise ConfigError(f"frame rule '{term}' cannot be read; expected {wanted}")

    def choose(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """Returns those of the ascending frame `numbers` of a clip that are taken, ascending and without repeats.

        Example:
          >>> FrameRule("pair").choose(range(100)), FrameRule("equidistant:4").choose(range(10))
          ((6, 56), (0, 2, 5, 7))
          >>> FrameRule("first:2+every:5").choose([1, 2, 5, 10])
          (1, 5, 10)
        """
        chosen: set[int] = set()
        for term in self.text.split("+") if len(numbers) else ():
            name, _, number = term.partition(":")
            chosen.update(_CHOICES[name](numbers, int(number or 0)))
        return tuple(sorted(chosen))


def frame_indices(count: int) -> tuple[int, ...]:
    """Returns the frames that rule `pair` takes from a clip of `count` frames, clamped to the clip.

    Source: FLIP's data page; the clamp is ours, the page is silent on short clips.

    Example:
      >>> frame_indices(100), frame_indices(8), frame_indices(3)
      ((6, 56), (6, 7), (2,))
    """
    last = count - 1
    return tuple(sorted({min(FIRST_FRAME, last), min(FIRST_FRAME + count // 2, last)}))


def _pair(numbers: Sequence[int], _: int) -> list[int]:
    return [numbers[place] for place in frame_indices(len(numbers))]


def _equidistant(numbers: Sequence[int], wanted: int) -> list[int]:
    return [numbers[i * len(numbers) // wanted] for i in range(wanted)]


_CHOICES: dict[str, Callable[[Sequence[int], int], Sequence[int]]] = {
    "pair": _pair,
    "all": lambda numbers, _: numbers,
    "equidistant": _equidistant,
    "every": lambda numbers, step: [number for number in numbers if number % step == 0],
    "first": lambda numbers, count: [number for number in numbers if number < count],
}
