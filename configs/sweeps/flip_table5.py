"""FLIP's Table 5: FLIP-V's image tower from scratch and from CLIP, one of M, C, I, O left out, five seeds.

The paper trains each start with its own default parameters and states none for scratch; here both follow FLIP-V's. Tiny runs
have no pretrained weights, hence the first row alone.

    python launch/sweep.py --sweep=configs/sweeps/flip_table5.py --out=runs/flip_table5
"""

from typing import Any

from configs.sweeps import common

TABLE = "flip_table5"
_SCRATCH = {"scratch": common.Variant("flip_v", {"weights.clip": ""})}
_PRETRAINED = {"clip": common.Variant("flip_v")}


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    rows = _SCRATCH if common.is_tiny(arg) else {**_SCRATCH, **_PRETRAINED}
    return common.table_runs(rows, common.MCIO, arg)
