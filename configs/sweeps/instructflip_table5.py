"""InstructFLIP's Table 5 over seeds: the rows of configs/sweeps/instruct_flip_categories.py.

python launch/sweep.py --sweep=configs/sweeps/instructflip_table5.py --out=runs/instructflip_table5
"""

from typing import Any

from configs.sweeps import common, instruct_flip_categories

TABLE = "instructflip_table5"


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    return common.table_runs(common.instruct_flip_rows(instruct_flip_categories.get_sweep()), common.META, arg)
