"""Batches are a function of the step alone: for any start, thread count, process count and reading order."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from flipjax.core.errors import ConfigError, ImageError
from flipjax.core.rng import host_stream
from flipjax.data import pipeline, sampling, source, transforms

SIZE = 12


@pytest.fixture(scope="module")
def records(tmp_path_factory, make_domain):
    root = tmp_path_factory.mktemp("data")
    make_domain(root, "M", train=range(5))
    make_domain(root, "C", train=range(3), test=range(3, 5))
    index = source.concatenate([source.read_index(root, name) for name in ("C", "M")])
    return source.Records(root, index)


def train(records, *, batch_size=6, **changes) -> list[dict]:
    sampler = sampling.balanced(records.index, batch_size=batch_size, seed=4)
    settings = {"seed": 9, "start_step": 0, "steps": 4, "inputs": (), "image_size": SIZE, "augment": "flip", **changes}
    return list(pipeline.train_batches(records, sampler, **settings))


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def join(parts: list[dict]) -> dict:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_a_batch_holds_what_was_asked_for_in_plain_types(records):
    batch = train(records)[0]
    assert {name: (values.shape, values.dtype.name) for name, values in batch.items()} == {
        "image": ((6, SIZE, SIZE, 3), "uint8"),
        "is_bona_fide": ((6,), "bool"),
        "mask": ((6,), "bool"),
    }
    assert batch["mask"].all()
    inputs = ("image", "ssl_views", "attack_instrument", "illumination", "mask")
    batch = train(records, inputs=inputs)[0]
    assert batch["ssl_views"].shape == (6, 2, SIZE, SIZE, 3)
    assert batch["ssl_views"].dtype == np.uint8
    assert batch["attack_instrument"].dtype == batch["illumination"].dtype == np.int32
    np.testing.assert_array_equal(batch["attack_instrument"] == 0, batch["is_bona_fide"])


def test_slots_hold_the_sampled_rows_augmented_by_seed_step_and_slot(records):
    sampler = sampling.balanced(records.index, batch_size=6, seed=4)
    for step, batch in enumerate(train(records, inputs=("ssl_views",))):
        rows = sampler.global_indices(step)
        np.testing.assert_array_equal(batch["is_bona_fide"], records.index["is_bona_fide"][rows])
        for slot, row in enumerate(rows):
            rng = host_stream("augment", 9, step, slot)
            views = transforms.TrainViews(SIZE, "flip", ssl=True)(records.image(int(row)), rng)
            np.testing.assert_array_equal(batch["image"][slot], views["image"])
            np.testing.assert_array_equal(batch["ssl_views"][slot], views["ssl_views"])


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_thread_count_changes_nothing(records, threads):
    for one, other in zip(train(records, threads=2), train(records, threads=threads), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_same_global_batches(records, processes):
    alone = train(records, pad_to=8, inputs=("ssl_views", "illumination"))
    shared = [
        train(records, pad_to=8, inputs=("ssl_views", "illumination"), process_index=i, process_count=processes)
        for i in range(processes)
    ]
    for step, whole in enumerate(alone):
        assert_same(whole, join([parts[step] for parts in shared]))


def test_any_start_continues_the_same_stream(records):
    whole = train(records, steps=7)
    for one, other in zip(whole[3:], train(records, start_step=3, steps=4), strict=True):
        assert_same(one, other)


def test_padding_comes_last_and_leaves_the_rest_alone(records):
    for plain, padded in zip(train(records), train(records, pad_to=8, inputs=("illumination",)), strict=True):
        assert padded["mask"].tolist() == [True] * 6 + [False] * 2
        np.testing.assert_array_equal(padded["image"][:6], plain["image"])
        assert not padded["image"][6:].any()
        assert not padded["is_bona_fide"][6:].any()
        assert (padded["illumination"][6:] == -1).all()


def test_the_image_does_not_depend_on_the_other_inputs(records):
    for plain, more in zip(train(records), train(records, inputs=("ssl_views",)), strict=True):
        np.testing.assert_array_equal(plain["image"], more["image"])


def test_unknown_inputs_and_unshareable_batches_are_config_errors(records):
    with pytest.raises(ConfigError, match="did you mean 'ssl_views'"):
        train(records, inputs=("ssl_view",))
    with pytest.raises(ConfigError, match="'subject_id' unknown"):
        train(records, inputs=("subject_id",))
    with pytest.raises(ConfigError, match="8 slots cannot be shared by 3"):
        train(records, pad_to=8, process_count=3)
    with pytest.raises(ConfigError, match="overflow"):
        train(records, overflow="crop")
    assert len(train(records, process_count=4)[0]["mask"]) == 2


def test_slots_behind_the_end_of_an_epoch_are_padding_and_the_others_as_ever(records):
    epoch = sampling.VirtualEpoch(samples=8, batch_size=6, accumulate=3)
    endless = train(records, steps=7, inputs=("ssl_views", "illumination"))
    short = train(records, steps=7, inputs=("ssl_views", "illumination"), epoch=epoch)
    for step, (whole, batch) in enumerate(zip(endless, short, strict=True)):
        real = (6, 2, 0)[step % 3]
        assert batch["mask"].tolist() == [True] * real + [False] * (6 - real)
        for name, values in batch.items():
            np.testing.assert_array_equal(values[:real], whole[name][:real])
        assert not batch["image"][real:].any()
        assert not batch["ssl_views"][real:].any()
        assert (batch["illumination"][real:] == -1).all()
    for one, other in zip(short[4:], train(records, start_step=4, steps=3, epoch=epoch), strict=True):
        np.testing.assert_array_equal(one["mask"], other["mask"])
    halves = [train(records, steps=7, epoch=epoch, process_index=i, process_count=2) for i in range(2)]
    for step, batch in enumerate(short):
        np.testing.assert_array_equal(batch["mask"], np.concatenate([half[step]["mask"] for half in halves]))


STYLE = ("attack_instrument", "illumination", "environment", "camera_quality")


def test_answers_come_as_int32_columns_with_minus_one_for_unknown(records):
    sampler = sampling.balanced(records.index, batch_size=6, seed=4)
    rows = np.arange(5)
    evaluated = list(
        pipeline.eval_batches(records, rows, batch_size=8, image_size=8, augment="instruct_flip", inputs=STYLE)
    )
    trained = train(records, inputs=STYLE, augment="instruct_flip")
    for batch, real in ((evaluated[0], rows), (trained[1], sampler.global_indices(1))):
        for name in STYLE:
            assert batch[name].dtype == np.int32
            np.testing.assert_array_equal(batch[name][: len(real)], records.index[name][real])
            assert (batch[name][len(real) :] == -1).all()
    assert (trained[0]["environment"] == -1).all(), "the records do not know it"
    assert len(set(trained[0]["attack_instrument"])) > 1


def test_the_augmentation_reaches_both_kinds_of_batches(records):
    flip, other = (train(records, augment=name)[0]["image"] for name in ("flip", "instruct_flip"))
    assert not np.array_equal(flip, other)
    sampler = sampling.balanced(records.index, batch_size=6, seed=4)
    rng = host_stream("augment", 9, 0, 2)
    views = transforms.TrainViews(SIZE, "instruct_flip")(records.image(sampler.row(0, 2)), rng)
    np.testing.assert_array_equal(other[2], views["image"])
    rows, settings = np.arange(3), {"batch_size": 4, "image_size": 20}
    for name in transforms.AUGMENTS:
        batch = next(pipeline.eval_batches(records, rows, augment=name, **settings))
        np.testing.assert_array_equal(batch["image"][1], transforms.eval_view(records.image(1), size=20, augment=name))
    for name in ("train", "eval"):
        with pytest.raises(ConfigError, match="did you mean 'flip'"):
            if name == "train":
                train(records, augment="flop")
            else:
                pipeline.eval_batches(records, rows, augment="flop", **settings)


def test_evaluation_shows_every_row_exactly_once_unaugmented(records):
    rows = np.random.default_rng(0).permutation(len(records))[:23]
    batches = list(pipeline.eval_batches(records, rows, batch_size=8, image_size=8, augment="flip"))
    assert [len(batch["mask"]) for batch in batches] == [8, 8, 8]
    whole = join(batches)
    assert whole["row"].dtype == np.int64
    np.testing.assert_array_equal(whole["row"], [*rows, -1])
    np.testing.assert_array_equal(whole["mask"], [True] * 23 + [False])
    for row, image, is_bona_fide in zip(rows, whole["image"], whole["is_bona_fide"], strict=False):
        np.testing.assert_array_equal(image, records.image(int(row)))
        assert is_bona_fide == records.index["is_bona_fide"][row]
    assert list(pipeline.eval_batches(records, rows[:0], batch_size=8, image_size=8, augment="flip")) == []


def test_evaluation_processes_share_the_same_batches(records):
    rows = np.arange(13)
    settings = {"batch_size": 8, "image_size": 8, "augment": "flip", "inputs": ("environment",)}
    alone = list(pipeline.eval_batches(records, rows, **settings))
    halves = [
        list(pipeline.eval_batches(records, rows, process_index=i, process_count=2, threads=i, **settings))
        for i in range(2)
    ]
    for step, whole in enumerate(alone):
        assert_same(whole, join([half[step] for half in halves]))
    with pytest.raises(ConfigError, match="8 slots cannot be shared by 3"):
        pipeline.eval_batches(records, rows, process_count=3, **settings)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_damaged_record_surfaces_as_an_image_error_naming_the_sample(records, monkeypatch, threads):
    sound = source.Records._record
    bad = int(sampling.balanced(records.index, batch_size=6, seed=4).global_indices(2)[1])

    def record(self, row):
        return SimpleNamespace(image=b"\x89PNG torn") if row == bad else sound(self, row)

    monkeypatch.setattr(source.Records, "_record", record)
    with pytest.raises(ImageError) as caught:
        train(records, threads=threads)
    assert f"'{records.index['sample_id'][bad]}'" in str(caught.value)
    with pytest.raises(ImageError, match=str(records.index["sample_id"][bad])):
        list(
            pipeline.eval_batches(records, np.array([bad]), batch_size=4, image_size=8, augment="flip", threads=threads)
        )


def test_closing_early_ends_the_threads(records):
    before = threading.active_count()
    sampler = sampling.balanced(records.index, batch_size=6, seed=4)
    batches = pipeline.train_batches(
        records, sampler, seed=0, start_step=0, steps=1000, inputs=(), image_size=SIZE, augment="flip", threads=3
    )
    next(batches)
    assert threading.active_count() > before
    batches.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert threading.active_count() <= before
