"""FLIP's Table 4: FLIP-V, FLIP-IT and FLIP-MCL, trained on one of M, C, I, O and tested on another, five seeds: 180 runs.

python launch/sweep.py --sweep=configs/sweeps/flip_table4.py --out=runs/flip_table4
"""

import itertools
from typing import Any

from configs.sweeps import common

TABLE = "flip_table4"
_STAND_INS = {"C": "b", "I": "c", "M": "a", "O": "d"}
_PROTOCOLS = {
    f"{source}_to_{target}".lower(): f"syn_{_STAND_INS[source]}_to_{_STAND_INS[target]}"
    for source, target in itertools.permutations(_STAND_INS, 2)
}


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    return common.table_runs(common.FLIP_SYSTEMS, _PROTOCOLS, arg)
