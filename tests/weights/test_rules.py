"""The engine of the weight tables: strict both ways, all problems at once, and every transform."""

import jax
import numpy as np
import pytest

from flipjax.core.errors import WeightError
from flipjax.weights.rules import Reason, Rule, Table, apply, choose, under
from flipjax.weights.transforms import Slot, chain, class_rows, convolution, position_table, token_table, transposed

TABLE = Table(
    name="toy",
    signature=("a.weight",),
    rules=(
        Rule(r"([a-c])\.weight", (r"\1/kernel",), transposed),
        Rule(r"qkv", ("q", "k", "v"), transposed),
        Rule(r"also_a", ("a/kernel",), transposed),
        Rule(r"extra\.(\w+)", (r"extra/\1",)),
    ),
    dropped=(Reason(r"step", "a counter"),),
    optional=(Reason(r"extra/.*", "this method has no extra"),),
)


def tensors() -> dict[str, np.ndarray]:
    return {
        "a.weight": np.arange(6, dtype=np.float16).reshape(2, 3),
        "qkv": np.arange(12, dtype=np.float64).reshape(6, 2),
        "extra.x": np.ones(2, np.float32),
        "step": np.array(3),
    }


def target(**more) -> dict:
    leaf = jax.ShapeDtypeStruct
    return {"a": {"kernel": leaf((3, 2), np.float32)}, **{n: leaf((2, 2), np.float32) for n in "qkv"}, **more}


def test_fills_every_leaf_in_float32() -> None:
    tree = apply(TABLE, tensors(), target(extra={"x": np.zeros(2)}))
    np.testing.assert_array_equal(tree["a"]["kernel"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(tree["q"], [[0, 2], [1, 3]])
    np.testing.assert_array_equal(tree["k"], [[4, 6], [5, 7]])
    np.testing.assert_array_equal(tree["v"], [[8, 10], [9, 11]])
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {np.dtype(np.float32)}
    assert jax.tree.structure(tree) == jax.tree.structure(target(extra={"x": np.zeros(2)}))


def test_an_optional_part_may_be_missing_as_a_whole_only() -> None:
    assert "extra" not in apply(TABLE, tensors(), target())
    with pytest.raises(WeightError, match=r"'extra\.x' has no place.*'extra/y' of the model is not in the file"):
        apply(TABLE, tensors(), target(extra={"y": np.zeros(2)}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unknown": np.zeros(1, np.float32)}, "'unknown' is not part of the format"),
        ({"b.weight": np.zeros((1, 1), np.float32)}, "'b.weight' has no place in the model"),
        ({"also_a": np.zeros((2, 3), np.float32)}, "'a/kernel' is filled twice, the second time by 'also_a'"),
        ({"a.weight": np.zeros((3, 2), np.float32)}, r"gives shape \(2, 3\) for 'a/kernel' of shape \(3, 2\)"),
        ({"a.weight": np.full((2, 3), np.nan, np.float32)}, "not finite"),
        ({"a.weight": np.full((2, 3), 1e300)}, "not finite"),
        ({"a.weight": np.zeros((2, 3), np.int64)}, "int64 values where floating-point"),
        ({"qkv": np.zeros((5, 2), np.float32)}, "cannot be cut into 3 equal parts"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_problems_are_named(change, message) -> None:
    with pytest.raises(WeightError, match=message) as caught:
        apply(TABLE, tensors() | change, target(), source="x.pt")
    assert str(caught.value).startswith("x.pt, read as toy, does not fit the model (")
    assert "\n" not in str(caught.value)


def test_all_problems_are_counted_and_three_are_shown() -> None:
    junk = {f"junk{i}": np.zeros(1, np.float32) for i in range(5)}
    with pytest.raises(WeightError, match=r"\(5 problems\): 'junk0'.*'junk1'.*'junk2'.*; and 2 more$"):
        apply(TABLE, tensors() | junk, target())
    with pytest.raises(WeightError, match=r"\(1 problem\): 'a/kernel' of the model is not in the file$"):
        apply(TABLE, {k: v for k, v in tensors().items() if k != "a.weight"}, target())


def test_choose_takes_the_first_format_that_fits_and_names_what_it_sees() -> None:
    other = Table(name="other", signature=("z",), rules=())
    assert choose((other, TABLE), tensors()).name == "toy"
    with pytest.raises(WeightError, match=r"w is none of the expected formats \(other\): it holds 4 arrays such as"):
        choose((other,), tensors(), source="w")
    with pytest.raises(WeightError, match="holds no arrays"):
        choose((other,), {})


def test_under_takes_the_prefix_literally() -> None:
    (rule,) = under([Rule("w", ("k",))], source="a.", target="b/")
    table = Table(name="t", signature=(), rules=(rule,))
    assert apply(table, {"a.w": np.ones(1, np.float32)}, {"b": {"k": np.zeros(1)}})["b"]["k"] == 1
    with pytest.raises(WeightError, match="not part of the format"):
        apply(table, {"axw": np.ones(1, np.float32)}, {"b": {"k": np.zeros(1)}})


def test_convolution_layout() -> None:
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    y = convolution(x, Slot("k", (4, 5, 3, 2)))
    assert y.shape == (4, 5, 3, 2) and y[1, 2, 0, 1] == x[1, 0, 1, 2]
    with pytest.raises(WeightError, match="4 axes"):
        convolution(x[0], Slot("k", ()))


def test_token_table_keeps_the_rows_that_are_read() -> None:
    x = np.arange(10.0).reshape(5, 2)
    np.testing.assert_array_equal(token_table(x, Slot("t", (2, 2), token_rows=(0, 4))), [[0, 1], [8, 9]])
    assert token_table(x, Slot("t", (5, 2))) is x
    with pytest.raises(WeightError, match="row 5 is wanted but the table has 5 rows"):
        token_table(x, Slot("t", (2, 2), token_rows=(0, 5)))


def test_class_rows_become_attack_then_bona_fide() -> None:
    rows = np.array([[1.0, 1.0], [2.0, 2.0]])
    np.testing.assert_array_equal(class_rows("flip")(rows, Slot("c", (2, 2))), rows)
    np.testing.assert_array_equal(class_rows("instructflip")(rows, Slot("c", (2, 2))), rows[::-1])
    kernel = chain(class_rows("instructflip"), transposed)(np.arange(6.0).reshape(2, 3), Slot("c", (3, 2)))
    np.testing.assert_array_equal(kernel, [[3, 0], [4, 1], [5, 2]])
    with pytest.raises(WeightError, match="2 rows"):
        class_rows("flip")(np.zeros((3, 2)), Slot("c", (2, 2)))


@pytest.mark.parametrize(("old", "new"), [(14, 16), (14, 7), (7, 24), (3, 5), (16, 14), (4, 1)])
def test_position_table_equals_torch_bicubic(old, new) -> None:
    try:
        import torch
    except ImportError:
        pytest.skip("torch is not installed")
    x = np.random.default_rng(0).normal(size=(1 + old * old, 6)).astype(np.float32)
    ours = position_table(x, Slot("position_embedding", (1 + new * new, 6)))
    grid = torch.from_numpy(x[1:]).reshape(1, old, old, 6).permute(0, 3, 1, 2)
    theirs = torch.nn.functional.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
    np.testing.assert_array_equal(ours[0], x[0])
    np.testing.assert_allclose(ours[1:].reshape(new, new, 6), theirs[0].permute(1, 2, 0).numpy(), atol=2e-5)
    assert ours.dtype == np.float32


def test_position_table_of_the_same_grid_is_untouched_and_others_must_be_square() -> None:
    x = np.zeros((5, 2), np.float32)
    assert position_table(x, Slot("p", (5, 2))) is x
    with pytest.raises(WeightError, match="not both 1 \\+ a square grid"):
        position_table(np.zeros((7, 2), np.float32), Slot("p", (5, 2)))


LAYERED = Table(
    name="layered",
    signature=(),
    rules=(Rule(r"layer\.(\d+)", (r"layers_\1/kernel",)), Rule(r"pair\.(\d+)", (r"layers_\1/a", r"layers_\1/b"))),
    spare=(Reason(r"layers_\d+/.*", "beyond this depth"),),
    fresh=(Reason(r"layers_\d+/new/.*", "new here"), Reason(r"queries", "new here")),
)


def layer(**more) -> dict:
    return {"kernel": np.zeros(2), **more}


def test_spare_layers_are_left_out_one_by_one() -> None:
    file = {f"layer.{i}": np.full(2, i, np.float32) for i in range(4)}
    tree = apply(LAYERED, file, {"layers_0": layer(), "layers_2": layer()})
    assert {name: part["kernel"].tolist() for name, part in tree.items()} == {"layers_0": [0, 0], "layers_2": [2, 2]}


def test_spare_is_no_excuse_for_keys_or_leaves_of_other_names() -> None:
    with pytest.raises(WeightError, match=r"\(1 problem\): 'layers_1/kernel' of the model is not in the file$"):
        apply(LAYERED, {"layer.0": np.ones(2, np.float32)}, {"layers_0": layer(), "layers_1": layer()})
    with pytest.raises(WeightError, match=r"'layer\.x' is not part of the format"):
        apply(LAYERED, {"layer.x": np.ones(2, np.float32)}, {})
    strict = Table(name="strict", signature=(), rules=LAYERED.rules)
    with pytest.raises(WeightError, match=r"'layer\.1' has no place in the model \('layers_1/kernel'"):
        apply(strict, {"layer.1": np.ones(2, np.float32)}, {})


def test_half_of_a_fused_array_is_not_dropped_in_silence() -> None:
    with pytest.raises(WeightError, match=r"'layers_0/a' of the model is not in the file"):
        apply(LAYERED, {"pair.0": np.ones(4, np.float32)}, {"layers_0": {"a": np.zeros(2)}})


def test_fresh_leaves_are_absent_from_the_result() -> None:
    target = {"queries": np.zeros(3), "layers_0": layer(new={"kernel": np.zeros(1)})}
    tree = apply(LAYERED, {"layer.0": np.ones(2, np.float32)}, target)
    assert set(tree) == {"layers_0"} and set(tree["layers_0"]) == {"kernel"}
