"""Free text to option: numbers, words, both, and everything that must not pass for an answer."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from flipjax.core.errors import DataError
from flipjax.prompts.answers import option_words, parse_answer
from flipjax.prompts.instruct import PUBLISHED, questions

CONTENT, ILLUMINATION, ENVIRONMENT, QUALITY = PUBLISHED


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("(8) PC screen", 7),
        ("8", 7),
        ("(8)", 7),
        (" 8. ", 7),
        ("8) pc SCREEN", 7),
        ("8: PC screen", 7),
        ("8 PC screen", 7),
        ("[8]", 7),
        ("**(8) PC Screen**", 7),
        ("PC Screen.", 7),
        ("pc_screen", 7),
        ("A4 paper", 3),
        ("2D face mask", 4),
        ("3D mask", 10),
        ("2d upper body mask", 5),
        ("Option 11", 10),
        ("The answer is (10).", 9),
        ("answer: 10", 9),
        ("The correct option is (2) Photo", 1),
        ("(8) PC screen, as the moire rather suggests a screen than a photo", 7),
        ("The image shows a phone screen.", 9),
        ("(1) Real face, this is not a spoof", 0),
        ("I don't see a spoof: (1)", 0),
        ("A real face", 0),
    ],
)
def test_content_answers(text: str, index: int) -> None:
    assert parse_answer(text, CONTENT) == index


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "none"),
        ("no idea", "none"),
        ("(12) Hologram", "option 12"),
        ("(0)", "option 0"),
        ("99", "option 99"),
        ("-1", "none"),
        ("2.5", "none"),
        ("4 people stand in front of a wall", "none"),
        ("2D", "none"),
        ("mask", "none"),
        ("photograph", "none"),
        ("Photo or Poster", "several"),
        ("(2) or (3)", "several"),
        ("1 or (2)", "several"),
        ("(1) Real face (2) Photo", "several"),
        ("(8) Poster", "another option"),
        ("8. Poster", "another option"),
        ("This is not a photo", "none"),
        ("It isn't a poster", "none"),
        ("It isn\u2019t a poster", "none"),
        ("I cannot say whether this is a photo.", "none"),
        ("I cannot determine spoof types from an uploaded image. However, you can analyze this image.", "none"),
    ],
)
def test_what_is_no_answer(text: str, why: str) -> None:
    with pytest.raises(DataError, match=why) as error:
        parse_answer(text, CONTENT)
    message = str(error.value)
    assert "'content'" in message and "(11) 3D mask" in message and f"'{text[:40]}" in message and "\n" not in message


def test_sentences_that_name_one_style() -> None:
    assert (
        parse_answer("The image appears to be taken in an outdoor environment, as the sunlight suggests.", ENVIRONMENT)
        == 1
    )
    assert parse_answer("HIGH", QUALITY) == 2
    assert parse_answer("back", ILLUMINATION) == 2
    with pytest.raises(DataError, match="none"):
        parse_answer("highlights and a background", QUALITY)


def test_words_of_denial_inside_an_option_are_no_denial() -> None:
    custom = {"worn": {"branch": "style", "field": "is_bona_fide", "text": "?", "options": ["no mask", "a mask"]}}
    question = questions(custom, ("worn",))[-1]
    assert parse_answer("no mask", question) == 0
    assert parse_answer("a mask", question) == 1
    with pytest.raises(DataError):
        parse_answer("not a mask", question)


@given(st.sampled_from(PUBLISHED), st.integers(0, 10), st.sampled_from(["{}", " {} ", "{}.", "Answer: {}", '"{}"']))
def test_every_option_is_read_back(question, index: int, form: str) -> None:
    index %= len(question.options)
    option = question.options[index]
    assert parse_answer(form.format(option), question) == index
    assert parse_answer(form.format(option.upper()), question) == index
    assert parse_answer(form.format(option_words(option)), question) == index
    assert parse_answer(form.format(index + 1), question) == index


@given(st.text())
def test_any_text_gives_an_option_or_a_data_error(text: str) -> None:
    try:
        assert 0 <= parse_answer(text, CONTENT) < 11
    except DataError as error:
        assert "\n" not in str(error)
