"""FLIP-IT (ICCV 2023): cosine to averaged text prompts, both CLIP towers trained.

Published HTER % (Table 2, with CelebA-Spoof): M 5.27, C 0.44, I 2.94, O 3.61. One prompt (Table 6): --config.text.prompts='(6,)'.
One protocol is 11 PFLOP at ViT-B/16.

  python -m flipjax.main --config=configs/flip_it.py:tiny --workdir=runs/flip_it
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the config of FLIP-IT; see configs/common.py for `arg`."""
    config = common.base()
    config.text = common.prompt_text()
    config.method = ConfigDict({"name": "flip_it", "clip": common.BASE_CLIP})
    paper = {**common.FLIP_PROFILES["paper"], "text.spelling": "bona fide"}
    profiles = {**common.FLIP_PROFILES, "paper": paper}
    return common.finish(config, arg, tiny={**common.FLIP_TINY, "text.used_rows_only": True}, profiles=profiles)
