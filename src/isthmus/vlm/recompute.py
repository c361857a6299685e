"""A language model's layers computed again in the backward pass instead of being kept: also where they are frozen.

`transformers` does so only with layers in training mode. Gradients run through a frozen language model to a connector
before it all the same, and would keep every activation on their way. Source: Chen et al., 2016.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from isthmus.errors import InputError


class Recomputed:
    """On from the first `follow` to `end`. What a layer gives does not change: a frozen one still computes as in eval
    mode, without dropout."""

    def __init__(self, language_model: Any) -> None:
        """Raises InputError where its layers cannot be computed again."""
        self._model = language_model
        self._layers: list[Any] = [
            each for each in language_model.modules() if isinstance(each, GradientCheckpointingLayer)
        ]
        if not self._layers or not language_model.supports_gradient_checkpointing:
            raise InputError(
                f"the language model {language_model.config.model_type} has no layers that can be computed again",
                todo="leave activation_checkpointing out",
            )
        language_model.gradient_checkpointing_enable({"use_reentrant": False})
        self._frozen = False
        for layer in self._layers:
            layer._gradient_checkpointing_func = partial(self._again, layer)

    def follow(self, training: bool, learns: bool) -> None:
        """To be called behind each `train()`. `learns`: whether the language model is in training mode itself."""
        self._frozen = not learns
        if self._frozen:
            for layer in self._layers:
                layer.training = training  # the flag that `transformers` asks for; what is inside stays as it is

    def end(self) -> None:
        self.follow(training=False, learns=False)
        self._model.gradient_checkpointing_disable()

    def _again(self, layer: Any, forward: Callable[..., Any], *given: Any) -> Any:
        def computed(*given: Any) -> Any:
            training, layer.training = layer.training, layer.training and not self._frozen
            try:
                return forward(*given)
            finally:
                layer.training = training

        return checkpoint(computed, *given, use_reentrant=False)
