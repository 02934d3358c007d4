"""What InstructFLIP's language model writes of itself: greedy decoding of each question's encoding, as text."""

import jax
import jax.numpy as jnp
import numpy as np
from instruct_flip_cases import batch, make, settings, variables_of

from flipjax.methods import instruct_flip
from flipjax.models import instructed_clip as network
from flipjax.models.layers import network_input
from flipjax.models.t5_decode import greedy
from flipjax.prompts.instruct import ANSWER_LIMIT, PUBLISHED, question_tokens
from flipjax.prompts.tokenizers import t5_text

ROWS = 3


def test_every_question_is_answered_by_greedy_decoding() -> None:
    flip, variables, given = settings(), variables_of(make()), batch(ROWS)

    def both(params: dict, frozen: dict) -> tuple[dict, jax.Array]:
        prepared = instruct_flip.prepare_answers(flip, params, frozen, {})
        spoken = instruct_flip.speak(flip, prepared, given)
        branch = flip.branches[1]
        visual = network.look(flip.net, params, network_input(given["image"], flip.normalization))
        asked = jnp.full(ROWS, 1)
        texts = {b.name: b.instructions(asked * 0 if b.name == "content" else asked) for b in flip.branches}
        queries = network.ask(flip.net, params, visual, texts, None)["style"]
        encoded, mask = network.encode_question(flip.net, flip.llm, params, frozen["t5"], queries, *branch.texts(asked))
        return spoken, greedy(flip.llm, frozen["t5"], encoded, mask, max_length=ANSWER_LIMIT)

    spoken, environment = jax.jit(both)(variables["params"], variables["frozen"])
    assert sorted(spoken) == sorted(question.name for question in PUBLISHED)
    assert all(ids.shape == (ROWS, ANSWER_LIMIT) for ids in spoken.values())
    np.testing.assert_array_equal(spoken["environment"], environment)


def test_a_model_from_scratch_has_nothing_to_say() -> None:
    answering = make().answering
    assert answering is not None and answering.speak is None
    answering = make(weights__t5="t5.safetensors", text__used_words_only=False).answering
    assert answering is not None and answering.speak is not None


def test_text_of_ids() -> None:
    tokens = question_tokens([PUBLISHED[0]])
    for option, ids in zip(PUBLISHED[0].options, tokens.answer_ids[0], strict=True):
        assert t5_text([0, *ids.tolist()]) == option
    assert t5_text([0, 5637, 1, 6499]) == "(1)", "nothing after the end token"
    assert t5_text([32127]) == "", "an id without a piece"
