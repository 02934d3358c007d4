"""Checkpoints written by the released InstructFLIP code, every branch ablation included, as one weight table.

The target is {"params": ..., "frozen": ...} of the method. Class rows are (real, fake) upstream and are swapped here. The
files hold the language model too; `frozen/t5` may be missing where only scores are wanted.
"""

import re

import numpy as np

from flipjax.weights import hf_bert
from flipjax.weights.hf_bert import TORCH, embedding_rules, layer_rules
from flipjax.weights.hf_t5 import TORCH_DROPPED, TORCH_RULES
from flipjax.weights.openai_clip import IMAGE_RULES, linear, norm
from flipjax.weights.rules import Reason, Rule, Table, under
from flipjax.weights.transforms import Slot, chain, class_rows, convolution, transposed

_CLASS_ROWS = class_rows("instructflip")
_FUSION = r"fusion_modulator\.blocks\.0\."


def _single(x: np.ndarray, slot: Slot) -> np.ndarray:
    """An array [1, ...] without its first axis."""
    return x[0]


def _qformer(branch: str) -> tuple[Rule, ...]:
    rules = (
        *embedding_rules(TORCH),
        *layer_rules(
            {**hf_bert.BODY_LINEARS, **hf_bert.CROSS_LINEARS}, {**hf_bert.BODY_NORMS, **hf_bert.CROSS_NORMS}, TORCH
        ),
    )
    target = f"params/{branch}/"
    queries = Rule(f"{branch}_query_tokens", (target + "embed/queries",), _single)
    return (queries, *under(rules, source=f"{branch}_Qformer.bert.", target=target))


_FUSION_RULES: tuple[Rule, ...] = (
    Rule(
        _FUSION + r"mha\.Wqkv\.weight",
        tuple(f"params/fusion/attn/{name}/kernel" for name in ("query", "key", "value")),
        transposed,
    ),
    Rule(_FUSION + r"mha\.Wqkv\.bias", tuple(f"params/fusion/attn/{name}/bias" for name in ("query", "key", "value"))),
    *norm(_FUSION + r"mha\.q_ln", "params/fusion/attn/ln_query"),
    *norm(_FUSION + r"mha\.k_ln", "params/fusion/attn/ln_key"),
    *linear(_FUSION + r"mha\.out_proj", "params/fusion/attn/out"),
    Rule(_FUSION + r"ca\.null_kv", ("params/fusion/cross/null_kv",)),
    *norm(_FUSION + r"ca\.norm", "params/fusion/cross/ln"),
    *norm(_FUSION + r"ca\.norm_context", "params/fusion/cross/ln_context"),
    Rule(_FUSION + r"ca\.to_q\.weight", ("params/fusion/cross/query/kernel",), transposed),
    Rule(
        _FUSION + r"ca\.to_kv\.weight",
        ("params/fusion/cross/key/kernel", "params/fusion/cross/value/kernel"),
        transposed,
    ),
    Rule(_FUSION + r"ca\.to_out\.0\.weight", ("params/fusion/cross/out/kernel",), transposed),
    *norm(_FUSION + r"ca\.to_out\.1", "params/fusion/cross/ln_out"),
    *norm(_FUSION + r"ffn\.0", "params/fusion/ln"),
    *linear(_FUSION + r"ffn\.1", "params/fusion/fc1"),
    *linear(_FUSION + r"ffn\.3", "params/fusion/fc2"),
)
_HEAD_RULES: tuple[Rule, ...] = (
    *linear("t5_proj", "params/t5_proj"),
    Rule(r"cls_layer\.layer\.weight", ("params/classifier/kernel",), chain(_CLASS_ROWS, transposed)),
    Rule(r"cls_layer\.layer\.bias", ("params/classifier/bias",), _CLASS_ROWS),
    *linear(r"(content|style)_head\.layer", r"params/\1_head"),
    Rule(r"cue_generator\.(conv\d)\.weight", (r"params/cue/\1/kernel",), convolution),
    Rule(r"cue_generator\.(conv\d)\.bias", (r"params/cue/\1/bias",)),
)
_RULES: tuple[Rule, ...] = (
    *under(IMAGE_RULES, source="visual_encoder.model.", target="params/clip/image/"),
    *_qformer("content"),
    *_qformer("style"),
    *_FUSION_RULES,
    *_HEAD_RULES,
    *under(TORCH_RULES, source="t5_model.", target="frozen/t5/"),
)
_DROPPED: tuple[Reason, ...] = (
    Reason(r"visual_encoder\.model\.proj", "the projection is not read"),
    Reason(r"ssl_mlp\..*", "the self-supervised branch is unused in every published configuration"),
    Reason(r"(content|style)_Qformer\.bert\.embeddings\.position_ids", "a running index"),
    Reason(
        r"t5_model\..*\.weight\.((nested_)?(absmax|quant_map)|quant_state\..*)", "scales of the 4-bit language model"
    ),
    *(Reason(r"t5_model\." + item.pattern, item.reason) for item in TORCH_DROPPED),
)


def _table(name: str, prefix: str) -> Table:
    return Table(
        name=name,
        signature=(f"{prefix}visual_encoder.model.conv1.weight", f"{prefix}cls_layer.layer.weight"),
        rules=under(_RULES, source=prefix, target=""),
        dropped=tuple(Reason(re.escape(prefix) + f"(?:{item.pattern})", item.reason) for item in _DROPPED),
        optional=(Reason(r"frozen/t5/.*", "scoring needs no language model"),),
    )


# The training checkpoints nest the network under `model`, which the release takes away before it loads them.
TABLES: tuple[Table, ...] = (
    _table("official InstructFLIP", ""),
    _table("official InstructFLIP (training checkpoint)", "model."),
)
