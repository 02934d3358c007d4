"""The branches as data: which question is drawn and scored, classes of linear heads, cut vocabularies, errors."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from flipjax.core.errors import ConfigError
from flipjax.prompts.branches import (
    BERT_VOCABULARY,
    T5_VOCABULARY,
    Branch,
    class_table,
    compact_language,
    make_branches,
)
from flipjax.prompts.instruct import PUBLISHED, PUBLISHED_STYLES
from flipjax.prompts.instruct_ids import BERT_QUESTIONS, T5_ANSWERS, T5_QUESTIONS

CONTENT, STYLES = PUBLISHED[:1], PUBLISHED[1:]
CUSTOM = {
    "glasses": {
        "branch": "style",
        "field": "environment",
        "text": "Where was this taken?",
        "options": ["in a room", "outside"],
    }
}
DEFAULTS: dict[str, Any] = {
    "custom": {},
    "style_questions": PUBLISHED_STYLES,
    "style_policy": "label_independent",
    "eval_style": "camera_quality",
    "instruction": "question",
    "limit": 128,
    "unknown_is_class": False,
    "used_rows_only": False,
}


def branches(*names: str, **changes: Any) -> tuple[Branch, ...]:
    return make_branches(names or ("content", "style"), **{**DEFAULTS, **changes})


def style(**changes: Any) -> Branch:
    (branch,) = branches("style", **changes)
    return branch


def names_of(branch: Branch) -> list[str]:
    return [question.name for question in branch.questions]


# Which question is asked


def test_content_comes_first_and_any_subset_will_do() -> None:
    assert [branch.name for branch in branches("style", "content")] == ["content", "style"]
    assert [branch.name for branch in branches("content")] == ["content"]
    assert make_branches((), **DEFAULTS) == ()


def test_defaults() -> None:
    content, own = branches()
    assert names_of(content) == ["content"] and (content.drawn, content.live, content.scored) == (1, -1, (0,))
    assert names_of(own) == list(PUBLISHED_STYLES) and (own.drawn, own.live, own.scored) == (3, -1, (2,))
    assert not content.random_score and not own.random_score
    assert content.vocab == own.vocab == BERT_VOCABULARY == 30523 and content.rows is None


@pytest.mark.parametrize(
    ("asked", "names", "drawn", "live"),
    [
        (PUBLISHED_STYLES, list(PUBLISHED_STYLES), 3, 2),
        (("illumination",), ["illumination", "camera_quality"], 1, 1),
        (("illumination", "environment"), ["illumination", "environment", "camera_quality"], 2, 2),
        (("camera_quality", "environment"), ["camera_quality", "environment"], 2, 0),
    ],
)
def test_the_released_policy_adds_the_camera_for_bona_fide_samples(asked, names, drawn, live) -> None:
    branch = style(style_policy="label_dependent", style_questions=asked, eval_style=asked[0])
    assert (names_of(branch), branch.drawn, branch.live, branch.scored) == (names, drawn, live, (0,))
    content = branches("content", style_policy="label_dependent")[0]
    assert (names_of(content), content.live) == (["content"], -1)


def test_a_question_added_for_bona_fide_samples_is_not_scored() -> None:
    changes = {"style_policy": "label_dependent", "style_questions": ("illumination",)}
    assert style(**changes, eval_style="mean").scored == (0,)
    with pytest.raises(ConfigError, match="'camera_quality' is not among the style questions in use, illumination"):
        style(**changes, eval_style="camera_quality")


@pytest.mark.parametrize(
    ("eval_style", "scored", "is_random"),
    [
        ("illumination", (0,), False),
        ("environment", (1,), False),
        ("mean", (0, 1, 2), False),
        ("random", (0, 1, 2), True),
    ],
)
def test_evaluation_styles(eval_style: str, scored: tuple[int, ...], is_random: bool) -> None:
    content, own = branches(eval_style=eval_style)
    assert (own.scored, own.random_score) == (scored, is_random)
    assert (content.scored, content.random_score) == ((0,), False)


def test_a_custom_style_question_can_be_asked_and_scored() -> None:
    branch = style(custom=CUSTOM, style_questions=("camera_quality", "glasses"), eval_style="glasses")
    assert names_of(branch) == ["camera_quality", "glasses"] and branch.scored == (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style_policy": "label_dependant"}, "text.style_policy.*label_dependant.*label_dependent"),
        ({"eval_style": "camera"}, "text.eval_style.*'camera'"),
        ({"instruction": "none"}, "text.instruction.*none"),
        ({"style_questions": ("illumination",)}, "'camera_quality' is not among the style questions in use"),
        ({"style_questions": ("lighting",)}, "'lighting' unknown"),
        (
            {"custom": {"second": {**CUSTOM["glasses"], "branch": "content"}}},
            "the content branch asks 2 questions; it needs exactly one",
        ),
        ({"limit": 20}, "20"),
    ],
)
def test_errors_are_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        branches(**changes)
    assert "\n" not in str(caught.value)


def test_an_unknown_branch() -> None:
    with pytest.raises(ConfigError, match=r"method\.branches.*'styles'.*style"):
        branches("content", "styles")


# Classes of linear heads


def test_content_classes_are_the_options() -> None:
    table = class_table(CONTENT, unknown_is_class=True)
    np.testing.assert_array_equal(table, [[-1, *range(11)]])
    assert branches(unknown_is_class=True)[0].classes == 11


@pytest.mark.parametrize("unknown_is_class", [False, True])
def test_style_classes_are_the_released_ones(unknown_is_class: bool) -> None:
    """0 unknown, 1..4 illumination; 5 unknown, 6..7 environment; 8..10 quality."""
    first, second = (0, 5) if unknown_is_class else (-1, -1)
    expected = [[first, 1, 2, 3, 4], [second, 6, 7, -1, -1], [-1, 8, 9, 10, -1]]
    np.testing.assert_array_equal(class_table(STYLES, unknown_is_class), expected)
    assert style(unknown_is_class=unknown_is_class).classes == 11


def test_classes_of_other_questions_stand_side_by_side() -> None:
    np.testing.assert_array_equal(class_table((STYLES[2], STYLES[1]), True), [[-1, 0, 1, 2], [3, 4, 5, -1]])


# Tokens


def rows_of(ids: np.ndarray, mask: np.ndarray) -> list[list[int]]:
    return [row[real].tolist() for row, real in zip(ids, mask, strict=True)]


def test_instructions_texts_and_answers_by_index() -> None:
    for branch in branches():
        each = np.arange(len(branch.questions))
        names = names_of(branch)
        ids, mask = (np.asarray(x) for x in branch.instructions())
        assert rows_of(ids, mask) == [list(BERT_QUESTIONS[name]) for name in names]
        ids, mask = (np.asarray(x) for x in branch.texts(each[::-1]))
        assert rows_of(ids, mask) == [list(T5_QUESTIONS[name]) for name in names[::-1]]
        last = np.array([len(question.options) - 1 for question in branch.questions])
        ids, mask = (np.asarray(x) for x in branch.answers((each, last)))
        assert rows_of(ids, mask) == [list(T5_ANSWERS[name][-1]) for name in names]


def test_used_rows_read_the_same_words() -> None:
    for branch, cut in zip(branches(), branches(used_rows_only=True), strict=True):
        assert cut.rows is not None and cut.vocab == len(cut.rows) == len(set(cut.rows))
        full_ids, full_mask = branch.instructions()
        ids, mask = (np.asarray(x) for x in cut.instructions())
        np.testing.assert_array_equal(mask, full_mask)
        assert ids.max() < cut.vocab
        np.testing.assert_array_equal(np.array(cut.rows)[ids], full_ids)
    content, own = branches(used_rows_only=True)
    assert (content.vocab, own.vocab) == (51, 36 + 1), "distinct words; the shorter style questions add the padding row"


def test_an_empty_instruction_leaves_two_tokens_to_the_qformer_and_all_to_the_language_model() -> None:
    content = branches("content", instruction="empty", used_rows_only=True)[0]
    ids, mask = content.instructions()
    assert ids.shape == (1, 2) and mask.all() and content.rows == (101, 102)
    np.testing.assert_array_equal(content.tokens.t5_ids, branches("content")[0].tokens.t5_ids)


def test_compact_language_renumbers_words_and_nothing_else() -> None:
    full = branches()
    cut, vocab = compact_language(full)
    pairs: dict[int, int] = {}
    for before, after in zip(full, cut, strict=True):
        for name in ("t5_ids", "answer_ids"):
            old, new = getattr(before.tokens, name), getattr(after.tokens, name)
            assert new.dtype == np.int32 and new.shape == old.shape
            for a, b in zip(old.ravel().tolist(), new.ravel().tolist(), strict=True):
                assert pairs.setdefault(a, b) == b, "one word, one number"
        for name in ("qformer_ids", "qformer_mask", "t5_mask", "answer_mask"):
            np.testing.assert_array_equal(getattr(before.tokens, name), getattr(after.tokens, name))
        kept = [field.name for field in dataclasses.fields(Branch) if field.name != "tokens"]
        assert all(getattr(before, name) is getattr(after, name) for name in kept)
    assert pairs[0] == 0 and pairs[1] == 1, "padding, start and end keep their ids"
    assert sorted(pairs.values()) == list(range(vocab)) and len(pairs) == vocab < 200 < T5_VOCABULARY


def test_compact_language_keeps_the_special_ids_even_where_no_text_has_them() -> None:
    tokens = branches("content")[0].tokens
    unpadded = dataclasses.replace(tokens, t5_ids=tokens.t5_ids * 0 + 7, answer_ids=tokens.answer_ids * 0 + 9)
    (cut,), vocab = compact_language([dataclasses.replace(branches("content")[0], tokens=unpadded)])
    assert vocab == 4 and set(cut.tokens.t5_ids.ravel().tolist()) == {2}
    assert set(cut.tokens.answer_ids.ravel().tolist()) == {3}
