"""Miniature MSU-MFSD, CASIA-FASD, Replay-Attack and OULU-NPU: real names, layout and containers around short made-up clips.

The `*_names` functions give the names of the whole data sets too, so that parsers can be counted against known totals.
"""

import zlib
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from data_prep.entries import Entry

MSU_TRAIN = (2, 3, 5, 6, 7, 8, 9, 11, 12, 21, 22, 34, 53, 54, 55)
MSU_TEST = (1, 13, 14, 23, 24, 26, 28, 29, 30, 32, 33, 35, 36, 37, 39, 42, 48, 49, 50, 51)
CASIA_CLIPS = (*"12345678", "HR_1", "HR_2", "HR_3", "HR_4")
REPLAY_ATTACKS = (
    ("print", "highdef_photo"),
    ("mobile", "mobile_photo"),
    ("mobile", "mobile_video"),
    ("highdef", "highdef_photo"),
    ("highdef", "highdef_video"),
)
REPLAY_CONDITIONS = ("adverse", "controlled")
CODES = {".avi": "MJPG", ".mov": "mp4v", ".mp4": "mp4v"}
SIDE = 96
MARGIN = 16
VEIL = 0.35
FRAMES = (14, 20)


def msu_names(clients: Iterable[int]) -> list[str]:
    """Returns the eight clips of each client."""
    names = []
    for client in clients:
        for device, suffix in (("android", "mp4"), ("laptop", "mov")):
            who = f"client{client:03d}_{device}_SD"
            names.append(f"scene01/real/real_{who}_scene01.{suffix}")
            names += [
                f"scene01/attack/attack_{who}_{pai}_scene01.{suffix}"
                for pai in ("ipad_video", "iphone_video", "printed_photo")
            ]
    return names


def casia_names(split: str, subjects: Iterable[int]) -> list[str]:
    """Returns the twelve clips of each subject of "train" or "test"."""
    return [f"{split}_release/{subject}/{clip}.avi" for subject in subjects for clip in CASIA_CLIPS]


def replay_names(part: str, clients: Iterable[int], supports: tuple[str, ...] = ("fixed", "hand")) -> list[str]:
    """Returns the clips of each client in "train", "devel" or "test": 24 with both supports."""
    names = []
    for client in clients:
        who = f"client{client:03d}_session01"
        for condition in REPLAY_CONDITIONS:
            names += [f"{part}/real/{who}_webcam_authenticate_{condition}_{take}.mov" for take in (1, 2)]
            names += [
                f"{part}/attack/{support}/attack_{pai}_{who}_{content}_{condition}.mov"
                for support in supports
                for pai, content in REPLAY_ATTACKS
            ]
    return names


def oulu_names(
    folder: str, users: Iterable[int], phones: Iterable[int] = range(1, 7), sessions: Iterable[int] = range(1, 4)
) -> list[str]:
    """Returns the five clips of each user, phone and session in "Train_files", "Dev_files" or "Test_files"."""
    takes = [(phone, session) for phone in phones for session in sessions]
    return [
        f"{folder}/{phone}_{session}_{user:02d}_{file}.avi"
        for user in users
        for phone, session in takes
        for file in range(1, 6)
    ]


def write_msu(root: Path, *, face: np.ndarray | None = None) -> Path:
    """Writes 40 clips of three train and two test clients with face files, lists, readme and tools; returns `root`."""
    train, test = MSU_TRAIN[:3], MSU_TEST[:2]
    for name in msu_names(train + test):
        write_clip(root, name, face=face)
        write_text(root, str(Path(name).with_suffix(".face")), "1, 30, 30, 66, 66, 40, 45, 56, 45\n")
    write_text(root, "train_sub_list.txt", "".join(f"{client:02d}\n" for client in train))
    write_text(root, "test_sub_list.txt", "".join(f"{client:02d}\n" for client in test))
    for name in ("README.txt", "DecFrames.m", "ffmpeg/bin/ffmpeg.exe"):
        write_text(root, name, "no clip\n")
    return root


def write_casia(root: Path, *, face: np.ndarray | None = None) -> Path:
    """Writes 60 clips of three train and two test subjects, whose numbers start again; returns `root`."""
    for name in casia_names("train", (1, 2, 13)) + casia_names("test", (1, 30)):
        write_clip(root, name, face=face)
    return root


def write_replay(root: Path, *, face: np.ndarray | None = None) -> Path:
    """Writes 98 clips of three train, two devel and two test clients, enrolment clips and text files; returns `root`.

    A client has one of the two supports, in turn.
    """
    clients = {"train": (1, 2, 4), "devel": (3, 5), "test": (9, 102)}
    for part, of_part in clients.items():
        for place, client in enumerate(of_part):
            for name in replay_names(part, [client], supports=(("fixed", "hand")[place % 2],)):
                write_clip(root, name, face=face)
            write_clip(root, f"enroll/{part}/client{client:03d}_session01_webcam_enroll_adverse.mov", face=face)
    locations = "face-locations/train/real/client001_session01_webcam_authenticate_adverse_1.face"
    write_text(root, locations, "0 30 30 36 36\n")
    write_text(root, "protocols/clients.txt", "1 train\n")
    return root


def write_oulu(root: Path, *, face: np.ndarray | None = None) -> Path:
    """Writes 35 clips of three train, two dev and two test users with eye positions and a protocol; returns `root`."""
    users = {"Train_files": (1, 2, 20), "Dev_files": (21, 35), "Test_files": (36, 55)}
    for folder, of_folder in users.items():
        for user in of_folder:
            for name in oulu_names(folder, [user], phones=[user % 6 + 1], sessions=[user % 3 + 1]):
                write_clip(root, name, face=face)
                write_text(root, str(Path(name).with_suffix(".txt")), "0,40,45,56,45\n")
    write_text(root, "Protocols/Protocol_1/Train.txt", "+1,1_1_01_1\n")
    return root


def write_clip(root: Path, name: str, *, face: np.ndarray | None = None) -> None:
    """Writes the clip `name`: 14 to 20 frames of a drifting picture that only its name decides, around `face` if given.

    Args:
      root: folder that the name is relative to.
      name: decides the container too.
      face: RGB picture that a detector can find; a coarse coloured veil, another in each clip, keeps clips from being copies.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    picture = cv2.cvtColor(_picture(rng, face), cv2.COLOR_RGB2BGR)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = picture.shape[:2]
    code = cv2.VideoWriter.fourcc(*CODES[path.suffix])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 25, (width, height))
    for frame in range(rng.integers(*FRAMES, endpoint=True)):
        writer.write(np.roll(picture, frame % 4, axis=1))
    writer.release()


def told(entry: Entry) -> tuple[str, ...]:
    """Returns what the tables of the parsers' tests compare: subject, split, instrument, species, device and session."""
    assert entry.is_bona_fide == (entry.attack_instrument == 0)
    return (entry.subject_id, entry.split, entry.instrument, entry.pai_species, entry.device, entry.session)


def write_text(root: Path, name: str, text: str) -> None:
    """Writes a file that is no clip."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def _picture(rng: np.random.Generator, face: np.ndarray | None) -> np.ndarray:
    height, width = (SIDE, SIDE) if face is None else (2 * MARGIN + side + side % 2 for side in face.shape[:2])
    coarse = rng.integers(0, 256, (12, 12, 3), np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    if face is not None:
        rows, columns = face.shape[:2]
        veil = cv2.resize(
            rng.integers(0, 256, (9, 9, 3)).astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR
        )
        veiled = ((1 - VEIL) * face + VEIL * veil).astype(np.uint8)
        picture[MARGIN : MARGIN + rows, MARGIN : MARGIN + columns] = veiled
    return picture
