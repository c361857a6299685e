"""Questions packed behind one picture are answered as if each stood alone."""

import pytest
import torch

from isthmus.connectors.connector import Tokens
from isthmus.errors import InputError
from isthmus.messages import Message, assistant, user
from isthmus.vlm.branches import forward_branches
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Sample
from tests.vlm import models

ASKED = [
    [("What is it?", "a cat"), ("How many dogs are there?", "two dogs"), ("Is it left of the box?", "no")],
    [("Describe the small red apple.", "a green pear and a red apple")],
    [("What is it?", "a box"), ("What is it?", "a cat on the beach")],
]


def prepared(model: VisionLanguageModel) -> tuple[list[list[Sample]], Tokens]:
    encoded = model.encode([_picture(model, at) for at in range(len(ASKED))])
    extents = model.extents(encoded)
    groups = [
        [model.sample(_turns(*pair), [extent]) for pair in asked] for asked, extent in zip(ASKED, extents, strict=True)
    ]
    return groups, model.connect(encoded)


def _picture(model: VisionLanguageModel, seed: int):  # type: ignore[no-untyped-def]
    from isthmus.images.open import picture_of

    return picture_of(models.picture(seed), at_least=model.encoder.fit.at_least)


def _turns(question: str, answer: str) -> list[Message]:
    return [user(b"", question), assistant(answer)]


@pytest.mark.parametrize("kind", ["chatml-llama", "vicuna-llama"])
def test_logits_and_loss_are_those_of_separate_sequences(kind: str) -> None:
    model = models.model(kind)
    groups, tokens = prepared(model)
    packed = forward_branches(model, groups, tokens)
    logits, losses = [], []
    for at, group in enumerate(groups):
        for sample in group:
            alone = model.hidden(model.splice([sample], Tokens(tokens.tokens[at : at + 1], tokens.mask[at : at + 1])))
            places = [i - 1 for i, label in enumerate(sample.labels) if label >= 0]
            logits.append(model.head(alone[0, places]))
            targets = torch.tensor([label for label in sample.labels if label >= 0])
            losses.append(torch.nn.functional.cross_entropy(logits[-1], targets, reduction="sum"))
    torch.testing.assert_close(packed.logits, torch.cat(logits), atol=1e-5, rtol=0)
    torch.testing.assert_close(packed.loss, sum(losses) / len(packed.targets), atol=1e-5, rtol=0)


def test_one_answer_changes_nothing_for_another() -> None:
    model = models.model("chatml-llama")
    groups, tokens = prepared(model)
    first = groups[0][0].trained
    before = forward_branches(model, groups, tokens).logits[:first]
    other = model.sample(_turns("How many dogs are there?", "no"), model.extents(_features(model)))
    after = forward_branches(model, [[groups[0][0], other], *groups[1:]], tokens).logits[:first]
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)


def _features(model: VisionLanguageModel):  # type: ignore[no-untyped-def]
    return model.encode([_picture(model, 0)])


def test_gradients_reach_the_picture_from_every_branch() -> None:
    model = models.model("chatml-llama")
    groups, tokens = prepared(model)
    rows = tokens.tokens.detach().requires_grad_(True)
    forward_branches(model, groups, Tokens(rows, tokens.mask)).loss.backward()
    assert rows.grad is not None
    assert (rows.grad.abs().sum((1, 2)) > 0).all()


def test_samples_that_do_not_begin_alike_are_refused() -> None:
    model = models.model("chatml-llama")
    groups, tokens = prepared(model)
    extent = model.extents(_features(model))
    late = model.sample([user("Look:", b"", "What is it?"), assistant("a cat")], extent)
    with pytest.raises(InputError, match="does not begin as the others"):
        forward_branches(model, [[groups[0][0], late], *groups[1:]], tokens)
    unlabelled = model.sample([user(b"", "What is it?")], extent)
    with pytest.raises(InputError, match="no label"):
        forward_branches(model, [[unlabelled], *groups[1:]], tokens)
