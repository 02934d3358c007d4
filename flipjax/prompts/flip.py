"""The twelve prompts of FLIP as data: six pairs P1..P6, one text per class, with their CLIP token ids.

Source: FLIP (ICCV 2023), table of language prompts; the exact strings are those of the released code. Known difference
from the paper: its table prints "bona fide" in P2, the code has "bonafide", which gives other tokens; here it is the
latter unless `prompt_tokens` is asked for the former.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from flipjax.core.errors import ConfigError
from flipjax.core.labels import ATTACK, BONA_FIDE
from flipjax.prompts.tokenizers import clip_ids, pad_ids

# Text -> ids between start and end; tests compare them with the shipped vocabulary.
_ATTACK_IDS: dict[str, tuple[int, ...]] = {
    "This is an example of a spoof face": (589, 533, 550, 6228, 539, 320, 1261, 539, 1710),
    "This is an example of an attack face": (589, 533, 550, 6228, 539, 550, 3815, 1710),
    "This is not a real face": (589, 533, 783, 320, 1532, 1710),
    "This is how a spoof face looks like": (589, 533, 829, 320, 1261, 539, 1710, 1606, 789),
    "a photo of a spoof face": (320, 1125, 539, 320, 1261, 539, 1710),
    "a printout shown to be a spoof face": (320, 17851, 620, 8506, 531, 655, 320, 1261, 539, 1710),
}
_BONA_FIDE_IDS: dict[str, tuple[int, ...]] = {
    "This is an example of a real face": (589, 533, 550, 6228, 539, 320, 1532, 1710),
    "This is a bonafide face": (589, 533, 320, 1871, 24074, 654, 1710),
    "This is a real face": (589, 533, 320, 1532, 1710),
    "This is how a real face looks like": (589, 533, 829, 320, 1532, 1710, 1606, 789),
    "a photo of a real face": (320, 1125, 539, 320, 1532, 1710),
    "This is not a spoof face": (589, 533, 783, 320, 1261, 539, 1710),
}
ATTACK_PROMPTS = tuple(_ATTACK_IDS)
BONA_FIDE_PROMPTS = tuple(_BONA_FIDE_IDS)
NUMBERS = (1, 2, 3, 4, 5, 6)
VOCABULARY_SIZE = 49408


@dataclass(frozen=True)
class Prompts:
    """The texts that describe each class, in the order in which prompt views are drawn from them."""

    attack: tuple[str, ...]
    bona_fide: tuple[str, ...]


def prompt_set(numbers: tuple[int, ...] = NUMBERS) -> Prompts:
    """Returns the pairs P1..P6 named by `numbers`, in that order.

    Raises:
      ConfigError: no number, a number twice, or one outside 1..6.

    Example:
      >>> prompt_set((6,))
      Prompts(attack=('a printout shown to be a spoof face',), bona_fide=('This is not a spoof face',))
    """
    if not numbers or len(set(numbers)) != len(numbers) or not set(numbers) <= set(NUMBERS):
        raise ConfigError(f"prompt numbers {tuple(numbers)} are not distinct numbers from 1 to 6, such as (1, 2, 6)")
    return Prompts(
        attack=tuple(ATTACK_PROMPTS[number - 1] for number in numbers),
        bona_fide=tuple(BONA_FIDE_PROMPTS[number - 1] for number in numbers),
    )


def token_matrix(prompts: Prompts) -> Int32[np.ndarray, "2 k t"]:
    """Returns the CLIP ids of `prompts`: axis 0 is the class index (0 attack, 1 bona fide), axis 1 the prompt.

    Rows have the length of the longest prompt in use (12 for all twelve); zeros follow the end token. The causal text
    tower reads the end position alone, so shorter rows than CLIP's 77 change no feature.

    Raises:
      ConfigError: the classes have different numbers of prompts, none, or a prompt of more than 77 tokens.
    """
    if len(prompts.attack) != len(prompts.bona_fide):
        raise ConfigError(
            f"{len(prompts.attack)} attack and {len(prompts.bona_fide)} bona fide prompts; give both classes as many"
        )
    by_class: dict[int, Sequence[str]] = {ATTACK: prompts.attack, BONA_FIDE: prompts.bona_fide}
    texts = [*by_class[0], *by_class[1]]
    known = _ATTACK_IDS | _BONA_FIDE_IDS
    ids = pad_ids([known[text] for text in texts]) if texts and known.keys() >= set(texts) else clip_ids(texts)
    return ids.reshape(2, len(prompts.attack), -1)


def compact_rows(ids: Int32[np.ndarray, "*shape"]) -> tuple[Int32[np.ndarray, "*shape"], tuple[int, ...]]:
    """Returns `ids` renumbered for a token table that keeps only the vocabulary rows they read, and those rows.

    Row r of the small table is row rows[r] of the vocabulary. The order of the ids is kept, so the end token stays the
    largest id, which is where the text tower reads its feature.

    Example:
      >>> compact_rows(np.array([[49406, 320, 49407, 0]], np.int32))
      (array([[2, 1, 3, 0]], dtype=int32), (0, 320, 49406, 49407))
    """
    rows = np.unique(ids)
    return np.searchsorted(rows, ids).astype(np.int32), tuple(int(row) for row in rows)


@dataclass(frozen=True)
class PromptTokens:
    """Prompts as the text tower reads them: ids, size of the token table, vocabulary rows it keeps (None: all)."""

    ids: Int32[np.ndarray, "2 k t"]
    vocab: int
    rows: tuple[int, ...] | None


def prompt_tokens(numbers: tuple[int, ...], spelling: str, *, used_rows_only: bool) -> PromptTokens:
    """Returns the ids of the numbered prompt pairs; `used_rows_only` renumbers them for a table of just their rows.

    Args:
      numbers: pairs P1..P6 in use.
      spelling: "bonafide" as in the code or "bona fide" as printed in the paper (P2).

    Raises:
      ConfigError: a number outside 1..6 or another spelling.
    """
    if spelling not in ("bonafide", "bona fide"):
        raise ConfigError(f"text.spelling '{spelling}' unknown; expected 'bonafide' (code) or 'bona fide' (paper)")
    prompts = prompt_set(numbers)
    spelled = tuple(text.replace("bonafide", spelling) for text in prompts.bona_fide)
    ids = token_matrix(Prompts(prompts.attack, spelled))
    if not used_rows_only:
        return PromptTokens(ids, VOCABULARY_SIZE, None)
    ids, rows = compact_rows(ids)
    return PromptTokens(ids, len(rows), rows)
