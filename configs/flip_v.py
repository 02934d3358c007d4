"""FLIP-V (ICCV 2023): CLIP's image tower under a two-layer head.

Published HTER % (Table 2, with CelebA-Spoof): M 3.79, C 1.27, I 4.71, O 4.15.
Backbone from scratch (Table 5): --config.weights.clip=''.
One protocol is 10 PFLOP at ViT-B/16.

  python -m flipjax.main --config=configs/flip_v.py:tiny --workdir=runs/flip_v
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the config of FLIP-V; see configs/common.py for `arg`."""
    config = common.base()
    config.method = ConfigDict(
        {
            "name": "flip_v",
            "clip": common.BASE_CLIP,
            "head_width": 512,
            "feature": "unprojected",  # code: 768 numbers; "projected" as the paper's figure (a) draws it
        }
    )
    paper = {**common.FLIP_PROFILES["paper"], "method.feature": "projected"}
    profiles = {**common.FLIP_PROFILES, "paper": paper}
    return common.finish(config, arg, tiny=common.FLIP_TINY, profiles=profiles)
