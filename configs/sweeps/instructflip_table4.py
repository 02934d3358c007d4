"""InstructFLIP's Table 4 over seeds: linear heads in place of the language model (the dagger), and the full method.

python launch/sweep.py --sweep=configs/sweeps/instructflip_table4.py --out=runs/instructflip_table4
"""

from typing import Any

from configs.sweeps import common, instruct_flip_language

TABLE = "instructflip_table4"


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    heads = {"no_llm": common.instruct_flip_rows(instruct_flip_language.get_sweep())["no_llm"]}
    return common.table_runs({**heads, "instructflip": common.Variant("instruct_flip")}, common.META, arg)
