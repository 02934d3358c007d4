"""The papers' tables as data: what the loader refuses, what averages say, and agreement of figures printed twice."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from flipjax.core.errors import ConfigError, DataError
from flipjax.evaluation.papers import cost
from flipjax.evaluation.papers.printed import (
    PaperTable,
    average_of,
    disagrees,
    load_table,
    mean_of_cells,
    parse_table,
    row_of,
    table_names,
)

# Row and metric whose printed average the printed cells do not give.
DISAGREEING = {
    "flip_table2": {("ssan_r", "hter"), ("patchnet", "hter"), ("vitaf_5shot", "hter")},
    "flip_table3": {("vit_5shot", "hter"), ("vitaf_5shot", "hter")},
    "flip_table5": {("scratch", "hter"), ("beit", "hter")},
}
ROWS = {
    **{"flip_table2": 20, "flip_table3": 6, "flip_table4": 13, "flip_table5": 4, "flip_table6": 7, "flip_table7": 5},
    **{"instructflip_table2": 6, "instructflip_table3": 5, "instructflip_table4": 3},
    **{"instructflip_table5": 3, "instructflip_table6": 3},
}


def small() -> dict[str, Any]:
    """A table of two columns with HTER and AUC, and the mean HTER."""
    columns = [{"protocol": f"x_to_{name}", "target": name, "label": name} for name in "ab"]
    row = {"id": "r", "method": "R", "origin": "", "shots": 0, "with_ca": None, "note": ""}
    return {
        **{"name": "small", "paper": "P", "venue": "V 2020", "table": 1, "title": "t", "columns": columns},
        **{"metrics": ["hter", "auc"], "average_metrics": ["hter"], "positive": "attack", "threshold": "test_eer"},
        **{"selection": "target", "rules_from": "code", "runs": None},
        "rows": [{**row, "cells": [["1.00", "99"], ["2.01", "98.5"]], "average": ["1.51"]}],
    }


def parse(table: dict[str, Any]) -> PaperTable:
    return parse_table(json.dumps(table), "small")


def test_every_table_is_there_with_all_its_rows():
    assert {name: len(load_table(name).rows) for name in table_names()} == ROWS


def test_a_small_table_is_read_as_written():
    table = parse(small())
    row = row_of(table, "r")
    assert (table.columns[1].protocol, table.columns[1].target, table.runs) == ("x_to_b", "b", None)
    assert row.cells == (("1.00", "99"), ("2.01", "98.5")) and row.average == ("1.51",)
    assert mean_of_cells(table, row, "hter") == pytest.approx(1.505) and mean_of_cells(table, row, "auc") == 98.75
    assert average_of(table, row, "hter") == "1.51" and average_of(table, row, "auc") == ""


def row_with(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["rows"][0].update(changes)


def table_with(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: table.update(changes)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda table: table.pop("venue"), "PaperTable has .* expected exactly"),
        (table_with(extra=1), "PaperTable has .*extra"),
        (table_with(table="1"), "PaperTable.table is '1'; expected int"),
        (table_with(runs=True), "PaperTable.runs is True"),
        (table_with(rows={}), "PaperTable.rows is {}; expected list"),
        (table_with(rows=[]), "must have rows, each id once; it has none"),
        (table_with(metrics=["hter", "eer"]), "metrics 'eer' unknown; expected hter, auc"),
        (table_with(average_metrics=["tpr_at_fpr1"]), "average_metrics 'tpr_at_fpr1' unknown; expected hter, auc"),
        (table_with(positive="fake"), "positive 'fake' unknown; expected attack, bona_fide"),
        (table_with(threshold="0.5"), "threshold '0.5' unknown"),
        (table_with(selection="last"), "selection 'last' unknown"),
        (table_with(name="other"), "calls itself 'other'"),
        (lambda table: table["columns"][0].pop("label"), "Column has"),
        (lambda table: table["rows"].append(table["rows"][0]), "each id once; it has r, r"),
        (lambda table: table["rows"].append("r2"), "PaperRow has 'r2'"),
        (row_with(cells=[["1.00", "99"]]), r"row 'r' has \[2\] cells and 1 averages; expected 2 x 2 and 1"),
        (row_with(cells=[["1.00"], ["2.01", "98.5"]]), r"has \[1, 2\] cells"),
        (row_with(average=[]), "0 averages; expected 2 x 2 and 1"),
        (row_with(average=["1.512"]), "figure '1.512' is neither"),
        (row_with(cells=[["1.00", 99], ["2.01", "98.5"]]), "figure 99 is neither"),
        (row_with(cells=[["1.00", "100.01"], ["2.01", "98.5"]]), "figure '100.01' is neither"),
        (row_with(cells=[["1,00", "99"], ["2.01", "98.5"]]), "figure '1,00' is neither"),
        (row_with(shots="0"), "PaperRow.shots is '0'"),
        (row_with(shots=True), "PaperRow.shots is True"),
        (row_with(with_ca=1), "PaperRow.with_ca is 1"),
    ],
)
def test_damaged_files_are_refused(damage: Callable[[dict[str, Any]], None], message: str):
    table = small()
    damage(table)
    with pytest.raises(DataError, match=message):
        parse(table)


def test_what_is_no_json_and_what_does_not_exist():
    with pytest.raises(DataError, match="'small' is no JSON"):
        parse_table('{"name": ', "small")
    with pytest.raises(ConfigError, match=r"'flip_table9' unknown; .*did you mean"):
        load_table("flip_table9")
    with pytest.raises(ConfigError, match="row of small 'q' unknown"):
        row_of(parse(small()), "q")


@pytest.mark.parametrize(
    ("cells", "printed", "mean", "wrong"),
    [
        (["1.00", "2.01"], "1.51", 1.505, False),
        (["1.00", "2.01"], "1.50", 1.505, False),  # cut, not rounded: still within the rounding of cells and average
        (["1.00", "2.01"], "1.52", 1.505, True),
        (["1", "2"], "2", 1.5, False),
        (["1", "2"], "2.1", 1.5, True),
        (["-", "2.00"], "2.00", 2.0, False),
        (["-", "2.00"], "1.00", 2.0, True),
        (["", "2.00"], "1.00", None, False),
        (["-", "-"], "1.00", None, False),
        (["1.00", "2.00"], "", 1.5, False),
        (["1.00", "2.00"], "-", 1.5, False),
    ],
)
def test_mean_of_cells_and_the_flag_by_hand(cells: list[str], printed: str, mean: float | None, wrong: bool):
    content = small()
    row_with(cells=[[cell, "99"] for cell in cells], average=[printed])(content)
    table = parse(content)
    assert mean_of_cells(table, table.rows[0], "hter") == (None if mean is None else pytest.approx(mean))
    assert disagrees(table, table.rows[0], "hter") is wrong


def test_a_row_without_cells_prints_none_of_them():
    content = small()
    row_with(cells=[])(content)
    table = parse(content)
    assert table.rows[0].cells == (("", ""), ("", "")) and mean_of_cells(table, table.rows[0], "hter") is None


@pytest.mark.parametrize("name", table_names())
def test_printed_averages_disagree_with_their_cells_exactly_where_known(name: str):
    table = load_table(name)
    found = {
        (row.id, metric) for row in table.rows for metric in table.average_metrics if disagrees(table, row, metric)
    }
    assert found == DISAGREEING.get(name, set())


def cells_of(name: str, row: str, metric: str) -> list[str]:
    table = load_table(name)
    at = table.metrics.index(metric)
    return [cells[at] for cells in row_of(table, row).cells]


@pytest.mark.parametrize(
    ("table", "row", "same_row"),
    [
        ("flip_table5", "clip", "flip_v"),
        ("flip_table5", "imagenet", "vit_0shot"),
        ("flip_table6", "ensemble", "flip_it"),
        ("flip_table7", "w1_1_1", "flip_mcl"),
    ],
)
def test_figures_that_flip_prints_twice_agree(table: str, row: str, same_row: str):
    printed = load_table(table)
    for metric in printed.metrics:
        if any(cells_of(table, row, metric)):
            assert cells_of(table, row, metric) == cells_of("flip_table2", same_row, metric)
    assert row_of(printed, row).average == row_of(load_table("flip_table2"), same_row).average


@pytest.mark.parametrize(
    ("table", "row", "same_row"),
    [
        ("instructflip_table3", "full", "instructflip"),
        ("instructflip_table4", "instructflip", "instructflip"),
        ("instructflip_table4", "cfpl", "cfpl"),
        ("instructflip_table5", "all", "instructflip"),
        ("instructflip_table6", "style_3", "instructflip"),
    ],
)
def test_averages_that_instructflip_prints_twice_agree(table: str, row: str, same_row: str):
    assert row_of(load_table(table), row).average == row_of(load_table("instructflip_table2"), same_row).average


def test_improvements_that_instructflip_prints_in_table_3_follow_from_its_figures():
    printed = {"ve_cb": (35.1, 8.9, 20.2), "ve_sb": (26.0, 6.5, 55.9), "ve_cb_sb": (39.7, 10.1, 126.3)}
    printed["full"] = (42.3, 13.0, 142.6)
    table = load_table("instructflip_table3")
    base = [float(figure) for figure in row_of(table, "ve").average]
    for row, shares in printed.items():
        for old, new, share in zip(base, row_of(table, row).average, shares, strict=True):
            assert abs(100 * abs(float(new) - old) / old - share) < 0.06


def test_the_cost_of_parts_is_that_of_hand_counts():
    """Figures of an independent count of the same networks, in GFLOP, to the digits that it gives."""
    assert cost.image_tower() / 1e9 == pytest.approx(35.13, abs=0.005)
    assert cost.PROMPTS * cost.text_tower() / 1e9 == pytest.approx(71.5, abs=0.05)
    assert cost.projector() / 1e9 == pytest.approx(0.040, abs=0.0005)
    assert cost.scored_image() / 1e9 == pytest.approx(44.3, abs=0.05)
    assert cost.language_model() / 1e9 == pytest.approx(36.5, abs=0.05)
    assert cost.meta_image() / 1e9 == pytest.approx(206.2, abs=0.05)
    steps = [cost.flip_step(system, 24) / 1e12 for system in ("FLIP-V", "FLIP-IT", "FLIP-MCL")]
    assert steps == pytest.approx([2.53, 2.74, 7.81], abs=0.005)


def test_the_cost_of_grids_counts_protocols_seeds_and_evaluations():
    first, meta = cost.flip_cost("FLIP-MCL", "flip_table2"), cost.meta_cost()
    assert (first.targets, first.trainings, first.updates, first.images) == (4, 20, 20 * 4001, 20 * 4001 * 24)
    assert first.train_flops == 20 * 4001 * cost.flip_step("FLIP-MCL", 24)
    assert first.evaluation_flops == 5 * 40 * (520 + 1160 + 1640 + 7160) * cost.image_tower()
    assert cost.flip_cost("FLIP-V", "flip_table3", 8).images == 15 * 4001 * 48
    assert cost.flip_cost("FLIP-V", "flip_table4").images == 60 * 4001 * 12
    assert (meta.targets, meta.trainings, meta.updates, meta.images) == (7, 5, 5 * 1080, 5 * 256_000)
    assert meta.evaluation_flops == 5 * 20 * 202_532 * cost.scored_image()


def test_the_cost_table_sets_every_grid_against_the_meta_domain_run():
    grid = cost.cost_table()
    both = [row for row in grid.rows if row.labels[1].startswith("Tables 2 and 3")]
    assert [row.labels[0] for row in both] == ["FLIP-V", "FLIP-IT", "FLIP-MCL"]
    for row, total in zip(both, (7, 7, 7), strict=True):
        assert row.cells[0].text == str(total) and len(row.cells) == len(grid.headings)
    last = grid.rows[-1]
    assert last.labels[0] == "InstructFLIP" and last.cells[-1].text == "1.00"
    found = {(cost_.system, cost_.grid): cost_ for cost_ in cost.costs()}
    for row in grid.rows:
        of_row = found[row.labels[0], row.labels[1]]
        assert math.isclose(float(row.cells[-1].text), of_row.train_flops / cost.meta_cost().train_flops, abs_tol=0.005)
