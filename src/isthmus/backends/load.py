"""A Backend by its name: one of our own models, or with `transformers:` in front one of transformers'."""

from textwrap import shorten

import torch

from isthmus.backends.backend import Backend
from isthmus.errors import InputError

PREFIX = "transformers:"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_backend(name: str, device: str | None = None, dtype: str | torch.dtype | None = None) -> Backend:
    """The model `name`: `default/vlm`, a Hugging Face id or a folder of a family that Isthmus builds itself;
    `transformers:NAME` for any other that transformers can load.

    device None: "cuda" where there is one, else "cpu". dtype None: as the weights are stored, and float32 for
    `transformers:`. Raises MissingPart and CorruptPart as `resolve`; InputError for another kind of model, and for a
    device or dtype that cannot be had.
    """
    place, number = _device(device), _dtype(dtype)
    try:
        if name.startswith(PREFIX):
            from isthmus.backends.transformers import TransformersBackend

            return TransformersBackend(name.removeprefix(PREFIX), device=place, dtype=number)
        from isthmus.backends.native import NativeBackend
        from isthmus.vlm.load import load_vlm

        return NativeBackend(load_vlm(name, device=place, dtype=number))
    except torch.OutOfMemoryError as error:
        todo = "use another device or a smaller dtype"
        raise InputError(f"{name} has no room on {place}", why=shorten(str(error), 300), todo=todo) from None


def _device(device: str | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # no such device, torch built without it
        why = shorten(str(error).splitlines()[0], 200)
        raise InputError(f"there is no device {device!r} to use", why=why, todo="give cpu, cuda or cuda:1") from None


def _dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in DTYPES:
        raise InputError(f"there is no dtype {dtype!r} to use", todo=f"dtypes are {', '.join(DTYPES)}")
    return DTYPES[dtype]
