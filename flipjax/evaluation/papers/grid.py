"""A table of figures as an HTML fragment, Markdown, LaTeX and CSV; what a cell says is decided elsewhere, everything is escaped.

The fragment (`grid.html`) carries its own style, no script, and loads nothing; on a narrow screen the table scrolls sideways
under its first column. Our rows differ from printed ones by words and weight, never by colour alone.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "→": r"$\to$",
    "≠": r"$\neq$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "²": r"$^2$",
    "†": r"$^\dagger$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title></head><body>
{body}</body></html>
"""


@dataclass(frozen=True)
class GridCell:
    """A figure as text, empty where there is none, and what stands small beside it: a spread or a remark."""

    text: str = ""
    small: str = ""


@dataclass(frozen=True)
class Heading:
    """Heading of a column; neighbours of one group share its name."""

    group: str
    text: str


@dataclass(frozen=True)
class GridRow:
    """Labels, then a cell per heading; `is_ours` sets it apart from what is printed elsewhere.

    In HTML the labels behind the first stand small below it, so that figures start early on a narrow screen.
    """

    labels: tuple[str, ...]
    cells: tuple[GridCell, ...]
    is_ours: bool = False


@dataclass(frozen=True)
class Grid:
    """A table with its caption: title, notes, and a warning that must not be missed (empty: none)."""

    title: str
    notes: tuple[str, ...]
    label_headings: tuple[str, ...]
    headings: tuple[Heading, ...]
    rows: tuple[GridRow, ...]
    warning: str = ""


def to_page(grids: Sequence[Grid]) -> str:
    """Returns an HTML page that holds `to_html(grids)` alone."""
    return _PAGE.format(title=escape(grids[0].title), body=to_html(grids))


def to_html(grids: Sequence[Grid]) -> str:
    """Returns the tables as one fragment, to be put into any page."""
    import jinja2

    template = Path(__file__).with_name("grid.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(grids=grids, groups_of=_groups, starts_of=_starts)


def to_markdown(grids: Sequence[Grid]) -> str:
    """Returns the tables as Markdown with pipes; rows of ours are bold."""
    return "\n".join(_markdown(grid) for grid in grids)


def to_latex(grids: Sequence[Grid]) -> str:
    """Returns a plain `tabular` per table, no package needed; captions are comments, warnings are part of the table."""
    return "\n".join(_latex(grid) for grid in grids)


def to_csv(grid: Grid) -> str:
    """Returns one table as CSV: a heading line, then the rows; remarks beside figures are left out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*grid.label_headings, *(_flat(heading) for heading in grid.headings)))
    writer.writerows((*row.labels, *(cell.text for cell in row.cells)) for row in grid.rows)
    return text.getvalue()


def _flat(heading: Heading) -> str:
    return f"{heading.group} {heading.text}".strip()


def _groups(grid: Grid) -> list[tuple[str, int]]:
    """Names and widths of the groups of columns."""
    runs = itertools.groupby(heading.group for heading in grid.headings)
    return [(name, len(list(members))) for name, members in runs]


def _starts(grid: Grid) -> set[int]:
    """Columns that start a group."""
    return set(itertools.accumulate((width for _, width in _groups(grid)), initial=0))


def _texts(row: GridRow) -> Iterable[str]:
    """Labels and cells of a row as plain text."""
    return (*row.labels, *(f"{cell.text} {cell.small}".strip() for cell in row.cells))


def _markdown(grid: Grid) -> str:
    headings = [*grid.label_headings, *map(_flat, grid.headings)]
    alignment = ["---"] * len(grid.label_headings) + ["---:"] * len(grid.headings)
    rows = [[_bold(_md(text)) if row.is_ours else _md(text) for text in _texts(row)] for row in grid.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (map(_md, headings), alignment, *rows)]
    warning = [f"**{_md(grid.warning)}**", ""] if grid.warning else []
    notes = [f"- {_md(note)}" for note in grid.notes]
    return "\n".join([f"**{_md(grid.title)}**", "", *warning, *lines, "", *notes, ""])


def _bold(text: str) -> str:
    return f"**{text}**" if text else ""


def _md(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", text)


def _latex(grid: Grid) -> str:
    width = len(grid.label_headings) + len(grid.headings)
    groups = [rf"\multicolumn{{{count}}}{{c}}{{{_tex(name)}}}" for name, count in _groups(grid)]
    top = ["" for _ in grid.label_headings] + groups
    second = [*map(_tex, grid.label_headings), *(_tex(heading.text) for heading in grid.headings)]
    rows = [[rf"\textbf{{{_tex(t)}}}" if row.is_ours and t else _tex(t) for t in _texts(row)] for row in grid.rows]
    warning = [rf"\multicolumn{{{width}}}{{l}}{{\textbf{{{_tex(grid.warning)}}}}}"] if grid.warning else []
    body = [_tex_line(top), _tex_line(second), r"\hline", *map(_tex_line, rows), r"\hline"]
    return "\n".join(
        [
            *(f"% {_tex(note)}" for note in (grid.title, *grid.notes)),
            rf"\begin{{tabular}}{{{'l' * len(grid.label_headings)}{'r' * len(grid.headings)}}}",
            r"\hline",
            *body,
            *([_tex_line(warning)] if warning else []),
            r"\end{tabular}",
            "",
        ]
    )


def _tex_line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in text)
