"""What a check has to say: one finding with a level, a title and the names it is about."""

from collections.abc import Iterable
from dataclasses import dataclass

from flipjax.core.errors import check_choice

# error: something that matters is wrong, and the command's exit code says so. warning: worth a look. note: good to know.
LEVELS = ("error", "warning", "note", "good")
SHOWN_ITEMS = 20


@dataclass(frozen=True)
class Finding:
    """The outcome of the check called `check`; `items` names every file, sample or person it is about.

    Raises:
      ConfigError: an unknown level.
    """

    check: str
    level: str
    title: str
    detail: str = ""
    items: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("level", self.level, LEVELS)

    @property
    def shown(self) -> tuple[str, ...]:
        """The items that a page lists."""
        return self.items[:SHOWN_ITEMS]

    @property
    def hidden(self) -> int:
        """How many more there are."""
        return len(self.items) - len(self.shown)


def judged(check: str, level: str, items: Iterable[str], *, bad: str, good: str, detail: str = "") -> Finding:
    """Returns a finding of `level` that counts `items` behind the words `bad`, or a good one where there are none.

    Example:
      >>> judged("reading", "error", ["a.jpg"], bad="files that cannot be read", good="every file can be read").title
      'files that cannot be read: 1'
    """
    named = tuple(items)
    if not named:
        return Finding(check, "good", good)
    return Finding(check, level, f"{bad}: {len(named):,}", detail, named)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Returns the findings by level, the gravest first."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether something that matters is wrong."""
    return any(finding.level == "error" for finding in findings)
