"""From a finished workdir: scores of other data, and a predictor for photographs."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging

from flipjax.core.errors import DataError
from flipjax.core.method import Method, Tree
from flipjax.core.schemas import INDEX_FILE, ScoreTable
from flipjax.data import protocols
from flipjax.data.source import Index, domains_in, read_index
from flipjax.evaluation import protocol as evaluation
from flipjax.evaluation.score_files import read_scores, write_scores
from flipjax.experiment import assemble, pictures, provenance
from flipjax.experiment import workdir as files
from flipjax.experiment.run import mean_notes, write_page
from flipjax.experiment.workdir import Config
from flipjax.prompts.tokenizers import t5_text
from flipjax.serving.predictor import Predictor, read_decision
from flipjax.training.checkpoints import UNREAD, open_checkpoints
from flipjax.training.sharding import make_mesh
from flipjax.training.state import TrainState


@dataclass(frozen=True)
class Trained:
    """A checkpoint of a workdir, ready to score."""

    config: Config
    method: Method
    scorer: assemble.Scorer
    state: TrainState
    step: int


def load_trained(
    workdir: Path, checkpoint: str, *, devices: list[Any] | None = None, answering: bool = True
) -> Trained:
    """Restores the checkpoint "best", "last" or a step number; "best" is the one that the run itself reported.

    The optimizer's state is not read, nor are frozen weights that scoring does without, unless `answering` needs them.

    Raises:
      DataError, CheckpointError: no workdir, or no such checkpoint.
    """
    config = files.load_config(workdir)
    method = assemble.method_of(config)
    mesh = make_mesh(-1, 1 if devices else config.mesh.model, devices)
    checkpoints = open_checkpoints(workdir / "checkpoints")
    try:
        reported = files.read_metrics(workdir)
        step = reported["step"] if reported and checkpoint == "best" else checkpoints.resolve(checkpoint)
        like = assemble.abstract_state(config, method, mesh, step)
        unread = {"opt_state": _unread(like.opt_state)}
        if not (method.scores_with_frozen or (answering and method.answering)):
            unread["frozen"] = _unread(like.frozen)
        state = checkpoints.restore(step, dataclasses.replace(like, **unread))
        state = dataclasses.replace(state, **{name: {} for name in unread})
    finally:
        checkpoints.close()
    return Trained(config, method, assemble.scorer_of(config, method, mesh), state, step)


def _unread(tree: Tree) -> Tree:
    return jax.tree.map(lambda _: UNREAD, tree)


def evaluate_workdir(
    workdir: Path, *, protocol: str, records: str, checkpoint: str, data_dir: str
) -> tuple[dict[str, Any], Path]:
    """Scores targets with a trained workdir; returns metrics and the folder that scores, metrics and report went to.

    Args:
      protocol: another protocol, whose targets are scored; empty: the run's own.
      records: a domain's folder, or a folder of domains, to score instead; all splits of it.
      checkpoint: "best", "last" or a step.
      data_dir: where data sets lie now, if not where the run was trained; empty: there.

    Raises:
      DataError, ConfigError, CheckpointError: workdir, protocol, records or checkpoint do not exist or fit.
    """
    trained = load_trained(workdir, checkpoint, answering=files.load_config(workdir).eval.answers)
    name, data, targets = targets_of(trained.config, protocol=protocol, records=records, data_dir=data_dir)
    tables = {target: trained.scorer.table(trained.state, index, data, target) for target, index in targets.items()}
    source_val = _source_validation(workdir, trained)
    answers = trained.scorer.answers(trained.state, targets, data)
    seen = protocols.seen_targets(assemble.sources(trained.config), targets)
    dropped = provenance.dropped_faces(data, targets)
    found = evaluation.evaluate(
        tables, source_val, seed=trained.config.seed, answers=answers, left_out=seen, dropped=dropped
    )
    metrics = {**found, "step": trained.step}
    folder = workdir / "evaluations" / f"{name}_step{trained.step}"
    if jax.process_index() == 0:
        for target, table in tables.items():
            write_scores(folder / "scores" / f"{target}.csv", table)
        files.write_answer_tables(folder, answers)
        write_page(
            folder,
            trained.config,
            metrics,
            tables,
            step=trained.step,
            notes=mean_notes(metrics),
            shown=[],
            data=provenance.data_of_targets(targets),
        )
        evaluation.write_json(folder / files.METRICS_FILE, metrics)
    return metrics, folder


def targets_of(config: Config, *, protocol: str, records: str, data_dir: str) -> tuple[str, Path, dict[str, Index]]:
    """Returns the name of what is scored, the folder of its data sets, and the rows by target; see `evaluate_workdir`.

    Raises:
      DataError, ConfigError: protocol or records do not exist or fit.
    """
    if records:
        return f"records_{Path(records).resolve().name}", *_record_targets(Path(records))
    name, data = protocol or config.protocol, Path(data_dir or config.data.dir)
    return name, data, assemble.select_protocol(config, name, data).targets


def _record_targets(records: Path) -> tuple[Path, dict[str, Index]]:
    if (records / INDEX_FILE).is_file():
        parent, names = records.resolve().parent, [records.resolve().name]
    else:
        parent, names = records, domains_in(records)
    if not names:
        raise DataError(
            f"--records={records} holds no data set; give a folder that data_prep.convert or .synthetic wrote"
        )
    return parent, {name: read_index(parent, name) for name in names}


def _source_validation(workdir: Path, trained: Trained) -> ScoreTable | None:
    """The run's own source validation scores, which belong to its reported checkpoint alone."""
    reported = files.read_metrics(workdir)
    if reported and reported["step"] == trained.step:
        return read_scores(workdir / files.SOURCE_VAL_FILE)
    logging.warning("step %d is not the reported checkpoint: no source validation threshold", trained.step)
    return None


def load_predictor(workdir: Path, checkpoint: str = "best", *, explain: bool = False) -> Predictor:
    """Returns a predictor on one device with the workdir's model, crop settings and stored threshold.

    It draws heat maps and answers questions only with `explain`; without, the weights for answering are let go.

    Raises:
      DataError, CheckpointError: the workdir is not a finished run.
    """
    threshold, rule = read_decision(workdir)
    facts = json.loads((workdir / files.DECISION_FILE).read_text(encoding="utf-8"))
    trained = load_trained(workdir, checkpoint, devices=jax.devices()[:1], answering=explain)
    method, scorer, state = trained.method, trained.scorer, trained.state
    prepared = scorer.prepare(state.params, state.frozen, state.model_state)
    predictor = Predictor(
        score=lambda images: np.asarray(scorer.score(prepared, {"image": images})),
        image_size=trained.config.method.clip.image_size,
        detector=facts["detector"],
        padding=facts["padding"],
        threshold=threshold,
        threshold_rule=rule,
    )
    if not explain:
        return predictor
    return dataclasses.replace(
        predictor,
        explain=_explainer(method, prepared),
        questions=method.answering.questions if method.answering else (),
        **_answerers(method, state),
    )


def _explainer(method: Method, prepared: Tree) -> Callable[[np.ndarray], np.ndarray] | None:
    if method.explain is None:
        return None
    explain = pictures.most_telling(method.explain)
    return lambda images: np.asarray(explain(prepared, {"image": images}).values)


def _answerers(method: Method, state: TrainState) -> dict[str, Callable[[np.ndarray], Any] | None]:
    """Returns `answers` and `speak` of a predictor; one preparation serves both."""
    answering = method.answering
    if answering is None:
        return {"answers": None, "speak": None}
    prepared = jax.jit(answering.prepare)(state.params, state.frozen, state.model_state)
    answer = jax.jit(answering.answer)
    found: dict[str, Callable[[np.ndarray], Any] | None] = {
        "answers": lambda images: jax.tree.map(np.asarray, answer(prepared, {"image": images})),
        "speak": None,
    }
    if answering.speak is not None:
        speak = jax.jit(answering.speak)

        def texts(images: np.ndarray) -> np.ndarray:
            spoken = speak(prepared, {"image": images})
            columns = [[t5_text(row.tolist()) for row in np.asarray(spoken[q.name])] for q in answering.questions]
            return np.array(columns, dtype=object).T

        found["speak"] = texts
    return found
