"""The command as a user runs it: its own process, plain files in, files out."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.score_files import write_scores


def _scores(path: Path, seed: int, *, flip: bool = False, attack_only: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    label = (np.arange(40) < 15) & (not attack_only)
    scores = np.clip(rng.normal(0.4 + 0.3 * label, 0.2), 0, 1)
    ids = np.array([f"f{i}" for i in range(40)], dtype=object)
    kinds = np.where(label, "", "photo").astype(object)
    domain = np.full(40, "m", dtype=object)
    write_scores(path, ScoreTable(ids, ids, ids, domain, label, kinds, 1 - scores if flip else scores))
    return path


def _run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flipjax.report", *args], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_scores_to_metrics_and_report(tmp_path: Path) -> None:
    _scores(tmp_path / "a.csv", 0), _scores(tmp_path / "b.csv", 1), _scores(tmp_path / "dev.csv", 2)
    done = _run("--scores=a.csv", "--scores=b.csv", "--dev=dev.csv", "--out=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(metrics["targets"]) == ["a", "b"] and "source_val" in metrics["targets"]["a"]["rules"]
    assert "out/metrics.json" in done.stdout and "out/report.html" in done.stdout
    assert f"{metrics['mean']['hter']:.2f}" in done.stdout
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["metrics.json", "report.html"]


def test_polarity_flag_gives_the_same_numbers(tmp_path: Path) -> None:
    _scores(tmp_path / "x" / "t.csv", 0), _scores(tmp_path / "y" / "t.csv", 0, flip=True)
    assert _run("--scores=x/t.csv", "--out=p", cwd=tmp_path).returncode == 0
    assert _run("--scores=y/t.csv", "--out=n", "--positive=attack", cwd=tmp_path).returncode == 0
    results = [json.loads((tmp_path / out / "metrics.json").read_text())["mean"] for out in ("p", "n")]
    assert results[0]["auc"] == pytest.approx(results[1]["auc"]) and results[0]["auc"] > 50
    assert results[0]["hter"] == pytest.approx(results[1]["hter"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--scores=none.csv", "--out=out"], "none.csv does not exist"),
        (["--out=out"], "give --scores=FILE"),
        (["--scores=good.csv"], "give --scores=FILE"),
        (["--scores=good.csv", "--out=out", "stray"], "'stray' is no flag"),
        (["--scores=attacks.csv", "--out=out"], "target 'attacks': 40 scores hold no bona fide"),
        (["--scores=good.csv", "--dev=attacks.csv", "--out=out"], "source validation: 40 scores hold no bona fide"),
        (["--scores=good.csv", "--out=good.csv"], "cannot write good.csv"),
        (["--scores=good.csv", "--out=out", "--positive=fake"], "positive 'fake' unknown"),
        (["--scores=good.csv", "--out=out", "--format=flip"], "has no column, expected exactly one of path"),
        (["--scores=mixed.csv", "--out=out"], "target 'mixed': video 'f1' of domain 'm' has frames of different"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path: Path, args: list[str], message: str) -> None:
    good = _scores(tmp_path / "good.csv", 0).read_text()
    _scores(tmp_path / "attacks.csv", 0, attack_only=True)
    (tmp_path / "mixed.csv").write_text(good + "other,f1,f1,m,False,photo,0.5\n")
    done = _run(*args, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["attacks.csv", "good.csv", "mixed.csv"]


def test_files_of_other_projects_give_the_numbers_of_ours(tmp_path: Path) -> None:
    """The same scores in three formats, each with its own polarity; the dev file has yet another format."""
    rows = list(csv.DictReader(_scores(tmp_path / "t.csv", 0).read_text().splitlines()))
    _scores(tmp_path / "dev.csv", 2)
    bona_fide = [row["is_bonafide"] == "True" for row in rows]
    pictures = [f"x/test/{'real' if real else 'fake'}/{i}.png" for i, real in enumerate(bona_fide)]
    scores = [float(row["score"]) for row in rows]
    bob = "".join(f"{real},{'' if real else 'photo'},{score}\n" for real, score in zip(bona_fide, scores, strict=True))
    flip = "".join(
        f"{path},{int(real)},{score}\n" for path, real, score in zip(pictures, bona_fide, scores, strict=True)
    )
    heads = [
        {"label": "real" if real else "fake", "score": 1 - score} for real, score in zip(bona_fide, scores, strict=True)
    ]
    logs = [{"img_path": path, "binary_head": head} for path, head in zip(pictures, heads, strict=True)]
    contents = {"bob.csv": f"is_bonafide,attack_type,score\n{bob}", "flip.csv": f"path,label,score\n{flip}"}
    for name, content in (contents | {"logs.json": json.dumps(logs)}).items():
        (tmp_path / name).write_text(content)
    args = [f"--scores={name}" for name in ("t.csv", "bob.csv", "flip.csv", "logs.json")]
    done = _run(*args, "--dev=dev.csv", "--out=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split(maxsplit=1)[1][:20] for line in done.stderr.splitlines()] == [
        "bob.csv: read as bob",
        "flip.csv: read as fl",
        "logs.json: read as i",
    ]
    targets = json.loads((tmp_path / "out" / "metrics.json").read_text())["targets"]
    for name in ("bob", "flip", "logs"):
        for key in ("auc", "hter", "tpr_at_fpr1_bona_fide"):
            assert targets[name][key] == pytest.approx(targets["t"][key]), (name, key)
        assert targets[name]["rules"]["source_val"]["threshold"] == targets["t"]["rules"]["source_val"]["threshold"]


def test_scores_of_another_kind_rank_alike_and_leave_out_what_needs_probabilities(tmp_path: Path) -> None:
    _scores(tmp_path / "t.csv", 0)
    lines = [line.rpartition(",") for line in (tmp_path / "t.csv").read_text().splitlines()]
    stretched = [f"{row},{30 * float(score) - 7}" for row, _, score in lines[1:]]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "t.csv").write_text("\n".join([f"{lines[0][0]},score", *stretched]) + "\n")
    for folder, options in (("p", ["--scores=t.csv"]), ("r", ["--scores=raw/t.csv", "--score_range=any"])):
        done = _run(*options, f"--out={folder}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    found = [json.loads((tmp_path / out / "metrics.json").read_text())["targets"]["t"] for out in ("p", "r")]
    for key in ("auc", "tpr_at_fpr1_bona_fide", "tpr_at_fpr1_attack"):
        assert found[1][key] == pytest.approx(found[0][key])
    assert {"brier", "calibration_error"} <= found[0].keys() and not {"brier", "calibration_error"} & found[1].keys()


def test_two_systems_give_a_page_of_their_own(tmp_path: Path) -> None:
    _scores(tmp_path / "a.csv", 0), _scores(tmp_path / "b.csv", 1), _scores(tmp_path / "dev.csv", 2)
    args = ["--scores=a.csv", "--against=b.csv", "--dev=dev.csv", "--against_dev=dev.csv"]
    done = _run(*args, "--out=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["versus.html"]
    page = (tmp_path / "out" / "versus.html").read_text()
    assert f"python -m flipjax.report {' '.join(args)} --out=out" in page and "m: HTER" in done.stdout


def test_a_page_is_copied_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text('<p>words</p><img src="data:image/png;base64,eA==" alt="a">')
    done = _run("--page=report.html", "--no-images", "--out=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<p>words</p>" in page and "<img" not in page and "out/report.html" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--scores=a.csv", "--scores=a.csv", "--against=a.csv"], "2 --scores and 1 --against"),
        (["--scores=a.csv", "--against=a.csv", "--dev=a.csv"], "both --dev and --against_dev"),
        (["--scores=a.csv", "--against_dev=a.csv", "--dev=a.csv"], "--against_dev is for --against"),
        (["--page=a.csv", "--no-images", "--against=a.csv"], "--against compares with --scores"),
        (["--page=a.csv", "--scores=a.csv"], "give --scores=FILE (once per target) or --page=FILE"),
        (["--page=a.csv"], "give --no-images as well"),
        (["--page=none.html", "--no-images"], "none.html' cannot be read"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path: Path, args: list[str], message: str) -> None:
    _scores(tmp_path / "a.csv", 0)
    done = _run(*args, "--out=out", cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_jax_is_never_imported(tmp_path: Path) -> None:
    _scores(tmp_path / "a.csv", 0)
    code = (
        "import sys; from flipjax import report; report._define_flags()\n"
        "from absl import flags; flags.FLAGS(['report', '--scores=a.csv', '--out=out']); report.main(['report'])\n"
        "print([name for name in ('jax', 'flax', 'tensorflow', 'torch', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_quick(tmp_path: Path) -> None:
    start = time.perf_counter()
    done = _run("--help", cwd=tmp_path)
    assert "--scores" in done.stdout and "--positive" in done.stdout
    assert time.perf_counter() - start < 1.5
