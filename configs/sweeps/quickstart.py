"""FLIP-MCL, tiny, over the four leave-one-domain-out targets of the embedded data."""

from typing import Any

PROTOCOLS = ("syn_bcd_to_a", "syn_acd_to_b", "syn_abd_to_c", "syn_abc_to_d")


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    return [
        {
            "name": protocol,
            "config": "configs/flip_mcl.py:tiny",
            "overrides": {"protocol": protocol, "data.dir": "runs/data/synthetic"},
        }
        for protocol in PROTOCOLS
    ]
