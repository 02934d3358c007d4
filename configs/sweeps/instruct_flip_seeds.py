"""InstructFLIP as released, three seeds, and as in the paper, five; the report says mean and spread per target."""

from typing import Any


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    return [
        {
            "name": f"{profile}_seed{seed}",
            "config": f"configs/instruct_flip.py:profile={profile}",
            "overrides": {"seed": seed},
        }
        for profile, seeds in (("released", 3), ("paper", 5))
        for seed in range(seeds)
    ]
