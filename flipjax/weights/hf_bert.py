"""Names of BERT in the Hugging Face format as weight tables that start a Q-Former: torch-style and Flax-style.

Embeddings and the first layers are taken (self-attention, and the feed-forward net for the text); cross-attention, the
queries and their feed-forward net are new in a Q-Former and keep their fresh values. Files may have any number of layers
and come with or without the prefix `bert`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flipjax.weights.rules import Reason, Rule, Table
from flipjax.weights.transforms import Slot, Transform, same, token_table, transposed

BODY_LINEARS = {
    "attention.self.query": "attn/query",
    "attention.self.key": "attn/key",
    "attention.self.value": "attn/value",
    "attention.output.dense": "attn/out",
    "intermediate.dense": "text_mlp/fc1",
    "output.dense": "text_mlp/fc2",
}
BODY_NORMS = {"attention.output.LayerNorm": "attn/ln", "output.LayerNorm": "text_mlp/ln"}
CROSS_LINEARS = {
    "crossattention.self.query": "cross/query",
    "crossattention.self.key": "cross/key",
    "crossattention.self.value": "cross/value",
    "crossattention.output.dense": "cross/out",
    "intermediate_query.dense": "query_mlp/fc1",
    "output_query.dense": "query_mlp/fc2",
}
CROSS_NORMS = {"crossattention.output.LayerNorm": "cross/ln", "output_query.LayerNorm": "query_mlp/ln"}


@dataclass(frozen=True)
class Style:
    """How a format spells names: what joins them, and the last names (patterns) of its arrays."""

    separator: str
    kernel: str
    scale: str
    shift: str
    table: str
    to_kernel: Transform

    def join(self, *parts: str) -> str:
        return re.escape(self.separator).join(parts)


# Old torch files, such as the published bert-base-uncased, call norm weights gamma and beta.
TORCH = Style(".", "weight", "(?:weight|gamma)", "(?:bias|beta)", "weight", transposed)
FLAX = Style("/", "kernel", "scale", "bias", "embedding", same)


def word_table(x: np.ndarray, slot: Slot) -> np.ndarray:
    """BERT's word table [30522, d]; the one row that the published Q-Former adds ([DEC], never read) is their mean."""
    rows = token_table(x, slot)
    if slot.token_rows is None and len(rows) + 1 == slot.shape[0]:
        rows = np.concatenate([rows, rows.mean(axis=0, keepdims=True)])
    return rows


def layer_rules(
    linears: Mapping[str, str], norms: Mapping[str, str], style: Style, prefix: str = ""
) -> tuple[Rule, ...]:
    """Returns the rules of every layer for arrays below the literal or pattern `prefix`."""

    def key(part: str, last: str) -> str:
        middle = style.join("encoder", "layer", r"(\d+)", *part.split("."))
        return f"{prefix}{middle}{re.escape(style.separator)}{last}"

    rules = []
    for part, path in linears.items():
        rules.append(Rule(key(part, style.kernel), (rf"layers_\1/{path}/kernel",), style.to_kernel))
        rules.append(Rule(key(part, "bias"), (rf"layers_\1/{path}/bias",)))
    for part, path in norms.items():
        rules.append(Rule(key(part, style.scale), (rf"layers_\1/{path}/scale",)))
        rules.append(Rule(key(part, style.shift), (rf"layers_\1/{path}/bias",)))
    return tuple(rules)


def embedding_rules(style: Style, prefix: str = "") -> tuple[Rule, ...]:
    """Returns the rules of word and position table and their norm."""
    return tuple(
        Rule(prefix + style.join("embeddings", part, last), (path,), transform)
        for part, last, path, transform in (
            ("word_embeddings", style.table, "embed/word_embedding", word_table),
            ("position_embeddings", style.table, "embed/position_embedding", same),
            ("LayerNorm", style.scale, "embed/ln/scale", same),
            ("LayerNorm", style.shift, "embed/ln/bias", same),
        )
    )


def _table(name: str, style: Style, prefix: str) -> Table:
    first = style.join("embeddings", "word_embeddings", style.table).replace("\\", "")
    literal = prefix + style.separator if prefix else ""
    return Table(
        name=name,
        signature=(literal + first,),
        rules=(
            *embedding_rules(style, re.escape(literal)),
            *layer_rules(BODY_LINEARS, BODY_NORMS, style, re.escape(literal)),
        ),
        dropped=(
            Reason(r".*token_type_embeddings.*", "a Q-Former has no token types"),
            Reason(r".*position_ids", "a running index"),
            Reason(r".*pooler.*", "the pooled output is not read"),
            Reason(r"cls[./].*", "the language model head is not read"),
        ),
        spare=(Reason(r"layers_\d+/.*", "layers beyond the depth of this Q-Former"),),
        fresh=(
            Reason(r"embed/queries", "new in a Q-Former"),
            Reason(r"layers_\d+/(cross|query_mlp)/.*", "new in a Q-Former"),
        ),
    )


TABLES: tuple[Table, ...] = tuple(
    _table(f"Hugging Face BERT ({flavour} names{', bare' * (not prefix)})", style, prefix)
    for flavour, style in (("torch", TORCH), ("Flax", FLAX))
    for prefix in ("bert", "")
)
