"""One jitted update for every method: draw, differentiate the trained leaves, update, project."""

from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flipjax.core.method import Aux, Batch, Method, Rules, Tree
from flipjax.core.rng import stream
from flipjax.training.state import FlatTree, TrainState, merge, partition

StepFn = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    method: Method,
    rules: Rules,
    tx: optax.GradientTransformation,
    seed: int,
    accumulate: int,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Returns the state after one update, and `loss`, `grad_norm` and every unweighted term of the old parameters.

    Every random choice depends on (seed, step). With accumulate > 1 the batch has a leading axis of that many
    micro-batches; gradients are averaged, and losses that couple samples couple those of one micro-batch.
    """
    trained, fixed = partition(state.params, rules)
    key = jax.random.fold_in(stream(jax.random.key(seed), "train"), state.step)

    def micro_step(model_state: Tree, micro: tuple[jax.Array, Batch]) -> tuple[Tree, tuple[FlatTree, dict]]:
        index, micro_batch = micro
        draws = method.draws(jax.random.fold_in(key, index), micro_batch)

        def objective(leaves: FlatTree) -> tuple[jax.Array, Aux]:
            return method.loss(merge(leaves, fixed), state.frozen, model_state, micro_batch, draws)

        (loss, aux), grads = jax.value_and_grad(objective, has_aux=True)(trained)
        return aux.model_state, (grads, {"loss": loss, **aux.terms})

    if accumulate == 1:
        model_state, (grads, terms) = micro_step(state.model_state, (jnp.zeros((), jnp.int32), batch))
    else:
        model_state, stacked = jax.lax.scan(micro_step, state.model_state, (jnp.arange(accumulate), batch))
        grads, terms = jax.tree.map(lambda x: jnp.mean(x, axis=0), stacked)

    updates, opt_state = tx.update(grads, state.opt_state, trained)
    params = merge(cast(FlatTree, optax.apply_updates(dict(trained), updates)), fixed)
    step = state.step + 1
    if method.project is not None:
        params = method.project(params, step)
    new_state = TrainState(step, params, state.frozen, model_state, opt_state)
    return new_state, {**terms, "grad_norm": optax.global_norm(grads)}


def compile_step(
    method: Method,
    *,
    rules: Rules,
    tx: optax.GradientTransformation,
    seed: int,
    accumulate: int,
    shardings: Tree,
    mesh: Mesh,
) -> StepFn:
    """Returns the jitted step; the state is donated and keeps its placement, terms come back on every device."""

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        return train_step(state, batch, method=method, rules=rules, tx=tx, seed=seed, accumulate=accumulate)

    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.jit(step, in_shardings=(shardings, None), out_shardings=(shardings, everywhere), donate_argnums=0)
