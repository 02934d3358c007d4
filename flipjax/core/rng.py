"""Named random streams: every draw depends on (seed, name, step, slot) alone, never on who drew before.

JAX code takes a key from `stream`; host code takes a NumPy generator from `host_stream`.
"""

import zlib

import jax
import numpy as np
from jaxtyping import Array, Key


def _tag(name: str) -> int:
    return zlib.crc32(name.encode())


def stream(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """Returns the key of the stream `name` under `key`."""
    return jax.random.fold_in(key, _tag(name))


def per_slot(key: Key[Array, ""], count: int) -> Key[Array, "{count}"]:
    """Returns one key per batch slot; slot i gets the same key whatever the padding behind it."""
    return jax.vmap(lambda slot: jax.random.fold_in(key, slot))(jax.numpy.arange(count))


def host_stream(name: str, *numbers: int) -> np.random.Generator:
    """Returns a NumPy generator for (name, numbers), such as ("augment", seed, step, slot).

    Example:
      >>> host_stream("a", 1, 2).random() == host_stream("a", 1, 2).random()
      True
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((_tag(name), *numbers))))
