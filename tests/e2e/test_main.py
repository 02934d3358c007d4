"""The commands as a user starts them, from a folder that is not the repository: what they write and what they say."""

import csv
import json
import re
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny_runs import picture, png

if TYPE_CHECKING:
    from conftest import Commands, Finished

REPOSITORY = Path(__file__).resolve().parents[2]
SCORE_COLUMNS = ["sample_id", "video_id", "subject_id", "domain", "is_bonafide", "attack_type", "score"]
TARGET_KEYS = {
    *("counts", "hter", "eer", "auc", "tpr_at_fpr1_bona_fide", "tpr_at_fpr1_attack", "apcer_max", "bpcer", "acer"),
    *("threshold", "rules", "ci95"),
}
MEAN_KEYS = TARGET_KEYS - {"counts", "ci95"}


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def assert_metrics(metrics: dict[str, Any], targets: set[str], rules: set[str]) -> None:
    assert metrics["targets"].keys() == targets
    assert metrics["mean"].keys() >= MEAN_KEYS
    for result in metrics["targets"].values():
        assert result.keys() >= TARGET_KEYS
        fixed = {"source_val_bpcer1", "source_val_apcer1"} if "source_val" in rules else set()
        assert result["rules"].keys() == rules | fixed
        assert result["hter"] == result["rules"]["test_eer"]["hter"], "the flat keys are those of rule test_eer"
        assert 0 <= result["hter"] <= 100 and 0 <= result["auc"] <= 100


def assert_scores(path: Path, domain: str, rows: int) -> None:
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == SCORE_COLUMNS
        table = list(reader)
    assert len(table) == rows == len({row["sample_id"] for row in table}), "one row per frame, each once"
    assert {row["domain"] for row in table} == {domain}
    assert {row["is_bonafide"] for row in table} == {"True", "False"}
    assert all((row["attack_type"] == "") == (row["is_bonafide"] == "True") for row in table)
    assert all(0 <= float(row["score"]) <= 1 for row in table)


def assert_self_contained(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>") and "</html>" in page
    fetched = re.findall(r"""(?:src|href|action|data)\s*=\s*["']?([^"'\s>]+)|url\(\s*["']?([^"')]+)""", page)
    outside = [a or b for a, b in fetched if not (a or b).startswith(("data:", "#"))]
    assert not outside, f"the page fetches {outside}"
    assert "<script src" not in page and "@import" not in page and "<link" not in page


def test_finished_workdir_holds_what_scripts_rely_on(finished: "Finished"):
    workdir = finished.workdir
    assert {path.name for path in workdir.iterdir()} == {
        *("config.json", "train.jsonl", "checkpoints", "scores", "source_val.csv", "explain", "metrics.json"),
        *("decision.json", "report.html", "tensorboard"),
    }
    config = load(workdir / "config.json")
    assert config["train"]["steps"] == 40 and config["protocol"] == "syn_bcd_to_a"
    assert config["overrides"]["method.clip.width"] == 32 and config["config_file"].endswith("configs/flip_mcl.py:tiny")
    rows = [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert all(row.keys() == {"step", "loss", "terms", "lr", "images_per_s"} for row in rows)
    assert all(row["terms"].keys() == {"ce", "simclr", "mse", "grad_norm"} for row in rows)
    assert_scores(workdir / "scores" / "syn_a.csv", "syn_a", 20)
    assert_metrics(load(workdir / "metrics.json"), {"syn_a"}, {"test_eer", "source_val"})
    decision = load(workdir / "decision.json")
    assert decision.keys() >= {"threshold", "rule", "data"} and decision["rule"] == "source_val"
    assert_self_contained(workdir / "report.html")
    assert list((workdir / "explain" / "syn_a").glob("*.png"))


def test_newest_and_best_checkpoints_are_kept(finished: "Finished"):
    steps = {int(path.name) for path in (finished.workdir / "checkpoints").iterdir() if path.name.isdigit()}
    assert 40 in steps and steps <= {20, 40}, "the newest, and the best of the evaluated ones"


def test_command_works_from_any_folder_and_says_where_results_are(commands: "Commands", finished: "Finished"):
    assert not (commands.folder / "configs").exists(), "the config is found in the repository"
    assert finished.said.stdout.splitlines()[-1] == f"report: {finished.workdir / 'report.html'}"
    assert "HTER" in finished.said.stdout and "source validation" in finished.said.stdout
    assert "step 40/40" in finished.said.stderr


def test_selection_on_the_target_is_said(commands: "Commands", tmp_path: Path):
    words = commands.train_words(tmp_path / "run")
    words[2] += ",profile=released"
    done = commands.run(*words)
    assert done.returncode == 0, done.stderr[-2000:]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "selected on the target test sets: every number here is optimistic" in page
    assert "trained on as well" not in page, "the sources have dev splits, which do not train"
    config = load(tmp_path / "run" / "config.json")
    assert (config["profile"], config["eval"]["selection"], config["data"]["overflow"]) == (
        "released",
        "target",
        "wrap",
    )


def test_evaluate_repeats_the_scores_of_the_run(commands: "Commands", finished: "Finished", copied: Path):
    before = (copied / "metrics.json").read_bytes()
    done = commands.run("-m", "flipjax.evaluate", f"--workdir={copied}")
    assert done.returncode == 0, done.stderr[-2000:]
    step = load(copied / "metrics.json")["step"]
    folder = copied / "evaluations" / f"syn_bcd_to_a_step{step}"
    assert (folder / "scores" / "syn_a.csv").read_bytes() == (copied / "scores" / "syn_a.csv").read_bytes()
    assert load(folder / "metrics.json") == load(copied / "metrics.json")
    assert_self_contained(folder / "report.html")
    assert (copied / "metrics.json").read_bytes() == before, "the run's own results stay as they are"
    assert f"report: {folder / 'report.html'}" in done.stdout


def test_evaluate_another_protocol_at_the_last_checkpoint(commands: "Commands", copied: Path):
    words = ["-m", "flipjax.evaluate", f"--workdir={copied}", "--protocol=syn_ab_to_cd", "--checkpoint=last"]
    done = commands.run(*words)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = copied / "evaluations" / "syn_ab_to_cd_step40"
    assert {path.name for path in (folder / "scores").iterdir()} == {"syn_c.csv", "syn_d.csv"}
    own = load(copied / "metrics.json")["step"] == 40
    assert_metrics(
        load(folder / "metrics.json"), {"syn_c", "syn_d"}, {"test_eer", "source_val"} if own else {"test_eer"}
    )


def test_evaluate_records_of_a_folder(commands: "Commands", copied: Path):
    done = commands.run("-m", "flipjax.evaluate", f"--workdir={copied}", f"--records={commands.data / 'syn_d'}")
    assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = (copied / "evaluations").iterdir()
    assert folder.name.startswith("records_syn_d_step")
    assert_scores(folder / "scores" / "syn_d.csv", "syn_d", 24)


def test_predict_says_one_line_per_picture(commands: "Commands", copied: Path, tmp_path: Path):
    good, bad = tmp_path / "crop.png", tmp_path / "no_picture.png"
    good.write_bytes(png(picture("anybody", True)))
    bad.write_bytes(b"not a picture")
    words = ["-m", "flipjax.predict", f"--workdir={copied}", "--detector=none", "--explain"]
    done = commands.run(*words, good, bad)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2, f"one file cannot be read: {done.stderr[-2000:]}"
    keys = {"file", "box", "score", "decision", "threshold", "threshold_rule", "reason"}
    assert [line["file"] for line in lines] == [str(good), str(bad)] and all(line.keys() == keys for line in lines)
    threshold = load(copied / "decision.json")["threshold"]
    assert lines[0]["threshold"] == threshold and lines[0]["threshold_rule"] == "source_val"
    if lines[0]["decision"] != "not_sure":  # a crop this small may be called too small
        assert (lines[0]["decision"] == "bona_fide") == (lines[0]["score"] >= threshold)
    assert lines[1]["decision"] == "not_sure" and lines[1]["score"] is None and lines[1]["reason"]
    assert (copied / "explain" / "predict" / "crop.png").is_file()


SWEEP = """
def get_sweep():
    common = {overrides!r}
    return [
        {{"name": name, "config": "configs/flip_mcl.py:tiny", "overrides": {{**common, "protocol": protocol, "seed": seed}}}}
        for name, protocol, seed in {runs!r}
    ]
"""


@pytest.mark.slow
def test_sweep_resumes_and_aggregates(commands: "Commands", tmp_path: Path):
    overrides = dict(word.removeprefix("--config.").split("=", 1) for word in commands.overrides(train__steps=6))
    runs = [("first", "syn_bcd_to_a", 0), ("second", "syn_abc_to_d", 0), ("third", "syn_abc_to_d", 1)]
    file, out = tmp_path / "sweep.py", tmp_path / "out"
    file.write_text(SWEEP.format(overrides=overrides, runs=runs))
    words = [REPOSITORY / "launch" / "sweep.py", f"--sweep={file}", f"--out={out}"]

    (out / "second").mkdir(parents=True)
    (out / "second" / "config.json").write_text('{"seed": 7}')  # another run's: this one must fail, the others go on
    done = commands.run(*words)
    assert done.returncode == 1 and "second: failed" in done.stderr and "2 of 3 runs" in done.stdout
    (out / "second" / "config.json").unlink()

    stamps = {name: (out / name / "metrics.json").stat().st_mtime_ns for name in ("first", "third")}
    done = commands.run(*words)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {name: (out / name / "metrics.json").stat().st_mtime_ns for name in stamps} == stamps
    metrics = load(out / "metrics.json")
    assert_metrics(metrics, {"syn_a", "syn_d"}, {"test_eer", "source_val"})
    assert metrics["per_seed"].keys() == {"0", "1"} and len(metrics["runs"]) == 3
    mean = sum(result["hter"] for result in metrics["targets"].values()) / 2
    assert metrics["mean"]["hter"] == pytest.approx(mean)
    assert_self_contained(out / "report.html")


def test_help_lists_the_flags(commands: "Commands"):
    for module in ("flipjax.main", "flipjax.evaluate", "flipjax.predict", "flipjax.report"):
        done: subprocess.CompletedProcess[str] = commands.run("-m", module, "--help")
        assert "--workdir" in done.stdout or "--scores" in done.stdout, done.stderr[-500:]


@pytest.mark.slow
def test_two_processes_train_and_report_as_one(commands: "Commands", finished: "Finished", tmp_path: Path):
    """Losses agree as in tests/meshes at first; later ones may drift, as rounding feeds back through forty updates."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    words = [*commands.train_words(tmp_path / "run"), f"--coordinator={address}", "--num_processes=2"]
    processes = [commands.start([*words, f"--process_id={index}"]) for index in range(2)]
    said = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said[0][1][-1500:] + said[1][1][-1500:]
    rows = [
        [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "run", finished.workdir)
    ]
    assert [row["step"] for row in rows[0]] == list(range(1, 41))
    assert rows[0][1]["loss"] == pytest.approx(rows[1][1]["loss"], rel=1e-4)
    assert_scores(tmp_path / "run" / "scores" / "syn_a.csv", "syn_a", 20)
    assert_metrics(load(tmp_path / "run" / "metrics.json"), {"syn_a"}, {"test_eer", "source_val"})
