"""Zero-shot classification over a toy embedder whose space is known."""

import pytest
import torch
from torch.nn import functional as F

from isthmus.contrastive.zero_shot import class_vectors, zero_shot
from isthmus.errors import InputError

AXES = {"cat": 0, "dog": 1, "{}": 2}


class Toy:
    """A sentence lies on the axis of the word it holds, bent a little by its length; a picture is its vector."""

    name, dim, fit, fingerprint = "toy", 4, None, "0"

    def images(self, views):
        return F.normalize(torch.stack(list(views)), dim=1)

    def texts(self, texts):
        rows = torch.zeros(len(texts), 4)
        for i, text in enumerate(texts):
            for word, axis in AXES.items():
                rows[i, axis] = float(word in text)
            rows[i, 3] = len(text) / 20
        return F.normalize(rows, dim=1)


class Clip(Toy):
    scale, bias = 50.0, None


class Siglip(Toy):
    scale, bias = 20.0, -10.0


PICTURES = [torch.tensor([1.0, 0.1, 0, 0]), torch.tensor([0.2, 1.0, 0, 0])]


def test_softmax_probabilities_use_the_models_own_scale():
    classifier = zero_shot(Clip(), ["cat", "dog"])
    found = classifier(PICTURES)
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    assert found.argmax(1).tolist() == [0, 1]
    cosines = Clip().images(PICTURES) @ classifier.vectors.T
    torch.testing.assert_close(found, (50.0 * cosines).softmax(1))
    softer = zero_shot(Clip(), ["cat", "dog"], scale=1.0)(PICTURES)
    assert (softer.max(1).values < found.max(1).values).all()


def test_sigmoid_models_judge_each_class_alone():
    classifier = zero_shot(Siglip(), ["cat", "dog"])
    cosines = Siglip().images(PICTURES) @ classifier.vectors.T
    torch.testing.assert_close(classifier(PICTURES), (20.0 * cosines - 10.0).sigmoid())
    forced = zero_shot(Siglip(), ["cat", "dog"], by="softmax")(PICTURES)
    torch.testing.assert_close(forced.sum(1), torch.ones(2))


def test_a_class_is_the_mean_of_its_unit_vectors():
    templates = ["a {}", "a rather longer sentence about a {}"]
    found = class_vectors(Toy(), ["cat"], templates)
    two = Toy().texts([template.replace("{}", "cat") for template in templates])
    torch.testing.assert_close(found, F.normalize(two.mean(0, keepdim=True), dim=1))
    assert not torch.allclose(found, two[:1], atol=1e-3)


def test_names_are_put_in_as_they_are():
    assert class_vectors(Toy(), ["{}"], ["a {}"])[0, 2] > 0.5


@pytest.mark.parametrize(
    ("names", "templates", "message"),
    [
        ([], ["{}"], "no classes"),
        (["cat", "dog", "cat"], ["{}"], "cat is given twice"),
        (["cat"], [], "no templates"),
        (["cat"], ["a photo"], "cannot be filled"),
    ],
)
def test_bad_requests_are_told_in_a_line(names, templates, message):
    with pytest.raises(InputError, match=message):
        zero_shot(Clip(), names, templates)


def test_an_embedder_without_a_temperature_needs_one():
    with pytest.raises(InputError, match="no learned temperature"):
        zero_shot(Toy(), ["cat", "dog"])
    assert zero_shot(Toy(), ["cat", "dog"], scale=100.0).by == "softmax"
