"""Replay-Attack (domain I): clips of 50 people by a laptop's camera, and of prints, a phone and a tablet that show them.

To obtain it, sign Idiap's end user licence agreement at https://www.idiap.ch/en/scientific-research/data/replayattack. The
licence is for research alone; the data, and pictures cut from it, are not to be passed on.

`--raw` is the folder that holds `train`, `devel` and `test`, or the one above it:

    train/real/client001_session01_webcam_authenticate_adverse_1.mov
    train/attack/fixed/attack_highdef_client001_session01_highdef_video_adverse.mov
    train/attack/hand/attack_print_client001_session01_highdef_photo_controlled.mov
    enroll/...                           neither bona fide presentations nor attacks of the protocols, not used
    face-locations/..., protocols/...    not used

An attack's name says first what shows the face (`print`, `mobile` or `highdef`), then what took it (`mobile` or `highdef`)
and whether it is a photo or a video. Clips with `hand` have the instrument held, those with `fixed` on a support. Under
`controlled` the office light is on and the background plain; under `adverse` the light is out, the blinds are up and the
background is busier. Neither is one of the options for light, so support and condition are part of `session`.

Instruments are the nearest options of the content question: print A4 paper, mobile a phone's screen, highdef a pad's
screen; the names state neither the paper nor the screens. `devel` is dev, which the published lists leave out.
"""

import re
from pathlib import Path

from data_prep.entries import Entry, Facts, Listing
from data_prep.raw import find_root
from data_prep.video_sets import clip_entry, flip_counts, instruct_flip_counts, list_clips, stem

FACTS = Facts(
    name="Replay-Attack",
    domain="I",
    licence="research only, by an end user licence agreement with Idiap; no passing on of the data or of its pictures",
    obtain="sign the agreement at https://www.idiap.ch/en/scientific-research/data/replayattack",
    flip="the 840 clips of train and test: source with their first listed frame; target with both, without ten clips a class",
    instruct_flip="both listed frames of the 840 clips of train and test",
    totals={
        "train": {"bona_fide": 60, "a4_paper": 60, "phone_screen": 120, "pad_screen": 120},
        "dev": {"bona_fide": 60, "a4_paper": 60, "phone_screen": 120, "pad_screen": 120},
        "test": {"bona_fide": 80, "a4_paper": 80, "phone_screen": 160, "pad_screen": 160},
    },
    flip_counts=flip_counts(140, 700),
    instruct_flip_counts=instruct_flip_counts(140, 700),
)

_SPLITS = {"train": "train", "devel": "dev", "test": "test"}
_MARKERS = tuple(f"{part}/{kind}" for part in _SPLITS for kind in ("real", "attack"))
_UNUSED = ("enroll/*", "face-locations/*", "protocols/*", "README*")
_WHO = r"client(?P<client>\d{3})_(?P<session>session\d\d)"
_CONDITION = r"(?P<condition>adverse|controlled)"
_BONA_FIDE = re.compile(
    rf"(?P<part>train|devel|test)/(?P<folder>real)/{_WHO}_webcam_authenticate_{_CONDITION}_[12]\.mov"
)
_ATTACK = re.compile(
    r"(?P<part>train|devel|test)/attack/(?P<folder>fixed|hand)/"
    rf"attack_(?P<pai>print|mobile|highdef)_{_WHO}_(?P<content>(?:mobile|highdef)_(?:photo|video))_{_CONDITION}\.mov"
)
_PAIS = {
    ("print", "highdef_photo"): ("a4_paper", "print/highdef_photo"),
    ("mobile", "mobile_photo"): ("phone_screen", "replay/mobile_photo"),
    ("mobile", "mobile_video"): ("phone_screen", "replay/mobile_video"),
    ("highdef", "highdef_photo"): ("pad_screen", "replay/highdef_photo"),
    ("highdef", "highdef_video"): ("pad_screen", "replay/highdef_video"),
}


def read(raw: Path) -> Listing:
    """Returns one entry per clip; only names are looked at.

    Raises:
      DataError: `raw` is not the folder of Replay-Attack.
    """
    return list_clips(find_root(raw, _MARKERS, FACTS.name), parse, _UNUSED)


def parse(name: str) -> Entry | None:
    """Returns what a clip's name, relative to the raw folder, says; None where it matches no rule.

    Example:
      >>> entry = parse("devel/attack/hand/attack_mobile_client003_session01_mobile_video_adverse.mov")
      >>> entry.video_id
      'dev/hand_attack_mobile_client003_session01_mobile_video_adverse'
      >>> entry.subject_id, entry.pai_species, entry.session, entry.source_name
      ('003', 'replay/mobile_video', 'session01/adverse/hand', '')
    """
    found = _BONA_FIDE.fullmatch(name)
    if found is not None:
        return _entry(name, found, ("bona_fide", ""), f"{found['session']}/{found['condition']}")
    found = _ATTACK.fullmatch(name)
    pai = found and _PAIS.get((found["pai"], found["content"]))
    if found is None or pai is None:
        return None
    return _entry(name, found, pai, f"{found['session']}/{found['condition']}/{found['folder']}")


def _entry(name: str, found: re.Match[str], pai: tuple[str, str], session: str) -> Entry:
    split = _SPLITS[found["part"]]
    listed = f"{found['folder']}_{stem(name)}"
    return clip_entry(
        name,
        domain=FACTS.domain,
        split=split,
        subject_id=found["client"],
        video_id=f"{split}/{listed}",
        instrument=pai[0],
        pai_species=pai[1],
        device="webcam",
        session=session,
        listed_as="" if split == "dev" else listed,
    )
