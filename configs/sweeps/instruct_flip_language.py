"""InstructFLIP's Table 4 and the release's sizes: linear heads instead of a language model, and FLAN-T5 small to xl.

Published mean HTER %: dagger (heads on the queries) 14.39, FLAN-T5 base 12.68. `multi_class` (double dagger) has no Q-Formers.
Batches shrink with the size as released; `train.steps` keeps the 256,000 samples of twenty epochs.
"""

from typing import Any

_CONFIG = "configs/instruct_flip.py"
_BATCHES = {"small": (24, 1080), "base": (24, 1080), "large": (16, 1600), "xl": (8, 3200)}


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    heads = {"text.instruction": "empty", "method.cue_noise": 0.02}
    third = {"method.weights.cls": 0.2, "method.weights.content": 0.2, "method.weights.style": 0.2}
    runs: list[dict[str, Any]] = [
        {"name": "no_llm", "config": _CONFIG, "overrides": {"method.answers": "queries", **heads}},
        {
            "name": "multi_class",
            "config": _CONFIG,
            "overrides": {"method.answers": "features", "method.cue": False, **third},
        },
    ]
    for size, (batch, steps) in _BATCHES.items():
        overrides = {
            "method.llm": size,
            "weights.t5": f"hf:google/flan-t5-{size}",
            "train.batch_size": batch,
            "train.steps": steps,
        }
        runs.append({"name": f"t5_{size}", "config": _CONFIG, "overrides": overrides})
    return runs
