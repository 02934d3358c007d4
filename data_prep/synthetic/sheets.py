"""Contact sheets of the simulator: one picture per instrument over all domains and one per domain over all instruments.

  python -m data_prep.synthetic.sheets --out=docs/simulator [--seed=N] [--processes=N]

The pictures come off the road that makes records, in drawn faces. An instrument's sheet shows a whole frame 640 px high, a
part of it twice enlarged, and crops in columns by domain; a domain's sheet one crop per instrument.
"""

import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from absl import flags
from jaxtyping import UInt8

from data_prep.synthetic.captures import Subject, plan_videos, subject_shots
from data_prep.synthetic.sites import DOMAINS
from flipjax.core import command
from flipjax.core.labels import ATTACK_INSTRUMENTS, CAMERA_QUALITIES, ENVIRONMENTS, ILLUMINATIONS
from flipjax.core.schemas import SPLITS

CROP_PX = 248  # with crops of this size a camera of resolution 1 takes frames 640 px high
FRAME_CELL = (640, 560)
DETAIL_CELL = (320, 280)
INSTRUMENT_CELL, DOMAIN_CELL = 160, 224
DOMAIN_COLUMNS = 4
SAMPLES = 2
PEOPLE = 8  # enough for every instrument to be met twice
JPEG_QUALITY = 80
_LABEL_PX = 20
_PAPER, _INK = 255, 30
_BRIGHT = (ILLUMINATIONS.index("normal"), ILLUMINATIONS.index("strong"))

Picture = UInt8[np.ndarray, "h w 3"]
Found = dict[str, list["Shot"]]


@dataclass(frozen=True)
class Shot:
    """One frame as the camera gives it, the crop of its record, and the record's labels."""

    frame: Picture
    crop: Picture
    labels: Mapping[str, Any]

    @property
    def instrument(self) -> str:
        return ATTACK_INSTRUMENTS[self.labels["attack_instrument"]]


def main(argv: list[str]) -> None:
    """Films, draws the sheets and says how large they are."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.processes, mp_context=context) as pool:
        found = dict(zip(DOMAINS, pool.map(film_domain, DOMAINS, [given.seed] * len(DOMAINS)), strict=True))
    met = [name for name in ATTACK_INSTRUMENTS if any(samples[name] for samples in found.values())]
    sheets = {name: instrument_sheet(name, found) for name in met}
    sheets |= {domain: domain_sheet(samples) for domain, samples in found.items()}
    total = sum(write_jpeg(out / f"{name}.jpg", sheet) for name, sheet in sheets.items())
    sys.stdout.write(f"wrote {len(sheets)} sheets, {total / 1e6:.2f} MB, to {out}\n")


def film_domain(domain: str, seed: int) -> Found:
    """Returns up to SAMPLES shots of every instrument that the first PEOPLE of a domain meet, each of another person."""
    domain_number = DOMAINS.index(domain)
    found: Found = {name: [] for name in ATTACK_INSTRUMENTS}
    for number in range(PEOPLE):
        if all(len(found[name]) == SAMPLES for name, _ in plan_videos(domain_number, number)):
            continue
        split = SPLITS[number % len(SPLITS)]
        subject = Subject(seed, domain_number, number, f"{domain}_{number:03d}", split, CROP_PX, frames=1)
        shots = (Shot(frame, _decoded(record["image"]), record) for record, frame in subject_shots(subject))
        for name, shot in {shot.instrument: shot for shot in shots}.items():
            found[name] = [*found[name], shot][:SAMPLES]
    return found


def _decoded(encoded: bytes) -> Picture:
    return np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR))[..., ::-1]


def instrument_sheet(instrument: str, found: dict[str, Found]) -> Picture:
    """Returns a whole frame, a detail and the crops of one instrument, columns by domain."""
    shots = [shot for samples in found.values() for shot in samples[instrument]]
    best = max(shots, key=lambda shot: (shot.labels["illumination"] in _BRIGHT, shot.labels["camera_quality"]))
    top = beside(
        [
            labelled(centred(best.frame, FRAME_CELL), f"{instrument}: {said(best.labels)}"),
            labelled(detail(best), "detail, twice enlarged"),
        ]
    )
    columns = []
    for domain, samples in found.items():
        crops = [fitted(shot.crop, INSTRUMENT_CELL) for shot in samples[instrument]]
        crops += [np.full((INSTRUMENT_CELL, INSTRUMENT_CELL, 3), _PAPER, np.uint8)] * (SAMPLES - len(crops))
        columns.append(labelled(stacked(crops), domain))
    return stacked([top, beside(columns)])


def domain_sheet(samples: Found) -> Picture:
    """Returns one labelled crop per instrument of a domain."""
    cells = [labelled(fitted(samples[name][0].crop, DOMAIN_CELL), name) for name in ATTACK_INSTRUMENTS if samples[name]]
    rows = [cells[start : start + DOMAIN_COLUMNS] for start in range(0, len(cells), DOMAIN_COLUMNS)]
    return stacked([beside(row) for row in rows])


def said(labels: Mapping[str, Any]) -> str:
    """Returns what is known about a shot in a few words."""
    return ", ".join(
        (
            labels["pai_species"] or "bona fide",
            ILLUMINATIONS[labels["illumination"]],
            ENVIRONMENTS[labels["environment"]],
            f"{CAMERA_QUALITIES[labels['camera_quality']]} quality",
        )
    )


def detail(shot: Shot) -> Picture:
    """Returns the middle of the face, enlarged pixel by pixel."""
    height, width = DETAIL_CELL
    x, y = np.asarray(shot.labels["landmarks"]).reshape(5, 2).mean(axis=0)
    top = int(np.clip(y - height / 2, 0, shot.frame.shape[0] - height))
    left = int(np.clip(x - width / 2, 0, shot.frame.shape[1] - width))
    part = shot.frame[top : top + height, left : left + width]
    return part.repeat(2, axis=0).repeat(2, axis=1)


def fitted(picture: Picture, px: int) -> Picture:
    """Returns a square picture at px x px, averaged over areas."""
    return cv2.resize(picture, (px, px), interpolation=cv2.INTER_AREA)


def centred(picture: Picture, cell: tuple[int, int]) -> Picture:
    """Returns the middle of a picture on paper of the size of `cell` (height, width), at its own scale."""
    sheet = np.full((*cell, 3), _PAPER, np.uint8)
    height, width = (min(side, room) for side, room in zip(picture.shape, cell, strict=False))
    top, left = ((side - part) // 2 for side, part in zip(picture.shape, (height, width), strict=False))
    row, column = (cell[0] - height) // 2, (cell[1] - width) // 2
    sheet[row : row + height, column : column + width] = picture[top : top + height, left : left + width]
    return sheet


def labelled(picture: Picture, text: str) -> Picture:
    """Returns a picture under a line of text."""
    strip = np.full((_LABEL_PX, picture.shape[1], 3), _PAPER, np.uint8)
    place, size = (3, _LABEL_PX - 6), 0.4
    cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (_INK,) * 3, 1, cv2.LINE_AA)
    return np.concatenate([strip, picture])


def beside(pictures: Sequence[Picture]) -> Picture:
    """Returns pictures of one height side by side."""
    return np.concatenate(pictures, axis=1)


def stacked(pictures: Sequence[Picture]) -> Picture:
    """Returns pictures below each other, narrower ones filled up with paper on the right."""
    width = max(picture.shape[1] for picture in pictures)
    rooms = [((0, 0), (0, width - picture.shape[1]), (0, 0)) for picture in pictures]
    return np.concatenate([np.pad(p, r, constant_values=_PAPER) for p, r in zip(pictures, rooms, strict=True)])


def write_jpeg(path: Path, picture: Picture) -> int:
    """Writes a picture and returns the size of its file in bytes."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    return path.write_bytes(data.tobytes())


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that the module can be imported by its processes."""
    flags.DEFINE_string("out", None, "folder for the pictures", required=True)
    flags.DEFINE_integer("seed", 0, "another seed gives other people, rooms and noise", lower_bound=0)
    flags.DEFINE_integer("processes", 2, "processes to use; never changes the pictures", lower_bound=1)


if __name__ == "__main__":
    define_flags()
    command.run(main)
