"""Batches: each token's embedding at its place, on either side of the padding."""

import pytest
import torch
from torch import nn

from isthmus.connectors.connector import Tokens
from isthmus.errors import InputError
from isthmus.messages import assistant, user
from isthmus.vlm.prompt_tokenizer import PICTURE, PromptTokenizer
from isthmus.vlm.sequence import IGNORE, Extent, Sample, build
from isthmus.vlm.splice import Side, splice
from isthmus.vlm.template import ChatML

from . import models

PROMPTS = PromptTokenizer(models.byte_bpe())
EMBEDDING = nn.Embedding(600, 8)
SIDES: tuple[Side, ...] = ("left", "right")


def sample(pictures: list[int], question: str = "what?") -> Sample:
    said = [user(*[b""] * len(pictures), question), assistant("A cat.")]
    return build(ChatML().pieces(said, prompt=False), [Extent(n) for n in pictures], PROMPTS)


def tokens(counts: list[int], width: int = 8) -> Tokens:
    mask = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
    return Tokens(torch.randn(len(counts), max(counts), width), mask)


@pytest.mark.parametrize("side", SIDES)
def test_every_embedding_stands_at_its_place(side: Side) -> None:
    torch.manual_seed(0)
    samples = [sample([2, 4]), sample([], "and?"), sample([3], "a much longer question than the others")]
    given = tokens([2, 4, 3])
    batch = splice(samples, given, EMBEDDING, side=side)
    longest = max(len(each.ids) for each in samples)
    assert batch.embeds.shape == (3, longest, 8)
    rows = iter(given.tokens[given.mask])
    for at, each in enumerate(samples):
        start = longest - len(each.ids) if side == "left" else 0
        expected = [next(rows) if id_ == PICTURE else EMBEDDING.weight[id_] for id_ in each.ids]
        here = slice(start, start + len(each.ids))
        torch.testing.assert_close(batch.embeds[at, here], torch.stack(expected), rtol=0, atol=0)
        assert batch.positions[at, here].tolist() == list(range(len(each.ids)))
        assert batch.labels[at, here].tolist() == list(each.labels)
        assert batch.mask[at].sum() == batch.mask[at, here].sum() == len(each.ids)
        assert (batch.labels[at] != IGNORE).sum() == each.trained
        assert batch.last[at] == here.stop - 1
    assert batch.padded


@pytest.mark.parametrize("side", SIDES)
def test_targets_are_predicted_from_the_token_before(side: Side) -> None:
    samples = [sample([2]), sample([], "a longer question, by far")]
    batch = splice(samples, tokens([2]), EMBEDDING, side=side)
    longest = batch.embeds.shape[1]
    flat = batch.labels.flatten()
    assert flat[batch.predicting + 1].tolist() == batch.targets.tolist()
    assert batch.targets.tolist() == [label for each in samples for label in each.labels if label != IGNORE]
    assert {int(place) // longest for place in batch.predicting} == {0, 1}


def test_a_first_token_is_predicted_by_nothing() -> None:
    """On the right of another sample's padding stands no context of this one."""
    bare = Sample(ids=(5, 6), labels=(5, 6), roles=("assistant",) * 2, slots=(), pictures=0)
    for side in SIDES:
        batch = splice([sample([2]), bare], tokens([2]), EMBEDDING, side=side)
        assert batch.targets.tolist()[-1] == 6
        assert 5 not in batch.targets.tolist()
    assert bare.trained == 1


def test_gradients_reach_the_pictures_tokens_alone() -> None:
    given = tokens([2, 4])
    given.tokens.requires_grad_(True)
    EMBEDDING.requires_grad_(False)
    splice([sample([2]), sample([4])], given, EMBEDDING).embeds.sum().backward()
    assert given.tokens.grad is not None
    torch.testing.assert_close(given.tokens.grad, given.mask[..., None].float().expand(-1, -1, 8))


def test_dtype_is_the_language_models() -> None:
    half = nn.Embedding(600, 8, dtype=torch.bfloat16)
    assert splice([sample([2])], tokens([2]), half).embeds.dtype == torch.bfloat16
    assert splice([sample([])], None, half).embeds.dtype == torch.bfloat16


def test_counts_that_differ_are_named() -> None:
    with pytest.raises(InputError, match="picture 1 of the batch has 3 tokens, but its slots have room for 4"):
        splice([sample([2]), sample([4])], tokens([2, 3]), EMBEDDING)
    with pytest.raises(InputError, match="the samples show 2 pictures, but tokens of 1 are given"):
        splice([sample([2]), sample([4])], tokens([2]), EMBEDDING)
    with pytest.raises(InputError, match="the samples show 1 pictures, but tokens of 0 are given"):
        splice([sample([2])], None, EMBEDDING)
    with pytest.raises(InputError, match="the samples show 0 pictures, but tokens of 1 are given"):
        splice([sample([])], tokens([2]), EMBEDDING)
    with pytest.raises(InputError, match="the batch is empty"):
        splice([], None, EMBEDDING)


def test_everything_goes_to_the_language_models_device() -> None:
    """ "meta" stands for a GPU: a tensor left behind on the CPU would show."""
    batch = splice([sample([2]), sample([], "longer?")], tokens([2]), nn.Embedding(600, 8, device="meta"))
    placed = (batch.embeds, batch.mask, batch.positions, batch.labels, batch.predicting, batch.targets)
    assert {each.device.type for each in placed} == {"meta"}
