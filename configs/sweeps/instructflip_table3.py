"""InstructFLIP's Table 3 over seeds: the rows of configs/sweeps/instruct_flip_components.py.

python launch/sweep.py --sweep=configs/sweeps/instructflip_table3.py --out=runs/instructflip_table3
"""

from typing import Any

from configs.sweeps import common, instruct_flip_components

TABLE = "instructflip_table3"


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    return common.table_runs(common.instruct_flip_rows(instruct_flip_components.get_sweep()), common.META, arg)
