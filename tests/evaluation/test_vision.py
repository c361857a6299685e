"""Probes of what sees."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.data.example import Example
from isthmus.errors import InputError
from isthmus.evaluation.drawn import SHAPES, SIDE, Labelled, drawn
from isthmus.evaluation.retrieval import evaluate_retrieval
from isthmus.evaluation.vision import STRENGTHS, linear_probe, ridge, zero_shot_probe
from isthmus.images.fits import Squash
from isthmus.messages import assistant, user
from tests.evaluation.sources import Counted, InMemory
from tests.vlm import models


class Pixels:
    """An Embedder that knows what it saw: a picture's vector is that of its mean colour, a text's of its last word."""

    name, dim = "pixels", 3
    fit = Squash(size=8)
    fingerprint = "pixels"
    colours: ClassVar = {"red": (1.0, 0, 0), "green": (0, 1.0, 0), "blue": (0, 0, 1.0)}

    def images(self, views: Sequence[object]) -> Tensor:
        means = [torch.from_numpy(each.views[0].pixels).flatten(1).mean(1) for each in views]  # type: ignore[attr-defined]
        return F.normalize(torch.stack(means) - torch.stack(means).min(), dim=-1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        found = [next(colour for name, colour in self.colours.items() if name in text) for text in texts]
        return torch.tensor(found)


def coloured(labels: Sequence[str]) -> Labelled:
    from PIL import Image

    pictures = tuple(models.opened(Image.new("RGB", (20, 10), label)) for label in labels)
    return Labelled("coloured", pictures, tuple(labels))


def test_drawn_pictures_are_the_same_for_the_same_seed() -> None:
    one, same, other = drawn(2, seed=0), drawn(2, seed=0), drawn(2, seed=1)
    assert one.labels == same.labels == SHAPES * 2
    pixels = [[each.image.tobytes() for each in made.pictures] for made in (one, same, other)]
    assert pixels[0] == pixels[1]
    assert not set(pixels[0]) & set(pixels[2])
    assert len(set(pixels[0])) == len(pixels[0])
    for picture in one.pictures:
        assert picture.image.size == (SIDE, SIDE)
        assert len(picture.image.getcolors(SIDE * SIDE) or []) > 1
        edge = np.asarray(picture.image)[0]
        assert np.abs(edge.astype(int) - edge[0]).max() <= 3, "the shape is wholly within"


def test_ridge_separates_what_a_line_separates_and_nothing_else() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    centres = 4 * torch.randn(3, 40, generator=random)
    seen = centres[labels] + torch.randn(60, 40, generator=random)
    new = centres[labels] + torch.randn(60, 40, generator=random)
    assert ridge(seen, labels, new, 3).equal(labels)
    noise = torch.randn(60, 40, generator=random)
    share = ridge(noise, labels, torch.randn(300, 40, generator=random), 3).bincount(minlength=3).max() / 300
    assert share < 0.8
    assert ridge(seen.half(), labels, new.half(), 3).equal(labels)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    labels = torch.tensor([0, 1] * 10)
    seen = torch.stack([labels.float(), torch.full((20,), 7.0)], 1)
    assert ridge(seen, labels, seen, 2).equal(labels)


def test_errors_left_out_are_those_of_as_many_fits() -> None:
    """The strength is chosen by a formula; here by leaving each picture out in truth."""
    random = torch.Generator().manual_seed(1)
    seen = torch.randn(14, 5, generator=random).double()
    labels = torch.randint(0, 2, (14,), generator=random)
    seen = (seen - seen.mean(0)) / seen.std(0)
    products = seen @ seen.T
    unit = products.diagonal().mean()
    targets = F.one_hot(labels, 2).double()
    targets = targets - targets.mean(0)
    for strength in STRENGTHS:
        inverse = torch.linalg.inv(products + strength * unit * torch.eye(14, dtype=torch.float64))
        quick = targets - (inverse @ targets) / inverse.diagonal()[:, None]
        for at in range(14):
            kept = [other for other in range(14) if other != at]
            part = products[kept][:, kept] + strength * unit * torch.eye(13, dtype=torch.float64)
            slow = products[at, kept] @ torch.linalg.solve(part, targets[kept])
            torch.testing.assert_close(quick[at], slow)


def test_a_linear_probe_of_an_encoder() -> None:
    counted = Counted()
    train, held = coloured(["red", "green", "blue"] * 4), coloured(["blue", "red", "green", "red"])
    encoder = models.encoder()
    with counted("probing", 16, "pictures") as reporter:
        found = linear_probe(encoder, train, held, reporter=reporter)
    assert counted.done == {"probing": 16}
    assert (found.name, found.better, found.chance) == ("linear probe", "higher", pytest.approx(1 / 3))
    assert found.rows[:, 0].tolist() == [1, 1, 1, 1]
    assert found.kinds == held.labels
    assert linear_probe(encoder, train, held).to_json() == found.to_json()


def test_a_class_that_was_not_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="no training picture shows 'blue'"):
        linear_probe(models.encoder(), coloured(["red", "green"]), coloured(["blue"]))


def test_zero_shot_by_names() -> None:
    found = zero_shot_probe(Pixels(), coloured(["red", "green", "blue", "red"]))
    assert found.rows[:, 0].tolist() == [1, 1, 1, 1]
    assert found.name == "zero-shot"


def test_retrieval_of_examples() -> None:
    examples: list[Example | InputError] = [
        Example((user(each.image, "describe it"), assistant(f"it is {label}")), label)
        for label in ("red", "green", "blue")
        for each in coloured([label]).pictures
    ]
    twice = Example(examples[0].messages, "again", answers=("a red one", "red"))  # type: ignore[union-attr]
    text = Example((user("?"), assistant("red")), "no picture")
    found, bad = evaluate_retrieval(Pixels(), InMemory([*examples, twice, text, InputError("broken")]))
    assert found.text_to_image.recall[1].value == found.image_to_text.recall[1].value == 1
    assert [str(each.error) for each in bad] == ["no picture has no picture", "broken"]
    with pytest.raises(InputError, match="has 1 pictures to find"):
        evaluate_retrieval(Pixels(), InMemory([examples[0]]))
