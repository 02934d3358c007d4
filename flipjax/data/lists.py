"""The authors' lists of pictures: the user's own copy of the files, found, checked and read.

FLIP's release holds `<set>_{fake,real}_{train,test,shot}.txt` for eight data sets, one picture a line; InstructFLIP
extracts its pictures by the same files. They come without a licence, so none is part of this project: the digests below
only tell whether a copy is the published one.

A line `casia/train/real/1_1_frame0.png` is called `train/1_1_frame0` here and in the field `source_name` of records. The
folder counts for C alone, where numbers restart. M, C, I and O have two pictures a video, of which the lists name the
first (`_frame0`); in W and Ce the last field is the frame's number, however padded.
"""

import hashlib
import re
from pathlib import Path

from flipjax.core.errors import ConfigError, DataError

PARTS = ("train", "test", "shot")
SETS = {"M": "msu", "C": "casia", "I": "replay", "O": "oulu", "W": "wmca", "Ce": "cefa", "S": "surf", "CA": "celeb"}
PAIRED_DOMAINS = ("M", "C", "I", "O")
NUMBERED_DOMAINS = ("W", "Ce")
FIRST, SECOND = "_frame0", "_frame1"
_WCS = ("W", "Ce", "S")
_CLASS_FOLDERS = {False: "fake", True: "real"}
_NUMBERED = "(.+_)0*([0-9]+)"
# File -> lines, first 16 hexadecimal digits of the SHA-256 of its bytes.
_PUBLISHED = {
    "casia_fake_train": (450, "e181d846c12e3190"),
    "casia_fake_test": (440, "7262281913c73a85"),
    "casia_fake_shot": (10, "5f5c48ff092d12e9"),
    "casia_real_train": (150, "6ed72e9e8ec8c216"),
    "casia_real_test": (140, "1414989cb7369181"),
    "casia_real_shot": (10, "fe233fadcdebd664"),
    "msu_fake_train": (210, "cba1f85aa4219c1c"),
    "msu_fake_test": (200, "f648780efdd29e92"),
    "msu_fake_shot": (10, "df528106609eeeb5"),
    "msu_real_train": (70, "c8ddc98e03a72694"),
    "msu_real_test": (60, "22d3498f5647256b"),
    "msu_real_shot": (10, "1f32b9ab74e79d2a"),
    "replay_fake_train": (700, "b7f98696b6c148e1"),
    "replay_fake_test": (690, "01ec7ad63a2efd13"),
    "replay_fake_shot": (10, "5330e50fcd7f4a91"),
    "replay_real_train": (140, "e2d6ade7f1f26cdd"),
    "replay_real_test": (130, "1505e2468f49669b"),
    "replay_real_shot": (10, "d941a4b1a04d9b29"),
    "oulu_fake_train": (2880, "5bae14dae133b033"),
    "oulu_fake_test": (2870, "020b55db032e7fc6"),
    "oulu_fake_shot": (10, "afc0487616b4a04a"),
    "oulu_real_train": (720, "118b53042e1623a2"),
    "oulu_real_test": (710, "6aa55483ab31f910"),
    "oulu_real_shot": (10, "a66457cf978e485d"),
    "celeb_fake_train": (40000, "586e451a63ddca4a"),
    "celeb_real_train": (40000, "44061bb29de8f6f4"),
    "wmca_fake_train": (13288, "092dc492a50ade31"),
    "wmca_fake_test": (5470, "63ca9e296b2c7d13"),
    "wmca_fake_shot": (10, "224b98042d1ad956"),
    "wmca_real_train": (3470, "efd18502d80a2134"),
    "wmca_real_test": (3460, "7ac7b1f0b10fab6c"),
    "wmca_real_shot": (10, "9925c2817f95629b"),
    "cefa_fake_train": (45000, "a13dd54ce9c26cdd"),
    "cefa_fake_test": (8990, "d4f459c71d865073"),
    "cefa_fake_shot": (10, "bd29a8e3acb1a97a"),
    "cefa_real_train": (15000, "14f29ae4b0ca3fcc"),
    "cefa_real_test": (2990, "2e6560e687f0bc46"),
    "cefa_real_shot": (10, "3b49a14ea102dbc8"),
    "surf_fake_train": (67190, "3cba7b298edef105"),
    "surf_fake_test": (6604, "6512dc77bbe42f39"),
    "surf_fake_shot": (10, "9874bbaf8162d61c"),
    "surf_real_train": (29394, "a9fd417b850a5d46"),
    "surf_real_test": (2984, "685cd1f8a3515b15"),
    "surf_real_shot": (10, "8a4e56c1a78abfe7"),
}


def listed_names(folder: Path, domain: str, part: str, *, is_checked: bool) -> list[tuple[str, bool]]:
    """Returns (name as in the field `source_name`, is bona fide) for the lines of "train", "test" or "shot", attacks first.

    Numbers of frames in W and Ce lose their padding.

    Raises:
      DataError: a file is missing, not the published one though `is_checked`, or has a malformed line.
    """
    names = []
    for is_bona_fide, word in _CLASS_FOLDERS.items():
        path = _find(folder, domain, f"{SETS[domain]}_{word}_{part}.txt")
        content = path.read_bytes()
        lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
        if is_checked:
            _check_digest(path, content, len(lines))
        form = _form(domain, word)
        for number, line in enumerate(lines, start=1):
            match = form.fullmatch(line)
            if match is None:
                raise DataError(f"'{path}', line {number}: '{line}' is no line of this list; expected {form.pattern}")
            names.append(("".join(match.groups()), is_bona_fide))
    return names


def listed_frames(folder: Path, domain: str, *, is_checked: bool = True) -> dict[str, set[int]]:
    """Returns recording -> numbers of the frames that any list names, for W and Ce; conversion takes these.

    A recording is called as in the lists, without the frame: `15.05.18_019_05_069_4_07`, `1_285_3_1_2`.

    Raises:
      ConfigError: another domain, whose frames no list numbers.
      DataError: as `listed_names`.
    """
    if domain not in NUMBERED_DOMAINS:
        raise ConfigError(
            f"the lists number no frames of domain '{domain}', only of {' and '.join(NUMBERED_DOMAINS)}; use a frame rule"
        )
    frames: dict[str, set[int]] = {}
    for part in PARTS:
        for name, _ in listed_names(folder, domain, part, is_checked=is_checked):
            recording, _, number = name.rpartition("_")
            frames.setdefault(recording, set()).add(int(number))
    return frames


def unpadded(names: list[str]) -> list[str]:
    """Returns the names with the frame's number, their last field, without padding; empty where that is no number.

    Example:
      >>> unpadded(["15.05.18_019_05_069_4_07_05", "1_285_3_1_2_0000", ""])
      ['15.05.18_019_05_069_4_07_5', '1_285_3_1_2_0', '']
    """
    matches = map(re.compile(_NUMBERED).fullmatch, names)
    return ["".join(match.groups()) if match else "" for match in matches]


def _form(domain: str, word: str) -> re.Pattern[str]:
    """The syntax of a line; its groups make the name."""
    split = "(?:train|test)/"
    folder = {"CA": "", "C": f"({split})"}.get(domain, split)
    name = rf"(.+{FIRST})" if domain in PAIRED_DOMAINS else _NUMBERED if domain in NUMBERED_DOMAINS else "(.+)"
    return re.compile(rf"{SETS[domain]}/{folder}{word}/{name}\.(?:png|jpe?g)")


def _find(folder: Path, domain: str, name: str) -> Path:
    group = "WCS" if domain in _WCS else "MCIO"
    for path in (folder / name, folder / group / name, folder / group / "txt" / name):
        if path.is_file():
            return path
    raise DataError(
        f"list '{name}' is not in '{folder}' nor below it in {group}; give the folder with the authors' lists"
    )


def _check_digest(path: Path, content: bytes, lines: int) -> None:
    digest = hashlib.sha256(content).hexdigest()[:16]
    published_lines, published = _PUBLISHED[path.stem]
    if digest != published:
        raise DataError(
            f"'{path}' ({lines} lines, digest {digest}) is not the published list ({published_lines} lines, {published}); "
            "copy that one unchanged, or allow lists of your own with data.lists_check=False"
        )
