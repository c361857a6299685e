"""Hints: tokens that depend on the question, and what they must not depend on."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from isthmus.connectors import AlignConnector, HintConnector, HintShape, LinearConnector, Text, Tokens
from isthmus.errors import InputError

from .samples import WIDTH_IN, disturb, features, texts

WIDTH, SEEN = 24, 6
ROWS = torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(0))
SHAPE = HintShape(tokens=2, width=16, layers=2, heads=4, width_ffn=32, row=3, longest=9)


class Seeing(LinearConnector):
    """Looks at the first tokens alone, so that there are as many whatever it is shown."""

    def num_tokens(self, n: int, frame: object = None) -> int:  # noqa: ARG002
        return SEEN


def hinting(shape: HintShape = SHAPE) -> HintConnector:
    torch.manual_seed(1)
    return HintConnector(AlignConnector(ROWS[:12], Seeing(WIDTH_IN, WIDTH)), ROWS, shape)


def told(*places: int) -> Tokens:
    """Pictures of which a connector says just these words, SEEN of them each."""
    tokens = ROWS[torch.tensor(places)].view(-1, SEEN, WIDTH)
    return Tokens(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool))


def test_the_hint_stands_behind_what_is_seen() -> None:
    connector, seen, text = hinting(), features(SEEN, SEEN), texts(4, 7)
    out = connector(seen, text)
    looked = connector.look(seen)
    assert out.tokens.shape == (2, SEEN + 2, WIDTH)
    assert connector.num_tokens(SEEN) == SEEN + connector.hints == SEEN + 2
    assert torch.equal(out.tokens[:, :SEEN], looked.tokens)
    assert torch.equal(out.tokens[:, SEEN:], connector.hint(looked, text).tokens)
    assert out.mask.all()
    assert torch.equal(out.scores, connector.inner(seen).scores)


def test_it_says_the_likeliest_words_and_learns_as_from_their_mixture() -> None:
    connector = hinting()
    hint = connector.hint(told(*range(SEEN)), texts(5))
    assert hint.scores.shape == (1, 2, 12)
    torch.testing.assert_close(hint.tokens, ROWS[hint.scores.argmax(-1)])
    mixed = hint.scores.softmax(-1) @ ROWS[:12]
    weights = torch.arange(WIDTH) / WIDTH
    ours, theirs = (
        torch.autograd.grad((tokens * weights).sum(), connector.reader.speak.weight, retain_graph=True)[0]
        for tokens in (hint.tokens, mixed)
    )
    torch.testing.assert_close(ours, theirs)


def test_without_a_question_it_says_nothing() -> None:
    hint = hinting().hint(told(*range(SEEN)), None)
    assert torch.equal(hint.tokens, ROWS[0].expand(1, 2, -1))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), lengths=st.lists(st.integers(0, 9), min_size=2, max_size=4).filter(any))
def test_a_question_is_read_as_if_alone(seed: int, lengths: list[int]) -> None:
    """Neither padding nor the others of a batch are seen."""
    connector = disturb(hinting(), seed)
    assert isinstance(connector, HintConnector)
    seen, text = told(*torch.randint(12, (len(lengths) * SEEN,)).tolist()), texts(*lengths, seed=seed)
    together = connector.hint(seen, text).tokens
    for at, length in enumerate(lengths):
        one = Text(text.ids[at : at + 1, :length], text.mask[at : at + 1, :length]) if length else None
        alone = connector.hint(Tokens(seen.tokens[at : at + 1], seen.mask[at : at + 1]), one).tokens
        torch.testing.assert_close(together[at : at + 1], alone, atol=1e-4, rtol=0)


def test_what_is_padding_in_a_picture_is_not_seen() -> None:
    connector, text = hinting(), texts(5)
    seen = told(*range(SEEN))
    masked = seen.mask.clone()
    masked[:, 4:] = False
    before = connector.hint(replace(seen, mask=masked), text).tokens
    other = seen.tokens.clone()
    other[:, 4:] = 7.0
    torch.testing.assert_close(connector.hint(Tokens(other, masked), text).tokens, before)
    assert not torch.equal(connector.hint(Tokens(other, seen.mask), text).tokens, before)


def test_it_learns_to_repeat_what_is_asked_for() -> None:
    """Two rows of three words, the first of each its name; asked for a name, the third word of its row is right."""
    connector = hinting(replace(SHAPE, width=32, width_ffn=64, tokens=1))
    random = torch.Generator().manual_seed(0)

    def batch(count: int) -> tuple[Tokens, Text, Tensor]:
        said = torch.stack([torch.randperm(12, generator=random)[:SEEN] for _ in range(count)])
        which = torch.randint(2, (count,), generator=random)
        asked = torch.full((count, 3), 30)
        asked[:, 1] = said.view(count, 2, 3)[torch.arange(count), which, 0]
        answer = said.view(count, 2, 3)[torch.arange(count), which, 2]
        return told(*said.flatten().tolist()), Text(asked, torch.ones_like(asked, dtype=torch.bool)), answer

    optimiser = torch.optim.AdamW(connector.reader.parameters(), lr=0.004)
    for _ in range(150):
        seen, text, answer = batch(64)
        loss = F.cross_entropy(connector.hint(seen, text).scores[:, 0], answer)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seen, text, answer = batch(200)
    right = connector.hint(seen, text).scores[:, 0].argmax(-1) == answer
    assert right.float().mean() > 0.9


def test_the_language_models_embeddings_are_shared_and_not_kept() -> None:
    connector = hinting()
    assert not any(value.shape == ROWS.shape for value in connector.state_dict().values())
    assert connector._rows[0].data_ptr() == ROWS.data_ptr()


def test_a_frozen_one_has_no_gradients() -> None:
    inner = AlignConnector(ROWS[:12], Seeing(WIDTH_IN, WIDTH), trainable=False)
    frozen = HintConnector(inner, ROWS, SHAPE, trainable=False)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not frozen.train().training


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="embeddings 7 wide for tokens 24 wide"):
        HintConnector(AlignConnector(ROWS[:12], Seeing(WIDTH_IN, WIDTH)), torch.zeros(3, 7), SHAPE)
    with pytest.raises(InputError, match="a question of 10 tokens, but this connector takes 9"):
        hinting().hint(told(*range(SEEN)), texts(10))
