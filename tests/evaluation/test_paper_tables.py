"""Printed figures beside ours: empty cells for what has not been run, means over seeds by hand, and what escapes."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from flipjax.core.errors import ConfigError
from flipjax.evaluation.paper_tables import CSV_COLUMNS, table_lines, write_paper_table
from flipjax.evaluation.papers.beside import grids_of
from flipjax.evaluation.papers.grid import (
    Grid,
    GridCell,
    GridRow,
    Heading,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
    to_page,
)
from flipjax.evaluation.papers.printed import Column, load_table
from flipjax.evaluation.papers.results import Measured, Result, measured

ROWS = ["flip_v", "flip_it", "flip_mcl"]
M, C = (Column(protocol, target, target) for protocol, target in (("oci_to_m", "M"), ("omi_to_c", "C")))


def result(row: str, protocol: str, seed: int, **hter: float) -> Result:
    """A run whose other figures follow from HTER."""
    targets = {
        target: {
            "hter": value,
            "auc": 100 - value,
            "tpr_at_fpr1_bona_fide": 90 - value,
            "tpr_at_fpr1_attack": 50 - value,
        }
        for target, value in hter.items()
    }
    return Result(row, protocol, seed, 0, True, "profile released, selection target", targets)


def texts(grid: Grid, method: str, figures: str) -> list[tuple[str, str]]:
    """(text, small) of the cells of the row with those two labels."""
    (row,) = (row for row in grid.rows if row.labels[0].startswith(method) and row.labels[1] == figures)
    return [(cell.text, cell.small) for cell in row.cells]


def lines_of(name: str, rows: list[str], results: list[Result]) -> dict[tuple[str, str, str, str], dict[str, str]]:
    read = csv.DictReader(io.StringIO(table_lines(load_table(name), rows, results)))
    assert tuple(read.fieldnames or ()) == CSV_COLUMNS
    return {(line["row"], line["protocol"], line["target"], line["metric"]): line for line in read}


def values(found: Measured | None) -> tuple[float, float | None, int] | None:
    return found and (found.mean, found.sd, found.seeds)


def test_mean_and_standard_deviation_over_seeds_by_hand():
    runs = [result("flip_v", "oci_to_m", seed, M=value) for seed, value in enumerate((2.0, 4.0, 9.0))]
    sd = pytest.approx(13**0.5)  # (9 + 1 + 16) / 2
    assert values(measured(runs, [M], "hter", "bona_fide")) == (5.0, sd, 3)
    assert values(measured(runs, [M], "tpr_at_fpr1", "bona_fide")) == (85.0, sd, 3)
    assert values(measured(runs, [M], "tpr_at_fpr1", "attack")) == (45.0, sd, 3)
    assert measured(runs[:1], [M], "hter", "bona_fide") == Measured(2.0, None, 1)
    assert measured(runs, [C], "hter", "bona_fide") is None and measured([], [M], "hter", "bona_fide") is None


def test_average_takes_the_seeds_that_have_every_column():
    runs = [result("flip_v", "oci_to_m", seed, M=value) for seed, value in enumerate((2.0, 4.0, 9.0))]
    runs += [result("flip_v", "omi_to_c", seed, C=value) for seed, value in ((0, 4.0), (1, 10.0), (7, 99.0))]
    found = values(measured(runs, [M, C], "hter", "bona_fide"))
    assert found == (5.0, pytest.approx(8**0.5), 2), "seed 0 has 3, seed 1 has 7"
    assert measured(runs[:3], [M, C], "hter", "bona_fide") is None


def test_nothing_run_leaves_our_cells_empty_and_the_printed_ones_as_they_are():
    (grid,) = grids_of(load_table("flip_table2"), ROWS, [])
    assert [row.labels[0] for row in grid.rows if row.is_ours] == ["FLIP-V", "FLIP-IT", "FLIP-MCL"]
    assert set(texts(grid, "FLIP-V", "ours")) == {("", "")}
    assert texts(grid, "FLIP-V", "printed")[:3] == [("3.79", ""), ("99.31", ""), ("87.99", "")]
    assert texts(grid, "FLIP-V", "printed")[-1] == ("3.48", "")
    assert "Ours: nothing has been run." in grid.notes and not grid.warning
    lines = lines_of("flip_table2", ROWS, [])
    assert all(line["ours"] == line["ours_sd"] == line["ours_seeds"] == "" for line in lines.values())


def test_a_printed_average_that_disagrees_or_is_lost_has_the_mean_of_its_cells_beside_it():
    (grid,) = grids_of(load_table("flip_table3"), [], [])
    by_average = {cell.text: cell.small for row in grid.rows for cell in row.cells[-1:]}
    assert by_average["6.06"] == "≠ cells: 8.08" and by_average["8.61"] == ""
    assert any(note.startswith("≠") for note in grid.notes)
    (grid,) = grids_of(load_table("flip_table4"), [], [])
    assert texts(grid, "FLIP-V", "printed")[-1] == ("", "cells: 7.12")
    assert not any(note.startswith("≠") for note in grid.notes)
    lines = lines_of("flip_table3", [], [])
    wrong = lines["vit_5shot", "", "mean", "hter"]
    assert (wrong["printed"], wrong["disagrees"]) == ("6.06", "True")
    assert float(wrong["mean_of_printed_cells"]) == pytest.approx(24.25 / 3)
    assert lines["flip_mcl", "", "mean", "hter"]["disagrees"] == "False"


def test_a_partial_sweep_fills_what_was_run_and_nothing_else():
    runs = [result("flip_it", "oci_to_m", seed, M=value) for seed, value in ((0, 5.0), (1, 7.0))]
    runs.append(result("flip_it", "omi_to_c", 0, C=1.0))
    (grid,) = grids_of(load_table("flip_table2"), ROWS, runs)
    assert texts(grid, "FLIP-IT", "ours") == [
        *[("6.00", "± 1.41"), ("94.00", "± 1.41"), ("84.00", "± 1.41")],
        *[("1.00", ""), ("99.00", ""), ("89.00", "")],
        *[("", "")] * 7,
    ]
    (row,) = (row for row in grid.rows if row.is_ours and row.labels[0] == "FLIP-IT")
    assert row.labels == ("FLIP-IT", "ours", "0-shot, + CA", "1 to 2 runs")
    assert set(texts(grid, "FLIP-MCL", "ours")) == {("", "")}
    line = lines_of("flip_table2", ROWS, runs)["flip_it", "oci_to_m", "M", "hter"]
    assert (line["printed"], line["ours"], line["ours_seeds"], line["shots"]) == ("5.27", "6.0", "2", "0")
    assert any("profile released, selection target" in note for note in grid.notes)


def test_the_average_appears_once_every_column_has_been_run():
    protocols = {column.protocol: column.target for column in load_table("flip_table2").columns}
    runs = [
        result("flip_v", protocol, 0, **{target: float(at)}) for at, (protocol, target) in enumerate(protocols.items())
    ]
    (grid,) = grids_of(load_table("flip_table2"), ROWS, runs)
    assert texts(grid, "FLIP-V", "ours")[-1] == ("1.50", "")
    assert lines_of("flip_table2", ROWS, runs)["flip_v", "", "mean", "hter"]["ours"] == "1.5"


def test_tables_that_print_means_alone_gain_the_columns_that_were_run():
    table = load_table("instructflip_table3")
    (empty,) = grids_of(table, ["ve", "full"], [])
    assert [heading.group for heading in empty.headings] == ["Mean"] * 3
    (grid,) = grids_of(table, ["ve", "full"], [result("full", "ca_to_all", 0, M=3.0, S=4.0, CA=1.0)])
    assert list(dict.fromkeys(heading.group for heading in grid.headings)) == ["CA → M", "CA → S", "Mean"]
    assert texts(grid, "CB + SB + Cue", "ours") == [
        *[("3.00", ""), ("97.00", ""), ("47.00", ""), ("4.00", ""), ("96.00", ""), ("46.00", "")],
        *[("", "")] * 3,
    ]
    assert any("attack is the positive class" in note for note in grid.notes)


def test_simulated_runs_get_a_table_of_their_own_and_a_warning():
    runs = [result("flip_v", "syn_bcd_to_a", 0, syn_a=10.0), result("flip_v", "syn_acd_to_b", 0, syn_b=20.0)]
    runs = [replace(run, with_ca=False) for run in runs]
    paper, ours = grids_of(load_table("flip_table2"), ROWS, runs)
    assert set(texts(paper, "FLIP-V", "ours")) == {("", "")} and not paper.warning
    assert ours.warning.startswith("Simulated attacks (syn_a, syn_b)")
    assert [row.labels for row in ours.rows] == [
        ("FLIP-V", "ours", "0-shot", "1 run"),
        ("FLIP-IT", "ours", "", ""),
        ("FLIP-MCL", "ours", "", ""),
    ]
    assert list(dict.fromkeys(heading.group for heading in ours.headings)) == [
        "syn_acd_to_b",
        "syn_bcd_to_a",
        "Mean",
    ]
    assert texts(ours, "FLIP-V", "ours")[-3:] == [("15.00", ""), ("85.00", ""), ("75.00", "")]
    lines = lines_of("flip_table2", ROWS, runs)
    assert (lines["flip_v", "syn_bcd_to_a", "syn_a", "hter"]["ours"], lines["flip_v", "", "mean", "hter"]["ours"]) == (
        "10.0",
        "",
    )
    for text in (to_html([paper, ours]), to_markdown([paper, ours]), to_latex([paper, ours])):
        assert "Simulated attacks" in text


def test_runs_of_the_paper_and_of_other_protocols_are_counted_apart():
    runs = [result("flip_v", "oci_to_m", seed, M=1.0) for seed in range(3)]
    runs.append(replace(result("flip_v", "syn_bcd_to_a", 0, syn_a=10.0), with_ca=False, recipe="profile default"))
    paper, ours = grids_of(load_table("flip_table2"), ["flip_v"], runs)
    (row,) = (row for row in paper.rows if row.is_ours)
    assert row.labels == ("FLIP-V", "ours", "0-shot, + CA", "3 runs")
    assert ours.rows[0].labels == ("FLIP-V", "ours", "0-shot", "1 run")
    assert "profile default" in ours.notes[0] and not any("profile default" in note for note in paper.notes)


def test_targets_of_one_foreign_protocol_are_told_apart_and_real_ones_raise_no_warning():
    runs = [result("instructflip", "ca_to_mcio", 0, M=1.0, C=2.0)]
    _, ours = grids_of(load_table("instructflip_table2"), ["instructflip"], runs)
    assert ours.headings[0].group == "ca_to_mcio: M" and not ours.warning


def test_unknown_rows_and_double_runs_are_refused():
    table = load_table("flip_table2")
    with pytest.raises(ConfigError, match="row of flip_table2 'flip_w' unknown"):
        grids_of(table, ["flip_w"], [])
    with pytest.raises(ConfigError, match="two runs of row 'flip_v', oci_to_m, seed 3"):
        grids_of(table, ROWS, [result("flip_v", "oci_to_m", 3, M=1.0), result("flip_v", "oci_to_m", 3, M=2.0)])


class Tags(HTMLParser):
    """Collects text, tags and attributes, and checks that tags close in order."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.rows: list[list[str]] = []
        self.values: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any):
        self.seen.append(tag)
        self.values += [value for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str):
        assert self.open.pop() == tag

    def handle_data(self, data: str):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


NASTY = r"a_b & c% <b>|x|</b> $1 #{y} \z ~^ *w* \"q\" → 1²"


def nasty_grid() -> Grid:
    cells = (GridCell("<i>1</i>", "± 2"), GridCell(), GridCell("3"))
    headings = (Heading(NASTY, "HTER"), Heading(NASTY, "AUC"), Heading("g|2", "TPR@FPR=1%"))
    rows = (GridRow((NASTY, "printed"), cells), GridRow(("ours", ""), cells, is_ours=True))
    return Grid(NASTY, (NASTY,), ("Method", "Figures"), headings, rows, warning=NASTY)


def test_html_escapes_closes_and_loads_nothing():
    tags = Tags(to_page([nasty_grid()]))
    assert tags.open == [] and not tags.values and not {"script", "link", "img", "iframe", "b2"} & set(tags.seen)
    assert "i" not in tags.seen, "the cell's markup is text"
    assert tags.rows[2] == [f"{NASTY}printed", "<i>1</i>± 2", "", "3"]
    fragment = to_html([nasty_grid()])
    assert "overflow-x: auto" in fragment and "url(" not in fragment and "@import" not in fragment
    assert "<html" not in fragment and fragment.count("<figure") == 1


def test_markdown_escapes_pipes_and_stars_and_keeps_its_columns():
    text = to_markdown([nasty_grid()])
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {6}
    assert r"\*w\*" in text and r"\<b\>\|x\|" in text
    assert table[3].startswith("| **ours** |  | **\\<i\\>1\\</i\\> ± 2** |")


def test_latex_escapes_its_special_characters_and_keeps_its_columns():
    text = to_latex([nasty_grid()])
    lines = text.splitlines()
    begin = lines.index(r"\begin{tabular}{llrrr}")
    comments, body = lines[:begin], [line for line in lines[begin + 1 :] if line.endswith(r"\\")]
    assert all(line.startswith("% ") for line in comments) and lines[-1] == r"\end{tabular}"
    widths = []
    for line in body:
        spans = [int(width) for width in re.findall(r"\\multicolumn\{(\d+)\}", line)]
        widths.append(len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) - len(spans))
    assert widths == [5, 5, 5, 5, 5], "groups, headings, two rows, the warning"
    escaped = r"a\_b \& c\% <b>|x|</b> \$1 \#\{y\} \textbackslash{}z \textasciitilde{}\textasciicircum{} *w*"
    assert body[2].startswith(escaped) and r"$\to$ 1$^2$" in body[2]
    assert r"\textbf{ours} &  & \textbf{" in body[3]


def test_csv_of_a_grid_survives_a_reader():
    rows = list(csv.reader(io.StringIO(to_csv(nasty_grid()))))
    assert rows[0] == ["Method", "Figures", f"{NASTY} HTER", f"{NASTY} AUC", "g|2 TPR@FPR=1%"]
    assert rows[1] == [NASTY, "printed", "<i>1</i>", "", "3"]


def test_files_are_written_and_the_cost_only_where_it_is_compared(tmp_path: Path):
    write_paper_table(tmp_path, "flip_table2", ROWS, [])
    suffixes = {".html", ".md", ".tex", ".csv"}
    assert {path.name for path in tmp_path.iterdir()} == {f"{stem}{s}" for stem in ("table", "cost") for s in suffixes}
    page = (tmp_path / "table.html").read_text(encoding="utf-8")
    assert "viewport" in page and "OCI → M" in page and Tags(page).open == []
    (tmp_path / "ablation").mkdir()
    write_paper_table(tmp_path / "ablation", "flip_table6", ["p1"], [])
    assert {path.name for path in (tmp_path / "ablation").iterdir()} == {f"table{suffix}" for suffix in suffixes}
