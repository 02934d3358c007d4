"""InstructFLIP's grid of loss weights: one of content 0.4, style 0.4, cls 0.15, cue 0.05 at a time, the others as published.

Ten epochs each, as released, so the rows compare with each other and not with the twenty epochs of the default; the run
`published` is the common middle. Values of cls are meant ones: the released files that carry them are mislabelled.
"""

from typing import Any

_GRID = {
    "content": (0.1, 0.2, 0.3, 0.5),
    "style": (0.1, 0.2, 0.3, 0.5),
    "cls": (0.05, 0.1, 0.2, 0.25),
    "cue": (0.01, 0.03, 0.07, 0.09),
}
_TEN_EPOCHS = {"train.steps": 540}


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    runs: list[dict[str, Any]] = [{"name": "published", "config": "configs/instruct_flip.py", "overrides": _TEN_EPOCHS}]
    for term, values in _GRID.items():
        for value in values:
            overrides = {**_TEN_EPOCHS, f"method.weights.{term}": value}
            runs.append({"name": f"{term}_{value}", "config": "configs/instruct_flip.py", "overrides": overrides})
    return runs
