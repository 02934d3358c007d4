"""FLIP's prompts: frozen ids against the vocabulary and the authors' tokens, subsets, and compacted vocabularies."""

from pathlib import Path

import numpy as np
import pytest

from flipjax.core.errors import ConfigError
from flipjax.prompts import flip
from flipjax.prompts.tokenizers import clip_ids, pad_ids

GOLDEN = Path(__file__).parents[1] / "golden" / "flip_mcl.npz"


def test_frozen_ids_are_those_of_the_vocabulary() -> None:
    texts = [*flip.ATTACK_PROMPTS, *flip.BONA_FIDE_PROMPTS]
    frozen = [*flip._ATTACK_IDS.values(), *flip._BONA_FIDE_IDS.values()]
    assert len(set(texts)) == 12
    np.testing.assert_array_equal(pad_ids(frozen), clip_ids(texts))


def test_token_matrix_equals_the_golden_tokens() -> None:
    golden = np.load(GOLDEN)["inputs/prompt_tokens_spoof_then_real"]
    matrix = flip.token_matrix(flip.prompt_set())
    assert matrix.shape == (2, 6, 12) and matrix.dtype == np.int32
    np.testing.assert_array_equal(matrix.reshape(12, 12), golden[:, :12])
    assert not golden[:, 12:].any()


def test_subset_keeps_order_and_shrinks_to_its_longest_prompt() -> None:
    prompts = flip.prompt_set((5, 3))
    assert prompts.attack == ("a photo of a spoof face", "This is not a real face")
    assert prompts.bona_fide == ("a photo of a real face", "This is a real face")
    assert flip.token_matrix(prompts).shape == (2, 2, 9)


def test_other_texts_go_through_the_tokenizer() -> None:
    ids = flip.token_matrix(flip.Prompts(attack=("a mask",), bona_fide=("This is a bona fide face",)))
    assert ids[1, 0].tolist() == [49406, 589, 533, 320, 33342, 45375, 1710, 49407]
    assert ids[0, 0, 3] == 49407


def test_compact_rows_gather_the_same_embeddings_and_keep_the_end_largest() -> None:
    ids = flip.token_matrix(flip.prompt_set())
    small, rows = flip.compact_rows(ids)
    table = np.random.default_rng(0).normal(size=(49408, 2))
    np.testing.assert_array_equal(table[list(rows)][small], table[ids])
    np.testing.assert_array_equal(small.argmax(-1), ids.argmax(-1))
    assert len(rows) == len(set(ids.ravel().tolist())) and small.max() == len(rows) - 1


@pytest.mark.parametrize("numbers", [(), (0,), (7,), (1, 1), (-1, 2)])
def test_bad_numbers_are_refused(numbers) -> None:
    with pytest.raises(ConfigError, match="from 1 to 6"):
        flip.prompt_set(numbers)


def test_unequal_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 attack and 1 bona fide"):
        flip.token_matrix(flip.Prompts(attack=("a", "b"), bona_fide=("c",)))


def test_prompt_tokens_for_a_whole_or_a_compact_vocabulary() -> None:
    whole = flip.prompt_tokens((1, 2), "bonafide", used_rows_only=False)
    assert whole.vocab == 49408 and whole.rows is None
    small = flip.prompt_tokens((1, 2), "bonafide", used_rows_only=True)
    assert small.rows is not None and small.vocab == len(small.rows)
    np.testing.assert_array_equal(np.array(small.rows)[small.ids], whole.ids)


def test_spelling_of_the_paper_changes_the_second_pair_alone() -> None:
    code = flip.prompt_tokens((1, 2), "bonafide", used_rows_only=False).ids
    paper = flip.prompt_tokens((1, 2), "bona fide", used_rows_only=False).ids
    assert paper[1, 1, :8].tolist() == [49406, 589, 533, 320, 33342, 45375, 1710, 49407]
    np.testing.assert_array_equal(np.delete(code.reshape(4, -1), 3, 0), np.delete(paper.reshape(4, -1), 3, 0))
    with pytest.raises(ConfigError, match="'bona-fide' unknown"):
        flip.prompt_tokens((1,), "bona-fide", used_rows_only=False)
