"""The contract between one published system and everything generic: training, evaluation and serving know only this.

A method is a frozen dataclass of plain functions. Batches are dicts of arrays whose leading axis is the global batch:
`image` uint8 [b h w 3], `ssl_views` uint8 [b 2 h w 3] (only where a method asks for it), `is_bona_fide` bool [b],
`mask` bool [b] (False = padding). Random choices are made in `draws` and handed to `loss`, so that tests can inject their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.struct
import jax

from flipjax.core.schemas import Question

Tree = Any
Batch = Mapping[str, jax.Array]
Draws = Mapping[str, jax.Array]
Rules = tuple[tuple[str, bool], ...]


@flax.struct.dataclass
class Aux:
    """What a loss reports besides its scalar: unweighted terms by name, and the new model state."""

    terms: dict[str, jax.Array]
    model_state: Tree


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer by its numbers, built in training/optim.py.

    kind "adam_l2": Adam with the decay added to the gradient before the moments, constant `lr` (FLIP).
    kind "adamw_one_cycle": AdamW whose rate climbs from lr/start_divisor to `lr` over `warmup_fraction` of the stage's
    steps and falls to its start over `final_divisor`, cosine both ways, while b1 falls and rises between `cycle_b1`
    (None: `b1` throughout).
    """

    kind: str
    lr: float
    weight_decay: float
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    warmup_fraction: float = 0.1
    start_divisor: float = 10.0
    final_divisor: float = 1.0
    cycle_b1: tuple[float, float] | None = None


@dataclass(frozen=True)
class Stage:
    """`steps` updates of the parameters whose path the first matching rule of `trainable` marks True."""

    steps: int
    trainable: Rules
    optimizer: OptimizerSpec


@dataclass(frozen=True)
class Pretrained:
    """Foreign weights for one subtree ('/' joins names) of the parameters, or of the frozen weights.

    `tables` names modules of flipjax/weights that can fill it, `source` is a file, folder or `hf:owner/name`; leaves that
    the format has no names for keep their fresh values. `token_rows` selects the vocabulary rows to keep (None: all).
    `finish` is applied to the loaded subtree of NumPy arrays, such as a cast or a simulated quantisation.
    """

    subtree: str
    source: str
    tables: tuple[str, ...]
    token_rows: tuple[int, ...] | None = None
    is_frozen: bool = False
    finish: Callable[[Tree], Tree] | None = None


@dataclass(frozen=True)
class Answering:
    """How a method answers questions about a face.

    prepare(params, frozen, model_state) -> what answering needs.
    answer(prepared, batch) -> question name -> probability of each option [b options].
    speak(prepared, batch) -> question name -> T5 token ids [b t] that the language model writes of itself; optional.
    """

    questions: tuple[Question, ...]
    prepare: Callable[[Tree, Tree, Tree], Tree]
    answer: Callable[[Tree, Batch], dict[str, jax.Array]]
    speak: Callable[[Tree, Batch], dict[str, jax.Array]] | None = None


@dataclass(frozen=True)
class Method:
    """One published system as data and plain functions.

    init(rng) -> {"params", "frozen", "model_state"}; frozen weights are never differentiated and have no optimizer state.
    draws(rng, batch) -> every random choice of one step.
    loss(params, frozen, model_state, batch, draws) -> (scalar, Aux).
    prepare(params, frozen, model_state) -> what scoring needs and nothing else (prompt features are computed here, once).
    score(prepared, batch) -> P(bona fide) float32 [b].
    explain(prepared, batch) -> heat maps [b gh gw] in [0, 1] by name, the most telling first (`cue_map`: 1 = attack;
    `attack_relevance`, `bona_fide_relevance`, `rollout`, `attention`: see models/relevance.py); optional.
    answering: optional, the questions that the method answers.
    scores_with_frozen: whether `prepare` reads the frozen weights; where it does not, scoring never loads them.
    project(params, step) -> params; optional, idempotent, applied once at the start and after every update.
    """

    name: str
    inputs: tuple[str, ...]
    init: Callable[[jax.Array], dict[str, Tree]]
    draws: Callable[[jax.Array, Batch], Draws]
    loss: Callable[[Tree, Tree, Tree, Batch, Draws], tuple[jax.Array, Aux]]
    prepare: Callable[[Tree, Tree, Tree], Tree]
    score: Callable[[Tree, Batch], jax.Array]
    stages: tuple[Stage, ...]
    scores_with_frozen: bool = False
    explain: Callable[[Tree, Batch], dict[str, jax.Array]] | None = None
    answering: Answering | None = None
    project: Callable[[Tree, jax.Array], Tree] | None = None
    pretrained: tuple[Pretrained, ...] = ()
