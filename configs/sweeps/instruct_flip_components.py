"""InstructFLIP's Table 3: which parts matter. VE alone, + content branch, + style branch, + both, + cue map (the full method).

Published mean HTER %: 21.96, 14.25, 16.25, 13.25, 12.68. The release has no style-branch row; all rows share one recipe here,
where the released ablations update after every batch (`train.accumulate=1`, `train.steps=10680`).
"""

from typing import Any

_CONFIG = "configs/instruct_flip.py"
_CONTENT, _STYLE = ("content",), ("style",)


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    rows: dict[str, dict[str, Any]] = {
        "ve": {"method.branches": (), "method.weights.cls": 1.0},
        "ve_cb": {"method.branches": _CONTENT, "method.weights.cls": 0.5, "method.weights.content": 0.5},
        "ve_sb": {"method.branches": _STYLE, "method.weights.cls": 0.5, "method.weights.style": 0.5},
        "ve_cb_sb": {"method.weights.cls": 0.2},
    }
    runs = [{"name": name, "config": _CONFIG, "overrides": {"method.cue": False, **row}} for name, row in rows.items()]
    return [*runs, {"name": "full", "config": _CONFIG, "overrides": {}}]
