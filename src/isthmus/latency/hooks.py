"""The parts of a `transformers` vision-language model, timed by hooks on its modules: nothing of it is changed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import nn

from isthmus.errors import InputError
from isthmus.stopwatch import Part, part

ENCODERS = ("vision_tower", "visual", "vision_model", "vision_encoder", "image_encoder", "vision_embed_tokens")
"""Names under which `transformers` keeps the encoder of pictures."""

CONNECTORS = (
    "multi_modal_projector", "connector", "qformer", "language_projection", "merger", "mm_projector", "projector",
    "aligner", "modality_projection",
)  # fmt: skip
"""And what stands between it and the language model; `merger` within the encoder."""


@contextmanager
def timed_modules(model: Any) -> Iterator[None]:
    """Inside, whoever watches sees what of the model's forward is encoder, connector, language model and head; what is
    none of these is `splice`. Raises InputError where the model has no module under a name that says so."""
    found = modules(model)
    hooks = [hook for module, name in found for hook in _hooked(module, name)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def modules(model: Any) -> list[tuple[nn.Module, Part]]:
    """The model itself, and those of its modules whose time is another part's."""
    named = dict(model.named_modules())
    found: list[tuple[nn.Module, Part]] = [(model, "splice")]
    parts: tuple[tuple[Part, tuple[str, ...]], ...] = (("encoder", ENCODERS), ("connector", CONNECTORS))
    for name, words in parts:
        mine = [path for path in named if path.rpartition(".")[2] in words]
        # of several within each other the outermost: a merger's own projector is part of it
        found += [(named[path], name) for path in mine if not any(path.startswith(f"{other}.") for other in mine)]
    if not any(name == "encoder" for _, name in found):
        raise InputError(
            f"the parts of a {type(model).__name__} cannot be told apart",
            why=f"no module of it is named {', '.join(ENCODERS)}",
        )
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    found.append((decoder.get_decoder() if hasattr(decoder, "get_decoder") else decoder, "prefill"))
    if head is not None:
        found.append((head, "sample"))
    return found


def _hooked(module: nn.Module, name: Part) -> list[Any]:
    open_parts: list[AbstractContextManager[None]] = []

    def enter(*_: object) -> None:
        open_parts.append(part(name))
        open_parts[-1].__enter__()

    def leave(*_: object) -> None:
        open_parts.pop().__exit__(None, None, None)

    return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True)]
