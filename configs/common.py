"""What every config shares: the sections in their fixed order, the argument string, the three profiles.

A config file calls `finish(config, arg, ...)` last, which applies the comma separated argument: `tiny`, a protocol name,
`profile=default|released|paper`, `shots=5`. Overrides on the command line come after that.
"""

import copy
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

# ConfigDict attributes have no static types.
Config = Any

PROFILES = ("default", "released", "paper")

# Dimensions of a CLIP that trains from scratch on a CPU in minutes.
TINY_CLIP = {
    "image_size": 96,
    "patch": 8,
    "width": 96,
    "layers": 2,
    "heads": 2,
    "embed": 64,
    "text_width": 64,
    "text_layers": 2,
    "text_heads": 2,
    "context": 77,
}
# ViT-B/16, the CLIP of both papers.
BASE_CLIP = {
    "image_size": 224,
    "patch": 16,
    "width": 768,
    "layers": 12,
    "heads": 12,
    "embed": 512,
    "text_width": 512,
    "text_layers": 12,
    "text_heads": 8,
    "context": 77,
}


def base() -> Config:
    """Returns the sections that do not depend on the method, with the values of profile `default`."""
    config = ConfigDict()
    config.seed = 0
    config.protocol = "oci_to_m"
    config.profile = "default"
    config.data = ConfigDict(
        {
            "dir": "data",
            # Rows by splits and subjects of the records, or by the authors' lists: "flip_lists", "instructflip_lists".
            "lists": "native",
            "lists_dir": "",  # folder of your own copy of the authors' list files
            "lists_check": True,  # refuse list files that are not the published ones; False for lists of your own
            "lists_missing": 0.05,  # share of the listed pictures that may have no record (no face found)
            "grouping": "video",  # what scores are averaged over; with lists "released": as the authors' code does
            "shot_rule": "leak_free",  # with lists "released": other frames of shot videos stay in the target
            "with_ca": True,  # CelebA-Spoof is one more source in the papers' protocols
            "shots": 0,
            "normalization": "imagenet",  # as the FLIP code; "clip" has CLIP's own constants
            "augment": "flip",  # views and resize of the FLIP code; "instruct_flip": those of InstructFLIP; "none"
            "overflow": "clip",  # saturation above the 8-bit range; "wrap" as released
            # By domain and class: "continuous", or "drop_last" as FLIP released it; "class_quality": by class and camera
            # quality; "unbalanced": every row alike, as InstructFLIP released it.
            "sampling": "continuous",
            "instruments": (),  # attack instruments to train on (0 = bona fide); empty: all
            "epoch_samples": 0,  # samples after which the last update of an epoch stays short; 0: updates are always full
            "per_stream": 3,  # samples per class and source in a step when train.batch_size is 0 (FLIP section 3)
            "threads": 2,
        }
    )
    config.text = ConfigDict()
    config.method = ConfigDict()
    config.weights = ConfigDict({"clip": "hf:openai/clip-vit-base-patch16"})
    config.optim = adam_l2()
    config.train = ConfigDict(
        {
            "steps": 4001,  # FLIP code: steps 0..4000
            "batch_size": 0,
            "accumulate": 1,
            "compute_dtype": "float32",
            "remat": False,
            "checkpoint_every": 500,
            "log_every": 20,
        }
    )
    config.eval = ConfigDict({"every": 100, "selection": "source_val", "batch_size": 64, "answers": True})
    config.mesh = ConfigDict({"data": -1, "model": 1})
    config.log = ConfigDict({"tensorboard": True, "pictures": 6})
    return config


def adam_l2() -> Config:
    """Returns FLIP's optimizer: Adam with coupled L2, constant rate (paper section 4, code)."""
    return ConfigDict({"kind": "adam_l2", "lr": 1e-6, "weight_decay": 1e-6, "b1": 0.9, "b2": 0.999, "eps": 1e-8})


def adamw_one_cycle(lr: float, weight_decay: float, *, warmup_fraction: float = 0.1) -> Config:
    """Returns AdamW with a one-cycle rate that starts and ends at a hundredth of `lr`."""
    return ConfigDict(
        {
            "kind": "adamw_one_cycle",
            "lr": lr,
            "weight_decay": weight_decay,
            "b1": 0.9,
            "b2": 0.999,
            "eps": 1e-8,
            "warmup_fraction": warmup_fraction,
            "start_divisor": 100.0,
            "final_divisor": 1.0,
        }
    )


def prompt_text() -> Config:
    """Returns the text section of the methods that read FLIP's prompts (Table 1)."""
    return ConfigDict(
        {
            "prompts": (1, 2, 3, 4, 5, 6),  # Table 6 uses one at a time
            "spelling": "bonafide",  # prompt 2 as in the code; "bona fide" as printed in the paper
            "views": "with_replacement",  # or "disjoint"
            "used_rows_only": False,  # True keeps only the token rows that the prompts read: exact, 24 M parameters fewer
            "train_text": True,
        }
    )


def finish(
    config: Config,
    arg: str | None,
    *,
    tiny: Mapping[str, Any],
    profiles: Mapping[str, Mapping[str, Any]],
) -> Config:
    """Applies the argument string: `tiny` values first, then the profile's, then protocol and shots.

    Args:
      tiny: dotted key -> value of the small version.
      profiles: profile -> dotted key -> value, on top of `DATA_PROFILES`; "default" is what the config holds already.

    Raises:
      ValueError: an argument that is none of the known forms.
    """
    words = [word for word in (arg or "").split(",") if word]
    if "tiny" in words:
        _set_all(config, {"protocol": "syn_bcd_to_a", **tiny})
    for word in words:
        name, _, value = word.partition("=")
        if name == "profile" and value in PROFILES:
            config.profile = value
            _set_all(config, {**DATA_PROFILES.get(value, {}), **profiles.get(value, {})})
        elif name == "shots" and value.isdigit():
            config.data.shots = int(value)
        elif "_to_" in word and not value:
            config.protocol = word
        elif word != "tiny":
            raise ValueError(
                f"config argument '{word}' unknown; expected tiny, a protocol such as oci_to_m, "
                f"profile={'|'.join(PROFILES)} or shots=N, comma separated"
            )
    return config


def _set_all(config: Config, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        *path, last = key.split(".")
        section: Any = config
        for name in path:
            section = section[name]
        section[last] = copy.deepcopy(value)  # sections of the tables below are shared by every config


FLIP_TINY: dict[str, Any] = {
    "method.clip": ConfigDict(TINY_CLIP),
    "weights.clip": "",
    "optim": adamw_one_cycle(1e-3, 0.05),
    "train.steps": 240,
    "train.batch_size": 24,
    "train.checkpoint_every": 40,
    "train.log_every": 20,
    "eval.every": 40,
}
# Rows of PARITY.md: profile -> switch -> value; those of all configs, then FLIP's.
_PUBLISHED_DATA = {"data.grouping": "released", "data.shot_rule": "released"}
DATA_PROFILES: dict[str, dict[str, Any]] = {"released": _PUBLISHED_DATA, "paper": _PUBLISHED_DATA}
FLIP_PROFILES: dict[str, dict[str, Any]] = {
    "released": {"data.overflow": "wrap", "data.sampling": "drop_last", "eval.selection": "target"},
    "paper": {"data.overflow": "wrap", "data.sampling": "drop_last", "eval.selection": "target"},
}
