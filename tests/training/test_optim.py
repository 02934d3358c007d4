"""Adam with coupled L2 and AdamW under one cycle: golden numbers, hand-worked steps, the published schedule."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flipjax.core.errors import ConfigError
from flipjax.core.method import OptimizerSpec, Stage
from flipjax.training import optim

EVERYTHING = ((".*", True),)
ADAM_L2 = OptimizerSpec("adam_l2", lr=1e-6, weight_decay=1e-6)
# InstructFLIP: AdamW, peak 5e-6, a tenth of the run up, start and end at a tenth of the peak, b1 0.95 -> 0.85 -> 0.95.
ONE_CYCLE = OptimizerSpec(
    "adamw_one_cycle",
    lr=5e-6,
    weight_decay=1e-7,
    warmup_fraction=0.1,
    start_divisor=10.0,
    final_divisor=1.0,
    cycle_b1=(0.95, 0.85),
)
# step: (rate, b1) of PyTorch's OneCycleLR over 1080 steps.
PUBLISHED = {
    0: (5.000000e-7, 0.950000),
    1: (5.009697e-7, 0.949978),
    54: (2.783030e-6, 0.899266),
    107: (5.0e-6, 0.85),
    108: (4.999988e-6, None),
    540: (3.133545e-6, 0.891477),
    1079: (5.0e-7, 0.95),
}


def run(spec: OptimizerSpec, start: float, gradients: list[float], dtype: str, steps: int = 10) -> list[float]:
    """Returns a scalar weight after each gradient."""
    tx = optim.build(Stage(steps, EVERYTHING, spec))
    weight = {"w": jnp.asarray(start, dtype)}
    state, path = tx.init(weight), []
    update = jax.jit(tx.update)
    for gradient in gradients:
        updates, state = update({"w": jnp.asarray(gradient, dtype)}, state, weight)
        weight = optax.apply_updates(weight, updates)
        path.append(weight["w"])
    return [float(value) for value in path]


def test_golden_adam_l2_path() -> None:
    # Three updates in float64; decay outside the moments (AdamW) would differ in the 13th digit already.
    with jax.enable_x64(True):
        path = run(ADAM_L2, 0.3, [0.5, -0.2, 1e-7], "float64")
    np.testing.assert_allclose(path, [0.29999900000002, 0.2999986543935004, 0.29999838723818567], rtol=0, atol=2e-15)


def test_golden_adam_l2_path_in_float32() -> None:
    # Only the distance travelled, since 0.3 itself has a step of 3e-8 in float32; the rate is raised a thousandfold.
    spec = OptimizerSpec("adam_l2", lr=1e-3, weight_decay=1e-6)
    moved = 0.3 - np.array(run(spec, 0.3, [0.5, -0.2, 1e-7], "float32"))
    np.testing.assert_allclose(
        moved / 1e3, 0.3 - np.array([0.29999900000002, 0.2999986543935, 0.2999983872382]), rtol=2e-4
    )


def test_decay_joins_the_gradient_before_the_moments() -> None:
    # Without a gradient Adam rescales the decay to a full step of lr; AdamW would take lr * decay * w.
    path = run(OptimizerSpec("adam_l2", lr=1e-3, weight_decay=1e-2), 0.5, [0.0, 0.0], "float32")
    assert path[0] == pytest.approx(0.499, abs=1e-6) and path[1] == pytest.approx(0.498, abs=1e-6)


@pytest.mark.parametrize("step", PUBLISHED)
def test_one_cycle_is_the_published_schedule(step) -> None:
    rate, b1 = PUBLISHED[step]
    stage = Stage(1080, EVERYTHING, ONE_CYCLE)
    assert float(optim.learning_rate(stage)(step)) == pytest.approx(rate, rel=2e-6)
    if b1 is not None:
        high, low = ONE_CYCLE.cycle_b1
        assert float(optim.one_cycle(high, low, high, ONE_CYCLE, 1080)(step)) == pytest.approx(b1, abs=1e-6)


def test_updates_use_rate_and_b1_of_their_step() -> None:
    tx = optim.build(Stage(1080, EVERYTHING, ONE_CYCLE))
    weight = {"w": jnp.ones(())}
    state = tx.init(weight)
    update = jax.jit(tx.update)
    for step in range(55):
        _, state = update({"w": jnp.ones(())}, state, weight)
        if step in PUBLISHED:
            rate, b1 = PUBLISHED[step]
            assert float(state.hyperparams["learning_rate"]) == pytest.approx(rate, rel=1e-5)
            assert float(state.hyperparams["b1"]) == pytest.approx(b1, abs=1e-5)


def test_adamw_under_one_cycle_by_hand() -> None:
    spec = OptimizerSpec("adamw_one_cycle", lr=0.1, weight_decay=0.5, start_divisor=4.0, cycle_b1=(0.95, 0.85))
    gradients, steps = [0.3, -0.2, 0.4, 0.1], 20  # the peak is at step 1, so both halves of the cycle are walked
    stage = Stage(steps, EVERYTHING, spec)
    rate_at, b1_at = optim.learning_rate(stage), optim.one_cycle(0.95, 0.85, 0.95, spec, steps)
    assert float(rate_at(0)) == pytest.approx(0.025) and float(rate_at(1)) == pytest.approx(0.1)
    weight, m, v, expected = 1.0, 0.0, 0.0, []
    for step, gradient in enumerate(gradients):
        rate, b1, b2 = float(rate_at(step)), float(b1_at(step)), 0.999
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        # PyTorch: the correction takes the current b1 to the power of the update count.
        direction = m / (1 - b1 ** (step + 1)) / (np.sqrt(v / (1 - b2 ** (step + 1))) + 1e-8)
        weight -= rate * (direction + 0.5 * weight)
        expected.append(weight)
    np.testing.assert_allclose(run(spec, 1.0, gradients, "float32", steps), expected, rtol=1e-5)


def test_b1_stays_where_no_cycle_is_named() -> None:
    spec = OptimizerSpec("adamw_one_cycle", lr=1e-3, weight_decay=0.0, b1=0.8)
    tx = optim.build(Stage(10, EVERYTHING, spec))
    weight = {"w": jnp.ones(())}
    state = tx.init(weight)
    for _ in range(2):
        _, state = tx.update({"w": jnp.ones(())}, state, weight)
    assert float(state.hyperparams["b1"]) == pytest.approx(0.8)


@pytest.mark.parametrize("steps", [1, 2, 3, 9, 10, 11])
def test_one_cycle_of_a_short_stage_stays_between_its_ends(steps) -> None:
    spec = OptimizerSpec("adamw_one_cycle", lr=1.0, weight_decay=0.0, start_divisor=10.0, final_divisor=10.0)
    rates = [float(optim.learning_rate(Stage(steps, EVERYTHING, spec))(step)) for step in range(steps + 2)]
    assert all(0.01 - 1e-7 <= rate <= 1.0 for rate in rates)
    if steps > 2:
        assert rates[steps - 1] == pytest.approx(0.01, rel=1e-4) and rates[steps] == rates[steps - 1]


def test_adam_l2_has_a_constant_rate() -> None:
    rate = optim.learning_rate(Stage(10, EVERYTHING, ADAM_L2))
    assert [float(rate(step)) for step in (0, 5, 4000)] == [1e-6] * 3


def test_unknown_kind() -> None:
    with pytest.raises(ConfigError, match=r"optim\.kind 'sgd' unknown; expected adam_l2 or adamw_one_cycle"):
        optim.build(Stage(1, EVERYTHING, OptimizerSpec("sgd", lr=1.0, weight_decay=0.0)))
