"""Who trains, who validates, who is tested: names, leak-freeness, coverage and what is said when data do not fit."""

import hashlib
import logging
import time

import numpy as np
import pytest

from flipjax.core import schemas
from flipjax.core.errors import ConfigError, DataError
from flipjax.data import protocols, source
from flipjax.data.division import held_out
from flipjax.data.protocols import get_protocol, select


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, make_domain):
    """syn_b has a dev split, the others have not; every subject shows both classes."""
    root = tmp_path_factory.mktemp("data")
    make_domain(root, "syn_a", train=range(20), test=range(20, 30))
    make_domain(root, "syn_b", train=range(6), dev=range(6, 8), test=range(8, 10))
    make_domain(root, "syn_c", train=range(12))
    return root


def ids(index: source.Index, column: str = "sample_id") -> set[str]:
    return set(index[column])


def made_index(subjects: dict[str, str]) -> source.Index:
    """One row per letter of each subject's text: 'b' bona fide, 'a' attack."""
    rows = [(name, letter) for name, letters in subjects.items() for letter in letters]
    columns = {name: np.zeros(len(rows), object) for name in (*schemas.INDEX_COLUMNS, "folder")}
    columns["subject_id"] = np.array([name for name, _ in rows], object)
    columns["is_bona_fide"] = np.array([letter == "b" for _, letter in rows])
    return source.Index(columns)


@pytest.mark.parametrize(
    ("name", "sources", "targets"),
    [
        ("oci_to_m", "O C I CA", "M"),
        ("omi_to_c", "O M I CA", "C"),
        ("ocm_to_i", "O C M CA", "I"),
        ("icm_to_o", "I C M CA", "O"),
        ("ces_to_w", "Ce S CA", "W"),
        ("sw_to_ce", "S W CA", "Ce"),
        ("cew_to_s", "Ce W CA", "S"),
        ("c_to_i", "C CA", "I"),
        ("o_to_m", "O CA", "M"),
        ("ca_to_all", "CA", "M C I O W Ce S CA"),
        ("ca_to_mcio", "CA", "M C I O"),
        ("syn_bcd_to_a", "syn_b syn_c syn_d", "syn_a"),
        ("syn_abc_to_d", "syn_a syn_b syn_c", "syn_d"),
        ("syn_fe_to_ab", "syn_f syn_e", "syn_a syn_b"),
        ("syn_meta_to_all", "syn_meta", "syn_a syn_b syn_c syn_d syn_e syn_f"),
        ("office+M_to_home+C", "office M", "home C"),
        ("own_to_own", "own", "own"),
    ],
)
def test_names(name, sources, targets):
    protocol = get_protocol(name, with_ca=True, shots=0)
    assert protocol == protocols.Protocol(name, tuple(sources.split()), tuple(targets.split()), 0)
    without = get_protocol(name, with_ca=False, shots=5)
    assert without.sources == (("CA",) if name.startswith("ca_") else tuple(x for x in sources.split() if x != "CA"))
    assert without.shots == 5


def test_there_are_twelve_one_to_one_protocols():
    names = [name for name in protocols.protocol_names() if len(name) == len("x_to_y")]
    assert sorted(names) == sorted(f"{x}_to_{y}" for x in "cimo" for y in "cimo" if x != y)


@pytest.mark.parametrize("name", ["oci_m", "oci_to_n", "", "a_to_", "a+_to_b", "a_to_b_to_c", "syn_bcd_to_g"])
def test_unknown_names_come_with_the_list(name):
    with pytest.raises(ConfigError, match="known: oci_to_m, omi_to_c") as caught:
        get_protocol(name, with_ca=False, shots=0)
    assert ("did you mean 'oci_to_m'?" in str(caught.value)) == name.startswith("oci")


def test_twice_named_domains_and_negative_shots_are_refused():
    with pytest.raises(ConfigError, match="twice"):
        get_protocol("a+a_to_b", with_ca=False, shots=0)
    with pytest.raises(ConfigError, match="twice"):
        get_protocol("syn_bb_to_a", with_ca=False, shots=0)
    with pytest.raises(ConfigError, match="shots=-1"):
        get_protocol("oci_to_m", with_ca=False, shots=-1)


def test_training_validation_and_targets_share_no_subject_and_lose_no_row(data_dir):
    chosen = select(get_protocol("syn_bc_to_a", with_ca=False, shots=0), data_dir, profile="default")
    everything = {name: source.read_index(data_dir, name) for name in ("syn_a", "syn_b", "syn_c")}
    assert not chosen.source_val_seen
    assert ids(chosen.targets["syn_a"]) == ids(everything["syn_a"])
    assert ids(chosen.train) | ids(chosen.source_val) == ids(everything["syn_b"]) | ids(everything["syn_c"])
    for name in ("syn_b", "syn_c"):
        trained = ids(chosen.train.where(chosen.train["domain"] == name), "subject_id")
        validated = ids(chosen.source_val.where(chosen.source_val["domain"] == name), "subject_id")
        assert not trained & validated
    of_b = chosen.source_val.where(chosen.source_val["domain"] == "syn_b")
    assert set(of_b["split"]) == {"dev"}
    assert len(of_b) == 16


def test_without_dev_split_the_first_tenth_of_the_hashed_subjects_validates(data_dir):
    chosen = select(get_protocol("syn_c_to_a", with_ca=False, shots=0), data_dir, profile="default")
    by_hash = sorted((f"p{i}" for i in range(12)), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert ids(chosen.source_val, "subject_id") == set(by_hash[:2])


def test_released_profile_validates_on_rows_it_trains_on_and_says_so(data_dir):
    released = select(get_protocol("syn_c_to_a", with_ca=False, shots=0), data_dir, profile="released")
    default = select(get_protocol("syn_c_to_a", with_ca=False, shots=0), data_dir, profile="default")
    assert released.source_val_seen
    assert ids(released.source_val) == ids(default.source_val)
    assert ids(released.train) == ids(default.train) | ids(default.source_val)
    with_dev = select(get_protocol("syn_b_to_a", with_ca=False, shots=0), data_dir, profile="released")
    assert not with_dev.source_val_seen
    assert not ids(with_dev.train) & ids(with_dev.source_val)


def test_in_domain_uses_the_train_and_test_splits(data_dir):
    chosen = select(get_protocol("syn_a_to_a", with_ca=False, shots=0), data_dir, profile="default")
    assert set(chosen.train["split"]) == set(chosen.source_val["split"]) == {"train"}
    assert set(chosen.targets["syn_a"]["split"]) == {"test"}
    assert len(chosen.targets["syn_a"]) == 80
    with pytest.raises(DataError, match=r"syn_c_to_c.*target 'syn_c' has no attack and no bona_fide"):
        select(get_protocol("syn_c_to_c", with_ca=False, shots=0), data_dir, profile="default")


def test_a_target_never_uses_its_dev_split(data_dir):
    chosen = select(get_protocol("syn_c_to_b", with_ca=False, shots=0), data_dir, profile="default")
    assert set(chosen.targets["syn_b"]["split"]) == {"train", "test"}


def test_the_simulated_meta_domain_is_tested_on_each_domain_there_is(tmp_path, make_domain):
    make_domain(tmp_path, "syn_meta", train=range(4), dev=range(4, 6))
    protocol = get_protocol("syn_meta_to_all", with_ca=False, shots=0)
    with pytest.raises(DataError, match="needs domain 'syn_a'"):
        select(protocol, tmp_path, profile="default")
    make_domain(tmp_path, "syn_b", train=range(2))
    make_domain(tmp_path, "syn_f", train=range(3))
    chosen = select(protocol, tmp_path, profile="default")
    assert list(chosen.targets) == ["syn_b", "syn_f"]
    assert set(chosen.train["domain"]) == {"syn_meta"} and set(chosen.source_val["split"]) == {"dev"}


def test_shots_join_training_and_their_subjects_leave_the_target(data_dir):
    chosen = select(get_protocol("syn_c_to_a", with_ca=False, shots=3), data_dir, profile="default")
    shots = chosen.train.where(chosen.train["domain"] == "syn_a_shots")
    assert set(shots["folder"]) == {"syn_a"}
    for is_bona_fide in (False, True):
        videos = ids(shots.where(shots["is_bona_fide"] == is_bona_fide), "video_id")
        pool = source.read_index(data_dir, "syn_a")
        pool = pool.where(pool["is_bona_fide"] == is_bona_fide)
        by_hash = sorted(ids(pool, "video_id"), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        assert videos == set(by_hash[:3])
    assert len(shots) == 2 * 3 * 2, "two frames of each video"
    target = chosen.targets["syn_a"]
    assert not ids(shots, "subject_id") & ids(target, "subject_id")
    assert set(target["domain"]) == {"syn_a"}
    assert len(target) == 8 * (30 - len(ids(shots, "subject_id")))


def test_too_many_shots_are_a_data_error(data_dir):
    with pytest.raises(DataError, match="target 'syn_b' has 16 attack videos, expected at least shots=17"):
        select(get_protocol("syn_c_to_b", with_ca=False, shots=17), data_dir, profile="default")
    with pytest.raises(DataError, match=r"target 'syn_b' has no attack .*fewer shots"):
        select(get_protocol("syn_c_to_b", with_ca=False, shots=16), data_dir, profile="default")


def test_missing_domains_name_protocol_domain_and_remedy(data_dir):
    with pytest.raises(DataError, match=r"protocol 'syn_ad_to_b' needs domain 'syn_d'.*data_prep\.synthetic"):
        select(get_protocol("syn_ad_to_b", with_ca=False, shots=0), data_dir, profile="default")


def test_a_missing_celeb_spoof_source_can_be_switched_off(tmp_path, make_domain):
    for domain in ("M", "C"):
        make_domain(tmp_path, domain, train=range(3))
    with pytest.raises(DataError, match=r"'CA'.*--config\.data\.with_ca=False"):
        select(get_protocol("c_to_m", with_ca=True, shots=0), tmp_path, profile="default")
    assert len(select(get_protocol("c_to_m", with_ca=False, shots=0), tmp_path, profile="default").train)


@pytest.mark.parametrize("has_dev", [True, False])
def test_celeb_spoof_alone_trains_and_validates_and_the_others_are_tested_whole(tmp_path, make_domain, has_dev):
    for domain in "MCIO":
        make_domain(tmp_path, domain, train=range(2), test=range(2, 3), videos=1, frames=1)
    dev = {"dev": range(9, 10)} if has_dev else {}
    make_domain(tmp_path, "CA", train=range(9), test=range(10, 12), videos=1, frames=1, **dev)
    celeb = source.read_index(tmp_path, "CA")
    chosen = select(get_protocol("ca_to_mcio", with_ca=True, shots=0), tmp_path, profile="default")
    assert list(chosen.targets) == ["M", "C", "I", "O"]
    for domain, rows in chosen.targets.items():
        assert ids(rows) == ids(source.read_index(tmp_path, domain))
    assert set(chosen.train["domain"]) == set(chosen.source_val["domain"]) == {"CA"}
    assert ids(chosen.train) | ids(chosen.source_val) == ids(celeb)
    assert not ids(chosen.train, "subject_id") & ids(chosen.source_val, "subject_id")
    if has_dev:
        assert set(chosen.source_val["split"]) == {"dev"}
    else:
        by_hash = sorted(ids(celeb, "subject_id"), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        assert ids(chosen.source_val, "subject_id") == set(by_hash[:2]), "a tenth of eleven subjects, rounded up"


def people(split: str, numbers: range) -> list:
    """A bona fide and an attack video of two frames of each."""
    return [(split, f"p{i}", f"p{i}/{kind}", kind == "b", "") for i in numbers for kind in "ab" for _ in range(2)]


def test_celeb_spoof_to_all_trains_on_its_train_split_and_has_its_test_split_as_the_eighth_column(
    tmp_path, write_index
):
    for domain in protocols.REAL_DOMAINS:
        write_index(tmp_path, domain, people("train", range(3)) + people("test", range(3, 6)))
    write_index(tmp_path, "CA", people("train", range(10)) + people("test", range(10, 14)))
    chosen = select(get_protocol("ca_to_all", with_ca=True, shots=0), tmp_path, profile="default")
    assert list(chosen.targets) == [*protocols.REAL_DOMAINS, "CA"]
    assert all(len(chosen.targets[domain]) == 24 for domain in protocols.REAL_DOMAINS)
    assert ids(chosen.targets["CA"], "subject_id") == {f"p{i}" for i in range(10, 14)}
    trained, validated = ids(chosen.train, "subject_id"), ids(chosen.source_val, "subject_id")
    assert trained | validated == {f"p{i}" for i in range(10)} and len(validated) == 1 and not trained & validated
    assert set(chosen.train["domain"]) == {"CA"}


def test_shots_come_from_the_targets_that_do_not_train(tmp_path, write_index):
    for domain in protocols.REAL_DOMAINS:
        write_index(tmp_path, domain, people("test", range(6)))
    write_index(tmp_path, "CA", people("train", range(10)) + people("test", range(10, 14)))
    chosen = select(get_protocol("ca_to_all", with_ca=True, shots=1), tmp_path, profile="default")
    assert set(chosen.train["domain"]) == {"CA", *(f"{domain}_shots" for domain in protocols.REAL_DOMAINS)}
    assert ids(chosen.targets["CA"], "subject_id") == {f"p{i}" for i in range(10, 14)}
    write_index(tmp_path, "own", people("train", range(10)) + people("test", range(10, 14)))
    alone = select(get_protocol("own_to_own", with_ca=False, shots=1), tmp_path, profile="default")
    assert set(alone.train["domain"]) == {"own", "own_shots"}


def test_celeb_spoof_without_a_test_split_is_no_target_and_the_log_says_so(tmp_path, write_index, caplog):
    for domain in protocols.REAL_DOMAINS:
        write_index(tmp_path, domain, people("test", range(3)))
    write_index(tmp_path, "CA", people("train", range(10)))
    with caplog.at_level(logging.INFO, logger="absl"):
        chosen = select(get_protocol("ca_to_all", with_ca=True, shots=0), tmp_path, profile="default")
    assert list(chosen.targets) == list(protocols.REAL_DOMAINS)
    assert "'CA' has no test split here; ca_to_all leaves it out" in caplog.text


def test_targets_that_train_are_seen_unless_all_do():
    assert protocols.seen_targets(("CA",), ("M", "CA", "C")) == ("CA",)
    assert protocols.seen_targets(("a", "b"), ("b", "a")) == ()
    assert protocols.seen_targets(("a",), ("b",)) == ()


def test_instruments_limit_training_alone(data_dir):
    whole = select(get_protocol("syn_bc_to_a", with_ca=False, shots=2), data_dir, profile="default")
    chosen = protocols.keep_instruments(whole, (0, 1))
    assert set(whole.train["attack_instrument"]) == {0, 1, 3}
    keeps = np.isin(whole.train["attack_instrument"], (0, 1))
    np.testing.assert_array_equal(chosen.train["sample_id"], whole.train["sample_id"][keeps])
    assert chosen.source_val is whole.source_val
    assert chosen.targets is whole.targets
    assert protocols.keep_instruments(whole, ()) is whole


@pytest.mark.parametrize(
    ("instruments", "said"),
    [
        ((0, 7), r"data\.instruments \(0,7\) leaves no attack training record; the sources have 0, 1, 3"),
        ((1, 3), r"data\.instruments \(1,3\) leaves no bona_fide training record"),
        ((0, 11), r"data\.instruments \(0,11\) names an unknown instrument; expected some of 0 bona_fide, 1 photo"),
        ((0, -1), r"data\.instruments \(0,-1\) names an unknown"),
    ],
)
def test_instruments_that_leave_a_class_empty_or_do_not_exist_are_config_errors(data_dir, instruments, said):
    whole = select(get_protocol("syn_c_to_a", with_ca=False, shots=0), data_dir, profile="default")
    with pytest.raises(ConfigError, match=said):
        protocols.keep_instruments(whole, instruments)


def test_unknown_profile(data_dir):
    with pytest.raises(ConfigError, match="did you mean 'released'"):
        select(get_protocol("syn_c_to_a", with_ca=False, shots=0), data_dir, profile="release")


@pytest.mark.parametrize(
    "subjects",
    [
        {f"s{i}": "ab" for i in range(20)},
        {**{f"live{i}": "b" for i in range(10)}, **{f"mask{i}": "a" for i in range(3)}},
        {**{f"live{i}": "b" for i in range(30)}, "x": "a", "y": "a"},
    ],
)
def test_held_out_subjects_cover_both_classes_and_leave_both(subjects):
    index = made_index(subjects)
    held = held_out(index)
    assert set(index["is_bona_fide"][held]) == set(index["is_bona_fide"][~held]) == {False, True}
    assert not set(index["subject_id"][held]) & set(index["subject_id"][~held])
    assert len(set(index["subject_id"][held])) <= -(-len(subjects) // 10) + 1


def test_the_last_subject_of_a_class_is_never_held_out():
    index = made_index({**{f"live{i}": "b" for i in range(30)}, "only": "a"})
    held = held_out(index)
    assert "only" not in set(index["subject_id"][held])
    assert not held_out(made_index({"alone": "ab"})).any()


def test_nobody_to_hold_out_is_said(tmp_path, make_domain):
    make_domain(tmp_path, "own", train=range(1))
    make_domain(tmp_path, "other", train=range(1))
    protocol = get_protocol("own_to_other", with_ca=False, shots=0)
    with pytest.raises(DataError, match=r"validation on the sources.*dev split"):
        select(protocol, tmp_path, profile="default")


def test_eighty_thousand_rows_of_eight_thousand_subjects_are_no_work():
    index = made_index({f"s{i}": "aaaaabbbbb" for i in range(8000)})
    start = time.perf_counter()
    held = held_out(index)
    assert time.perf_counter() - start < 5
    assert held.sum() == 8000
