"""Sites: one capture domain each, with its own cameras, printers, screens, rooms, light and distances.

Six small domains hold one of everything; `syn_meta` is the richly labelled meta-domain (in the manner of CelebA-Spoof):
all ten instruments of every person, more equipment and rooms, and splits that share no device.
"""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from data_prep.synthetic.cameras import CAMERAS, HIGH, LOW, MEDIUM, Camera
from data_prep.synthetic.displays import SCREENS, Screen
from data_prep.synthetic.printers import PRINTERS, Printer
from flipjax.core.errors import DataError, suggest
from flipjax.core.schemas import SPLITS

META = "syn_meta"
# Rooms of each split; a room is a number, and no number is in two splits of a domain.
ROOMS_PER_SPLIT = 400
_TRAIN, _DEV, _TEST = SPLITS

Device = TypeVar("Device", Printer, Screen)


@dataclass(frozen=True)
class Site:
    """One capture domain: its equipment, rooms and usual light.

    walls: sRGB colours; furniture: relative frequency of the kinds of `rooms.FURNITURE`; warmth > 0 makes indoor light
    yellow; distance: range of the eye distance in the frame, in sensor pixels of a camera of resolution 1 at 96 px crops;
    split_devices: whether the splits share no camera, printer or screen.
    """

    domain: str
    cameras: tuple[Camera, ...]
    printers: tuple[Printer, ...]
    screens: tuple[Screen, ...]
    walls: tuple[tuple[int, int, int], ...]
    furniture: tuple[float, ...]
    outdoor_share: float
    warmth: float
    distance: tuple[float, float]
    split_devices: bool = False


def _site(domain: str, **place: Any) -> Site:
    equipment: dict[str, Any] = {"cameras": CAMERAS[domain], "printers": PRINTERS[domain], "screens": SCREENS[domain]}
    return Site(domain, **equipment, **place)


SITES: tuple[Site, ...] = (
    _site(
        "syn_a",
        walls=((206, 202, 194), (176, 186, 190), (222, 214, 200)),
        furniture=(3, 2, 2, 1, 2, 1),
        outdoor_share=0.4,
        warmth=0.1,
        distance=(36.0, 50.0),
    ),
    _site(
        "syn_b",
        walls=((150, 136, 116), (196, 178, 150), (120, 130, 122)),
        furniture=(2, 4, 1, 2, 1, 1),
        outdoor_share=0.4,
        warmth=0.2,
        distance=(34.0, 46.0),
    ),
    _site(
        "syn_c",
        walls=((168, 180, 196), (190, 194, 186), (214, 208, 204)),
        furniture=(1, 1, 3, 3, 1, 2),
        outdoor_share=0.6,
        warmth=0.0,
        distance=(36.0, 52.0),
    ),
    _site(
        "syn_d",
        walls=((132, 140, 150), (186, 176, 160), (98, 92, 96)),
        furniture=(2, 1, 2, 2, 3, 1),
        outdoor_share=0.45,
        warmth=0.15,
        distance=(35.0, 48.0),
    ),
    _site(
        "syn_e",
        walls=((228, 226, 220), (200, 206, 212), (160, 168, 158)),
        furniture=(1, 2, 4, 2, 1, 1),
        outdoor_share=0.3,
        warmth=-0.1,
        distance=(38.0, 52.0),
    ),
    _site(
        "syn_f",
        walls=((190, 150, 128), (214, 196, 158), (142, 120, 136), (112, 124, 140)),
        furniture=(2, 2, 1, 1, 3, 2),
        outdoor_share=0.55,
        warmth=0.25,
        distance=(34.0, 50.0),
    ),
    _site(
        META,
        walls=((214, 210, 204), (150, 144, 132), (178, 188, 196), (196, 172, 150), (108, 116, 122), (226, 220, 196)),
        furniture=(2, 2, 2, 2, 2, 2),
        outdoor_share=0.5,
        warmth=0.1,
        distance=(34.0, 52.0),
        split_devices=True,
    ),
)
DOMAINS = tuple(site.domain for site in SITES)


def site_of(domain_number: int, split: str) -> Site:
    """Returns the site with the equipment that subjects of `split` may use.

    Where `split_devices` is set: of the printers and of the screens of each kind, the first is for train, the second for
    dev, the third for test; of the cameras, the first of each quality is for train, the second medium one for dev, and
    the second low and high ones for test. Elsewhere all splits share the equipment.

    Raises:
      DataError: an unknown split.
    """
    if split not in SPLITS:
        raise DataError(f"split '{split}' unknown; expected one of {', '.join(SPLITS)}{suggest(split, SPLITS)}")
    site = SITES[domain_number]
    if not site.split_devices:
        return site
    number = SPLITS.index(split)
    firsts, seconds = ({q: _of_quality(site.cameras, q)[k] for q in (LOW, MEDIUM, HIGH)} for k in (0, 1))
    cameras = {
        _TRAIN: tuple(firsts.values()),
        _DEV: (seconds[MEDIUM],),
        _TEST: (seconds[LOW], seconds[HIGH]),
    }[split]
    return replace(
        site, cameras=cameras, printers=_nth_of_each(site.printers, number), screens=_nth_of_each(site.screens, number)
    )


def room_number(split: str, drawn: int) -> int:
    """Returns the room that the number `drawn` (0 .. ROOMS_PER_SPLIT - 1) means for a split.

    Example:
      >>> room_number("train", 7), room_number("test", 7)
      (7, 807)
    """
    return SPLITS.index(split) * ROOMS_PER_SPLIT + drawn


def _of_quality(cameras: tuple[Camera, ...], quality: int) -> list[Camera]:
    return [model for model in cameras if model.quality == quality]


def _nth_of_each(devices: tuple[Device, ...], number: int) -> tuple[Device, ...]:
    kinds = dict.fromkeys(device.instrument for device in devices)
    return tuple([d for d in devices if d.instrument == kind][number] for kind in kinds)
