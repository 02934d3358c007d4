"""Text to token ids, from the vocabularies shipped with the package; nothing is fetched.

CLIP: lower-cased byte-pair encoding of words, pieces that end a word carry `</w>`, one start and one end token around
the text. Known difference from the OpenAI code: no mojibake repair and no HTML unescaping of the text before encoding.
"""

import functools
import gzip
import importlib.resources
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int32

from flipjax.core.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

START_ID = 49406
END_ID = 49407
PAD_ID = 0
CONTEXT_LENGTH = 77

_VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
# 49408 ids = 256 bytes, the same 256 at the end of a word, the merges, start and end; the file holds more merges.
_MERGES = 49408 - 2 * 256 - 2
# A contraction, a run of letters, one digit, or a run of anything else that is not white space.
_WORD = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clip_ids(texts: Sequence[str], *, length: int | None = None) -> Int32[np.ndarray, "texts t"]:
    """Returns one row of CLIP ids per text: start, the text, end, then zeros.

    Args:
      texts: at least one text.
      length: row length in tokens; by default that of the longest text.

    Raises:
      ConfigError: no text, or one that needs more than `length` (at most 77) tokens.

    Example:
      >>> clip_ids(["a photo of a face"]).tolist()
      [[49406, 320, 1125, 539, 320, 1710, 49407]]
    """
    if not texts:
        raise ConfigError("no text to tokenise; give at least one prompt")
    rows = [encoding.ids for encoding in _clip_tokenizer().encode_batch(list(texts))]
    limit = CONTEXT_LENGTH if length is None else min(length, CONTEXT_LENGTH)
    for text, row in zip(texts, rows, strict=True):
        if len(row) + 2 > limit:
            raise ConfigError(f"text '{text}' needs {len(row) + 2} tokens but at most {limit} fit; shorten it")
    return pad_ids(rows, length=length)


def pad_ids(rows: Sequence[Sequence[int]], *, length: int | None = None) -> Int32[np.ndarray, "texts t"]:
    """Returns `rows` (ids without start and end) with both added, as one matrix padded with zeros."""
    width = length or max(len(row) for row in rows) + 2
    ids = np.full((len(rows), width), PAD_ID, np.int32)
    for i, row in enumerate(rows):
        ids[i, : len(row) + 2] = [START_ID, *row, END_ID]
    return ids


def clip_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Returns CLIP's piece -> id table (49408 entries) and its merges in order of priority."""
    packed = (importlib.resources.files("flipjax.prompts") / _VOCABULARY_FILE).read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    merges = [(left, right) for left, right in (line.split() for line in lines[1 : _MERGES + 1])]
    symbols = _byte_symbols()
    pieces = [*symbols, *(symbol + "</w>" for symbol in symbols), *(left + right for left, right in merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return {piece: i for i, piece in enumerate(pieces)}, merges


def _byte_symbols() -> list[str]:
    """The 256 characters that stand for bytes: first the printable Latin-1 ones, as they are, then moved-up ones."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = 256 - len(printable)
    return [chr(code) for code in [*printable, *range(256, 256 + moved)]]


@functools.lru_cache(maxsize=1)
def _clip_tokenizer() -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary, merges = clip_vocabulary()
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer
