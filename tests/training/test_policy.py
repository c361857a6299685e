"""What learns is what the policy says; all else is bit for bit what it was, and is saved and found again whole."""

import pytest
import torch
from torch import Tensor

from isthmus.errors import CorruptPart, InputError
from isthmus.messages import assistant, user
from isthmus.training.policy import Learns, LoraLearns, Policy, apply, parts_of
from isthmus.training.sealed import require_unchanged, sealed
from isthmus.vlm.adapters import AdapterShape, add_adapters, merge_adapters
from isthmus.vlm.model import VisionLanguageModel

from ..vlm import models

SAID = [user(models.picture(1, 50, 40), "what is it?"), assistant("a cat")]
POLICIES = {
    "connector": Policy(connector=Learns(0.1)),
    "full": Policy(connector=Learns(0.1), language_model=Learns(0.1)),
    "lora": Policy(lora=LoraLearns(0.1, rank=2)),
    "lora of attention": Policy(connector=Learns(0.1), lora=LoraLearns(0.1, rank=2, targets="attention")),
    "norms": Policy(norms=Learns(0.1)),
    "embeddings": Policy(embeddings=Learns(0.1)),
    "all but the maps": Policy(connector=Learns(0.1), norms=Learns(0.1), embeddings=Learns(0.1)),
}


def loss_of(model: VisionLanguageModel) -> Tensor:
    features = model.encode([models.Picture(models.picture(1, 50, 40), 50, 40)])
    return model([model.sample(SAID, model.extents(features))], features).loss


@pytest.mark.parametrize("name", POLICIES)
def test_what_learns_changes_and_nothing_else(name: str) -> None:
    model = models.model()
    torch.manual_seed(0)
    groups = apply(POLICIES[name], model)
    before = {key: each.detach().clone() for key, each in model.state_dict().items()}
    seals = sealed(parts_of(model))
    expected = {"full": ["connector", "language_model"], "lora of attention": ["connector", "lora"]}
    assert [each.name for each in groups] == expected.get(name, [each.name for each in groups])
    learning = {id(p) for group in groups for p in group.parameters}
    assert learning == {id(p) for p in model.parameters() if p.requires_grad}
    optimiser = torch.optim.SGD([p for group in groups for p in group.parameters], lr=0.5)
    for _ in range(2):  # of a low-rank addition one half is zero at first
        optimiser.zero_grad()
        loss_of(model.train()).backward()
        optimiser.step()
    changed = {key for key, each in model.state_dict().items() if not torch.equal(each, before[key])}
    named = {key for key, p in model.named_parameters(remove_duplicate=False) if p.requires_grad}
    assert changed and changed <= named
    require_unchanged(seals, parts_of(model))
    parts = {"connector": name in ("connector", "full", "lora of attention", "all but the maps")}
    assert any(key.startswith("connector.") for key in changed) == parts["connector"]


def test_a_change_of_what_is_frozen_is_found() -> None:
    model = models.model()
    apply(Policy(connector=Learns(0.1)), model)
    seals = sealed(parts_of(model))
    with torch.no_grad():
        next(model.language_model.parameters()).view(-1)[3] += 1e-6
    with pytest.raises(CorruptPart, match="the language model changed where it was frozen"):
        require_unchanged(seals, parts_of(model))
    seals = sealed(parts_of(model))
    with torch.no_grad():
        next(model.encoder.net.parameters()).view(-1)[3] += 1e-6
    with pytest.raises(CorruptPart, match="the encoder changed"):
        require_unchanged(seals, parts_of(model))


def test_adapters_begin_as_nothing_and_merged_they_stay_what_they_are() -> None:
    plain = models.model().eval()
    with torch.no_grad():
        expected = loss_of(plain)
    model = models.model()
    apply(Policy(lora=LoraLearns(0.1, rank=3, scale=1.5)), model)
    assert torch.equal(loss_of(model.eval()).detach(), expected)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.add_(torch.randn_like(p) * 0.3)
        spoken = loss_of(model)
        assert abs(spoken - expected) > 0.01
        merge_adapters(model.language_model)
        torch.testing.assert_close(loss_of(model), spoken)
    assert {name for name, _ in model.named_parameters()} == {name for name, _ in plain.named_parameters()}


def test_targets_that_name_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="names no linear map"):
        add_adapters(models.model().language_model, AdapterShape(targets=("no_such",)))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "nothing learns"),
        ({"language_model": Learns(0.1), "lora": LoraLearns(0.1)}, "all of the language model learns, and lora"),
    ],
)
def test_policies_that_contradict_themselves_are_refused(given, says) -> None:
    with pytest.raises(ValueError, match=says):
        Policy(**given)
