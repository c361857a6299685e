"""Activation checkpointing: the same gradients, really on, also through a frozen language model, and off again."""

from typing import Any

import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.messages import assistant, user
from isthmus.training.answering import AnsweringTask
from isthmus.training.policy import Learns, LoraLearns, Policy
from isthmus.vlm.model import VisionLanguageModel
from tests.vlm import models
from tests.vlm.test_packing import encoder_decoder

POLICIES = {
    "connector": Policy(connector=Learns(1e-3)),
    "lora": Policy(connector=Learns(1e-3), lora=LoraLearns(1e-3, rank=2, dropout=0.3)),
    "full": Policy(connector=Learns(1e-3), language_model=Learns(1e-3)),
}
MODELS: dict[str, Any] = {
    "llama": lambda: models.model(),
    # its layers have dropout of their own, which a frozen one must not begin to use
    "opt": lambda: models.model("blip2-opt"),
}


class Counted:
    """How often each layer of the language model was run."""

    def __init__(self, model: VisionLanguageModel) -> None:
        self.times: dict[str, int] = {}
        self.hooks = []
        for name, layer in model.language_model.named_modules():
            if isinstance(layer, GradientCheckpointingLayer):
                self.hooks.append(layer.register_forward_pre_hook(lambda *_, name=name: self._note(name)))

    def _note(self, name: str) -> None:
        self.times[name] = self.times.get(name, 0) + 1


def learned(make: Any, policy: Policy, recomputed: bool) -> tuple[dict[str, torch.Tensor], float, set[int]]:
    """Gradients by name, the loss, and how often the layers ran."""
    torch.manual_seed(0)
    model = make()
    task = AnsweringTask(model, policy, activation_checkpointing=recomputed)
    task.module.train()
    counted = Counted(model)
    torch.manual_seed(1)
    loss = asked(model)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return gradients, float(loss.detach()), set(counted.times.values())


def asked(model: VisionLanguageModel) -> torch.Tensor:
    pictures = [models.picture(at) for at in range(2)]
    features = model.encode([Picture(each, *each.size) for each in pictures])
    said = [[user(each, "what is it?"), assistant("a cat on a table")] for each in pictures]
    samples = [model.sample(each, [extent]) for each, extent in zip(said, model.extents(features), strict=True)]
    loss: torch.Tensor = model(samples, features).loss
    return loss


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", MODELS)
def test_gradients_are_the_same_and_every_layer_runs_twice(kind: str, policy: str) -> None:
    kept, loss, once = learned(MODELS[kind], POLICIES[policy], recomputed=False)
    again, same, twice = learned(MODELS[kind], POLICIES[policy], recomputed=True)
    assert (once, twice) == ({1}, {2})
    assert loss == same
    assert kept.keys() == again.keys()
    assert any(name.startswith("connector") for name in kept)
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_further_layer_keeps_hardly_anything(policy: str) -> None:
    """Numbers that autograd holds for the backward pass, parameters aside."""

    def held(layers: int, recomputed: bool) -> int:
        model = models.model(language_model=models.llama(num_hidden_layers=layers))
        AnsweringTask(model, POLICIES[policy], activation_checkpointing=recomputed).module.train()
        total = 0

        def note(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            total += 0 if isinstance(tensor, torch.nn.Parameter) else tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            asked(model)
        return total

    kept, again = (held(6, recomputed) - held(2, recomputed) for recomputed in (False, True))
    assert 0 < again < kept / 5


@pytest.mark.parametrize("kind", MODELS)
def test_a_frozen_language_model_stays_in_eval_mode(kind: str) -> None:
    model = MODELS[kind]()
    task = AnsweringTask(model, POLICIES["connector"], activation_checkpointing=True)
    task.module.train()
    layers = [each for each in model.language_model.modules() if isinstance(each, GradientCheckpointingLayer)]
    running: list[bool] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda layer, _: running.append(layer.training))
        assert not any(inner.training for child in layer.children() for inner in child.modules())
    asked(model).backward()
    assert running == [False] * 2 * len(layers)
    task.module.eval()
    assert not any(each.training for each in model.language_model.modules())
    running.clear()
    with torch.no_grad():
        asked(model)
    assert running == [False] * len(layers)


def test_the_next_stage_is_without_again() -> None:
    model = models.model()
    for recomputed, times in ((True, {2}), (False, {1}), (True, {2})):
        AnsweringTask(model, POLICIES["connector"], activation_checkpointing=recomputed).module.train()
        counted = Counted(model)
        asked(model).backward()
        assert set(counted.times.values()) == times
        for layer in counted.hooks:
            layer.remove()
    model.set_recomputed(False)
    model.eval()
    assert not any(each.training for each in model.modules())


def test_an_encoder_decoder_too() -> None:
    kept, _, once = learned(encoder_decoder, POLICIES["connector"], recomputed=False)
    again, _, twice = learned(encoder_decoder, POLICIES["connector"], recomputed=True)
    assert (once, twice) == ({1}, {2})
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-6, atol=1e-8)


def test_what_has_no_such_layers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.model()
    monkeypatch.setattr(type(model.language_model), "supports_gradient_checkpointing", False)
    with pytest.raises(InputError, match="llama has no layers that can be computed again"):
        AnsweringTask(model, POLICIES["connector"], activation_checkpointing=True)
