"""What the experiments of both papers cost: steps and FLOPs of FLIP's grids against one InstructFLIP run.

InstructFLIP (section 1) calls leave-one-out training redundant and trains once, on one meta-domain, for all targets. Here the
two are counted, from the sizes of the networks and the schedules of the released code; nothing is measured. One multiplication
with addition is two FLOPs; matrix products and convolutions count, all else is left out.
"""

import itertools
from dataclasses import dataclass, replace

from flipjax.data.protocols import get_protocol
from flipjax.evaluation.papers.grid import Grid, GridCell, GridRow, Heading
from flipjax.evaluation.papers.printed import load_table

TABLES = ("flip_table2", "flip_table3", "flip_table4", "instructflip_table2")
META_TABLE = TABLES[-1]
# Trained layers run forward, and backward to inputs and to weights; frozen ones that a gradient passes lack the last.
TRAINED, FROZEN = 3, 2
PETA = 1e15

# CLIP ViT-B/16 and its text tower.
WIDTH, LAYERS, PATCHES, PATCH_VALUES, JOINT = 768, 12, 196, 16 * 16 * 3, 512
TEXT_TOKENS, PROMPTS = 77, 12

# FLIP: widths of the SSL projector, then the schedule, images in a batch per class and source, and images of its test lists.
PROJECTOR = (JOINT, 4096, 4096, 256)
FLIP_UPDATES, FLIP_EVALUATIONS, PER_CLASS, CLASSES = 4001, 40, 3, 2
LARGER_BATCH = 8  # FLIP-V and FLIP-IT on W, Ce, S, by a comment in the released loader; its code has PER_CLASS
FLIP_TEST_IMAGES = {"M": 520, "C": 1160, "I": 1640, "O": 7160, "W": 8930, "Ce": 11980, "S": 9588}

# InstructFLIP's schedule: images of CelebA-Spoof in an epoch, and those evaluated after each.
EPOCHS, EPOCH_IMAGES, EPOCH_UPDATES = 20, 12_800, 54
META_TEST_IMAGES = {
    "M": 560,
    "C": 1200,
    "I": 1680,
    "O": 7200,
    "W": 25708,
    "Ce": 60000,
    "S": 96584,
    "CA": 9600,
}
# Its parts: queries, tokens of the content and the style question for BERT and T5, of the longest answers, style statistics.
QUERIES, HIDDEN, STYLE_TOKENS = 32, 3072, 2 * LAYERS
BERT_TOKENS, T5_TOKENS, ANSWER_TOKENS = (82, 36), (73, 28), (9, 4)
QFORMER_LAYERS, QFORMER_CROSS_LAYERS = 2, 1
FUSION_WIDTH, FUSION_HIDDEN, CUE_WIDTH = 1024, 2048, 32
T5_LAYERS, T5_HIDDEN, T5_WORDS = 12, 2048, 32128

NOTES = (
    "Counted from network sizes and the released schedules, not measured; 1 PFLOP = 10^15 FLOPs, one multiplication with "
    "addition is two; matrix products and convolutions only.",
    "Training is 3 × the forward pass; the frozen FLAN-T5-base of InstructFLIP, which gradients pass, 2 ×.",
    f"FLIP: {FLIP_UPDATES} updates with {PER_CLASS} images per class and source ({LARGER_BATCH} for FLIP-V and FLIP-IT on "
    f"Table 3, by a comment in the released loader), CelebA-Spoof one of the sources; FLIP-MCL sees three views of each; "
    f"FLIP-IT and FLIP-MCL encode {PROMPTS} prompts of {TEXT_TOKENS} tokens in every update.",
    f"InstructFLIP: {EPOCHS} epochs of {EPOCH_IMAGES} images of CelebA-Spoof, {EPOCH_UPDATES} updates each (ten batches of "
    "24), language model in training only.",
    f"Evaluation as released: FLIP {FLIP_EVALUATIONS} times on the target's test lists, prompts encoded once; InstructFLIP after "
    f"every epoch on all {sum(META_TEST_IMAGES.values())} images of its lists, training lists and CelebA-Spoof included.",
    "Runs: the protocols of the table times the seeds that the paper states; the last column is training alone.",
)


@dataclass(frozen=True)
class Cost:
    """Trainings (targets x seeds), optimizer updates, images drawn for training, and FLOPs of training and evaluation."""

    system: str
    grid: str
    targets: int
    trainings: int
    updates: int
    images: int
    train_flops: int
    evaluation_flops: int


def image_tower() -> int:
    """Returns FLOPs of CLIP's ViT-B/16 for one image, projection included."""
    return 2 * (PATCHES * PATCH_VALUES * WIDTH + _transformer(PATCHES + 1, WIDTH) + WIDTH * JOINT)


def text_tower() -> int:
    """Returns FLOPs of CLIP's text tower for one prompt padded to 77 tokens."""
    return 2 * (_transformer(TEXT_TOKENS, JOINT) + JOINT * JOINT)


def projector() -> int:
    """Returns FLOPs of FLIP-MCL's SSL projector for one view."""
    return 2 * sum(a * b for a, b in itertools.pairwise(PROJECTOR))


def flip_step(system: str, images: int) -> int:
    """Returns training FLOPs of one update of FLIP-V, FLIP-IT or FLIP-MCL on `images` images."""
    views = 3 if system == "FLIP-MCL" else 1
    text = 0 if system == "FLIP-V" else PROMPTS * text_tower()
    head = (views - 1) * images * projector()
    return TRAINED * (views * images * image_tower() + text + head)


def scored_image() -> int:
    """Returns FLOPs of InstructFLIP's forward pass for one image as released: both branches, fusion, cue map, no T5."""
    content, style = (
        _qformer(text, context) for text, context in zip(BERT_TOKENS, (PATCHES + 1, STYLE_TOKENS), strict=True)
    )
    cue = 2 * PATCHES * 9 * (WIDTH * CUE_WIDTH + CUE_WIDTH * 3)
    return image_tower() + content + style + _fusion() + cue


def language_model() -> int:
    """Returns forward FLOPs of the frozen FLAN-T5-base for one image: the content and the style question with answers."""
    return sum(_t5(QUERIES + text, answer) for text, answer in zip(T5_TOKENS, ANSWER_TOKENS, strict=True))


def meta_image() -> int:
    """Returns training FLOPs of InstructFLIP for one image."""
    to_t5 = 2 * len(T5_TOKENS) * QUERIES * WIDTH * WIDTH
    return TRAINED * (scored_image() + to_t5) + FROZEN * language_model()


def flip_cost(system: str, name: str, per_class: int = PER_CLASS) -> Cost:
    """Returns the cost of the grid of FLIP's table `name` for one of its systems: a training per protocol and seed.

    `per_class` images of each class and source make a batch.
    """
    table = load_table(name)
    runs, train, evaluation, images = table.runs or 1, 0, 0, 0
    for column in table.columns:
        sources = len(get_protocol(column.protocol, with_ca=True, shots=0).sources)
        batch = sources * CLASSES * per_class
        images += FLIP_UPDATES * batch
        train += FLIP_UPDATES * flip_step(system, batch)
        evaluation += FLIP_EVALUATIONS * FLIP_TEST_IMAGES[column.target] * image_tower()
    trainings = runs * len(table.columns)
    targets = len({column.target for column in table.columns})
    totals = (trainings, trainings * FLIP_UPDATES, runs * images, runs * train, runs * evaluation)
    return Cost(system, f"Table {table.table}: {table.title}", targets, *totals)


def meta_cost() -> Cost:
    """Returns the cost of InstructFLIP's Table 2: one training per seed for all seven targets."""
    table = load_table(META_TABLE)
    runs, images = table.runs or 1, EPOCHS * EPOCH_IMAGES
    evaluation = EPOCHS * sum(META_TEST_IMAGES.values()) * scored_image()
    totals = (runs, runs * EPOCHS * EPOCH_UPDATES, runs * images, runs * images * meta_image(), runs * evaluation)
    return Cost("InstructFLIP", f"Table {table.table}: {table.title}", len(table.columns), *totals)


def costs() -> list[Cost]:
    """Returns FLIP's systems on Tables 2, 3, both together (the seven targets of InstructFLIP) and 4, then InstructFLIP."""
    found = []
    for system in ("FLIP-V", "FLIP-IT", "FLIP-MCL"):
        per_class = PER_CLASS if system == "FLIP-MCL" else LARGER_BATCH
        first, second = flip_cost(system, TABLES[0]), flip_cost(system, TABLES[1], per_class)
        found += [first, second, _together(first, second), flip_cost(system, TABLES[2])]
    return [*found, meta_cost()]


def cost_table() -> Grid:
    """Returns the costs as a table for `flipjax.evaluation.papers.grid`."""
    found = costs()
    return Grid(
        title="Cost of leave-one-out grids and of one meta-domain run",
        notes=(*NOTES, _smaller_batch(found[-1])),
        label_headings=("System", "Experiment"),
        headings=(
            Heading("", "targets"),
            *(Heading("training", text) for text in ("runs", "updates", "images, million", "PFLOP")),
            Heading("evaluation", "PFLOP"),
            Heading("together", "PFLOP"),
            Heading("training", "/ meta-domain"),
        ),
        rows=tuple(GridRow((cost.system, cost.grid), _cells(cost, found[-1])) for cost in found),
    )


def _smaller_batch(meta: Cost) -> str:
    together = _together(*(flip_cost("FLIP-V", name) for name in TABLES[:2]))
    ratio = together.train_flops / meta.train_flops
    return f"With {PER_CLASS} per class and source throughout, FLIP-V's last column for Tables 2 and 3 is {ratio:.2f}."


def _cells(cost: Cost, meta: Cost) -> tuple[GridCell, ...]:
    texts = (
        f"{cost.targets}",
        f"{cost.trainings}",
        f"{cost.updates}",
        f"{cost.images / 1e6:.2f}",
        f"{cost.train_flops / PETA:.0f}",
        f"{cost.evaluation_flops / PETA:.0f}",
        f"{(cost.train_flops + cost.evaluation_flops) / PETA:.0f}",
        f"{cost.train_flops / meta.train_flops:.2f}",
    )
    return tuple(map(GridCell, texts))


def _together(first: Cost, second: Cost) -> Cost:
    numbers = ("targets", "trainings", "updates", "images", "train_flops", "evaluation_flops")
    return replace(
        first,
        grid="Tables 2 and 3: the seven targets of InstructFLIP",
        **{key: getattr(first, key) + getattr(second, key) for key in numbers},
    )


def _attention(queries: int, keys: int, width: int) -> int:
    """Multiplications of logits and of the weighted sum of values."""
    return 2 * queries * keys * width


def _transformer(tokens: int, width: int) -> int:
    """Multiplications of CLIP's 12 blocks: four projections, attention, and an MLP four times as wide."""
    return LAYERS * (tokens * (4 + 8) * width * width + _attention(tokens, tokens, width))


def _qformer(text: int, context: int) -> int:
    """FLOPs of a Q-Former: all tokens in every layer, queries alone in cross-attention, as released."""
    tokens = QUERIES + text
    layer = tokens * (4 * WIDTH * WIDTH + 2 * WIDTH * HIDDEN) + _attention(tokens, tokens, WIDTH)
    cross = 2 * (QUERIES + context) * WIDTH * WIDTH + _attention(QUERIES, context, WIDTH)
    return 2 * (QFORMER_LAYERS * layer + QFORMER_CROSS_LAYERS * cross)


def _fusion() -> int:
    """FLOPs of self-attention among content tokens, cross-attention to both query sets and a null key, and the MLP."""
    tokens, queries = PATCHES + 1, 2 * QUERIES
    own = tokens * 4 * WIDTH * WIDTH + _attention(tokens, tokens, WIDTH)
    cross = 2 * (tokens + queries) * WIDTH * FUSION_WIDTH + _attention(tokens, queries + 1, FUSION_WIDTH)
    return 2 * (own + cross + 2 * tokens * WIDTH * FUSION_HIDDEN)


def _t5(encoded: int, answer: int) -> int:
    """FLOPs of FLAN-T5-base: gated MLPs (three matrices), decoder with cross-attention, and the word head."""
    square, mlp = WIDTH * WIDTH, 3 * WIDTH * T5_HIDDEN
    encoder = encoded * (4 * square + mlp) + _attention(encoded, encoded, WIDTH)
    own = answer * (4 * square + mlp) + _attention(answer, answer, WIDTH)
    cross = 2 * (answer + encoded) * square + _attention(answer, encoded, WIDTH)
    return 2 * (T5_LAYERS * (encoder + own + cross) + answer * WIDTH * T5_WORDS)
