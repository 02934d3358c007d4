"""Names of OpenAI's CLIP checkpoints (TorchScript archives such as ViT-B-16.pt, or state dicts) as a weight table.

Fills the tree of flipjax/models/clip.py: `image`, `text` and `logit_scale`, the last two and `image/proj` where the
target has them. Linear weights are stored [out, in]; `proj` and `text_projection` are plain [in, out] matrices.
"""

from flipjax.weights.rules import Reason, Rule, Table, under
from flipjax.weights.transforms import convolution, position_table, same, token_table, transposed

NO_TEXT_TOWER = "this method has no text tower"
NO_PROJECTION = "this method reads the image feature before the projection"
NO_TEMPERATURE = "this method compares no image with text"

_BLOCK = r"transformer\.resblocks\.(\d+)\."


def norm(source: str, target: str) -> tuple[Rule, ...]:
    """The two rules of a torch layer or batch norm."""
    return (Rule(source + r"\.weight", (target + "/scale",)), Rule(source + r"\.bias", (target + "/bias",)))


def linear(source: str, target: str) -> tuple[Rule, ...]:
    """The two rules of a torch linear layer."""
    return (
        Rule(source + r"\.weight", (target + "/kernel",), transposed),
        Rule(source + r"\.bias", (target + "/bias",)),
    )


BLOCK_RULES: tuple[Rule, ...] = (
    *norm(_BLOCK + r"ln_(1|2)", r"blocks_\1/ln_\2"),
    Rule(
        _BLOCK + r"attn\.in_proj_weight",
        (r"blocks_\1/attn/query/kernel", r"blocks_\1/attn/key/kernel", r"blocks_\1/attn/value/kernel"),
        transposed,
    ),
    Rule(
        _BLOCK + r"attn\.in_proj_bias",
        (r"blocks_\1/attn/query/bias", r"blocks_\1/attn/key/bias", r"blocks_\1/attn/value/bias"),
    ),
    *linear(_BLOCK + r"attn\.out_proj", r"blocks_\1/attn/out"),
    *linear(_BLOCK + r"mlp\.c_fc", r"blocks_\1/mlp/fc1"),
    *linear(_BLOCK + r"mlp\.c_proj", r"blocks_\1/mlp/fc2"),
)
# Names below `visual.`, targets below `image/`.
IMAGE_RULES: tuple[Rule, ...] = (
    Rule(r"conv1\.weight", ("patch_embed/kernel",), convolution),
    Rule(r"class_embedding", ("class_embedding",)),
    Rule(r"positional_embedding", ("position_embedding",), position_table),
    *norm(r"ln_(pre|post)", r"ln_\1"),
    *BLOCK_RULES,
    Rule(r"proj", ("proj",)),
)
# Names beside `visual`, targets below `text/`.
TEXT_RULES: tuple[Rule, ...] = (
    Rule(r"token_embedding\.weight", ("token_embedding",), token_table),
    Rule(r"positional_embedding", ("position_embedding",)),
    *norm(r"ln_final", "ln_final"),
    *BLOCK_RULES,
    Rule(r"text_projection", ("proj",)),
)
CLIP_RULES: tuple[Rule, ...] = (
    *under(IMAGE_RULES, source="visual.", target="image/"),
    *under(TEXT_RULES, source="", target="text/"),
    Rule(r"logit_scale", ("logit_scale",), same),
)


def optional_parts(prefix: str = "") -> tuple[Reason, ...]:
    """Parts of CLIP, below `prefix` of the target, that a method may lack, each with the reason."""
    return (
        Reason(prefix + r"text/.*", NO_TEXT_TOWER),
        Reason(prefix + r"image/proj", NO_PROJECTION),
        Reason(prefix + r"logit_scale", NO_TEMPERATURE),
    )


TABLES: tuple[Table, ...] = (
    Table(
        name="OpenAI CLIP",
        signature=("visual.conv1.weight", "visual.class_embedding"),
        rules=CLIP_RULES,
        dropped=(
            Reason(r"input_resolution|context_length|vocab_size", "a size, known from the shapes"),
            Reason(r".*\battn_mask", "the causal mask, computed where it is used"),
        ),
        optional=optional_parts(),
    ),
)
