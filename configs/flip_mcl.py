"""FLIP-MCL (ICCV 2023): FLIP-IT plus SimCLR on two views plus image-text view consistency.

Published HTER % (Table 2, with CelebA-Spoof): M 4.95, C 0.54, I 4.25, O 2.31. Loss weights (Table 7): --config.method.gamma=0.
One protocol is 31 PFLOP at ViT-B/16.

  python -m flipjax.main --config=configs/flip_mcl.py:tiny --workdir=runs/flip_mcl
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the config of FLIP-MCL; see configs/common.py for `arg`."""
    config = common.base()
    config.text = common.prompt_text()
    config.method = ConfigDict(
        {
            "name": "flip_mcl",
            "clip": common.BASE_CLIP,
            "alpha": 1.0,  # L_ce
            "beta": 1.0,  # L_simCLR
            "gamma": 1.0,  # L_mse
            "temperature": 0.1,
            "projector_hidden": 4096,
            "projector_out": 256,
        }
    )
    paper = {**common.FLIP_PROFILES["paper"], "text.spelling": "bona fide"}
    profiles = {**common.FLIP_PROFILES, "paper": paper}
    tiny = {
        **common.FLIP_TINY,
        "text.used_rows_only": True,
        "method.beta": 0.1,  # with weight 1 the contrastive term drowns the others while the towers are untrained
        "method.projector_hidden": 256,
        "method.projector_out": 64,
    }
    return common.finish(config, arg, tiny=tiny, profiles=profiles)
