"""One protocol, one seed: train, choose a checkpoint, score the targets, write what a finished workdir holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from clu import parameter_overview
from jax.sharding import Mesh

from flipjax.core.method import Method
from flipjax.core.schemas import ScoreTable
from flipjax.data.protocols import Selection, seen_targets
from flipjax.evaluation import protocol as evaluation
from flipjax.evaluation.answers_shown import Picture
from flipjax.evaluation.repeat import DataUse
from flipjax.evaluation.report import write_report
from flipjax.experiment import assemble, pictures, provenance
from flipjax.experiment import workdir as files
from flipjax.experiment.assemble import Scorer
from flipjax.experiment.workdir import Config
from flipjax.metrics.pooling import pool_videos
from flipjax.metrics.rates import hter
from flipjax.metrics.thresholds import eer_exact, eer_grid
from flipjax.training.checkpoints import Checkpoints, open_checkpoints
from flipjax.training.loop import Hooks, Schedule, fit
from flipjax.training.sharding import make_mesh
from flipjax.training.state import TrainState
from flipjax.training.telemetry import open_telemetry


@dataclass(frozen=True)
class Run:
    """The pieces of one run; `data_dir` holds its data sets."""

    config: Config
    workdir: Path
    method: Method
    mesh: Mesh
    selection: Selection
    scorer: Scorer

    @property
    def data_dir(self) -> Path:
        return Path(self.config.data.dir)


def start(config: Config, workdir: Path) -> Run:
    """Builds the pieces of a run; everything that can be wrong with config and data is found here.

    Raises:
      ConfigError, DataError: what the pieces raise.
    """
    method = assemble.method_of(config)
    selection = assemble.select(config)
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    return Run(config, workdir, method, mesh, selection, assemble.scorer_of(config, method, mesh))


def train_and_report(config: Config, workdir: Path, *, overrides: dict[str, Any], config_file: str) -> dict[str, Any]:
    """Trains (or goes on), evaluates and reports; a finished workdir only gets a fresh report. Returns metrics.json.

    Raises:
      FlipjaxError: anything a user can mend, before the first step wherever possible.
    """
    run = start(config, workdir)
    files.check_owner(workdir, files.as_json(config))
    metrics = files.read_metrics(workdir)
    if metrics is not None:
        logging.info("%s is finished; refreshing its report", workdir)
        report(run, metrics, files.read_tables(workdir, list(metrics["targets"])), step=metrics["step"])
        return metrics
    checkpoints = open_checkpoints(workdir / "checkpoints")
    try:
        training = prepare(run, checkpoints)
        if jax.process_index() == 0:  # only now, so that a mistake found above leaves the workdir free
            files.claim(workdir, files.as_json(config), overrides=overrides, config_file=config_file)
        if training is not None:
            train(run, checkpoints, training)
        step = checkpoints.resolve("last" if config.eval.selection == "last" else "best")
        return evaluate_step(run, checkpoints, step)
    finally:
        checkpoints.close()


@dataclass(frozen=True)
class Training:
    """What is left to train: the state after `done` updates, and the stream of batches."""

    done: int
    total: int
    state: TrainState
    data: assemble.TrainData


def prepare(run: Run, checkpoints: Checkpoints) -> Training | None:
    """Returns the training from the newest checkpoint, or from the start, to the last update; None where nothing is left.

    Raises:
      ConfigError, WeightError, CheckpointError: batches, weights or checkpoint that cannot be made or read.
    """
    config, latest = run.config, checkpoints.latest()
    total = sum(stage.steps for stage in run.method.stages)
    if latest is not None and latest >= total:
        return None
    data = assemble.train_data(config, run.selection.train, run.method, run.mesh)
    if latest is None:
        state = assemble.initial_state(config, run.method, run.mesh)
        logging.info("training from scratch" if not run.method.pretrained else "training from loaded weights")
    else:
        state = checkpoints.restore(latest, assemble.abstract_state(config, run.method, run.mesh, latest))
        logging.info("going on from step %d", latest)
    return Training(latest or 0, total, state, data)


def train(run: Run, checkpoints: Checkpoints, training: Training) -> None:
    """Makes the updates that are left."""
    config, data = run.config, training.data
    _log_setup(run, training.state, data.batch_size)
    telemetry = open_telemetry(
        run.workdir if jax.process_index() == 0 else None,
        start_step=training.done,
        total_steps=training.total,
        images_per_step=data.batch_size * config.train.accumulate,
        tensorboard=config.log.tensorboard,
    )
    schedule = Schedule(
        seed=config.seed,
        accumulate=config.train.accumulate,
        checkpoint_every=config.train.checkpoint_every,
        log_every=config.train.log_every,
        evaluate_every=0 if config.eval.selection == "last" else config.eval.every,
        total=training.total,
    )
    hooks = Hooks(data.batches, lambda state: selection_value(run, state), data.sample_ids)
    try:
        fit(
            run.method,
            training.state,
            mesh=run.mesh,
            schedule=schedule,
            hooks=hooks,
            checkpoints=checkpoints,
            telemetry=telemetry,
            config=files.as_json(config),
        )
    finally:
        telemetry.close()


def _log_setup(run: Run, state: TrainState, batch_size: int) -> None:
    parts = ", ".join(f"{name} {len(index)}" for name, index in run.selection.targets.items())
    count = int(parameter_overview.count_parameters(state.params))
    logging.info(
        "%s: %s parameters, %d training frames in batches of %d, %d source validation frames, targets %s, mesh %s",
        run.method.name, f"{count:,}", len(run.selection.train), batch_size, len(run.selection.source_val), parts,
        dict(run.mesh.shape),
    )  # fmt: skip


def selection_value(run: Run, state: TrainState) -> float:
    """Returns what checkpoint selection minimises: EER on source validation, or the papers' HTER, mean over targets."""
    if run.config.eval.selection == "source_val":
        videos = pool_videos(run.scorer.table(state, run.selection.source_val, run.data_dir, "source validation"))
        rule = eer_exact(videos.score, videos.is_bona_fide)
        return hter(videos.score, videos.is_bona_fide, rule.threshold)
    values = []
    for name, index in run.selection.targets.items():
        videos = pool_videos(run.scorer.table(state, index, run.data_dir, name))
        rule = eer_grid(videos.score, videos.is_bona_fide)
        values.append(hter(videos.score, videos.is_bona_fide, rule.threshold))
    return float(np.mean(values))


def evaluate_step(run: Run, checkpoints: Checkpoints, step: int) -> dict[str, Any]:
    """Scores the targets with the checkpoint of `step`; writes scores, answers, decision, pictures, report, last metrics."""
    state = checkpoints.restore(step, assemble.abstract_state(run.config, run.method, run.mesh, step))
    targets = run.selection.targets.items()
    tables = {name: run.scorer.table(state, index, run.data_dir, name) for name, index in targets}
    source_val = run.scorer.table(state, run.selection.source_val, run.data_dir, "source validation")
    answers = run.scorer.answers(state, run.selection.targets, run.data_dir)
    seen = seen_targets(assemble.sources(run.config), tables)
    dropped = provenance.dropped_faces(run.data_dir, run.selection.targets)
    found = evaluation.evaluate(
        tables, source_val, seed=run.config.seed, answers=answers, left_out=seen, dropped=dropped
    )
    metrics = {**found, "step": step}
    if jax.process_index() == 0:
        files.write_tables(run.workdir, tables, source_val)
        files.write_answer_tables(run.workdir, answers)
        decision = {**evaluation.decision(source_val), "step": step, **pictures.crop_facts(run.selection.train)}
        evaluation.write_json(run.workdir / files.DECISION_FILE, decision)
        pictures.save_explanations(run, state, tables, answers)
        report(run, metrics, tables, step=step)
        evaluation.write_json(run.workdir / files.METRICS_FILE, metrics)
    return metrics


def report(run: Run, metrics: dict[str, Any], tables: dict[str, ScoreTable], *, step: int) -> None:
    """Writes the workdir's report.html."""
    write_page(
        run.workdir,
        run.config,
        metrics,
        tables,
        step=step,
        notes=[*notes(run), *mean_notes(metrics)],
        shown=pictures.read_explanations(run.workdir),
        data=provenance.data_of(run.selection),
    )


def write_page(
    folder: Path,
    config: Config,
    metrics: dict[str, Any],
    tables: dict[str, ScoreTable],
    *,
    step: int,
    notes: list[str],
    shown: list[Picture],
    data: Sequence[DataUse],
) -> None:
    """Writes folder/report.html with what made the numbers; `data` are the rows used."""
    context = provenance.describe(config, step=step, notes=notes, data=data)
    title = f"{config.method.name} on {', '.join(tables)}"
    write_report(
        folder / files.REPORT_FILE, title=title, metrics=metrics, tables=tables, context=context, pictures=shown
    )


def notes(run: Run) -> list[str]:
    """Returns what a reader must know before the numbers."""
    seen = "Source validation subjects were trained on as well (profile=released): its threshold is optimistic."
    return [seen] if run.selection.source_val_seen else []


def mean_notes(metrics: dict[str, Any]) -> list[str]:
    """Returns which targets the mean leaves out, if any."""
    names = ", ".join(metrics.get(evaluation.LEFT_OUT, ()))
    return [f"The mean over targets leaves out {names}, on which the model was trained."] if names else []
