"""Text to token ids, from the vocabularies shipped with the package; nothing is fetched.

CLIP: lower-cased byte-pair encoding of words, pieces that end a word carry `</w>`, one start and one end token around
the text. Known difference from the OpenAI code: no mojibake repair and no HTML unescaping of the text before encoding.
BERT uncased: lower-cased words and punctuation cut into the longest known pieces, [CLS] and [SEP] around the text.
T5 (FLAN-T5 too): the likeliest cut under a Unigram model, one end token behind the text.
Markup of special tokens, such as [SEP] or </s>, is ordinary text to all three.
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
BERT_CLS_ID, BERT_SEP_ID, BERT_UNKNOWN_ID = 101, 102, 100
T5_END_ID, T5_UNKNOWN_ID = 1, 2

_BERT_FILE = "bert_uncased_vocab.txt"
_T5_FILE = "t5_spiece.model"
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
    rows = _encode(_clip_tokenizer(), texts)
    for text, row in zip(texts, rows, strict=True):
        check_length(text, len(row) + 2, min(length or CONTEXT_LENGTH, CONTEXT_LENGTH))
    return pad_ids(rows, length=length)


def bert_ids(texts: Sequence[str], *, limit: int = 128) -> list[list[int]]:
    """Returns the ids of every text in BERT's uncased vocabulary, [CLS] (101) first and [SEP] (102) last.

    Args:
      texts: at least one text.
      limit: most tokens a text may need, the two around it included.

    Raises:
      ConfigError: no text, or one that needs more than `limit` tokens.

    Example:
      >>> bert_ids(["A photo of a face"])
      [[101, 1037, 6302, 1997, 1037, 2227, 102]]
    """
    rows = [[BERT_CLS_ID, *ids, BERT_SEP_ID] for ids in _encode(_bert_tokenizer(), texts)]
    for text, row in zip(texts, rows, strict=True):
        check_length(text, len(row), limit)
    return rows


def t5_ids(texts: Sequence[str], *, limit: int = 128) -> list[list[int]]:
    """Returns the ids of every text in T5's vocabulary, the end token (1) last.

    Args:
      texts: at least one text.
      limit: most tokens a text may need, the end included.

    Raises:
      ConfigError: no text, or one that needs more than `limit` tokens.

    Example:
      >>> t5_ids(["(8) PC screen"])
      [[3, 28007, 2104, 1641, 1]]
    """
    rows = [[*ids, T5_END_ID] for ids in _encode(_t5_tokenizer(), texts)]
    for text, row in zip(texts, rows, strict=True):
        check_length(text, len(row), limit)
    return rows


def t5_text(ids: Sequence[int]) -> str:
    """Returns the text of T5 ids up to the end token; padding and ids without a piece are left out.

    Example:
      >>> t5_text([0, *t5_ids(["(8) PC screen"])[0]])
      '(8) PC screen'
    """
    row = list(ids)
    row = row[: row.index(T5_END_ID)] if T5_END_ID in row else row
    pieces = [_t5_tokenizer().id_to_token(int(i)) for i in row if i != PAD_ID]
    return "".join(piece for piece in pieces if piece is not None).replace("\u2581", " ").strip()


def pad_ids(rows: Sequence[Sequence[int]], *, length: int | None = None) -> Int32[np.ndarray, "texts t"]:
    """Returns `rows` (ids without start and end) with both added, as one matrix padded with zeros."""
    width = length or max(len(row) for row in rows) + 2
    ids = np.full((len(rows), width), PAD_ID, np.int32)
    for i, row in enumerate(rows):
        ids[i, : len(row) + 2] = [START_ID, *row, END_ID]
    return ids


def clip_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Returns CLIP's piece -> id table (49408 entries) and its merges in order of priority."""
    lines = gzip.decompress(_shipped(_VOCABULARY_FILE)).decode("utf-8").split("\n")
    merges = [(left, right) for left, right in (line.split() for line in lines[1 : _MERGES + 1])]
    symbols = _byte_symbols()
    pieces = [*symbols, *(symbol + "</w>" for symbol in symbols), *(left + right for left, right in merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return {piece: i for i, piece in enumerate(pieces)}, merges


def _shipped(name: str) -> bytes:
    return (importlib.resources.files("flipjax.prompts") / name).read_bytes()


def _encode(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        raise ConfigError("no text to tokenise; give at least one")
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def check_length(text: str, length: int, limit: int) -> None:
    """Raises ConfigError where `text` needs more than `limit` tokens."""
    if length > limit:
        line = " ".join(text.split())
        raise ConfigError(f"text '{line}' needs {length} tokens but at most {limit} fit; shorten it")


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


@functools.lru_cache(maxsize=1)
def _bert_tokenizer() -> "Tokenizer":
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces = _shipped(_BERT_FILE).decode("utf-8").rstrip("\n").split("\n")
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=pieces[BERT_UNKNOWN_ID], max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


@functools.lru_cache(maxsize=1)
def _t5_tokenizer() -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    from flipjax.prompts.sentencepiece_model import parse_model

    model = parse_model(_shipped(_T5_FILE))
    # Pieces that stand for no text get names that no text can have: normalisation removes NUL characters.
    named = zip(model.texts, model.scores, model.is_normal, strict=True)
    vocabulary = [(text if is_normal else f"\0{text}", score) for text, score, is_normal in named]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=T5_UNKNOWN_ID, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(model.charsmap),
            normalizers.Strip(),
            normalizers.Replace(Regex(" +"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    return tokenizer
