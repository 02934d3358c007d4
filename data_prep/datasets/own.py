"""Your own pictures and clips, listed in one CSV file; `--raw` is that file.

There is nothing to obtain: write a CSV (UTF-8, commas) with a header and one row per picture or clip.

    path,label,subject_id,attack_instrument
    photos/anna_1.jpg,bona_fide,anna,
    photos/anna_print.jpg,attack,anna,a4_paper
    clips/ben.mp4,bona_fide,ben,

Columns (only the first two are required; an empty cell means unknown):
  path               picture or clip (mp4, avi, mov), relative to the CSV
  label              bona_fide or attack
  subject_id         the person; without it the video, else the file, counts as a person of its own
  video_id           the presentation that pictures belong to; without it every file is one presentation
  attack_instrument  photo, poster, a4_paper, face_mask_2d, upper_body_mask_2d, region_mask_2d, pc_screen, pad_screen,
                     phone_screen, mask_3d or other; empty for bona fide
  domain             name of the data set to write into; `own` where empty
  illumination       normal, strong, back or dark
  environment        indoor or outdoor
  camera_quality     low, medium or high

A clip gives two records: frames 6 and 6 + floor(n / 2), as for the public data sets. Splits are train, dev and test
with 70, 10 and 20 % of the subjects, by a hash of `subject_id`: adding rows never moves a person to another split.
"""

import csv
import re
from pathlib import Path

from data_prep.entries import Entry, Facts, Listing, split_of
from data_prep.records import check_domain_name
from flipjax.core import labels
from flipjax.core.errors import DataError, FlipjaxError, suggest
from flipjax.core.schemas import LABEL_COLUMNS
from flipjax.data import media

DEFAULT_DOMAIN = "own"
FACTS = Facts(
    name="own recordings",
    domain=DEFAULT_DOMAIN,
    licence="yours: ask the people shown before you share pictures or models",
    obtain="write a CSV file with one row per picture or clip",
    flip="not used",
    instruct_flip="not used",
    no_face="error",
)


def read(raw: Path) -> Listing:
    """Returns one entry per row of the CSV; every row and file name is checked before the first picture is decoded.

    Raises:
      DataError: what is wrong with the CSV, its header or a row, with the line number.
    """
    rows = _rows(raw)
    entries: list[Entry] = []
    lines: dict[Path, int] = {}
    presentations: dict[tuple[str, str], tuple[int, Entry]] = {}
    for line, row in rows:
        try:
            entry = _entry(row, raw.parent)
            _check_repeat(entry, line, lines)
            _check_presentation(entry, line, presentations)
        except FlipjaxError as error:
            raise DataError(f"{raw}, line {line}: {error}") from error
        entries.append(entry)
    if not entries:
        raise DataError(f"{raw}: no row below the header; add one row per picture or clip")
    return Listing(entries)


def _rows(raw: Path) -> list[tuple[int, dict[str, str]]]:
    media.check_readable(raw)
    try:
        with raw.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(raw, header)
            cells = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{raw}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8 CSV"
        ) from error
    except csv.Error as error:
        raise DataError(f"{raw}: not a CSV file ({error}); save it as comma separated text") from error
    filled = [(line, row) for line, row in cells if any(row)]
    for line, row in filled:
        if len(row) != len(header):
            raise DataError(
                f"{raw}, line {line}: {len(row)} cells, the header has {len(header)}; quote cells that hold a comma"
            )
    return [(line, dict(zip(header, row, strict=True))) for line, row in filled]


def _check_header(raw: Path, header: list[str]) -> None:
    if not any(header):
        raise DataError(f"{raw}: no header; the first line must name the columns, at least: path,label")
    if len(header) == 1 and re.search(r"[;\t|]", header[0]):
        raise DataError(f"{raw}: columns are not separated by commas (header '{header[0]}'); save it with commas")
    known = LABEL_COLUMNS
    for name in header:
        if name not in known:
            raise DataError(f"{raw}: unknown column '{name}'; expected {', '.join(known)}{suggest(name, known)}")
        if header.count(name) > 1:
            raise DataError(f"{raw}: column '{name}' occurs twice; remove one")
    missing = [name for name in known[:2] if name not in header]
    if missing:
        raise DataError(f"{raw}: column '{missing[0]}' is missing; the header needs at least path,label")


def _entry(row: dict[str, str], folder: Path) -> Entry:
    name = row["path"]
    if not name:
        raise DataError("path is empty; give the picture or clip")
    is_bona_fide = labels.parse_class(row["label"])
    video_id = row.get("video_id") or name
    subject_id = row.get("subject_id") or video_id
    domain = row.get("domain") or DEFAULT_DOMAIN
    check_domain_name(domain)
    options = labels.parse_options(row, is_bona_fide)
    return Entry(
        path=_checked_file(folder / name),
        split=split_of(subject_id),
        domain=domain,
        sample_id=Path(name).as_posix(),
        subject_id=subject_id,
        video_id=video_id,
        is_bona_fide=is_bona_fide,
        attack_instrument=options["attack_instrument"],
        illumination=options["illumination"],
        environment=options["environment"],
        camera_quality=options["camera_quality"],
        has_frames=media.is_video(folder / name),
    )


def _checked_file(path: Path) -> Path:
    media.check_readable(path)
    known = (*media.IMAGE_SUFFIXES, *media.VIDEO_SUFFIXES)
    if path.suffix.lower() not in known:
        raise DataError(f"{path}: file type '{path.suffix}' is not read here; expected one of {' '.join(known)}")
    return path


def _check_repeat(entry: Entry, line: int, lines: dict[Path, int]) -> None:
    first = lines.setdefault(entry.path.resolve(), line)
    if first != line:
        raise DataError(f"path '{entry.sample_id}' is also in line {first}; keep one of them")


def _check_presentation(entry: Entry, line: int, seen: dict[tuple[str, str], tuple[int, Entry]]) -> None:
    first_line, first = seen.setdefault((entry.domain, entry.video_id), (line, entry))
    if (first.is_bona_fide, first.subject_id) != (entry.is_bona_fide, entry.subject_id):
        raise DataError(
            f"video_id '{entry.video_id}' has another label or subject_id in line {first_line}; one video is one "
            "presentation of one person"
        )
