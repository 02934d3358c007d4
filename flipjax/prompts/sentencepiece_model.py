"""Reads a SentencePiece model file: pieces, log-probabilities and the normalisation table.

The file is a protocol buffer (sentencepiece_model.proto); of its few fields that a Unigram tokenizer needs, each is
(field number, wire type, value), so that no compiled schema is necessary.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# ModelProto.pieces, ModelProto.normalizer_spec; SentencePiece.piece, .score, .type; NormalizerSpec.precompiled_charsmap
_PIECES, _NORMALIZER = 1, 3
_TEXT, _SCORE, _TYPE = 1, 2, 3
_CHARSMAP = 2
_NORMAL = 1


@dataclass(frozen=True)
class Pieces:
    """A Unigram vocabulary: entry i has id i.

    `texts` hold U+2581 for a space, `scores` natural log-probabilities; `is_normal` is False for pieces that stand for
    no text (padding, end, unknown); `charsmap` is the compiled table that normalises text beforehand.
    """

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    is_normal: tuple[bool, ...]
    charsmap: bytes


def parse_model(data: bytes) -> Pieces:
    """Returns the vocabulary that the bytes of a `.model` file hold."""
    texts: list[str] = []
    scores: list[float] = []
    is_normal: list[bool] = []
    charsmap = b""
    for number, value in _fields(data):
        if number == _PIECES:
            piece = dict(_fields(value))
            texts.append(piece[_TEXT].decode("utf-8"))
            scores.append(struct.unpack("<f", piece[_SCORE])[0] if _SCORE in piece else 0.0)
            is_normal.append(piece.get(_TYPE, _NORMAL) == _NORMAL)
        elif number == _NORMALIZER:
            charsmap = dict(_fields(value)).get(_CHARSMAP, b"")
    return Pieces(tuple(texts), tuple(scores), tuple(is_normal), charsmap)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
        if size is None:
            size, at = _varint(data, at)
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
