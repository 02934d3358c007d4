"""The page holds everything, lets nothing in and asks nothing of anybody; the command's exit code says what matters."""

import re
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep.doctor import pictures
from data_prep.doctor.counting import Count, Published
from data_prep.doctor.diagnosis import Counts, Diagnosis
from data_prep.doctor.findings import LEVELS, SHOWN_ITEMS, Finding
from data_prep.doctor.page import render_page
from data_prep.doctor.samples import Samples, from_entries
from data_prep.entries import Entry, Facts
from flipjax.core.errors import ImageError

FACTS = Facts("Fake & Co", "F", "for <b>no one</b>", "ask", "all of it", "none of it")
HOSTILE = "x\"'><script>alert(1)</script><img src=http://evil.example/a.png onerror=alert(2)>.jpg"


def diagnosis(**changes: Any) -> Diagnosis:
    given: dict[str, Any] = {
        "facts": FACTS,
        "unit": "files",
        "examined": [("raw data", "somewhere")],
        "findings": [],
        "counts": [],
        "groups": [],
    }
    return Diagnosis(**{**given, **changes})


def text_of(page: str) -> str:
    class Text(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.parts: list[str] = []

        def handle_data(self, data: str) -> None:
            self.parts.append(data)

    parser = Text()
    parser.feed(page.partition("</style>")[2])
    return " ".join(" ".join(parser.parts).split())


def tags_of(page: str) -> list[tuple[str, dict[str, str | None]]]:
    found: list[tuple[str, dict[str, str | None]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Tags().feed(page)
    return found


def test_names_from_files_stay_text_everywhere() -> None:
    page = render_page(
        diagnosis(
            facts=Facts(HOSTILE, "F", HOSTILE, "", HOSTILE, HOSTILE),
            examined=[(HOSTILE, HOSTILE)],
            findings=[Finding(HOSTILE, level, HOSTILE, HOSTILE, (HOSTILE,)) for level in LEVELS],
            counts=[
                Counts(HOSTILE, [Count(HOSTILE, HOSTILE, 1, 1, 1, 2)], [Published("FLIP", HOSTILE, HOSTILE, 1, 2)])
            ],
            groups=[pictures.Group(HOSTILE, [pictures.Picture("data:image/jpeg;base64,AA", HOSTILE)])],
        )
    )
    assert text_of(page).count(HOSTILE) >= 20
    images = [attributes for tag, attributes in tags_of(page) if tag == "img"]
    assert images == [{"src": "data:image/jpeg;base64,AA", "alt": HOSTILE}]
    assert "script" not in {tag for tag, _ in tags_of(page)}


def test_page_asks_nothing_of_anybody() -> None:
    page = render_page(diagnosis(findings=[Finding("c", level, "t") for level in LEVELS]))
    for tag, attributes in tags_of(page):
        assert tag not in ("script", "link", "iframe", "object", "form")
        assert not [name for name in attributes if name.startswith("on")]
        assert all((attributes.get(name) or "#").startswith(("#", "data:")) for name in ("src", "href"))
    assert not re.search(r"https?:|url\(|@import|//[a-z]", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [
        (("error", "warning"), "Something that matters is wrong"),
        (("warning", "note"), "Nothing that matters is wrong"),
        (("good", "note"), "Nothing is wrong"),
    ],
)
def test_verdict_and_summary_come_first(levels: Sequence[str], verdict: str) -> None:
    text = text_of(render_page(diagnosis(findings=[Finding("c", level, f"the {level} title") for level in levels])))
    assert text.index("Data doctor: Fake & Co") < text.index(verdict) < text.index("errors: something that matters")
    assert text.index("looked at and found right") < min(text.index(f"the {level} title") for level in levels)


def test_links_of_the_summary_lead_somewhere() -> None:
    page = render_page(diagnosis(findings=[Finding("c", "note", "t")]))
    ids = {f"#{attributes['id']}" for _, attributes in tags_of(page) if "id" in attributes}
    assert {attributes["href"] for tag, attributes in tags_of(page) if tag == "a"} <= ids


def test_finding_shows_the_first_names_and_how_many_more() -> None:
    finding = Finding("reading", "error", "files that cannot be read: 1,234", items=tuple(f"n{i}" for i in range(1234)))
    text = text_of(render_page(diagnosis(findings=[finding])))
    assert "1,234 named" in text
    assert f"n{SHOWN_ITEMS - 1}" in text
    assert f"n{SHOWN_ITEMS}" not in text
    assert f"and {1234 - SHOWN_ITEMS:,} more" in text


def test_tables_show_ours_theirs_and_the_difference() -> None:
    rows = [
        Count("train", "a4_paper", 3, 20, 10, 1500),
        Count("dev", "other", 1, 2, 2, None),
        Count("test", "photo", 1, 4, 4, 4),
    ]
    used = [
        Published("FLIP", "lines of its train list", "bona_fide", 150, 160),
        Published("FLIP", "shots", "attack", 10, None),
    ]
    text = text_of(render_page(diagnosis(counts=[Counts("F", rows, used)])))
    assert "train, a4 paper 3 20 10 1,500 ≠ -1,490" in text
    assert "dev, other 1 2 2 not known –" in text
    assert "test, photo 1 4 4 4 = 0" in text
    assert "FLIP, lines of its train list bona fide 150 160 ≠ +10" in text
    assert "FLIP, shots attack 10 not compared –" in text


def table(count: int) -> Samples:
    entries = [
        Entry(Path(f"/raw/{i}.png"), ("train", "test")[i % 2], "F", str(i), f"p{i}", str(i), i % 4 < 2)
        for i in range(count)
    ]
    return from_entries(entries, FACTS, Path("/raw"))


def read(row: int) -> np.ndarray:
    if row == 0:
        raise ImageError("damaged since")
    return np.random.default_rng(row).integers(0, 256, (480, 640, 3), np.uint8)


def test_pictures_are_few_small_and_of_every_split_and_class() -> None:
    groups = pictures.mosaics(table(4000), read)
    assert [group.title for group in groups] == [
        f"F, {s}, {c}" for s in ("train", "test") for c in ("bona fide", "attack")
    ]
    assert {len(group.pictures) for group in groups} == {pictures.PER_GROUP}
    first, second, *_ = groups[0].pictures
    assert (first.uri, first.caption) == ("", "0.png (p0, bona fide)")
    assert second.uri.startswith("data:image/jpeg;base64,")
    page = render_page(diagnosis(groups=groups))
    assert len(page) < 600_000
    assert "cannot be read" in text_of(page)
    assert "Do not share the page" in text_of(page)


def test_page_of_many_domains_stays_below_three_megabytes() -> None:
    many = table(900)
    domains = np.array([f"D{row % 15}" for row in range(900)], object)
    spread = Samples(**{**vars(many), "domain": domains})
    groups = pictures.mosaics(spread, lambda row: read(row + 1))
    groups += pictures.pair_groups(spread, np.arange(100, dtype=np.int64).reshape(50, 2), lambda row: read(row + 1))
    assert sum(len(group.pictures) for group in groups) <= pictures.MAX_PICTURES + 2 * pictures.PAIRS_SHOWN
    assert len(render_page(diagnosis(groups=groups))) < 3_000_000


def own_data(folder: Path, *, count: int = 2) -> Path:
    """A CSV of `count` bona fide pictures of as many people."""
    for number in range(count):
        tiles = np.random.default_rng(number).integers(0, 256, (7, 7, 3), np.uint8)
        Image.fromarray(cv2.resize(tiles, (64, 64))).save(folder / f"{number}.png")
    rows = [f"{number}.png,bona_fide,p{number}" for number in range(count)]
    (folder / "own.csv").write_text("\n".join(["path,label,subject_id", *rows]) + "\n")
    return folder / "own.csv"


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "data_prep.doctor", *arguments]
    return subprocess.run(command, cwd=cwd, env={"PYTHONPATH": str(root), "PATH": ""}, capture_output=True, text=True)


def test_exit_code_says_whether_something_that_matters_is_wrong(tmp_path: Path) -> None:
    csv = own_data(tmp_path)
    done = run("--dataset=own", f"--raw={csv}", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "doctor.html\n", "")
    assert "Nothing is wrong with what was examined" in (tmp_path / "doctor.html").read_text()
    (tmp_path / "1.png").write_bytes(b"damaged")
    done = run("--dataset=own", f"--raw={csv}", "--out=new/page.html", "--no_images", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "error: files that cannot be read: 1\nnew/page.html\n"
    assert "<img" not in (tmp_path / "new/page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset=own",), "give either --raw=DIR"),
        (("--dataset=own", "--raw=a", "--records=b"), "give either --raw=DIR"),
        (("--dataset=owm", "--raw=a"), "did you mean 'own'"),
        (("--dataset=own", "--records=nowhere"), "--records 'nowhere' is not a folder"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_one(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
