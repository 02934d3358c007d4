"""CLIP ids: known values, the reference tokenizer of transformers on the same vocabulary, and the limits."""

import itertools

import numpy as np
import pytest

from flipjax.core.errors import ConfigError
from flipjax.prompts.tokenizers import CONTEXT_LENGTH, clip_ids, clip_vocabulary

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
