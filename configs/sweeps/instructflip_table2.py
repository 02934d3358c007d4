"""InstructFLIP's Table 2: trained on CelebA-Spoof alone, tested on seven data sets, five seeds; FLIP-MCL likewise.

FLIP-MCL keeps FLIP's own optimizer at the number and size of batches that InstructFLIP gave it; the one-cycle schedule, the
fixed text tower and the inverted classes of InstructFLIP's copy of it are not followed.

    python launch/sweep.py --sweep=configs/sweeps/instructflip_table2.py --out=runs/instructflip_table2
"""

from typing import Any

from configs.sweeps import common

TABLE = "instructflip_table2"
_TWENTY_EPOCHS = {"train.steps": 20 * 534, "train.batch_size": 24, "eval.every": 534, "train.checkpoint_every": 534}
_ROWS = {
    "flip_mcl": common.Variant("flip_mcl", full_size=_TWENTY_EPOCHS),
    "instructflip": common.Variant("instruct_flip"),
}


def get_sweep(arg: str | None = None) -> list[dict[str, Any]]:
    """Returns the runs: name, row, config file with argument, overrides; see configs/sweeps/common.py for `arg`."""
    return common.table_runs(_ROWS, common.META, arg)
