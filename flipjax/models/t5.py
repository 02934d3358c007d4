"""FLAN-T5 (Chung et al. 2022, on T5 v1.1) of any size, fed with embeddings so that soft prompts fit.

There is no dropout: the network is only ever used frozen. Logits are float32 and come from an untied head, without the
rescaling of the first T5. Letters: b batch, n encoder positions, t answer tokens, q decoder inputs, v vocabulary.

Known difference: FLAN-T5 was trained with the tanh form of GELU; the InstructFLIP code runs it with the exact form.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from flipjax.models.t5_layers import Memory, T5Size, T5Stack

START = 0  # T5 starts every answer with its padding token
PADDING = 0
END = 1


class T5(nn.Module):
    """Encoder and decoder; call its methods through models.layers.run. `remat` recomputes blocks in the backward pass."""

    size: T5Size
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        size = self.size
        self.shared = self.param("shared", nn.initializers.normal(1.0), (size.vocab, size.width), jnp.float32)
        self.encoder = T5Stack(size, has_cross=False, dtype=self.dtype, remat=self.remat)
        self.decoder = T5Stack(size, has_cross=True, dtype=self.dtype, remat=self.remat)
        self.lm_head = LmHead(size.vocab, dtype=self.dtype)

    def __call__(
        self,
        ids: Int[Array, "b n"],
        mask: Bool[Array, "b n"],
        answer_ids: Int[Array, "b t"],
        answer_mask: Bool[Array, "b t"],
    ) -> Float[Array, "b t v"]:
        """Logits of the answer tokens after plain text; touches every parameter."""
        return self.decode(self.encode(self.embed(ids), mask), mask, answer_ids, answer_mask)

    def embed(self, ids: Int[Array, "*s"]) -> Float[Array, "*s d"]:
        """Returns rows of the token table, float32."""
        return self.shared[ids].astype(jnp.float32)

    def encode(self, embeddings: Float[Array, "b n d"], mask: Bool[Array, "b n"]) -> Float[Array, "b n d"]:
        """Returns the encoder's states after its final norm; positions with a False mask are read by none."""
        positions = np.arange(embeddings.shape[1])
        bias = self.encoder.bias(positions, positions)
        return self.encoder(embeddings.astype(jnp.float32), mask[:, None, :], bias)[0]

    def decode(
        self,
        encoded: Float[Array, "b n d"],
        encoded_mask: Bool[Array, "b n"],
        answer_ids: Int[Array, "b t"],
        answer_mask: Bool[Array, "b t"],
    ) -> Float[Array, "b t v"]:
        """Returns the logits of every answer token given those before it (teacher forcing).

        Token i is predicted from the start token and tokens 0 .. i-1. Position j is read where `answer_mask[j]` holds, the
        mask of the answers before shifting, as the InstructFLIP code hands it to the decoder. A row without an answer gives
        finite logits without meaning.
        """
        positions = np.arange(answer_ids.shape[1])
        mask = jnp.asarray(positions[None, :] <= positions[:, None]) & answer_mask[:, None, :]
        cross = self.cross_memories(encoded)
        return self.predict(shift_right(answer_ids, answer_mask), positions, mask, cross, encoded_mask)

    def cross_memories(self, encoded: Float[Array, "b n d"]) -> tuple[Memory, ...]:
        """Returns what the decoder's blocks read of `encoded`, computed once for any number of answers and tokens."""
        return self.decoder.cross_memories(encoded)

    def predict(
        self,
        inputs: Int[Array, "#b q"],
        positions: Int[np.ndarray, "q"],
        mask: Bool[Array, "#b q q"],
        cross: tuple[Memory, ...],
        encoded_mask: Bool[Array, "b n"],
    ) -> Float[Array, "b q v"]:
        """Returns next-token logits of decoder inputs at the given positions; mask[q, m]: input q reads input m.

        Inputs that all rows share may come with a batch of one; what does not depend on `cross` is then computed once.
        """
        bias = self.decoder.bias(positions, positions)
        states, _ = self.decoder(self.embed(inputs), mask, bias, (cross, encoded_mask[:, None, :]))
        return self.lm_head(states)

    def step(
        self,
        token: Int[Array, "b"],
        index: Int[Array, ""],
        cross: tuple[Memory, ...],
        encoded_mask: Bool[Array, "b n"],
        caches: tuple[Memory, ...],
    ) -> tuple[Float[Array, "b v"], tuple[Memory, ...]]:
        """Returns next-token logits of the input at position `index` and the caches with that input in them."""
        positions = np.arange(caches[0].keys.shape[1])
        bias = jax.lax.dynamic_slice_in_dim(self.decoder.bias(positions, positions), index, 1, axis=1)
        mask = jnp.asarray(positions <= index)[None, None, :]
        cross_and_mask = (cross, encoded_mask[:, None, :])
        states, caches = self.decoder(self.embed(token)[:, None, :], mask, bias, cross_and_mask, (caches, index))
        return self.lm_head(states)[:, 0], caches


def shift_right(ids: Int[Array, "b t"], mask: Bool[Array, "b t"]) -> Int[Array, "b t"]:
    """Returns the decoder's inputs for answers `ids`: the start token, then all but the last id; masked ids count as padding."""
    ids = jnp.where(mask, ids, PADDING)
    return jnp.concatenate([jnp.full_like(ids[:, :1], START), ids[:, :-1]], axis=1)


class LmHead(nn.Module):
    """Logits over the vocabulary, float32 whatever the compute type; not tied to the input table, no rescaling."""

    vocab: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b q d"]) -> Float[Array, "b q v"]:
        # Logits of order 3: a random model that a soft prompt can still steer. Upstream starts at std 1.
        init = nn.initializers.normal(3 * x.shape[-1] ** -0.5)
        kernel = self.param("kernel", init, (x.shape[-1], self.vocab), jnp.float32).astype(self.dtype)
        return jnp.einsum("bqd,dv->bqv", x.astype(self.dtype), kernel, preferred_element_type=jnp.float32)
