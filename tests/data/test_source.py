"""An index row leads to its own pixels, from any thread, and damage is named."""

import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flipjax.core import schemas
from flipjax.core.errors import DataError, ImageError
from flipjax.data import source


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, make_domain):
    root = tmp_path_factory.mktemp("data")
    make_domain(root, "M", train=range(6), test=range(6, 9))
    make_domain(root, "syn_a", train=range(2))
    return root


def expected_pixels(sample_id: str) -> np.ndarray:
    return np.random.default_rng(list(sample_id.encode())).integers(0, 256, (8, 8, 3), np.uint8)


def test_every_row_gives_its_own_pixels_from_several_threads(data_dir):
    index = source.concatenate([source.read_index(data_dir, "M"), source.read_index(data_dir, "syn_a")])
    records = source.Records(data_dir, index)
    assert len(records) == 9 * 8 + 2 * 8
    order = np.random.default_rng(0).permutation(len(records)).tolist() * 3
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(records.image, order))
    for row, image in zip(order, images, strict=True):
        np.testing.assert_array_equal(image, expected_pixels(index["sample_id"][row]))


def test_tensorflow_is_never_imported(data_dir):
    source.Records(data_dir, source.read_index(data_dir, "M")).image(0)
    assert "tensorflow" not in sys.modules


def test_index_columns_have_plain_types(data_dir):
    index = source.read_index(data_dir, "M")
    assert set(index.columns) == {*schemas.INDEX_COLUMNS, "folder"}
    assert index["is_bona_fide"].dtype == np.bool_
    assert index["attack_instrument"].dtype == np.int32
    assert index["position"].dtype == np.int64
    assert index["padding"].dtype == np.float32
    assert all(isinstance(text, str) for text in index["subject_id"])


def test_take_where_and_concatenate_keep_rows_together(data_dir):
    index = source.read_index(data_dir, "M")
    part = index.where(index["split"] == "test").take(np.array([3, 0]))
    assert len(part) == 2
    assert set(part["split"]) == {"test"}
    both = source.concatenate([part, source.read_index(data_dir, "syn_a")])
    assert list(both["domain"]) == ["M"] * 2 + ["syn_a"] * 16
    assert both["is_bona_fide"].dtype == np.bool_
    assert len(source.concatenate([])) == 0


def test_a_renamed_index_still_reads_from_its_folder(data_dir):
    index = source.read_index(data_dir, "M").renamed("M_shots")
    assert set(index["domain"]) == {"M_shots"}
    image = source.Records(data_dir, index).image(5)
    np.testing.assert_array_equal(image, expected_pixels(index["sample_id"][5]))


def test_a_missing_data_set_names_path_neighbours_and_remedy(data_dir):
    with pytest.raises(DataError) as caught:
        source.read_index(data_dir, "syn_b")
    message = str(caught.value)
    assert str(data_dir / "syn_b") in message
    assert "M, syn_a" in message
    assert "python -m data_prep.synthetic --out=DIR" in message
    with pytest.raises(DataError, match=r"no data set there.*data_prep\.convert"):
        source.read_index(data_dir / "nowhere", "M")


def test_a_folder_without_index_is_not_a_finished_data_set(tmp_path):
    (tmp_path / "C").mkdir()
    with pytest.raises(DataError, match="not a finished data set"):
        source.read_index(tmp_path, "C")


def test_an_unusable_index_is_a_data_error(tmp_path):
    path = tmp_path / "C" / schemas.INDEX_FILE
    path.parent.mkdir()
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match="cannot be read"):
        source.read_index(tmp_path, "C")
    pq.write_table(pa.table({"split": ["train"]}), path)
    with pytest.raises(DataError):
        source.read_index(tmp_path, "C")


def test_damaged_records_and_missing_shards_are_named(tmp_path, make_domain):
    folder = make_domain(tmp_path, "M", train=range(2), px=64)
    index = source.read_index(tmp_path, "M")
    shard = next(folder.glob("*train*"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = b"\x00" * 2000
    shard.write_bytes(data)
    records = source.Records(tmp_path, index)
    failures = []
    for row in range(len(index)):
        try:
            records.image(row)
        except ImageError as error:
            failures.append((row, str(error)))
    assert failures
    for row, message in failures:
        assert f"'{index['sample_id'][row]}'" in message
        assert str(folder) in message
        assert "\n" not in message
    shard.unlink()
    with pytest.raises(DataError, match=r"sample|split 'train'"):
        source.Records(tmp_path, index).image(0)


def test_undecodable_pixels_are_an_image_error(data_dir, monkeypatch):
    records = source.Records(data_dir, source.read_index(data_dir, "M"))
    monkeypatch.setattr(source.Records, "_record", lambda self, row: SimpleNamespace(image=b"\x89PNG nothing"))
    with pytest.raises(ImageError, match=r"image of sample 'M/p\d+/v\d/f\d'"):
        records.image(0)


def test_an_index_of_other_shards_is_refused(tmp_path, make_domain):
    make_domain(tmp_path, "M", train=range(4))
    index = source.read_index(tmp_path, "M")
    swapped = source.Index({**index.columns, "position": index["position"][::-1].copy()})
    with pytest.raises(DataError, match="does not belong"):
        source.Records(tmp_path, swapped).image(0)
