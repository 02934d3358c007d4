"""WMCA (domain W): clips of 72 people and of seven kinds of attack, cut to 128x128 faces, in one HDF5 file per clip.

To obtain it, sign the end user licence agreement at https://www.idiap.ch/en/scientific-research/data/wmca. The licence is
for research alone; the data, and pictures cut from it, are not to be passed on.

`--raw` is the folder that holds `preprocessed-face-station_RGB`, or the one above it:

    preprocessed-face-station_RGB/15.05.18/019_05_069_4_07.hdf5     colour, read here
    preprocessed-face-station_CDIT/15.05.18/019_05_069_4_07.hdf5    depth, infrared and thermal, not used
    documentation/...                                               not used

A name is CLIENT_SESSION_PRESENTER_TYPE_PAI below a folder with the date of recording; the date may also stand in front of
the name, as it does in the published lists. A file holds a group `Frame_<k>` per frame, some are missing, each with a
dataset `array` of 3 x height x width bytes, red first.

CLIENT is whose face is shown: a person, a mask, or the object worn. The person of a record is therefore the client, but
for TYPE 1, where a person wears something that leaves the face visible, the presenter (000: there is none). Source: the
naming conventions in Idiap's documentation of bob.db.batl.

TYPE 0 is bona fide, 1 a facial disguise, 2 a fake face (mannequins and masks, told apart by PAI), 3 a printed photograph
or, with PAI 5, 10 or 15, one on a screen, 4 a video on a screen. Type 5, makeup, belongs to a later set and matches no
rule here. Instruments are the nearest options of the content question: which screen was used is not stated, and
disguises have no option, so both are "other".

The whole set has 347 bona fide and 1,332 attack clips. No split comes with it: the split here is ours, 70 / 10 / 20 % of
the people by a hash of their number, so totals are known over all splits alone.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.entries import ANY_ATTACK, ANY_SPLIT, Entry, Facts, Listing, split_of
from data_prep.raw import find_root
from data_prep.video_sets import list_clips
from flipjax.core import labels
from flipjax.core.errors import ConfigError, ImageError
from flipjax.data import media
from flipjax.data.media import Clip, Frame

FACTS = Facts(
    name="WMCA",
    domain="W",
    licence="research only, by an end user licence agreement with Idiap; no passing on of the data or of its pictures",
    obtain="sign the agreement at https://www.idiap.ch/en/scientific-research/data/wmca",
    flip=(
        "source: 10 frames, 0 to 45, of 347 bona fide and 1,330 attack clips; target: frames 0 to 9 of the same bona fide "
        "and of the 548 print and replay clips"
    ),
    instruct_flip="both of FLIP's lists together: 25,708 pictures, of which 23,915 are different ones",
    frames="equidistant:10",
    totals={ANY_SPLIT: {"bona_fide": 347, ANY_ATTACK: 1332}},
    flip_counts={
        ("train", "bona_fide"): 3470,
        ("train", "attack"): 13288,
        ("test", "bona_fide"): 3460,
        ("test", "attack"): 5470,
        ("shot", "bona_fide"): 10,
        ("shot", "attack"): 10,
    },
    instruct_flip_counts={
        ("extracted", "bona_fide"): 6940,
        ("extracted", "attack"): 18768,
        ("evaluated", "bona_fide"): 6247,
        ("evaluated", "attack"): 17668,
    },
    crops={"flip": {"detector": "none", "border": "trim_released"}},
)

_COLOUR = "preprocessed-face-station_RGB"
_UNUSED = ("preprocessed-face-station_CDIT/*", "documentation/*")
_RECORDING = re.compile(
    _COLOUR + r"/(?:[^/]+/)*?(?P<date>\d\d\.\d\d\.\d\d)[/_]"
    r"(?P<stem>(?P<client>\d{3})_(?P<session>\d\d)_(?P<presenter>\d{3})_(?P<type>[0-4])_(?P<pai>\d\d))\.hdf5"
)
_NOBODY = "000"  # the presenter of a bona fide clip, and of an attack on a support
_PHOTO_ON_SCREEN = ("05", "10", "15")
_BONA_FIDE, _DISGUISE, _FAKE_FACE, _PRINT, _VIDEO = "01234"
_FRAME = re.compile(r"Frame_(0|[1-9]\d*)")


def read(raw: Path) -> Listing:
    """Returns one entry per colour recording; only names are looked at.

    Raises:
      DataError: `raw` is not the folder of WMCA.
    """
    return list_clips(find_root(raw, (_COLOUR,), FACTS.name), parse, unused=_UNUSED)


def parse(name: str) -> Entry | None:
    """Returns what the name of a colour recording, relative to the raw folder, says; None where it matches no rule.

    Example:
      >>> entry = parse("preprocessed-face-station_RGB/15.05.18/019_05_069_4_07.hdf5")
      >>> entry.sample_id, entry.subject_id, entry.pai_species
      ('15.05.18_019_05_069_4_07', '019', 'replay/video')
    """
    found = _RECORDING.fullmatch(name)
    if found is None:
        return None
    is_worn = found["type"] == _DISGUISE and found["presenter"] != _NOBODY
    subject = found["presenter"] if is_worn else found["client"]
    instrument, species = _attack(found["type"], found["pai"])
    recording = f"{found['date']}_{found['stem']}"
    return Entry(
        path=Path(name),
        split=split_of(subject),
        domain=FACTS.domain,
        sample_id=recording,
        subject_id=subject,
        video_id=recording,
        is_bona_fide=found["type"] == _BONA_FIDE,
        attack_instrument=instrument,
        pai_species=species,
        session=found["session"],
        source_name=f"{recording}_{{number:02d}}",
        has_frames=True,
    )


def open_entry(entry: Entry) -> Clip:
    """Returns the frames of a recording; k of the group `Frame_<k>` is a frame's number.

    Raises:
      ImageError: the file is missing, no HDF5 file, or without frames; `read` raises it for a frame that is damaged, not
        there, or not 3 x height x width bytes.
      ConfigError: the package that reads HDF5 is not installed.
    """
    with _opened(entry.path) as file:
        numbers = sorted(int(found[1]) for name in file if (found := _FRAME.fullmatch(name)))
    if not numbers:
        raise ImageError(f"{entry.path}: no group 'Frame_<number>' in this file; copy it again")
    return Clip(numbers, lambda wanted: _frames(entry.path, wanted))


def _attack(kind: str, pai: str) -> tuple[int, str]:
    if kind == _PRINT and pai in _PHOTO_ON_SCREEN:
        return labels.UNKNOWN, "replay/photo"
    return {
        _BONA_FIDE: (0, ""),
        _DISGUISE: (labels.UNKNOWN, "facial_disguise"),
        _FAKE_FACE: (labels.ATTACK_INSTRUMENTS.index("mask_3d"), f"fake_face/pai_{pai}"),
        _PRINT: (labels.ATTACK_INSTRUMENTS.index("a4_paper"), "print"),
        _VIDEO: (labels.UNKNOWN, "replay/video"),
    }[kind]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(
            f"h5py, which reads HDF5, is not installed; run: pip install 'flipjax[prep]' ({error})"
        ) from error
    media.check_readable(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ImageError(f"{path}: cannot be read as an HDF5 file ({reason}); copy it again") from error


def _frames(path: Path, wanted: Sequence[int]) -> Iterator[Frame]:
    with _opened(path) as file:
        for number in wanted:
            yield number, _picture(file, path, number)


def _picture(file: Any, path: Path, number: int) -> np.ndarray:
    name = f"Frame_{number}/array"
    try:
        planes = file[name]
        shape, kind = planes.shape or (), planes.dtype
    except (KeyError, AttributeError, ValueError, TypeError) as error:  # what h5py raises where there is no such array
        raise ImageError(f"{path}: no dataset '{name}' in this file; copy it again") from error
    is_picture = len(shape) == 3 and shape[0] == 3 and 0 < shape[1] * shape[2] <= media.MAX_PIXELS
    if not is_picture or kind != np.uint8:
        raise ImageError(f"{path}: dataset '{name}' is {kind} of shape {shape}; expected uint8 of 3 x height x width")
    return np.ascontiguousarray(planes[()].transpose(1, 2, 0))
