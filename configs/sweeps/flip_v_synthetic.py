"""FLIP-V, tiny, from scratch over the four leave-one-domain-out targets of the embedded data.

    python launch/sweep.py --sweep=configs/sweeps/flip_v_synthetic.py --out=runs/flip_v_synthetic --jobs=2

The simulator is meant to be neither trivial nor hopeless: HTER between 3 and 25 % on every target (the papers' rule, threshold
chosen on the target), in less than five minutes on two cores.
"""

from typing import Any

STEPS = 400
PROTOCOLS = ("syn_bcd_to_a", "syn_acd_to_b", "syn_abd_to_c", "syn_abc_to_d")


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    return [
        {
            "name": protocol,
            "config": "configs/flip_v.py:tiny",
            "overrides": {"protocol": protocol, "train.steps": STEPS, "data.dir": "runs/data/synthetic"},
        }
        for protocol in PROTOCOLS
    ]
