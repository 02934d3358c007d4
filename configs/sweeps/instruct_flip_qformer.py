"""InstructFLIP with Q-Formers of 1, 2, 4 and 8 layers; cross-attention is in every second one, from the first on."""

from typing import Any


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    return [
        {"name": f"layers_{count}", "config": "configs/instruct_flip.py", "overrides": {"method.qformer.layers": count}}
        for count in (1, 2, 4, 8)
    ]
