"""What the config's data switches do to the stream of updates that training reads."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import shrink, write_data

from configs.flip_v import get_config
from flipjax.core.errors import ConfigError
from flipjax.data import pipeline
from flipjax.data.source import Records
from flipjax.experiment import assemble
from flipjax.training.sharding import make_mesh


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def config_for(data: Path, **changes: Any) -> Any:
    config = shrink(get_config("tiny"))
    values = {"data.dir": str(data), "data.threads": 0, "train.batch_size": 6, **changes}
    config.update_from_flattened_dict({key.replace("__", "."): value for key, value in values.items()})
    return config


def stream_for(config: Any) -> assemble.TrainData:
    method = assemble.method_of(config)
    return assemble.train_data(config, assemble.select(config).train, method, make_mesh(8, 1))


def test_the_last_update_of_an_epoch_is_short_and_a_restart_goes_on_alike(data):
    config = config_for(data, data__epoch_samples=32, train__accumulate=4, train__steps=5)
    stream = stream_for(config)
    assert stream.epoch is not None and stream.epoch.updates == 2
    updates = list(stream.batches(0))
    masks = [update["mask"] for update in updates]
    assert all(mask.shape == (4, 8) for mask in masks), "six slots padded to the eight devices"
    assert [mask.sum(axis=1).tolist() for mask in masks] == [[6, 6, 6, 6], [6, 2, 0, 0]] * 2 + [[6, 6, 6, 6]]
    for mask, step in zip(masks, range(5), strict=True):
        assert len(stream.sample_ids(step)) == mask.sum()
    for whole, again in zip(updates[3:], stream.batches(3), strict=True):
        for name, values in whole.items():
            np.testing.assert_array_equal(values, again[name])


def test_without_an_epoch_every_update_is_full(data):
    stream = stream_for(config_for(data, train__steps=2))
    assert stream.epoch is None
    assert [batch["mask"].sum() for batch in stream.batches(0)] == [6, 6]
    assert len(stream.sample_ids(1)) == 6


@pytest.mark.parametrize(
    ("sampling", "names"),
    [
        ("continuous", 6),
        ("drop_last", 6),
        ("class_quality", ("(attack, unknown)", "(bona_fide, unknown)")),
        ("unbalanced", ("(all rows)",)),
    ],
)
def test_sampling_switch_reaches_the_streams(data, sampling, names):
    sampler = stream_for(config_for(data, data__sampling=sampling)).sampler
    assert len(sampler.names) == names if isinstance(names, int) else sampler.names == names
    assert sampler.cycling == ("drop_last" if sampling == "drop_last" else "continuous")


def test_instruments_switch_reaches_training(data):
    selection = assemble.select(config_for(data, data__instruments=(0, 7)))
    assert Counter(selection.train["attack_instrument"].tolist()).keys() == {0, 7}
    assert set(selection.targets["syn_a"]["attack_instrument"]) == {0, 1, 7}
    stored = config_for(data)
    stored.data.instruments = [0, 7]  # as a config comes back from JSON
    assert len(assemble.select(stored).train) == len(selection.train)


def test_augment_switch_reaches_training_and_scoring(data, monkeypatch):
    config = config_for(data, data__augment="instruct_flip", train__steps=1)
    other = next(stream_for(config).batches(0))["image"]
    assert not np.array_equal(other, next(stream_for(config_for(data, train__steps=1)).batches(0))["image"])
    asked = []

    def remembered(*_: Any, augment: str, **__: Any) -> Any:
        asked.append(augment)
        return iter(())

    monkeypatch.setattr(pipeline, "eval_batches", remembered)
    scorer = assemble.scorer_of(config, assemble.method_of(config), make_mesh(8, 1))
    list(scorer._batches(Records(data, assemble.select(config).source_val)))
    assert asked == ["instruct_flip"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("data__augment", "instruct-flip", "data.augment 'instruct-flip'.*did you mean 'instruct_flip'"),
        ("data__sampling", "class_qualities", "data.sampling 'class_qualities'.*did you mean 'class_quality'"),
        ("data__epoch_samples", -1, "data.epoch_samples=-1 is negative"),
    ],
)
def test_what_a_switch_cannot_be_is_a_config_error(data, key, value, said):
    with pytest.raises(ConfigError, match=said):
        assemble.method_of(config_for(data, **{key: value}))
