"""Classes, label names and the polarity of other projects.

Inside flipjax class index 1 is bona fide and 0 is attack, and a score is P(bona fide). FLIP uses the same order
(1 = real); InstructFLIP uses the opposite (1 = fake). Nothing may flip a label but what UPSTREAM_POSITIVE says.
"""

from collections.abc import Mapping

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
# Record field -> names of its values; the index is the value.
OPTIONS: dict[str, tuple[str, ...]] = {
    "attack_instrument": ATTACK_INSTRUMENTS,
    "illumination": ILLUMINATIONS,
    "environment": ENVIRONMENTS,
    "camera_quality": CAMERA_QUALITIES,
}

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


def parse_options(row: Mapping[str, str], is_bona_fide: bool) -> dict[str, int]:
    """Returns the index of every field of OPTIONS from a row of text; -1 where a cell is missing or empty, or "other".

    Raises:
      DataError: a name that is not an option of its field, or an instrument that contradicts the class.

    Example:
      >>> parse_options({"attack_instrument": "poster", "environment": "outdoor"}, is_bona_fide=False)
      {'attack_instrument': 2, 'illumination': -1, 'environment': 1, 'camera_quality': -1}
    """
    instrument = _parse_instrument(row.get("attack_instrument", ""), is_bona_fide)
    others = {field: names for field, names in OPTIONS.items() if field != "attack_instrument"}
    return {
        "attack_instrument": instrument,
        **{field: option_index(row.get(field, ""), names, field) for field, names in others.items()},
    }


def _parse_instrument(name: str, is_bona_fide: bool) -> int:
    bona_fide = ATTACK_INSTRUMENTS[0]
    if is_bona_fide:
        if name not in ("", bona_fide):
            raise DataError(f"attack_instrument '{name}' given for a bona fide row; leave it empty or set label attack")
        return 0
    if name == OTHER_INSTRUMENT:
        return UNKNOWN
    if name == bona_fide:
        raise DataError("attack_instrument 'bona_fide' given for an attack; name the instrument or leave it empty")
    return option_index(name, ATTACK_INSTRUMENTS, "attack_instrument")


def instrument_name(index: int) -> str:
    """Returns the attack type written to score files: empty for bona fide, "other" outside the named ones.

    Example:
      >>> instrument_name(0), instrument_name(7), instrument_name(-1)
      ('', 'pc_screen', 'other')
    """
    if index == 0:
        return ""
    return ATTACK_INSTRUMENTS[index] if index > 0 else OTHER_INSTRUMENT
