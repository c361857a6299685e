"""Isthmus joins a frozen encoder to a frozen language model and puts the result to work."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from isthmus.backends.answerer import Answerer

__version__ = "0.1.0"

# Of a faster kernel that is a download: said whenever it is imported, which accelerate and peft do by themselves, to
# whoever asked for nothing of the kind.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def load(
    name: str = "default/vlm",
    *,
    device: str | None = None,
    dtype: "str | torch.dtype | None" = None,
    remembered: int | None = None,
) -> "Answerer":
    """The model `name`, ready to be asked: `isthmus.load().ask("photo.jpg", "what is this?")`.

    Arguments and errors as in `backends.load.load_backend`.
    """
    # Imported here: `import isthmus` stays free of torch.
    from isthmus.backends.answerer import Answerer
    from isthmus.backends.load import load_backend

    return Answerer(load_backend(name, device, dtype, remembered=remembered))
