"""Classes, label names and the only conversions between our polarity and other projects'.

Inside flipjax class index 1 is bona fide and 0 is attack, and a score is P(bona fide). FLIP uses the same order
(1 = real); InstructFLIP uses the opposite (1 = fake). Nothing else in the project may flip a label.
"""

import numpy as np
from jaxtyping import Bool, Num

from flipjax.core.errors import DataError, suggest

ATTACK = 0
BONA_FIDE = 1
CLASS_NAMES = ("attack", "bona_fide")
UNKNOWN = -1

# Index = option index of InstructFLIP's content question (CelebA-Spoof spoof type).
ATTACK_INSTRUMENTS = (
    "bona_fide",
    "photo",
    "poster",
    "a4_paper",
    "face_mask_2d",
    "upper_body_mask_2d",
    "region_mask_2d",
    "pc_screen",
    "pad_screen",
    "phone_screen",
    "mask_3d",
)
ILLUMINATIONS = ("normal", "strong", "back", "dark")
ENVIRONMENTS = ("indoor", "outdoor")
CAMERA_QUALITIES = ("low", "medium", "high")
OTHER_INSTRUMENT = "other"

UPSTREAM_POSITIVE = {"flip": BONA_FIDE, "instructflip": ATTACK}


def parse_class(name: str) -> bool:
    """Returns True for "bona_fide" and False for "attack".

    Raises:
      DataError: any other text.

    Example:
      >>> parse_class("attack")
      False
    """
    if name not in CLASS_NAMES:
        raise DataError(f"label '{name}' is neither 'bona_fide' nor 'attack'{suggest(name, CLASS_NAMES)}")
    return name == CLASS_NAMES[BONA_FIDE]


def option_index(name: str, options: tuple[str, ...], field: str) -> int:
    """Returns the position of `name` in `options`, or -1 for the empty string (unknown).

    Raises:
      DataError: a name that is not an option of `field`.

    Example:
      >>> option_index("outdoor", ENVIRONMENTS, "environment"), option_index("", ENVIRONMENTS, "environment")
      (1, -1)
    """
    if not name:
        return UNKNOWN
    if name not in options:
        raise DataError(f"{field} '{name}' unknown; expected one of {', '.join(options)}{suggest(name, options)}")
    return options.index(name)


def instrument_name(index: int) -> str:
    """Returns the attack type written to score files: empty for bona fide, "other" outside the named ones.

    Example:
      >>> instrument_name(0), instrument_name(7), instrument_name(-1)
      ('', 'pc_screen', 'other')
    """
    if index == 0:
        return ""
    return ATTACK_INSTRUMENTS[index] if index > 0 else OTHER_INSTRUMENT


def from_upstream(label: Num[np.ndarray, "*shape"], project: str) -> Bool[np.ndarray, "*shape"]:
    """Converts labels of the 'flip' (1 = real) or 'instructflip' (1 = fake) code into is_bona_fide.

    Example:
      >>> from_upstream(np.array([0, 1]), "instructflip")
      array([ True, False])
    """
    return (label == 1) == (UPSTREAM_POSITIVE[project] == BONA_FIDE)
