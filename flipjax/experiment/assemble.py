"""From a config to the pieces of a run: method, sampler, initial state, scorer."""

import dataclasses
import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

import flipjax.methods
from flipjax.core.errors import ConfigError, suggest
from flipjax.core.method import Method, Tree
from flipjax.core.schemas import ScoreTable
from flipjax.data import pipeline, protocols, sampling, transforms
from flipjax.data.source import Index, Records
from flipjax.evaluation.score import score_rows
from flipjax.experiment.workdir import Config
from flipjax.training import optim
from flipjax.training.checkpoints import abstract_like
from flipjax.training.sharding import put_batch, tree_shardings
from flipjax.training.state import TrainState, init_state, stage_at
from flipjax.weights.load import load

SELECTIONS = ("source_val", "target", "last")
LISTS = ("native",)
SAMPLINGS = ("continuous", "drop_last", "unbalanced")


def method_of(config: Config) -> Method:
    """Returns the method that `config.method.name` names, a module of flipjax/methods.

    Raises:
      ConfigError: no such method, or a switch with an unknown value.
    """
    known = [module.name for module in pkgutil.iter_modules(flipjax.methods.__path__)]
    name = config.method.name
    if name not in known:
        raise ConfigError(f"method.name '{name}' unknown; expected {', '.join(known)}{suggest(name, known)}")
    _check("eval.selection", config.eval.selection, SELECTIONS)
    _check("data.lists", config.data.lists, LISTS)
    _check("data.sampling", config.data.sampling, SAMPLINGS)
    _check("data.overflow", config.data.overflow, transforms.OVERFLOWS)
    _check("data.normalization", config.data.normalization, ("imagenet", "clip"))
    _check("train.compute_dtype", config.train.compute_dtype, ("float32", "bfloat16"))
    for key in ("steps", "accumulate", "checkpoint_every", "log_every"):
        if config.train[key] < 1:
            raise ConfigError(f"train.{key}={config.train[key]} is not positive; expected at least 1")
    return importlib.import_module(f"flipjax.methods.{name}").make(config)


def _check(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{key} '{value}' unknown; expected {', '.join(known)}{suggest(value, known)}")


def select(config: Config) -> protocols.Selection:
    """Returns the rows that `config` trains, validates and tests on."""
    chosen = protocols.get_protocol(config.protocol, with_ca=config.data.with_ca, shots=config.data.shots)
    return protocols.select(chosen, Path(config.data.dir), profile=config.profile)


@dataclass(frozen=True)
class TrainData:
    """The endless, seekable stream of training batches; `batch_size` real samples a micro-batch."""

    records: Records
    sampler: sampling.Sampler
    config: Config
    inputs: tuple[str, ...]
    pad_to: int

    @property
    def batch_size(self) -> int:
        return self.sampler.batch_size

    def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Yields this process's part of every update from `start` on; micro-batches are stacked on a new first axis."""
        train, data, count = self.config.train, self.config.data, self.config.train.accumulate
        micro = pipeline.train_batches(
            self.records,
            self.sampler,
            seed=self.config.seed,
            start_step=start * count,
            steps=(train.steps - start) * count,
            inputs=self.inputs,
            image_size=self.config.method.clip.image_size,
            overflow=data.overflow,
            threads=data.threads,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            pad_to=self.pad_to,
        )
        if count == 1:
            yield from micro
        while count > 1:
            group = [batch for _, batch in zip(range(count), micro, strict=False)]
            if not group:
                return
            yield {name: np.stack([batch[name] for batch in group]) for name in group[0]}

    def sample_ids(self, step: int) -> list[str]:
        """Returns the ids of the samples of update `step` (from 0)."""
        count = self.config.train.accumulate
        rows = np.concatenate([self.sampler.global_indices(step * count + micro) for micro in range(count)])
        return [str(name) for name in self.records.index["sample_id"][rows]]


def train_data(config: Config, index: Index, method: Method, mesh: Mesh) -> TrainData:
    """Returns the training stream over `index`.

    A batch size of 0 means `data.per_stream` samples per class and source, the published rule.
    """
    streams = len({(domain, bool(flag)) for domain, flag in zip(index["domain"], index["is_bona_fide"], strict=True)})
    size = config.train.batch_size or config.data.per_stream * streams
    if config.data.sampling == "unbalanced":
        sampler = sampling.uniform(index, batch_size=size, seed=config.seed)
    else:
        sampler = sampling.balanced(index, batch_size=size, seed=config.seed, cycling=config.data.sampling)
    pad_to = math.lcm(mesh.shape["data"], jax.process_count())
    return TrainData(Records(Path(config.data.dir), index), sampler, config, method.inputs, pad_to)


def initial_state(config: Config, method: Method, mesh: Mesh) -> TrainState:
    """Returns the state before the first update on the mesh, with foreign weights where the config names them.

    Raises:
      WeightError: weights that are missing or do not fit.
    """
    key = jax.random.key(config.seed)
    params = jax.eval_shape(method.init, key)["params"]
    loaded: dict[str, Tree] = {}
    for part in method.pretrained:
        loaded[part.subtree] = load(part.source, params[part.subtree], part.tables, token_rows=part.token_rows)
    tx = optim.build(method.stages[0])

    def make(loaded: dict[str, Tree]) -> TrainState:
        fresh = method.init(key)["params"]
        return init_state(method, key, tx, {**fresh, **loaded})

    shape = jax.eval_shape(make, loaded)
    return jax.jit(make, out_shardings=tree_shardings(shape, mesh))(loaded)


def abstract_state(config: Config, method: Method, mesh: Mesh, step: int) -> TrainState:
    """Returns shapes, types and placement of the state after `step` updates, without making it."""
    index, _ = stage_at(method.stages, max(step - 1, 0))
    stage = method.stages[index]
    rotated = (stage, *method.stages[:index], *method.stages[index + 1 :])

    def make() -> TrainState:
        staged = dataclasses.replace(method, stages=rotated)
        return init_state(staged, jax.random.key(config.seed), optim.build(stage))

    shape = jax.eval_shape(make)
    return abstract_like(shape, tree_shardings(shape, mesh))


@dataclass(frozen=True)
class Scorer:
    """Scores indexes with one compiled function for one batch shape."""

    config: Config
    mesh: Mesh
    prepare: Callable[[Tree, Tree, Tree], Tree]
    score: Callable[..., jax.Array]

    @property
    def batch_size(self) -> int:
        """Rows of a batch over all processes: the configured number, rounded up to fill the mesh."""
        unit = math.lcm(self.mesh.shape["data"], jax.process_count())
        return math.ceil(self.config.eval.batch_size / unit) * unit

    def table(self, state: TrainState, index: Index, data_dir: Path, label: str) -> ScoreTable:
        """Returns the scores of every row of `index`."""
        prepared = self.prepare(state.params, state.frozen, state.model_state)

        def score_batch(batch: Any) -> tuple[np.ndarray, np.ndarray]:
            inputs = {name: batch[name] for name in ("image", "mask")}
            scores = self.score(prepared, put_batch(inputs, self.mesh))
            if jax.process_count() == 1:
                return batch["row"], np.asarray(scores)
            rows = multihost_utils.process_allgather(batch["row"], tiled=True)
            return np.asarray(rows), np.asarray(multihost_utils.process_allgather(scores, tiled=True))

        batches = pipeline.eval_batches(
            Records(data_dir, index),
            np.arange(len(index)),
            batch_size=self.batch_size,
            image_size=self.config.method.clip.image_size,
            threads=self.config.data.threads,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        total = math.ceil(len(index) / self.batch_size)
        return score_rows(score_batch, batches, index.columns, total_batches=total, label=label)


def scorer_of(config: Config, method: Method, mesh: Mesh) -> Scorer:
    """Returns the scorer of a method; nothing is compiled before its first use."""
    return Scorer(config, mesh, jax.jit(method.prepare), jax.jit(method.score))
