"""Checkpoints written by the released FLIP code (FLIP-V, FLIP-IT, FLIP-MCL) as weight tables.

The target is {"params": ..., "model_state": ...} of the method; `model_state` may be missing or empty. Class rows are
(spoof, real) upstream. FLIP-V holds the image tower under `backbone.vit`; the others hold OpenAI's names under `model`.
"""

from flipjax.weights.openai_clip import CLIP_RULES, IMAGE_RULES, linear, norm, optional_parts
from flipjax.weights.rules import Reason, Rule, Table, under
from flipjax.weights.transforms import chain, class_rows, transposed

_OPTIONAL_CLIP = optional_parts("params/clip/")
_CLASS_ROWS = class_rows("flip")

_FLIP_V = Table(
    name="official FLIP-V",
    signature=("backbone.vit.conv1.weight", "classifier.classifier_layer.weight"),
    rules=(
        *under(IMAGE_RULES, source="backbone.vit.", target="params/clip/image/"),
        *linear(r"embedder\.bottleneck_layer_fc", "params/head/fc"),
        Rule(
            r"classifier\.classifier_layer\.weight",
            ("params/head/classifier/kernel",),
            chain(_CLASS_ROWS, transposed),
        ),
        Rule(r"classifier\.classifier_layer\.bias", ("params/head/classifier/bias",), _CLASS_ROWS),
    ),
    dropped=(Reason(r"embedder\.bottleneck_layer\.0\..*", "the same layer as embedder.bottleneck_layer_fc"),),
    optional=_OPTIONAL_CLIP,
)
_FLIP_IT_OR_MCL = Table(
    name="official FLIP-IT or FLIP-MCL",
    signature=("model.visual.conv1.weight", "model.logit_scale"),
    rules=(
        *under(CLIP_RULES, source="model.", target="params/clip/"),
        *linear(r"image_mlp\.layer(\d)", r"params/projector/fc\1"),
        *norm(r"image_mlp\.bn(\d)", r"params/projector/bn\1"),
        Rule(r"image_mlp\.bn(\d)\.running_(mean|var)", (r"model_state/projector/bn\1/\2",)),
    ),
    dropped=(Reason(r"image_mlp\.bn\d\.num_batches_tracked", "a step counter that nothing reads"),),
    optional=(
        *_OPTIONAL_CLIP,
        Reason(r"params/projector/.*", "this method has no projector"),
        Reason(r"model_state/projector/.*", "this method keeps no batch-norm statistics"),
    ),
)
TABLES: tuple[Table, ...] = (_FLIP_V, _FLIP_IT_OR_MCL)
