"""FLIP's Table 3: FLIP-V, FLIP-IT and FLIP-MCL, one of W, Ce, S left out, five seeds.

FLIP-V and FLIP-IT draw 8 samples per class and source here, after a comment in the released loader, FLIP-MCL 3 as everywhere.

    python launch/sweep.py --sweep=configs/sweeps/flip_table3.py --out=runs/flip_table3
"""

from typing import Any

from configs.sweeps import common

TABLE = "flip_table3"
_PROTOCOLS = {"ces_to_w": "syn_bc_to_a", "sw_to_ce": "syn_ac_to_b", "cew_to_s": "syn_ab_to_c"}
_LARGER_BATCH = {"data.per_stream": 8}


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    larger = {name: common.Variant(name, full_size=_LARGER_BATCH) for name in ("flip_v", "flip_it")}
    return common.table_runs({**common.FLIP_SYSTEMS, **larger}, _PROTOCOLS, arg)
