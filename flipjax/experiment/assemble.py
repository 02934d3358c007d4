"""From a config to the pieces of a run: method, sampler, initial state, scorer."""

import dataclasses
import functools
import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.experimental import multihost_utils
from jax.sharding import Mesh

import flipjax.methods
from flipjax.core.errors import ConfigError, check_choice
from flipjax.core.method import Answering, Method, Tree
from flipjax.core.schemas import ScoreTable
from flipjax.data import division, matching, pipeline, protocols, sampling, transforms
from flipjax.data.source import Index, Records
from flipjax.evaluation.answers import AnswerTable, answer_rows
from flipjax.evaluation.score import Compute, score_rows
from flipjax.experiment.workdir import Config
from flipjax.training import optim
from flipjax.training.checkpoints import abstract_like
from flipjax.training.sharding import put_batch, tree_shardings
from flipjax.training.state import TrainState, init_state, stage_at
from flipjax.weights.load import load

SELECTIONS = ("source_val", "target", "last")
LISTS = ("native", *matching.VARIANTS)
SAMPLINGS = (*sampling.CYCLINGS, "class_quality", "unbalanced")
# FLIP's loaders repeat their five shots to twenty lines, so that dropping the last batch of three loses few.
RELEASED_SHOT_REPEATS = 4


def method_of(config: Config) -> Method:
    """Returns the method that `config.method.name` names, a module of flipjax/methods.

    Raises:
      ConfigError: no such method, or a switch with an unknown value.
    """
    known = [module.name for module in pkgutil.iter_modules(flipjax.methods.__path__)]
    name = config.method.name
    check_choice("method.name", name, known)
    check_choice("eval.selection", config.eval.selection, SELECTIONS)
    check_choice("data.lists", config.data.lists, LISTS)
    check_choice("data.grouping", config.data.grouping, division.GROUPINGS)
    check_choice("data.shot_rule", config.data.shot_rule, division.SHOT_RULES)
    check_choice("data.augment", config.data.augment, transforms.AUGMENTS)
    check_choice("data.sampling", config.data.sampling, SAMPLINGS)
    check_choice("data.overflow", config.data.overflow, transforms.OVERFLOWS)
    check_choice("data.normalization", config.data.normalization, ("imagenet", "clip"))
    check_choice("train.compute_dtype", config.train.compute_dtype, ("float32", "bfloat16"))
    for key in ("steps", "accumulate", "checkpoint_every", "log_every"):
        if config.train[key] < 1:
            raise ConfigError(f"train.{key}={config.train[key]} is not positive; expected at least 1")
    if config.data.epoch_samples < 0:
        raise ConfigError(
            f"data.epoch_samples={config.data.epoch_samples} is negative; expected a number of samples, 0 for endless"
        )
    return importlib.import_module(f"flipjax.methods.{name}").make(config)


def select(config: Config) -> protocols.Selection:
    """Returns the rows that `config` trains, validates and tests on."""
    selection = select_protocol(config, config.protocol, Path(config.data.dir))
    return protocols.keep_instruments(selection, tuple(config.data.instruments))


def select_protocol(config: Config, name: str, data_dir: Path) -> protocols.Selection:
    """Returns the rows of the protocol `name` by the rules of `config`, whatever instruments it trains on."""
    return protocols.select(_protocol(config, name), data_dir, profile=config.profile, rules=_rules(config))


def sources(config: Config) -> tuple[str, ...]:
    """Returns the domains that `config` trains on, without the shots of targets."""
    return _protocol(config, config.protocol).sources


def _protocol(config: Config, name: str) -> protocols.Protocol:
    return protocols.get_protocol(name, with_ca=config.data.with_ca, shots=config.data.shots)


def _rules(config: Config) -> division.Rules:
    data = config.data
    lists = None
    if data.lists in matching.VARIANTS:
        lists = matching.Lists(
            data.lists, data.lists_dir, is_checked=data.lists_check, missing_share=data.lists_missing
        )
    repeats = RELEASED_SHOT_REPEATS if data.sampling == "drop_last" else 1
    return division.Rules(lists, data.shot_rule, repeats, data.grouping)


@dataclass(frozen=True)
class TrainData:
    """The endless, seekable stream of training batches; `batch_size` real samples a micro-batch.

    With `data.epoch_samples` the last update of an epoch holds fewer: micro-batches that end early or are all padding.
    """

    records: Records
    sampler: sampling.Sampler
    config: Config
    inputs: tuple[str, ...]
    pad_to: int

    @property
    def batch_size(self) -> int:
        return self.sampler.batch_size

    @property
    def epoch(self) -> sampling.VirtualEpoch | None:
        """What `data.epoch_samples` says of empty slots; None where every slot holds a sample."""
        samples = self.config.data.epoch_samples
        return sampling.VirtualEpoch(samples, self.batch_size, self.config.train.accumulate) if samples else None

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
            augment=data.augment,
            overflow=data.overflow,
            epoch=self.epoch,
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
        places = ((step * count + micro, slot) for micro in range(count) for slot in range(self.batch_size))
        rows = [self.sampler.row(*place) for place in places if self.epoch is None or self.epoch.has(*place)]
        return [str(name) for name in self.records.index["sample_id"][rows]]


def train_data(config: Config, index: Index, method: Method, mesh: Mesh) -> TrainData:
    """Returns the training stream over `index`.

    A batch size of 0 means `data.per_stream` samples per class and source, FLIP's rule.
    """
    streams = len({(domain, bool(flag)) for domain, flag in zip(index["domain"], index["is_bona_fide"], strict=True)})
    size = config.train.batch_size or config.data.per_stream * streams
    if config.data.sampling == "unbalanced":
        sampler = sampling.uniform(index, batch_size=size, seed=config.seed)
    elif config.data.sampling == "class_quality":
        sampler = sampling.balanced(index, batch_size=size, seed=config.seed, by=sampling.CLASS_QUALITY)
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
    loaded = _pretrained(method, jax.eval_shape(method.init, key))
    tx = optim.build(method.stages[0])

    def make(loaded: Tree) -> TrainState:
        return init_state(method, key, tx, loaded)

    shape = jax.eval_shape(make, loaded)
    return jax.jit(make, out_shardings=tree_shardings(shape, mesh))(loaded)


def _pretrained(method: Method, shapes: Tree) -> Tree:
    """Returns the loaded parts of {"params", "frozen"}, in the tree of the method's variables; the rest is absent."""
    leaves: dict[str, Any] = {}
    for part in method.pretrained:
        path = ("frozen" if part.is_frozen else "params", *part.subtree.split("/"))
        target = functools.reduce(lambda tree, name: tree[name], path, shapes)
        tree = load(part.source, target, part.tables, token_rows=part.token_rows)
        tree = tree if part.finish is None else part.finish(tree)
        leaves |= {"/".join((*path, name)): leaf for name, leaf in flatten_dict(tree, sep="/").items()}
    return unflatten_dict(leaves, sep="/")


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
    """Scores indexes, and asks about them, with one compiled function each for one batch shape.

    `answering` holds compiled functions, too; None where nothing is asked.
    """

    config: Config
    mesh: Mesh
    prepare: Callable[[Tree, Tree, Tree], Tree]
    score: Callable[..., jax.Array]
    answering: Answering | None = None

    @property
    def batch_size(self) -> int:
        """Rows of a batch over all processes: the configured number, rounded up to fill the mesh."""
        unit = math.lcm(self.mesh.shape["data"], jax.process_count())
        return math.ceil(self.config.eval.batch_size / unit) * unit

    def table(self, state: TrainState, index: Index, data_dir: Path, label: str) -> ScoreTable:
        """Returns the scores of every row of `index`."""
        prepared = self.prepare(state.params, state.frozen, state.model_state)
        return self.table_of(prepared, Records(data_dir, index), label)

    def table_of(self, prepared: Tree, records: Records, label: str) -> ScoreTable:
        """Returns the scores of all records by what `prepare` returned."""
        compute = self._computed(lambda batch: {"score": self.score(prepared, batch)})
        index = records.index
        return score_rows(compute, self._batches(records), index.columns, total_batches=self._total(index), label=label)

    def answers(self, state: TrainState, indexes: dict[str, Index], data_dir: Path) -> dict[str, AnswerTable]:
        """Returns the answers about every row of every index, by the same names; none where nothing is asked."""
        asked = self.answering
        if asked is None:
            return {}
        prepared = asked.prepare(state.params, state.frozen, state.model_state)
        compute = self._computed(lambda batch: asked.answer(prepared, batch))
        return {
            name: answer_rows(
                compute,
                self._batches(Records(data_dir, index)),
                index.columns,
                asked.questions,
                total_batches=self._total(index),
                label=name,
            )
            for name, index in indexes.items()
        }

    def _computed(self, compute: Callable[[Any], dict[str, jax.Array]]) -> Compute:
        """Puts batches on the mesh and brings back what `compute` says about the rows of all processes."""

        def whole(batch: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            inputs = {name: batch[name] for name in ("image", "mask")}
            found = batch["row"], compute(put_batch(inputs, self.mesh))
            if jax.process_count() > 1:
                found = multihost_utils.process_allgather(found, tiled=True)
            rows, values = jax.tree.map(np.asarray, found)
            return rows, values

        return whole

    def _batches(self, records: Records) -> Iterator[dict[str, np.ndarray]]:
        return pipeline.eval_batches(
            records,
            np.arange(len(records)),
            batch_size=self.batch_size,
            image_size=self.config.method.clip.image_size,
            augment=self.config.data.augment,
            threads=self.config.data.threads,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )

    def _total(self, index: Index) -> int:
        return math.ceil(len(index) / self.batch_size)


def scorer_of(config: Config, method: Method, mesh: Mesh) -> Scorer:
    """Returns the scorer of a method; nothing is compiled before its first use."""
    answering = method.answering if config.eval.answers else None
    if answering is not None:
        compiled = {"prepare": jax.jit(answering.prepare), "answer": jax.jit(answering.answer)}
        answering = dataclasses.replace(answering, **compiled)
    return Scorer(config, mesh, jax.jit(method.prepare), jax.jit(method.score), answering)
