"""InstructFLIP's questions about a face as data, with their token ids for the Q-Former (BERT) and the language model (T5).

Source: InstructFLIP (ACM MM 2025), section 3.1 and Table 7; the exact strings are those of the released code. Known
differences from the paper, which `paper_text` gives: Table 7 has no "Choose the correct option to ...", a space instead of
the line break, and "Which type of spoof" instead of "Which type of spoof type". The released code calls the questions
`presentation attack`, `illumination condition`, `enviroment` and `camera quality`; here they bear their record column's name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from flipjax.core.errors import ConfigError, suggest
from flipjax.core.schemas import Question
from flipjax.prompts.custom_questions import custom_question, numbered, options_line
from flipjax.prompts.instruct_ids import BERT_QUESTIONS, T5_ANSWERS, T5_QUESTIONS
from flipjax.prompts.tokenizers import BERT_CLS_ID, BERT_SEP_ID, bert_ids, check_length, t5_ids

# Which style question a training sample is asked: as released, attack samples draw one of them and bona fide samples always
# get camera_quality (which gives the label away); or every sample draws one, whatever its label.
STYLE_POLICIES = ("label_dependent", "label_independent")
# Which style question scoring uses: one of them, or the mean of the scores with each.
EVAL_STYLES = ("camera_quality", "illumination", "environment", "mean")
# What the Q-Former reads: the question, or nothing (the released variants without a language model).
INSTRUCTIONS = ("question", "empty")
QUESTION_LIMIT = 128
ANSWER_LIMIT = 16

_PREFIX = "Choose the correct option to the following question: "
_RELEASED_CONTENT, _PAPER_CONTENT = (
    "Which type of spoof type is in this image?",
    "Which type of spoof is in this image?",
)


def _published(name: str, branch: str, field: str, sentence: str, words: tuple[str, ...]) -> Question:
    options = numbered(words)
    return Question(name, branch, field, f"{_PREFIX}{sentence}{options_line(options)}", options)


PUBLISHED: tuple[Question, ...] = (
    _published(
        "content",
        "content",
        "attack_instrument",
        _RELEASED_CONTENT,
        (
            "Real face",
            "Photo",
            "Poster",
            "A4-paper",
            "2D face mask",
            "2D upper-body mask",
            "2D region mask",
            "PC screen",
            "Pad screen",
            "Phone screen",
            "3D mask",
        ),
    ),
    _published(
        "illumination",
        "style",
        "illumination",
        "What is the illumination condition in this image?",
        ("Normal", "Strong", "Back", "Dark"),
    ),
    _published("environment", "style", "environment", "What is the environment in this image?", ("Indoor", "Outdoor")),
    _published(
        "camera_quality",
        "style",
        "camera_quality",
        "What is the camera quality in this image?",
        ("Low", "Medium", "High"),
    ),
)
_BERT_IDS = {question.text: BERT_QUESTIONS[question.name] for question in PUBLISHED}
_T5_IDS = {question.text: T5_QUESTIONS[question.name] for question in PUBLISHED}
_T5_IDS |= {
    option: ids
    for question in PUBLISHED
    for option, ids in zip(question.options, T5_ANSWERS[question.name], strict=True)
}
PUBLISHED_STYLES = tuple(question.name for question in PUBLISHED if question.branch == "style")


def paper_text(question: Question) -> str:
    """Returns the question as the paper puts it to other models: one line without the leading request (Table 7).

    Example:
      >>> paper_text(PUBLISHED[2])
      'What is the environment in this image? (1) Indoor (2) Outdoor'
    """
    text = question.text.removeprefix(_PREFIX).replace(_RELEASED_CONTENT, _PAPER_CONTENT)
    return " ".join(text.split())


def questions(
    custom: Mapping[str, Mapping[str, Any]], style: tuple[str, ...] = PUBLISHED_STYLES
) -> tuple[Question, ...]:
    """Returns the content questions, then the style questions named by `style` in that order (Table 6 uses one to three).

    Args:
      custom: questions by name with the keys branch, field, text and options. One with a published name replaces that
        question, and keys it lacks stay as published; any other is a further question and needs all four keys. Options
        are numbered "(1) ..." unless they are already, and appended to a text that does not end with them, after a line
        break and joined by spaces, as published. Option i is right where the record column `field` holds i.
      style: names of style questions, published or custom; none is allowed.

    Raises:
      ConfigError: a custom question that is incomplete or contradicts its column, a name in `style` that is unknown or
        occurs twice, or a custom style question that `style` leaves out.

    Example:
      >>> [question.name for question in questions({}, ("environment",))]
      ['content', 'environment']
    """
    published = {question.name: question for question in PUBLISHED}
    every = published | {name: custom_question(name, given, published.get(name)) for name, given in custom.items()}
    styles = [name for name, question in every.items() if question.branch == "style"]
    for name in style:
        if name not in styles:
            raise ConfigError(f"style question '{name}' unknown; known: {', '.join(styles)}{suggest(name, styles)}")
        if style.count(name) > 1:
            raise ConfigError(f"style question '{name}' is named twice; name each once")
    unused = [name for name in custom if name in styles and name not in style]
    if unused:
        raise ConfigError(
            f"style question '{unused[0]}' is defined but never asked; add it to the style questions in use"
        )
    content = [question for question in every.values() if question.branch == "content"]
    return (*content, *(every[name] for name in style))


@dataclass(frozen=True, eq=False)
class QuestionTokens:
    """Token ids of several questions, padded with zeros to the longest in use; a mask is True where a token is.

    `qformer_ids`, `qformer_mask` [q t]: what the Q-Former reads, [CLS] to [SEP] (BERT uncased).
    `t5_ids`, `t5_mask` [q u]: what the language model reads, with its end token.
    `answer_ids`, `answer_mask` [q o a]: every option with its end token; questions with fewer options than the others have
    rows without any token.
    """

    qformer_ids: Int32[np.ndarray, "q t"]
    qformer_mask: Bool[np.ndarray, "q t"]
    t5_ids: Int32[np.ndarray, "q u"]
    t5_mask: Bool[np.ndarray, "q u"]
    answer_ids: Int32[np.ndarray, "q o a"]
    answer_mask: Bool[np.ndarray, "q o a"]


def question_tokens(
    asked: Sequence[Question], *, instruction: str = "question", limit: int = QUESTION_LIMIT
) -> QuestionTokens:
    """Returns the ids of the questions in order; published texts need no tokenizer.

    Args:
      asked: at least one question; content and style questions apart keep either as short as can be.
      instruction: "question", or "empty" for a Q-Former that reads [CLS] [SEP] alone.
      limit: most tokens of a question, by either tokenizer. An option may have 16.

    Raises:
      ConfigError: no question, another instruction, or a text that is too long.
    """
    if instruction not in INSTRUCTIONS:
        raise ConfigError(
            f"instruction '{instruction}' unknown; expected question or empty{suggest(instruction, INSTRUCTIONS)}"
        )
    if not asked:
        raise ConfigError("no question to tokenise; give at least one")
    texts = [question.text for question in asked]
    empty = [[BERT_CLS_ID, BERT_SEP_ID]] * len(texts)
    qformer = empty if instruction == "empty" else _rows(texts, _BERT_IDS, bert_ids, limit)
    language = _rows(texts, _T5_IDS, t5_ids, limit)
    answers = [_rows(question.options, _T5_IDS, t5_ids, ANSWER_LIMIT) for question in asked]
    most = max(len(rows) for rows in answers)
    answer_ids, answer_mask = _padded([row for rows in answers for row in [*rows, *[()] * (most - len(rows))]])
    shape = (len(asked), most, -1)
    return QuestionTokens(*_padded(qformer), *_padded(language), answer_ids.reshape(shape), answer_mask.reshape(shape))


def _rows(
    texts: Sequence[str],
    known: Mapping[str, tuple[int, ...]],
    tokenize: Callable[..., list[list[int]]],
    limit: int,
) -> list[Sequence[int]]:
    rows: list[Sequence[int]] = [known[t] if t in known else tokenize([t], limit=limit)[0] for t in texts]
    for text, row in zip(texts, rows, strict=True):
        check_length(text, len(row), limit)
    return rows


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Int32[np.ndarray, "r t"], Bool[np.ndarray, "r t"]]:
    ids = np.zeros((len(rows), max(len(row) for row in rows)), np.int32)
    mask = np.zeros(ids.shape, bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = True
    return ids, mask
