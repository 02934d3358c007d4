"""Protocols by the authors' lists: who trains, validates and is tested, shots with and without a leak, released videos."""

from pathlib import Path

import pytest

from configs.flip_mcl import get_config
from flipjax.core.errors import ConfigError, DataError
from flipjax.data import lists
from flipjax.data.division import Rules
from flipjax.data.matching import FLIP, INSTRUCT_FLIP, Lists
from flipjax.data.protocols import Selection, get_protocol, select
from flipjax.data.source import Index
from flipjax.experiment import assemble

EMPTY = {
    f"{stem}_{word}_{part}": [] for stem in lists.SETS.values() for word in ("fake", "real") for part in lists.PARTS
}


def names(index: Index) -> set[str]:
    return set(index["source_name"])


def choose(
    root: Path, name: str, variant: str, *, shots: int = 0, with_ca: bool = False, profile: str = "default", **rules
):
    read = Lists(variant, str(root / "lists"), is_checked=False)
    protocol = get_protocol(name, with_ca=with_ca, shots=shots)
    return select(protocol, root, profile=profile, rules=Rules(read, **rules))


def oulu(split: str, users: range) -> list:
    """A bona fide clip (file 1) and a print (file 2) of each user, both pictures of each; dev clips have no published name."""
    return [
        (
            split,
            f"{user:02d}",
            f"1_1_{user:02d}_{file}",
            file == 1,
            "" if split == "dev" else f"1_1_{user:02d}_{file}_frame{n}",
        )
        for user in users
        for file in (1, 2)
        for n in range(2)
    ]


def msu(split: str, clients: range) -> list:
    return [
        (split, f"{client:03d}", f"{kind}_client{client:03d}", kind == "real", f"{kind}_client{client:03d}_frame{n}")
        for client in clients
        for kind in ("real", "attack")
        for n in range(2)
    ]


def wmca(clients: range, frames: range = range(10)) -> list:
    """A bona fide and an attack recording of each client; the archive names no split, so ours cuts across the lists."""
    return [
        (
            ("train", "dev", "test")[client % 3],
            f"{client:03d}",
            f"01.01.18_{client:03d}_{pai}",
            pai == "0",
            f"01.01.18_{client:03d}_{pai}_{n:02d}",
        )
        for client in clients
        for pai in ("0", "4")
        for n in frames
    ]


def celeb(split: str, subjects: range) -> list:
    return [
        (split, f"{s}", f"{s}_{kind}", kind == "live", f"{s}_{kind}_{n:06d}")
        for s in subjects
        for kind in ("live", "spoof")
        for n in range(3)
    ]


@pytest.fixture
def root(tmp_path, write_index, write_lists) -> Path:
    """O with a dev split and M without one; W; CA of which the lists name the first two pictures of each person."""
    write_index(tmp_path, "O", oulu("train", range(1, 5)) + oulu("dev", range(21, 23)) + oulu("test", range(36, 40)))
    write_index(tmp_path, "M", msu("train", range(1, 13)) + msu("test", range(20, 24)))
    write_index(tmp_path, "W", wmca(range(1, 13)))
    write_index(tmp_path, "CA", celeb("train", range(20)) + celeb("test", range(20, 24)))
    users, clients = [*range(1, 5), *range(36, 40)], [*range(1, 13), *range(20, 24)]
    files = {
        "oulu_real_train": [f"oulu/{'train' if u < 21 else 'test'}/real/1_1_{u:02d}_1_frame0.png" for u in users],
        "oulu_fake_train": [f"oulu/{'train' if u < 21 else 'test'}/fake/1_1_{u:02d}_2_frame0.png" for u in users],
        "msu_real_train": [f"msu/train/real/real_client{c:03d}_frame0.png" for c in clients],
        "msu_fake_train": [f"msu/train/fake/attack_client{c:03d}_frame0.png" for c in clients],
        "wmca_real_train": [f"wmca/train/real/01.01.18_{c:03d}_0_{n:02d}.jpg" for c in range(1, 13) for n in (0, 5)],
        "wmca_fake_train": [f"wmca/train/fake/01.01.18_{c:03d}_4_{n:02d}.jpg" for c in range(1, 13) for n in (0, 5)],
        "wmca_real_test": [f"wmca/test/real/01.01.18_{c:03d}_0_{n:02d}.jpg" for c in range(1, 13) for n in range(1, 4)],
        "wmca_fake_test": [f"wmca/test/fake/01.01.18_{c:03d}_4_{n:02d}.jpg" for c in range(1, 13) for n in range(1, 4)],
        "wmca_real_shot": [f"wmca/test/real/01.01.18_{c:03d}_0_04.jpg" for c in (7, 3, 5)],
        "wmca_fake_shot": [f"wmca/test/fake/01.01.18_{c:03d}_4_04.jpg" for c in (2, 9, 5)],
        "celeb_real_train": [f"celeb/real/{s}_live_{n:06d}.jpg" for s in range(20) for n in range(2)],
        "celeb_fake_train": [f"celeb/fake/{s}_spoof_{n:06d}.jpg" for s in range(20) for n in range(2)],
    }
    for name in ("oulu_real", "oulu_fake", "msu_real", "msu_fake"):  # test and shot lists are parts of the train list
        files |= {f"{name}_test": files[f"{name}_train"][2:], f"{name}_shot": files[f"{name}_train"][:2]}
    write_lists(tmp_path / "lists", **{**EMPTY, **files})
    return tmp_path


def of_domain(index: Index, domain: str) -> Index:
    return index.where(index["domain"] == domain)


def test_native_selection_reads_no_list(root, monkeypatch):
    config = get_config("o_to_m")
    config.data.dir, config.data.with_ca = str(root), False
    everything = len(oulu("train", range(8)))

    def refuse(*_, **__):
        raise AssertionError("a list was read")

    monkeypatch.setattr(lists, "listed_names", refuse)
    chosen = assemble.select(config)
    assert len(chosen.train) == everything and len(chosen.targets["M"]) == len(msu("", range(16)))
    config.data.lists, config.data.lists_dir = FLIP, str(root / "lists")
    with pytest.raises(AssertionError, match="a list was read"):
        assemble.select(config)


def test_flip_lists_train_on_first_pictures_and_test_both_without_the_shot_clips(root):
    chosen = choose(root, "o_to_m", FLIP)
    assert len(chosen.train) == 8 * 2 and all(name.endswith("_frame0") for name in names(chosen.train))
    tested = {
        f"{kind}_client{c:03d}_frame{n}"
        for kind in ("real", "attack")
        for c in [*range(3, 13), *range(20, 24)]
        for n in (0, 1)
    }
    assert names(chosen.targets["M"]) == tested
    assert set(chosen.targets["M"]["video_id"]) == {name.removesuffix(f"_frame{name[-1]}") for name in tested}


@pytest.mark.parametrize("shots", [0, 2])
def test_shot_clips_are_no_target_whatever_the_number_of_shots(root, shots):
    chosen = choose(root, "o_to_m", FLIP, shots=shots)
    assert len(chosen.targets["M"]) == 14 * 2 * 2
    taken = of_domain(chosen.train, "M_shots")
    assert names(taken) == {f"{kind}_client{c:03d}_frame0" for kind in ("real", "attack") for c in range(1, 1 + shots)}


def test_a_dev_split_that_no_list_names_validates_whole_and_else_a_tenth_of_the_listed_subjects_does(root):
    chosen = choose(root, "o_to_m", FLIP)
    assert set(chosen.source_val["split"]) == {"dev"} and len(chosen.source_val) == 2 * 2 * 2
    listed = choose(root, "W_to_O", FLIP)
    assert set(listed.train["split"]) == {"train", "dev", "test"}, "W's lists know nothing of our split"
    held, trained = set(listed.source_val["subject_id"]), set(listed.train["subject_id"])
    assert len(held) == 2 and not held & trained and len(held | trained) == 12
    released = choose(root, "W_to_O", FLIP, profile="released")
    assert released.source_val_seen and len(released.train) == 12 * 2 * 2
    assert set(released.source_val["subject_id"]) == held


def test_celeb_spoof_as_a_source_is_the_list_of_flip(root):
    chosen = choose(root, "o_to_m", FLIP, with_ca=True, profile="released")
    celeb_rows = of_domain(chosen.train, "CA")
    assert len(celeb_rows) == 20 * 2 * 2 and not any(name.endswith("2") for name in names(celeb_rows))


def test_leak_free_shots_take_their_recordings_out_of_the_target(root):
    everything = {f"01.01.18_{c:03d}_{pai}_{n:02d}" for c in range(1, 13) for pai in "04" for n in range(1, 4)}
    leak_free = choose(root, "O_to_W", FLIP, shots=2)
    leaky = choose(root, "O_to_W", FLIP, shots=2, shot_rule="released")
    shots = {"01.01.18_007_0_04", "01.01.18_003_0_04", "01.01.18_002_4_04", "01.01.18_009_4_04"}
    assert names(of_domain(leak_free.train, "W_shots")) == names(of_domain(leaky.train, "W_shots")) == shots
    assert names(leaky.targets["W"]) == everything
    assert names(leak_free.targets["W"]) == {name for name in everything if f"{name[:-2]}04" not in shots}
    assert names(choose(root, "O_to_W", FLIP).targets["W"]) == everything, "without shots nothing leaks"


def test_shots_are_repeated_as_told(root):
    chosen = choose(root, "O_to_W", FLIP, shots=2, shot_repeats=4)
    shots = of_domain(chosen.train, "W_shots")
    assert len(shots) == 2 * 2 * 4
    assert shots["source_name"].tolist().count("01.01.18_007_0_04") == 4


def test_instruct_flip_lists_test_all_that_is_listed_and_train_on_celeb_spoofs_own_split(root):
    chosen = choose(root, "CA_to_M+W", INSTRUCT_FLIP, profile="released")
    assert len(chosen.targets["M"]) == 16 * 2 * 2
    assert names(chosen.targets["W"]) >= {
        f"01.01.18_{c:03d}_{pai}_{n:02d}" for c in (1, 8) for pai in "04" for n in (0, 1, 2, 3, 5)
    }
    assert len(chosen.targets["W"]) == 12 * 2 * 5 + 6, (
        "frames 0, 5 of the train list, 1 - 3 of the test list, six shots"
    )
    assert set(chosen.train["split"]) == {"train"} and len(chosen.train) == len(celeb("train", range(20)))
    both = choose(root, "O_to_M", INSTRUCT_FLIP)
    assert len(both.train) == 8 * 2 * 2, "other sources give both pictures of every listed clip"
    with pytest.raises(ConfigError, match="InstructFLIP has no shots"):
        choose(root, "CA_to_M", INSTRUCT_FLIP, shots=1)


@pytest.mark.parametrize("variant", [FLIP, INSTRUCT_FLIP])
def test_celeb_spoof_on_both_sides_keeps_to_its_splits(root, variant):
    chosen = choose(root, "CA_to_M+CA", variant, profile="released")
    assert set(chosen.train["split"]) == {"train"}
    assert len(chosen.train) == len(celeb("train", range(20))) * (2 if variant == FLIP else 3) // 3
    assert len(chosen.targets["CA"]) == len(celeb("test", range(4))) and set(chosen.targets["CA"]["split"]) == {"test"}


def test_a_listed_domain_on_both_sides_keeps_to_its_splits(root):
    chosen = choose(root, "M_to_M", FLIP, profile="released")
    assert set(chosen.train["split"]) == {"train"} and set(chosen.targets["M"]["split"]) == {"test"}


def test_lists_know_no_other_domain(root, write_index):
    write_index(root, "own", msu("train", range(3)))
    with pytest.raises(ConfigError, match="no list of domain 'own'"):
        choose(root, "own_to_M", FLIP)


def released_config(root: Path, **changes):
    config = get_config("O_to_M+W,profile=released,shots=2")
    config.update_from_flattened_dict(
        {"data.dir": str(root), "data.lists": FLIP, "data.lists_dir": str(root / "lists"), "data.lists_check": False}
    )
    config.update_from_flattened_dict({f"data.{key}": value for key, value in {"with_ca": False, **changes}.items()})
    return config


def targets_of(config) -> dict[str, Index]:
    chosen: Selection = assemble.select(config)
    return chosen.targets


def test_a_config_chooses_lists_shots_and_grouping(root):
    released = assemble.select(released_config(root))
    assert len(of_domain(released.train, "W_shots")) == 2 * 2 * 4, "drop_last repeats shots as released"
    assert len(of_domain(assemble.select(released_config(root, sampling="continuous")).train, "W_shots")) == 2 * 2
    wmca_rows = released.targets["W"]
    assert len(set(wmca_rows["video_id"])) == len(wmca_rows) == 12 * 2 * 3, "every picture alone, leaky shots"
    assert len(set(released.targets["M"]["video_id"])) == 14 * 2
    ours = targets_of(released_config(root, grouping="video", shot_rule="leak_free"))["W"]
    assert len(set(ours["video_id"])) == 12 * 2 - 4 and len(ours) == (12 * 2 - 4) * 3


def test_a_config_without_lists_groups_by_video_even_as_released(root):
    config = released_config(root, lists="native", shot_rule="released")
    index = targets_of(config)["W"]
    assert config.data.grouping == "released" and len(set(index["video_id"])) * 10 == len(index)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"lists_dir": ""}, ConfigError, r"data\.lists=flip_lists needs data\.lists_dir"),
        ({"lists_check": True}, DataError, "is not the published list"),
        ({"lists_missing": -0.1}, ConfigError, r"data\.lists_missing=-0\.1"),
        ({"shots": 3, "protocol": "O_to_M"}, ConfigError, "the lists have 2 attack shots of 'M'"),
    ],
)
def test_what_a_config_says_of_lists_reaches_them(root, changes, error, said):
    config = released_config(root, **{key: value for key, value in changes.items() if key != "protocol"})
    config.protocol = changes.get("protocol", config.protocol)
    with pytest.raises(error, match=said):
        assemble.select(config)
