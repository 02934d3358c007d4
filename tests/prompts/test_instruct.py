"""InstructFLIP's questions: frozen strings and ids against the vocabularies, order, custom questions, padding."""

import sys

import numpy as np
import pytest

from flipjax.core import labels
from flipjax.core.errors import ConfigError
from flipjax.core.schemas import Question
from flipjax.prompts import tokenizers
from flipjax.prompts.flip import compact_rows
from flipjax.prompts.instruct import EVAL_STYLES, PUBLISHED, PUBLISHED_STYLES, paper_text, question_tokens, questions
from flipjax.prompts.instruct_ids import BERT_QUESTIONS, T5_ANSWERS, T5_QUESTIONS

REAL = {
    "branch": "content",
    "field": "is_bona_fide",
    "text": "Is this a real face?",
    "options": ["attack", "bona fide"],
}


def test_published_strings() -> None:
    head = "Choose the correct option to the following question: "
    assert [question.text for question in PUBLISHED] == [
        head + "Which type of spoof type is in this image?\n(1) Real face (2) Photo (3) Poster (4) A4-paper "
        "(5) 2D face mask (6) 2D upper-body mask (7) 2D region mask (8) PC screen (9) Pad screen (10) Phone screen "
        "(11) 3D mask",
        head + "What is the illumination condition in this image?\n(1) Normal (2) Strong (3) Back (4) Dark",
        head + "What is the environment in this image?\n(1) Indoor (2) Outdoor",
        head + "What is the camera quality in this image?\n(1) Low (2) Medium (3) High",
    ]
    assert [(q.name, q.branch, q.field) for q in PUBLISHED] == [
        ("content", "content", "attack_instrument"),
        *((name, "style", name) for name in ("illumination", "environment", "camera_quality")),
    ]
    assert set(EVAL_STYLES) == {*PUBLISHED_STYLES, "mean"}


def test_wording_of_the_paper() -> None:
    assert paper_text(PUBLISHED[0]).startswith("Which type of spoof is in this image? (1) Real face (2) Photo")
    assert paper_text(PUBLISHED[3]) == "What is the camera quality in this image? (1) Low (2) Medium (3) High"


def test_options_stand_in_the_order_of_our_labels() -> None:
    by_field = {question.field: question.options for question in PUBLISHED}
    for field, names in (
        ("illumination", labels.ILLUMINATIONS),
        ("environment", labels.ENVIRONMENTS),
        ("camera_quality", labels.CAMERA_QUALITIES),
    ):
        assert [option.split(" ")[1].lower() for option in by_field[field]] == list(names)
    for option, name in zip(by_field["attack_instrument"][1:], labels.ATTACK_INSTRUMENTS[1:], strict=True):
        words = set(option.lower().replace("-", " ").split()[1:])
        assert words == set(name.split("_"))


@pytest.mark.parametrize("question", PUBLISHED, ids=lambda question: question.name)
def test_frozen_ids_are_those_of_the_vocabularies(question: Question) -> None:
    assert [list(BERT_QUESTIONS[question.name])] == tokenizers.bert_ids([question.text])
    assert [list(T5_QUESTIONS[question.name])] == tokenizers.t5_ids([question.text])
    assert [list(ids) for ids in T5_ANSWERS[question.name]] == tokenizers.t5_ids(question.options)


def test_lengths_and_vocabulary_in_use() -> None:
    assert [len(BERT_QUESTIONS[name]) for name in BERT_QUESTIONS] == [82, 36, 27, 32]
    assert [len(T5_QUESTIONS[name]) for name in T5_QUESTIONS] == [73, 28, 22, 25]
    content = question_tokens(PUBLISHED[:1])
    style = question_tokens(PUBLISHED[1:])
    assert len(np.unique(content.qformer_ids)) == 51
    assert len(np.unique(style.qformer_ids[style.qformer_mask])) == 36
    assert len({i for ids in BERT_QUESTIONS.values() for i in ids}) == 66


def test_static_shapes_and_masks() -> None:
    content, style = question_tokens(PUBLISHED[:1]), question_tokens(PUBLISHED[1:])
    assert [x.shape for x in (content.qformer_ids, content.t5_ids, content.answer_ids)] == [
        (1, 82),
        (1, 73),
        (1, 11, 9),
    ]
    assert [x.shape for x in (style.qformer_ids, style.t5_ids, style.answer_ids)] == [(3, 36), (3, 28), (3, 4, 4)]
    assert style.qformer_mask.sum(1).tolist() == [36, 27, 32] and style.t5_mask.sum(1).tolist() == [28, 22, 25]
    assert style.answer_mask.any(-1).sum(-1).tolist() == [4, 2, 3]
    assert style.answer_ids[1, 1].tolist() == [6499, 9876, 1, 0] and not style.answer_mask[1, 2:].any()
    for ids, mask in (
        (style.qformer_ids, style.qformer_mask),
        (style.t5_ids, style.t5_mask),
        (style.answer_ids, style.answer_mask),
    ):
        assert ids.dtype == np.int32 and mask.dtype == bool
        np.testing.assert_array_equal(mask, ids != 0)


def test_empty_instruction_leaves_the_language_model_its_question() -> None:
    empty, full = question_tokens(PUBLISHED[1:], instruction="empty"), question_tokens(PUBLISHED[1:])
    assert empty.qformer_ids.tolist() == [[101, 102]] * 3 and empty.qformer_mask.all()
    np.testing.assert_array_equal(empty.t5_ids, full.t5_ids)


def test_published_questions_need_no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    tokenizers._bert_tokenizer.cache_clear()
    tokenizers._t5_tokenizer.cache_clear()
    assert question_tokens(PUBLISHED).qformer_ids.shape == (4, 82)


def test_a_small_table_of_the_used_rows_reads_the_same_words() -> None:
    ids = question_tokens(PUBLISHED).qformer_ids
    small, rows = compact_rows(ids)
    np.testing.assert_array_equal(np.array(rows)[small], ids)
    assert len(rows) == 67  # 66 and the padding


@pytest.mark.parametrize("style", [(), ("illumination",), ("environment", "camera_quality"), PUBLISHED_STYLES[::-1]])
def test_content_first_then_the_styles_in_order(style: tuple[str, ...]) -> None:
    assert [question.name for question in questions({}, style)] == ["content", *style]
    assert questions({}) == PUBLISHED


def test_custom_question_on_the_class() -> None:
    content, real = questions({"real": REAL}, ())
    assert content == PUBLISHED[0]
    assert real == Question(
        "real",
        "content",
        "is_bona_fide",
        "Is this a real face?\n(1) attack (2) bona fide",
        ("(1) attack", "(2) bona fide"),
    )
    tokens = question_tokens((real,))
    assert tokens.qformer_ids[:, 0].tolist() == [101] and tokens.t5_ids[0, -1] == 1
    assert (
        tokens.answer_ids.shape[1] == 2 and tokens.answer_ids[0, 0].tolist()[: tokens.answer_mask[0, 0].sum()][-1] == 1
    )


def test_custom_question_replaces_a_published_one_and_keeps_what_it_does_not_name() -> None:
    changed = questions({"environment": {"text": "Where?"}}, ("environment",))[1]
    assert changed == Question(
        "environment", "style", "environment", "Where?\n(1) Indoor (2) Outdoor", PUBLISHED[2].options
    )
    changed = questions({"environment": {"options": ("inside", "outside")}}, ("environment",))[1]
    assert changed.text == PUBLISHED[2].text.replace("Indoor", "inside").replace("Outdoor", "outside")


def test_text_and_options_that_are_numbered_already_stay_as_they_are() -> None:
    given = {
        "branch": "style",
        "field": "environment",
        "text": "Where?\n(1) in (2) out",
        "options": ["(1) in", "(2) out"],
    }
    assert questions({"place": given}, ("place",))[1].text == given["text"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"branch": "contents"}, "branch 'contents' unknown"),
        ({"field": "subject_id"}, "'subject_id' is no record column"),
        ({"field": "illuminatio"}, "did you mean 'illumination'"),
        ({"options": ["attack"]}, "1 options but column 'is_bona_fide' has 2"),
        ({"field": "frame_index", "options": ["one"]}, "1 options but a choice needs at least 2"),
        ({"options": ["a", "b", "c"]}, "3 options but column 'is_bona_fide' has 2"),
        ({"options": ["yes", "YES"]}, "option 'yes' occurs twice"),
        ({"options": "yes"}, "'yes' are not a list of texts"),
        ({"options": ["yes", 2]}, "are not a list of texts"),
        ({"options": ["(1) yes", "(3) no"]}, r"option '\(3\) no' has another number"),
        ({"options": []}, "has no options"),
        ({"text": ""}, "has no text"),
        ({"text": "Who?\n(1) x (2) y"}, "line break before other options"),
        ({"answers": ["a", "b"]}, "unknown key 'answers'"),
    ],
)
def test_bad_custom_questions_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        questions({"mine": REAL | change}, ())
    assert "'mine'" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("custom", "style", "message"),
    [
        ({}, ("iluminatio",), "'iluminatio' unknown; .*did you mean 'illumination'"),
        ({}, ("content",), "style question 'content' unknown"),
        ({}, ("environment", "environment"), "named twice"),
        ({"place": REAL | {"branch": "style"}}, ("environment",), "'place' is defined but never asked"),
    ],
)
def test_bad_style_lists_are_refused(custom: dict, style: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        questions(custom, style)


def test_limits_of_questions_and_answers() -> None:
    with pytest.raises(ConfigError, match="needs 82 tokens but at most 81 fit"):
        question_tokens(PUBLISHED[:1], limit=81)
    assert question_tokens(PUBLISHED[:1], limit=82).qformer_ids.shape == (1, 82)
    long = questions({"mine": REAL | {"text": "word " * 130}}, ())[1]
    with pytest.raises(ConfigError, match="but at most 128 fit") as error:
        question_tokens((long,))
    assert "\n" not in str(error.value)
    wordy = questions({"mine": REAL | {"options": ["short", "very " * 20]}}, ())[1]
    with pytest.raises(ConfigError, match="at most 16 fit"):
        question_tokens((wordy,))
    with pytest.raises(ConfigError, match="'none' unknown"):
        question_tokens(PUBLISHED, instruction="none")
    with pytest.raises(ConfigError, match="no question"):
        question_tokens(())
