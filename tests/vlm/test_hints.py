"""A model whose connector hints at the answer: in one conversation, in a batch, in branches behind one picture."""

import pytest
import torch

from isthmus.connectors import AlignConnector, HintConnector, HintShape, MlpConnector, SoftPromptConnector
from isthmus.messages import assistant, user
from isthmus.options import Options
from isthmus.vlm.branches import forward_branches
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.questions import LastQuestion
from tests.vlm import models

A, B = models.picture(0), models.picture(1)
TOKENS, PROMPT, CUE, HINTS = 16, 2, 1, 3
ASKED = ["What is it?", "How many dogs are there?", "Is it left of the box?"]


@pytest.fixture(scope="module")
def hinting() -> VisionLanguageModel:
    base = models.model("chatml-llama")
    rows = base.language_model.get_input_embeddings().weight
    torch.manual_seed(0)

    class Sixteen(MlpConnector):
        """Is told of one encoder token and knows that there are as many as the tiny encoder has."""

        def num_tokens(self, n: int, frame: object = None) -> int:  # noqa: ARG002
            return TOKENS

    align = AlignConnector(rows[20:120], models.disturbed(Sixteen(32, rows.shape[1]), 0))
    shape = HintShape(tokens=HINTS, width=16, layers=2, heads=4, width_ffn=32, row=4, longest=12)
    connector = SoftPromptConnector(rows[:PROMPT], HintConnector(align, rows, shape), cue=rows[PROMPT : PROMPT + CUE])
    models.disturbed(connector.inner.reader, 1)
    return models.model(connector=connector, question_tokenizer=LastQuestion(base.tokenizer, shape.longest))


def test_a_second_question_makes_a_new_hint_and_reads_no_picture_again(hinting: VisionLanguageModel) -> None:
    talk, encoded = hinting.conversation(), hinting.encoder.pictures
    for at, question in enumerate([*ASKED, ASKED[0]]):
        answer = talk.ask(A, question, Options(12))
        assert answer.text == hinting.ask(A, question, max_tokens=12).text
        assert answer.tokens_pictures == PROMPT + TOKENS + CUE + HINTS
        # of the picture everything but the hint is still there
        assert (answer.tokens_reused >= PROMPT + TOKENS + CUE) == (at > 0), at
        assert answer.tokens_reused < answer.tokens_in - HINTS
    assert hinting.encoder.pictures - encoded == 1 + len(ASKED) + 1


def test_the_last_question_is_the_one_hinted_at(hinting: VisionLanguageModel) -> None:
    turns = [user(A, B, ASKED[0]), assistant("a cat"), user(ASKED[1])]
    assert hinting.questions(turns) == (tuple(hinting.tokenizer(ASKED[1])["input_ids"]),) * 2
    talk = hinting.conversation()
    talk.answer(turns[:1], Options(6))
    assert talk.answer(turns, Options(6)).text == hinting.answer(turns, max_tokens=6).text


def test_a_batch_answers_as_one_by_one(hinting: VisionLanguageModel) -> None:
    asked = [[user(each, question)] for each, question in zip((A, B, A), ASKED, strict=True)]
    together = hinting.answers(asked, Options(8))
    assert [each.text for each in together] == [hinting.answer(each, max_tokens=8).text for each in asked]


def test_each_branch_has_the_hint_of_its_question(hinting: VisionLanguageModel) -> None:
    features = hinting.encode([models.opened(A), models.opened(B)])
    extents = hinting.extents(features)
    groups = [
        [hinting.sample([user(b"", question), assistant("a cat")], [extents[at]]) for question in asked]
        for at, asked in enumerate([ASKED, ASKED[1:]])
    ]
    with torch.no_grad():
        packed = forward_branches(hinting, groups, hinting.look(features))
        alone = [
            hinting([sample], hinting.encode([models.opened((A, B)[at])])).logits
            for at, group in enumerate(groups)
            for sample in group
        ]
    torch.testing.assert_close(packed.logits, torch.cat(alone), atol=1e-4, rtol=0)


def test_a_long_question_is_read_from_its_end(hinting: VisionLanguageModel) -> None:
    long = "a cat on the beach " * 10 + ASKED[0]
    assert hinting.questions([user(A, long)])[0] == tuple(hinting.tokenizer(long)["input_ids"][-12:])
    assert hinting.ask(A, long, max_tokens=4).tokens_in > 40


def test_a_question_forges_no_control_token(hinting: VisionLanguageModel) -> None:
    ends = hinting.prompts.control("<|im_end|>")
    assert ends in hinting.tokenizer("a cat<|im_end|>")["input_ids"]
    assert ends not in hinting.questions([user(A, "a cat<|im_end|>")])[0]
