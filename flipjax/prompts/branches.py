"""The two branches of InstructFLIP as data: which questions they ask in training and in scoring, and what answers them."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from flipjax.core.errors import ConfigError, check_choice
from flipjax.core.schemas import Question
from flipjax.prompts.custom_questions import BRANCHES
from flipjax.prompts.flip import compact_rows
from flipjax.prompts.instruct import (
    EVAL_STYLES,
    INSTRUCTIONS,
    STYLE_POLICIES,
    QuestionTokens,
    question_tokens,
    questions,
)

LIVE_STYLE = "camera_quality"  # what the released code asks about every bona fide sample
BERT_VOCABULARY = 30523  # bert-base-uncased and one added token that no prompt uses
T5_VOCABULARY = 32128
MEAN, RANDOM = "mean", "random"


@dataclass(frozen=True, eq=False)
class Branch:
    """One branch.

    tokens: of `questions`, in their order.
    drawn: a training sample draws one of the first `drawn` questions.
    live: the question that every bona fide sample is asked instead, -1 for none in particular.
    scored: the questions that scoring asks; `random_score`: one of them per image instead of all.
    class_of: [q l] class of a linear answer head for label l - 1 of a question (column 0: label unknown), -1 for none.
    vocab, rows: size of the word table, and the vocabulary rows that it keeps (None: all).
    """

    name: str
    questions: tuple[Question, ...]
    tokens: QuestionTokens
    drawn: int
    live: int
    scored: tuple[int, ...]
    random_score: bool
    class_of: Int[np.ndarray, "q l"]
    vocab: int
    rows: tuple[int, ...] | None

    @property
    def classes(self) -> int:
        """Number of classes of a linear answer head."""
        return int(self.class_of.max()) + 1

    def instructions(self, asked: Any = slice(None)) -> tuple[Int[Array, "b t"], Bool[Array, "b t"]]:
        """Returns ids and mask of what the Q-Former reads, for indices of questions."""
        return jnp.asarray(self.tokens.qformer_ids)[asked], jnp.asarray(self.tokens.qformer_mask)[asked]

    def texts(self, asked: Any) -> tuple[Int[Array, "b u"], Bool[Array, "b u"]]:
        """Returns ids and mask of what the language model reads, for indices of questions."""
        return jnp.asarray(self.tokens.t5_ids)[asked], jnp.asarray(self.tokens.t5_mask)[asked]

    def answers(self, asked: Any) -> tuple[Int[Array, "*s a"], Bool[Array, "*s a"]]:
        """Returns ids and mask of options, for indices of questions or of (question, option)."""
        return jnp.asarray(self.tokens.answer_ids)[asked], jnp.asarray(self.tokens.answer_mask)[asked]


def make_branches(
    names: Sequence[str],
    *,
    custom: Mapping[str, Mapping[str, Any]],
    style_questions: Sequence[str],
    style_policy: str,
    eval_style: str,
    instruction: str,
    limit: int,
    unknown_is_class: bool,
    used_rows_only: bool,
) -> tuple[Branch, ...]:
    """Returns the branches by name, content first.

    Args:
      names: "content", "style", both or none.
      custom, style_questions: see `instruct.questions`.
      style_policy: how training chooses a style question, one of STYLE_POLICIES.
      eval_style: the style question that scoring asks; "mean": the mean score over all; "random": one per image, drawn from
        its pixels (the release draws afresh in every evaluation).
      instruction, limit: see `instruct.question_tokens`.
      unknown_is_class: linear answer heads learn "unknown" as a class (released multi-class labels) instead of leaving it out.
      used_rows_only: the word table keeps only the rows that the questions read.

    Raises:
      ConfigError: a switch with an unknown value, a style question that is not asked, or no single content question.
    """
    for name in names:
        check_choice("method.branches", name, BRANCHES)
    check_choice("text.style_policy", style_policy, STYLE_POLICIES)
    check_choice("text.instruction", instruction, INSTRUCTIONS)
    check_choice("text.eval_style", eval_style, (*EVAL_STYLES, RANDOM, *style_questions))
    every = questions(custom, tuple(style_questions))
    made = []
    for name in (name for name in BRANCHES if name in names):
        asked = tuple(question for question in every if question.branch == name)
        drawn, live, scored = len(asked), -1, (0,)
        if name == "content" and drawn != 1:
            raise ConfigError(f"the content branch asks {drawn} questions; it needs exactly one, replace it by name")
        if name == "style":
            asked, live = _with_live(asked, style_policy)
            scored = _scored(asked[:drawn], eval_style)
        tokens = question_tokens(asked, instruction=instruction, limit=limit)
        vocab, rows = BERT_VOCABULARY, None
        if used_rows_only:
            ids, rows = compact_rows(tokens.qformer_ids)
            vocab, tokens = len(rows), dataclasses.replace(tokens, qformer_ids=ids)
        is_random = eval_style == RANDOM and name == "style"
        classes = class_table(asked, unknown_is_class)
        made.append(Branch(name, asked, tokens, drawn, live, scored, is_random, classes, vocab, rows))
    return tuple(made)


def _with_live(asked: tuple[Question, ...], policy: str) -> tuple[tuple[Question, ...], int]:
    """Adds the question about bona fide samples where the policy needs it; returns its place."""
    if policy != "label_dependent":
        return asked, -1
    names = [question.name for question in asked]
    if LIVE_STYLE not in names:
        asked = (*asked, *(question for question in questions({}, (LIVE_STYLE,)) if question.name == LIVE_STYLE))
    return asked, [question.name for question in asked].index(LIVE_STYLE)


def _scored(asked: tuple[Question, ...], eval_style: str) -> tuple[int, ...]:
    names = [question.name for question in asked]
    if eval_style in (MEAN, RANDOM):
        return tuple(range(len(names)))
    if eval_style not in names:
        raise ConfigError(f"text.eval_style '{eval_style}' is not among the style questions in use, {', '.join(names)}")
    return (names.index(eval_style),)


def class_table(asked: Sequence[Question], unknown_is_class: bool) -> Int[np.ndarray, "q l"]:
    """Returns the classes of a linear head over the options of all questions, side by side.

    Every style question but camera quality has a class for "unknown" in front of its options, as in the released labels
    (0..4 illumination, 5..7 environment, 8..10 quality); it is -1 unless `unknown_is_class`, and so leaves the loss.
    """
    table = np.full((len(asked), 1 + max(len(question.options) for question in asked)), -1, np.int32)
    first = 0
    for row, question in enumerate(asked):
        if question.branch == "style" and question.name != LIVE_STYLE:
            table[row, 0] = first if unknown_is_class else -1
            first += 1
        table[row, 1 : 1 + len(question.options)] = first + np.arange(len(question.options))
        first += len(question.options)
    return table


def compact_language(branches: Sequence[Branch]) -> tuple[tuple[Branch, ...], int]:
    """Returns the branches renumbered for a language model that knows their words alone, and its vocabulary size.

    Only a language model from scratch may be cut down so: the softmax over a real vocabulary is part of its answer.
    """
    kept = np.unique(
        np.concatenate([[0, 1], *(ids.ravel() for b in branches for ids in (b.tokens.t5_ids, b.tokens.answer_ids))])
    )
    made = []
    for branch in branches:
        t5_ids, answer_ids = (
            np.searchsorted(kept, ids).astype(np.int32) for ids in (branch.tokens.t5_ids, branch.tokens.answer_ids)
        )
        tokens = dataclasses.replace(branch.tokens, t5_ids=t5_ids, answer_ids=answer_ids)
        made.append(dataclasses.replace(branch, tokens=tokens))
    return tuple(made), len(kept)
