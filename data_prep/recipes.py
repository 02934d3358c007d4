"""How faces are cut: our default, and what each system's authors did, as presets that every option can still override."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from data_prep.entries import Facts
from flipjax.core.errors import ConfigError, check_choice
from flipjax.data import align
from flipjax.data.detection import INSTRUCT_FLIP_THRESHOLDS, Search
from flipjax.data.frames import FrameRule

NO_FACE_RULES = ("error", "drop", "box", "centre")
FACES = ("largest", "most_confident")
BORDERS = ("keep", "trim", "trim_released")
ENCODINGS = ("png", "jpeg")
QUALITIES = ("measured", "unknown")
LISTED = "listed"  # instead of a frame rule: the frames that the user's copy of the authors' lists names
_CHOICES = {
    "no_face": NO_FACE_RULES,
    "faces": FACES,
    "border": BORDERS,
    "encoding": ENCODINGS,
    "quality": QUALITIES,
}
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "flip": {"faces": "most_confident"},
    "instruct_flip": {
        "faces": "most_confident",
        "search": Search(thresholds=INSTRUCT_FLIP_THRESHOLDS, limit="height"),
    },
}


@dataclass(frozen=True)
class CropOptions:
    """Every choice between a decoded frame and a stored crop.

    detector, padding, size, search: as in `flipjax.data.align`.
    faces: which of several faces is cut: the "largest", or the "most_confident" as the authors' tool does.
    no_face: where none is found: "error" counts the file as failed, "drop" leaves the frame out, "box" cuts the box given
      with the data (and drops where there is none), "centre" cuts the middle of the picture, as large as that box if any.
    border: "trim" takes a black border off before anything else; "trim_released" loses the last row and column with it.
    encoding: "png" loses nothing; "jpeg" (quality 95) takes three tenths of the room.
    frames: a `FrameRule`, or "listed".
    quality: what a camera quality becomes that neither the data nor a CSV tells: "measured" by `camera_quality.RULE`, or
      "unknown".

    Raises:
      ConfigError: a value that is no choice or leaves no crop.
    """

    detector: str = align.MTCNN
    padding: float = align.DEFAULT_PADDING
    size: int = align.DEFAULT_SIZE
    search: Search = field(default_factory=Search)
    faces: str = "largest"
    no_face: str = "drop"
    border: str = "keep"
    encoding: str = "png"
    frames: str = "pair"
    quality: str = "unknown"

    def __post_init__(self) -> None:
        align.check_detector(self.detector)
        align.check_crop(self.size, self.padding)
        for key, known in _CHOICES.items():
            check_choice(key, getattr(self, key), known)
        if self.frames != LISTED:
            FrameRule(self.frames)


def options_for(facts: Facts, preset: str, given: Mapping[str, Any]) -> CropOptions:
    """Returns the options of a data set: the preset's, its own in that preset, then what was `given` by name.

    `thresholds` given by that name replace those of the preset's search and leave the rest of it.

    Raises:
      ConfigError: an unknown preset or an option that cannot be.
    """
    check_choice("preset", preset, tuple(PRESETS))
    own = {"frames": facts.frames, "no_face": facts.no_face}
    chosen = {**own, **PRESETS[preset], **facts.crops.get(preset, {}), **given}
    if "thresholds" in chosen:
        chosen["search"] = replace(chosen.get("search", Search()), thresholds=chosen.pop("thresholds"))
    return CropOptions(**chosen)


def parse_padding(text: str) -> float:
    """Returns a padding given by the name of a published one or as a number.

    Raises:
      ConfigError: neither.

    Example:
      >>> parse_padding("released"), parse_padding("0.5")
      (0.37, 0.5)
    """
    try:
        return align.PADDINGS[text] if text in align.PADDINGS else float(text)
    except ValueError as error:
        known = ", ".join(f"{name} ({value})" for name, value in align.PADDINGS.items())
        raise ConfigError(f"padding '{text}' unknown; expected a number or one of {known}") from error
