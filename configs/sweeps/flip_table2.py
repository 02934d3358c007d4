"""FLIP's Table 2: FLIP-V, FLIP-IT and FLIP-MCL, one of M, C, I, O left out, five seeds. About 1,050 PFLOP of training.

python launch/sweep.py --sweep=configs/sweeps/flip_table2.py --out=runs/flip_table2
"""

from typing import Any

from configs.sweeps import common

TABLE = "flip_table2"


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    return common.table_runs(common.FLIP_SYSTEMS, common.MCIO, arg)
