"""FLIP's Table 7: FLIP-MCL with other loss weights, one of M, C, I, O left out, five seeds; the paper prints means alone.

python launch/sweep.py --sweep=configs/sweeps/flip_table7.py --out=runs/flip_table7
"""

from typing import Any

from configs.sweeps import common

TABLE = "flip_table7"
_WEIGHTS = ((1, 1, 1), (1, 1, 0), (1, 0, 1), (1, 2, 2), (1, 5, 5))


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    rows = {
        f"w{alpha}_{beta}_{gamma}": common.Variant(
            "flip_mcl",
            {"method.alpha": float(alpha), "method.beta": float(beta), "method.gamma": float(gamma)},
        )
        for alpha, beta, gamma in _WEIGHTS
    }
    return common.table_runs(rows, common.MCIO, arg)
