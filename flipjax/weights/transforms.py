"""What happens to one array between another project's checkpoint and our tree.

A transform takes the source array and the slot it must fill and returns the array in our layout; its shape
is checked afterwards.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from absl import logging

from flipjax.core.errors import WeightError
from flipjax.core.labels import ATTACK, BONA_FIDE, UPSTREAM_POSITIVE


@dataclass(frozen=True)
class Slot:
    """Where an array goes: its path and shape in our tree, and the vocabulary rows to keep (None: all)."""

    path: str
    shape: tuple[int, ...]
    token_rows: tuple[int, ...] | None = None


Transform = Callable[[np.ndarray, Slot], np.ndarray]


def same(x: np.ndarray, slot: Slot) -> np.ndarray:
    """The array as it is."""
    return x


def transposed(x: np.ndarray, slot: Slot) -> np.ndarray:
    """A torch linear weight [out, in] as a kernel [in, out]."""
    return x.T


def convolution(x: np.ndarray, slot: Slot) -> np.ndarray:
    """A torch convolution weight [out, in, h, w] as a kernel [h, w, in, out]."""
    if x.ndim != 4:
        raise WeightError(f"a convolution weight has 4 axes, this one has shape {x.shape}")
    return x.transpose(2, 3, 1, 0)


def token_table(x: np.ndarray, slot: Slot) -> np.ndarray:
    """A vocabulary table [v, d], or only those of its rows that the method reads."""
    if slot.token_rows is None:
        return x
    if max(slot.token_rows) >= len(x):
        raise WeightError(f"vocabulary row {max(slot.token_rows)} is wanted but the table has {len(x)} rows")
    return x[list(slot.token_rows)]


def class_rows(project: str) -> Transform:
    """Returns the transform that puts the rows of a two-class layer of 'flip' or 'instructflip' into our class order.

    Row 0 becomes attack and row 1 bona fide; the identity for FLIP, whose rows are (spoof, real).
    """
    upstream_one = UPSTREAM_POSITIVE[project]
    row_of = {upstream_one: 1, (BONA_FIDE if upstream_one == ATTACK else ATTACK): 0}
    order = [row_of[ATTACK], row_of[BONA_FIDE]]

    def reorder(x: np.ndarray, slot: Slot) -> np.ndarray:
        if len(x) != 2:
            raise WeightError(f"a two-class layer has 2 rows, this one has {len(x)}")
        return x[order]

    return reorder


def chain(*steps: Transform) -> Transform:
    """Returns the transform that applies `steps` in order."""

    def apply_all(x: np.ndarray, slot: Slot) -> np.ndarray:
        for step in steps:
            x = step(x, slot)
        return x

    return apply_all


def position_table(x: np.ndarray, slot: Slot) -> np.ndarray:
    """An image position table [1+g*g, d], resized to the grid of the slot where that differs.

    The class row is kept; the grid is interpolated bicubically with half-pixel centres (a = -0.75, no antialiasing),
    which is torch's bicubic interpolation with align_corners=False. Source: cv2.INTER_CUBIC.
    """
    if x.shape == slot.shape or x.ndim != 2:
        return x
    old, new = math.isqrt(len(x) - 1), math.isqrt(slot.shape[0] - 1)
    if old * old != len(x) - 1 or new * new != slot.shape[0] - 1:
        raise WeightError(f"{len(x)} and {slot.shape[0]} positions are not both 1 + a square grid")
    logging.info("%s: positions resized from %dx%d to %dx%d patches", slot.path, old, old, new, new)
    resize = _bicubic_matrix(old, new)
    grid = x[1:].astype(np.float64).reshape(old, old, -1)
    resized = np.einsum("ih,jw,hwd->ijd", resize, resize, grid, optimize=True).reshape(new * new, -1)
    return np.concatenate([x[:1], resized]).astype(np.float32)


def _bicubic_matrix(old: int, new: int) -> np.ndarray:
    """[new, old] weights of one-axis bicubic interpolation."""
    import cv2

    return np.asarray(cv2.resize(np.eye(old), (old, new), interpolation=cv2.INTER_CUBIC)).reshape(new, old)
