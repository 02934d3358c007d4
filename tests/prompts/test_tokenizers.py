"""CLIP, BERT and T5 ids: known values, reference tokenizers on the same vocabularies, and the limits."""

import hashlib
import importlib.resources
import itertools

import numpy as np
import pytest

from flipjax.core.errors import ConfigError
from flipjax.prompts.sentencepiece_model import parse_model
from flipjax.prompts.tokenizers import CONTEXT_LENGTH, bert_ids, clip_ids, clip_vocabulary, t5_ids

TEXTS = (
    "a",
    "A Photo of a FACE",
    "  many   spaces\tand\nnew lines  ",
    "it's we've they'll I'm you'd don't she're",
    "IT'S SHOUTED, ISN'T IT?!",
    "'quoted' \"double\" `tick`",
    "2024-03-26 costs $3.50 (50%)",
    "half ½ squared² Ⅷ ٣",
    "naïve café Ångström straße ÇA İstanbul",
    "cafe\u0301 combining",
    "日本語のテキスト 中文 한국어",
    "emoji 😀👩‍👩‍👧 flags 🇫🇷",
    "тест ελληνικά עברית العربية",
    "semi;colon:under_score-hyphen—dash…",
    "http://x.y/z?a=b&c=d #tag @name",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "non\u00a0breaking\u2003em\u200bzero\u3000wide",
    "&amp; &lt;b&gt; \\ / | ~ ^ {} []",
    "...---...   !!!???",
    "x" * 60,
)


def test_known_sentence() -> None:
    assert clip_ids(["a photo of a spoof face"]).tolist() == [[49406, 320, 1125, 539, 320, 1261, 539, 1710, 49407]]


def test_vocabulary_has_the_size_of_the_token_table() -> None:
    vocabulary, merges = clip_vocabulary()
    assert len(vocabulary) == 49408 and len(merges) == 48894
    assert vocabulary["!"] == 0 and vocabulary["<|endoftext|>"] == 49407


@pytest.mark.slow
def test_same_ids_as_transformers() -> None:
    from transformers import CLIPTokenizer

    vocabulary, merges = clip_vocabulary()
    reference = CLIPTokenizer(vocab=vocabulary, merges=merges)
    for text in TEXTS:
        expected = reference(text)["input_ids"]
        assert clip_ids([text])[0].tolist() == expected, text


def test_same_words_as_a_plain_byte_pair_encoder() -> None:
    """The merge loop written out: join the pair of highest priority until none is left."""
    vocabulary, merges = clip_vocabulary()
    rank = {pair: i for i, pair in enumerate(merges)}
    for word in ("bonafide", "printout", "spoof", "screenshots", "qzx", "impersonation"):
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            best = min(itertools.pairwise(pieces), key=lambda pair: rank.get(pair, len(rank)))
            if best not in rank:
                break
            at = next(i for i in range(len(pieces) - 1) if (pieces[i], pieces[i + 1]) == best)
            pieces[at : at + 2] = ["".join(best)]
        assert clip_ids([word])[0, 1:-1].tolist() == [vocabulary[piece] for piece in pieces], word


def test_rows_are_padded_to_the_longest_or_the_given_length() -> None:
    ids = clip_ids(["a", "a photo of a face"])
    assert ids.shape == (2, 7) and ids.dtype == np.int32
    assert ids[0].tolist() == [49406, 320, 49407, 0, 0, 0, 0]
    assert clip_ids(["a"], length=CONTEXT_LENGTH).shape == (1, 77)


def test_markup_of_special_tokens_is_ordinary_text() -> None:
    assert (clip_ids(["<|endoftext|> a"])[0] == 49407).sum() == 1


def test_too_long_names_the_text() -> None:
    with pytest.raises(ConfigError, match="'a photo of a face' needs 7 tokens but at most 6"):
        clip_ids(["a", "a photo of a face"], length=6)
    with pytest.raises(ConfigError, match="at most 77"):
        clip_ids(["a " * 76])
    assert clip_ids(["a " * 75]).shape == (1, 77)
    with pytest.raises(ConfigError, match="no text"):
        clip_ids([])


# Computed by sentencepiece 0.2.3 from the same model file (2026-11-22).
SENTENCEPIECE_IDS = {
    "": [],
    "  many   spaces\tand\nnew lines  ": [186, 4856, 11, 126, 2356],
    "naïve café Ångström ½ \ufb01ne": [3, 29, 9, 2, 162, 11949, 3, 2, 1725, 30476, 209, 2, 357, 1399],
    "日本語 and text": [3, 2, 11, 1499],
    "</s> <pad> <unk>": [3, 2, 87, 7, 3155, 3, 2, 5612, 3155, 3, 2, 6513, 3155],
    "a\u200bb\u00a0c": [3, 9, 3, 115, 3, 75],
    "2024-03-26 costs $3.50 (50%)": [3, 19818, 26814, 21160, 948, 1358, 5583, 5, 1752, 41, 1752, 6210],
    "\u2581under": [365],
    "supercalifragilisticexpialidocious": [1355, 15534, 20791, 173, 3040, 994, 102, 23, 4288, 7171, 2936],
}
VOCABULARIES = {
    "bpe_simple_vocab_16e6.txt.gz": (1356917, "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"),
    "bert_uncased_vocab.txt": (231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    "t5_spiece.model": (791656, "d60acb128cf7b7f2536e8f38a5b18a05535c9e14c7a355904270e15b0945ea86"),
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_shipped_vocabularies_are_the_originals_and_noticed(name: str) -> None:
    folder = importlib.resources.files("flipjax.prompts")
    data = (folder / name).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == VOCABULARIES[name]
    notice = (folder / "NOTICE").read_text(encoding="utf-8")
    assert f"{name}\n" in notice and VOCABULARIES[name][1] in notice and f"{len(data):,} bytes" in notice


@pytest.mark.parametrize("text", SENTENCEPIECE_IDS)
def test_t5_ids_are_those_of_sentencepiece(text: str) -> None:
    assert t5_ids([text]) == [[*SENTENCEPIECE_IDS[text], 1]]


def test_t5_model_file_has_the_pieces_of_t5() -> None:
    model = parse_model((importlib.resources.files("flipjax.prompts") / "t5_spiece.model").read_bytes())
    assert len(model.texts) == len(model.scores) == len(model.is_normal) == 32000
    assert model.texts[:4] == ("<pad>", "</s>", "<unk>", "\u2581") and not any(model.is_normal[:3])
    assert all(model.is_normal[3:]) and max(model.scores) <= 0.0 and len(model.charsmap) > 100_000


def test_bert_ids_known_values() -> None:
    assert bert_ids(["Choose the correct option!", "(8) PC screen"]) == [
        [101, 5454, 1996, 6149, 5724, 999, 102],
        [101, 1006, 1022, 1007, 7473, 3898, 102],
    ]
    assert bert_ids(["café 中文 [SEP]", ""]) == [[101, 7668, 1746, 1861, 1031, 19802, 1033, 102], [101, 102]]
    assert bert_ids(["\U0001f600 " + "x" * 101])[0] == [101, 100, 100, 102]


@pytest.mark.slow
def test_same_bert_ids_as_transformers(tmp_path) -> None:
    from transformers import BertTokenizer

    data = (importlib.resources.files("flipjax.prompts") / "bert_uncased_vocab.txt").read_bytes()
    (tmp_path / "vocab.txt").write_bytes(data)
    reference = BertTokenizer(vocab=str(tmp_path / "vocab.txt"), do_lower_case=True)
    for text in TEXTS:
        assert bert_ids([text])[0] == reference(text)["input_ids"], text


@pytest.mark.parametrize(("ids", "needed"), [(bert_ids, 7), (t5_ids, 8)])
def test_bert_and_t5_refuse_what_is_too_long(ids, needed: int) -> None:
    assert len(ids(["a photo\nof a face"], limit=needed)[0]) == needed
    with pytest.raises(ConfigError, match=f"'a photo of a face' needs {needed} tokens but at most {needed - 1} fit"):
        ids(["a", "a photo\nof a face"], limit=needed - 1)
    with pytest.raises(ConfigError, match="no text"):
        ids([])
