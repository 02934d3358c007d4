"""FLIP-V, tiny, on an unseen embedded domain without augmentation and with FLIP's, three seeds each; rows of `runs` compare.

    python launch/sweep.py --sweep=configs/sweeps/augmentation.py --out=runs/augmentation

No paper has this table. Twice three runs on a small target tell a large effect from none, not two close recipes apart.
"""

from typing import Any

AUGMENTS = ("none", "flip")
SEEDS, STEPS = 3, 400


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    return [
        {
            "name": f"{augment}_seed{seed}",
            "config": "configs/flip_v.py:tiny,syn_bcd_to_a",
            "overrides": {
                "data.augment": augment,
                "seed": seed,
                "train.steps": STEPS,
                "data.dir": "runs/data/synthetic",
            },
        }
        for augment in AUGMENTS
        for seed in range(SEEDS)
    ]
