"""Archives read in place: parts joined as one, and nothing believed of what a member's name or size claims."""

import bz2
import io
import random
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from data_prep import archives
from flipjax.core.errors import DataError, ImageError
from raw_archives.celeba_spoof import write_parts

PICTURE = bytes(range(256)) * 40
MEMBERS = {"Top/Data/a.jpg": PICTURE, "Top/Data/b/c.txt": b"box", "Top/metas/l.json": b"{}", "Top/readme": b"hello"}


def pack(path: Path, members: dict[str, bytes] = MEMBERS, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def patch(path: Path, offset: int, value: bytes) -> Path:
    """Overwrites a field of every member: at `offset` of the local header, two bytes later in the directory."""
    data = bytearray(path.read_bytes())
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset + shift : at + offset + shift + len(value)] = value
            at = data.find(signature, at + 4)
    path.write_bytes(bytes(data))
    return path


def reasons(path: Path) -> dict[str, str]:
    return {problem.name: problem.reason for problem in archives.list_members(path)[1]}


@pytest.mark.parametrize("sizes", [(7,), (3, 3, 1), (1, 0, 5, 1), (0, 7)])
def test_joined_files_read_as_the_whole(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    whole, paths, start = b"abcdefg", [], 0
    for number, size in enumerate(sizes):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(whole[start : start + size])
        start += size
    with io.BufferedReader(archives.JoinedFiles(paths), 2) as file, io.BytesIO(whole) as expected:
        assert file.seek(0, io.SEEK_END) == len(whole)
        draw = random.Random(0)
        for _ in range(200):
            at, count = draw.randrange(9), draw.randrange(9)
            assert file.seek(at) == expected.seek(at)
            assert file.read(count) == expected.read(count)
            assert file.tell() == expected.tell()
    assert archives.JoinedFiles(paths).seek(-2, io.SEEK_END) == 5


def test_a_cursor_before_the_first_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before the first byte"):
        archives.JoinedFiles([pack(tmp_path / "a.zip")]).seek(-1)


@pytest.mark.parametrize("parts", [1, 2, 5, 30])
def test_parts_hold_what_the_whole_holds(tmp_path: Path, parts: int) -> None:
    first = write_parts(tmp_path / "x.zip", MEMBERS, parts).with_name("x.zip.001")
    names, problems = archives.list_members(first)
    assert (sorted(names), problems) == (sorted(MEMBERS), [])
    assert {name: archives.read_member(first, name) for name in names} == MEMBERS


def test_any_part_names_the_archive_and_other_archives_beside_it_do_not_matter(tmp_path: Path) -> None:
    write_parts(tmp_path / "x.zip", MEMBERS, 3)
    write_parts(tmp_path / "y.zip", MEMBERS, 4)
    assert [p.name for p in archives.part_paths(tmp_path / "x.zip.002")] == ["x.zip.001", "x.zip.002", "x.zip.003"]
    assert archives.part_paths(tmp_path / "x.zip") == [tmp_path / "x.zip"]


@pytest.mark.parametrize("number", ["001", "003"])
def test_a_missing_part_is_named(tmp_path: Path, number: str) -> None:
    write_parts(tmp_path / "x.zip", MEMBERS, 5)
    (tmp_path / f"x.zip.{number}").unlink()
    with pytest.raises(DataError, match=rf"'x\.zip\.{number}' is missing"):
        archives.list_members(tmp_path / "x.zip.002")


def test_a_part_cut_short_is_named(tmp_path: Path) -> None:
    write_parts(tmp_path / "x.zip", MEMBERS, 4)
    part = tmp_path / "x.zip.002"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"x\.zip\.002: \d+ bytes, the first part has \d+; copy that part again"):
        archives.list_members(tmp_path / "x.zip.001")


def test_a_missing_last_part_leaves_no_whole_archive(tmp_path: Path) -> None:
    write_parts(tmp_path / "x.zip", MEMBERS, 4)
    (tmp_path / "x.zip.004").unlink()
    with pytest.raises(DataError, match=r"not a whole zip archive .* no part at its end is missing"):
        archives.list_members(tmp_path / "x.zip.001")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.zip: not a whole zip archive"):
        archives.read_member(tmp_path / "x.zip", "a.jpg")
    with pytest.raises(DataError, match=r"gone\.zip: no such archive"):
        archives.list_members(tmp_path / "gone.zip")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../up.jpg",
        "Data/../../up.jpg",
        "..",
        "C:/x.jpg",
        "c:x.jpg",
        "Data\\..\\x.jpg",
        "\\\\host\\x",
        "a/../b/",
    ],
)
def test_names_that_leave_the_folder_are_never_read(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "x.zip", {name: b"evil", "ok..jpg": b"good", "folder/": b""})
    names, (problem,) = archives.list_members(path)
    assert names == ["ok..jpg"]
    assert problem.name == name
    assert problem.reason == f"x.zip: member '{name}' is not read: its name leads out of the folder"
    assert [file.name for file in tmp_path.iterdir()] == ["x.zip"]


def test_a_name_with_a_hidden_end_is_refused_and_shown_on_one_line(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg@exe": b"x", "b\n.jpg": b"y"})
    path.write_bytes(path.read_bytes().replace(b"jpg@exe", b"jpg\0exe"))
    assert reasons(path) == {
        "a.jpg\\x00exe": "x.zip: member 'a.jpg\\x00exe' is not read: its name leads out of the folder"
    }
    assert archives.shown("b\n.jpg") == "b\\n.jpg"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("a.jpg")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, b"/etc/passwd")
    assert archives.list_members(tmp_path / "x.zip")[0] == []
    assert "it is a link or device" in reasons(tmp_path / "x.zip")["a.jpg"]


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = patch(pack(tmp_path / "x.zip", {"a.jpg": PICTURE}), 6, b"\x01")
    assert "it is encrypted" in reasons(path)["a.jpg"]
    with pytest.raises(ImageError, match=r"x\.zip/a\.jpg: cannot be read from the archive \(.*encrypted"):
        archives.read_member(path, "a.jpg")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeated_names_are_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg": b"1", "b.jpg": b"2"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.jpg", b"3")
    assert archives.list_members(path)[0] == ["b.jpg"]
    assert reasons(path) == {"a.jpg": "x.zip: member 'a.jpg' is not read: it is there 2 times"}


def test_claimed_bombs_are_refused(tmp_path: Path) -> None:
    flat = pack(tmp_path / "x.zip", {"flat.png": bytes(9_000_000), "bomb.png": bytes(11_000_000)})
    assert archives.list_members(flat)[0] == ["flat.png"]
    assert "it claims 11000000 bytes" in reasons(flat)["bomb.png"]
    huge = patch(
        pack(tmp_path / "y.zip", {"a.png": b"x"}, zipfile.ZIP_STORED), 18, struct.pack("<II", 200_000_001, 200_000_001)
    )
    assert "it claims 200000001 bytes" in reasons(huge)["a.png"]


def test_a_bomb_that_claims_little_is_stopped_before_it_unpacks(tmp_path: Path) -> None:
    path = patch(pack(tmp_path / "x.zip", {"a.png": bytes(60_000_000)}), 22, struct.pack("<I", 100))
    assert archives.list_members(path)[0] == ["a.png"]
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"x\.zip/a\.png: cannot be read from the archive \(Bad CRC"):
        archives.read_member(path, "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_no_more_is_unpacked_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "x.zip", {"a.png": bytes(40_000_000), "b.png": bytes(2_000_000)})
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 2_000_000)
    assert archives.read_member(path, "b.png") == bytes(2_000_000)
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"x\.zip/a\.png: more than 2000000 bytes once unpacked"):
        archives.read_member(path, "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_methods_without_a_limit_on_their_output_are_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.png": bz2.compress(b"x")}, zipfile.ZIP_BZIP2)
    assert "it is compressed by method 12" in reasons(path)["a.png"]
    with pytest.raises(ImageError, match=r"x\.zip/a\.png: it is compressed by method 12"):
        archives.read_member(path, "a.png")


def test_damage_names_archive_and_member_and_spares_the_others(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg": PICTURE, "b.jpg": PICTURE}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace(PICTURE, PICTURE[:-1] + b"!", 1))
    with pytest.raises(
        ImageError, match=r"x\.zip/a\.jpg: cannot be read from the archive \(Bad CRC-32 for file 'a\.jpg'"
    ):
        archives.read_member(path, "a.jpg")
    assert archives.read_member(path, "b.jpg") == PICTURE
    with pytest.raises(ImageError, match=r"x\.zip/c\.jpg: no such member"):
        archives.read_member(path, "c.jpg")


def test_damaged_compression_is_an_image_error(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg": random.Random(0).randbytes(5000) + bytes(5000)})
    data = bytearray(path.read_bytes())
    data[60:90] = b"\xff" * 30
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match=r"x\.zip/a\.jpg: cannot be read from the archive"):
        archives.read_member(path, "a.jpg")


def test_an_archive_is_opened_once_in_each_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "x.zip")
    opened: list[int] = []
    joined = archives.JoinedFiles
    monkeypatch.setattr(archives, "JoinedFiles", lambda paths: opened.append(1) or joined(paths))
    for process in (1, 1, 2):
        monkeypatch.setattr(archives.os, "getpid", lambda process=process: process)
        archives.read_member(path, "Top/readme")
        archives.read_member(path, "Top/Data/a.jpg")
    assert len(opened) == 2


def tree(given: Path) -> archives.Tree:
    return archives.open_tree(given, dataset="CelebA-Spoof", folders=("Data", "metas"), archive="x.zip")


def unpack(root: Path) -> Path:
    for name, data in MEMBERS.items():
        path = root / name.removeprefix("Top/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_a_tree_is_the_same_unpacked_joined_and_in_parts(tmp_path: Path) -> None:
    unpack(tmp_path / "unpacked/root")
    (tmp_path / "parts").mkdir()
    write_parts(tmp_path / "parts/x.zip", MEMBERS, 3)
    (tmp_path / "whole").mkdir()
    pack(tmp_path / "whole/x.zip", {**MEMBERS, "__MACOSX/Top/Data/._a.jpg": b"fork"})
    places = ("unpacked", "unpacked/root", "parts", "parts/x.zip.001", "whole", "whole/x.zip")
    for found in [tree(tmp_path / place) for place in places]:
        assert found.names == ["Data/a.jpg", "Data/b/c.txt", "metas/l.json"]
        assert found.problems == []
        assert found.read("Data/a.jpg") == PICTURE
        assert archives.read_file(*found.place("Data/b/c.txt")) == b"box"
        assert found.read("Data/missing") is None


def test_problems_of_a_tree_carry_the_names_below_its_root(tmp_path: Path) -> None:
    found = tree(pack(tmp_path / "x.zip", {**MEMBERS, "Top/Data/bomb.png": bytes(11_000_000), "../up": b""}))
    assert [problem.name for problem in found.problems] == ["Data/bomb.png", "../up"]
    assert "Data/bomb.png" not in found.names


def test_a_tree_that_is_not_there_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not hold 'Data' or 'x\.zip\.001' or 'x\.zip' as CelebA-Spoof does"):
        tree(tmp_path)
    (tmp_path / "x.zip").mkdir()
    with pytest.raises(DataError, match=r"x\.zip: no such archive"):
        tree(tmp_path)
    with pytest.raises(DataError, match="one folder 'Data' expected in the archive, found none"):
        tree(pack(tmp_path / "none.zip", {"a.jpg": b""}))
    with pytest.raises(DataError, match=r"found several \(A/, B/\)"):
        tree(pack(tmp_path / "two.zip", {"A/Data/a.jpg": b"", "B/Data/a.jpg": b""}))


def test_a_file_that_cannot_be_read_is_not_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot be read .* check the file"):
        archives.read_file(tmp_path, "")
    assert archives.read_file(tmp_path / "gone", "") is None
