"""What stands in front of the camera in one video: the person, or one of the ten attack instruments with its source."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.camera import camera
from data_prep.synthetic.cameras import SOURCE_CAMERAS
from data_prep.synthetic.cutouts import CUTOUTS, make_cutout, show_cutout
from data_prep.synthetic.faces import Head
from data_prep.synthetic.geometry import to_linear
from data_prep.synthetic.lighting import Light, draw_light, light_sheet
from data_prep.synthetic.prints import make_print, show_print
from data_prep.synthetic.rooms import view
from data_prep.synthetic.scene import Pose, Scene, Stage, before_room, lit_head, show_head, turn
from data_prep.synthetic.screens import make_replay, show_replay
from data_prep.synthetic.sites import Site
from data_prep.synthetic.solid_masks import light_mask, make_solid_mask, show_solid_mask
from flipjax.core.labels import ATTACK_INSTRUMENTS, ENVIRONMENTS, ILLUMINATIONS

BONA_FIDE = ATTACK_INSTRUMENTS[0]
SOLID_MASK = "mask_3d"
# Whoever attacks picks a well-lit portrait taken indoors; some are in hard light.
_SOURCE_STRONG_SHARE = 0.15
_SOURCE_YAW = 0.07

Show = Callable[[Stage, Pose], Scene]


@dataclass(frozen=True)
class Cast:
    """Who takes part in a video: the person, who wears a mask of them, and the photograph of them that attacks are made of.

    photo [h w 3] in linear light on the head canvas, points [5 2] on it.
    """

    head: Head
    wearer: Head
    photo: Float[np.ndarray, "h w 3"]
    points: Float[np.ndarray, "5 2"]


@dataclass(frozen=True)
class Presentation:
    """`species` names the instrument's make ("" bona fide); `show` films it on a stage; `facts` are recorded."""

    species: str
    show: Show
    facts: dict[str, Any]


def present(instrument: str, cast: Cast, site: Site, light: Light, rng: np.random.Generator) -> Presentation:
    """Prepares one presentation.

    Facts: how it is presented ("person", "worn", "held" or "fixed") and the printer,
    screen or material of the mask with its properties.
    """
    if instrument == BONA_FIDE:
        lit = lit_head(cast.head, light)
        return Presentation("", lambda stage, pose: show_head(cast.head, lit, stage, pose), {"shown": "person"})
    if instrument == SOLID_MASK:
        return _solid(cast, light, rng)
    if instrument in CUTOUTS:
        printer = site.printers[int(rng.integers(len(site.printers)))]
        mask = make_cutout(cast.photo, cast.points, instrument, printer, cast.wearer, rng)
        lit = lit_head(mask.wearer, light)
        facts = {"shown": "held" if mask.grip else "worn", "printer": asdict(printer)}
        return Presentation(f"mask_{printer.name}", lambda stage, pose: show_cutout(mask, lit, stage, pose), facts)
    return _flat(instrument, cast, site, rng)


def _solid(cast: Cast, light: Light, rng: np.random.Generator) -> Presentation:
    mask = make_solid_mask(cast.head, cast.wearer, rng)
    lit = light_mask(mask, light)
    facts = {"shown": "worn", "material": asdict(mask.material)}
    return Presentation(
        f"solid_{mask.material.name}", lambda stage, pose: show_solid_mask(mask, lit, stage, pose), facts
    )


def _flat(instrument: str, cast: Cast, site: Site, rng: np.random.Generator) -> Presentation:
    photo, points, eye_px = cast.photo, cast.points, cast.head.eye_px
    printers = [device for device in site.printers if device.instrument == instrument]
    if printers:
        printer = printers[int(rng.integers(len(printers)))]
        sheet = make_print(photo, points, printer, eye_px, rng)
        facts = {"shown": "held" if sheet.grip else "fixed", "printer": asdict(printer)}
        return Presentation(f"print_{printer.name}", lambda stage, pose: show_print(sheet, stage, pose), facts)
    screens = [device for device in site.screens if device.instrument == instrument]
    screen = screens[int(rng.integers(len(screens)))]
    replay = make_replay(photo, points, screen, eye_px, rng)
    facts = {"shown": "held" if replay.grip else "fixed", "screen": asdict(screen)}
    return Presentation(f"replay_{screen.name}", lambda stage, pose: show_replay(replay, stage, pose), facts)


def draw_stage(
    rng: np.random.Generator, shape: tuple[int, int], light: Light, place: Float[np.ndarray, "h w 3"]
) -> Stage:
    """Returns the stage of one video: a view of `place`, lit by its light."""
    facing = light_sheet(light, np.array([0.0, 0.0, 1.0], np.float32)) * np.float32(light.background)
    return Stage(light, cv2.transform(view(place, shape, rng), np.diag(facing).astype(np.float64)))


def source_photo(
    head: Head, place: Float[np.ndarray, "h w 3"], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Takes the photograph that is printed or replayed, indoors in `place`; returns it and its points as `Cast` has them."""
    shape = head.alpha.shape
    model = SOURCE_CAMERAS[int(rng.integers(len(SOURCE_CAMERAS)))]
    kind = "strong" if rng.random() < _SOURCE_STRONG_SHARE else "normal"
    light = draw_light(
        rng, illumination=ILLUMINATIONS.index(kind), environment=ENVIRONMENTS.index("indoor"), warmth=0.0
    )
    stage = draw_stage(rng, (shape[0], shape[1]), light, place)
    picture, points = turn(head, lit_head(head, light), float(rng.normal(0, _SOURCE_YAW)))
    taken = to_linear(camera(before_room(stage, picture), model, rng))
    return cv2.resize(taken, shape[::-1], interpolation=cv2.INTER_LINEAR), points
