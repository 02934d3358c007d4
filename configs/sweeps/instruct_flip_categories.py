"""InstructFLIP's Table 5: how many kinds of attack are seen in training. Published mean HTER %: 19.11, 18.57, 12.68.

Instruments are options of the content question: 0 bona fide, 1 - 3 prints, 4 - 6 paper masks, 7 - 9 screens, 10 3D mask.
"""

from typing import Any

_ROWS = {
    "one_of_each": (0, 3, 4, 8, 10),
    "two_of_each": (0, 1, 3, 4, 6, 7, 8, 10),
    "all": (),
}


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    return [
        {"name": name, "config": "configs/instruct_flip.py", "overrides": {"data.instruments": kept}}
        for name, kept in _ROWS.items()
    ]
