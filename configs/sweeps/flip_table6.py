"""FLIP's Table 6: FLIP-IT with each of its six prompts alone and with all, one of M, C, I, O left out, five seeds.

python launch/sweep.py --sweep=configs/sweeps/flip_table6.py --out=runs/flip_table6
"""

from typing import Any

from configs.sweeps import common

TABLE = "flip_table6"
_PROMPTS = range(1, 7)


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    rows = {f"p{prompt}": common.Variant("flip_it", {"text.prompts": (prompt,)}) for prompt in _PROMPTS}
    return common.table_runs({**rows, "ensemble": common.Variant("flip_it")}, common.MCIO, arg)
