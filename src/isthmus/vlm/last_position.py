"""Of a prompt only the last position's state is wanted: the last layer's MLP reads that one alone.

The MLP is two thirds to three quarters of a layer's products, and no position of its output is read by another. That
saves 2 % of a prompt's reading by 30 layers; here the first token of the default model took .97 of the time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from torch import Tensor, nn

MLP = {
    "gemma": "mlp",
    "gemma2": "mlp",
    "llama": "mlp",
    "mistral": "mlp",
    "opt": "fc1",
    "phi3": "mlp",
    "qwen2": "mlp",
    "qwen3": "mlp",
    "smollm3": "mlp",
}
"""By model type, the module of a layer where its MLP begins. Behind it stands the sum with what the layer had before,
into which one position goes as well as all: the others come out as something else, and nobody reads them."""


@contextmanager
def last_position_alone(language_model: Any) -> Iterator[None]:
    """Within it, of what this thread lets the model's base read, [1, S, D], only the last position's state is right.
    A model type that is not known here reads as ever."""
    begins = _where_the_last_mlp_begins(language_model)
    if begins is None:
        yield
        return
    mine = get_ident()

    def cut(module: nn.Module, given: tuple[Tensor]) -> tuple[Tensor] | None:  # noqa: ARG001  torch's signature
        return (given[0][..., -1:, :],) if get_ident() == mine else None

    handle = begins.register_forward_pre_hook(cut)
    try:
        yield
    finally:
        handle.remove()


def _where_the_last_mlp_begins(language_model: Any) -> nn.Module | None:
    name = MLP.get(language_model.config.model_type)
    if name is None:
        return None
    base = language_model.base_model
    layers = getattr(base, "decoder", base).layers
    begins: nn.Module = getattr(layers[-1], name)
    return begins
