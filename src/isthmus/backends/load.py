"""A Backend by its name: one of our own models, with `transformers:` in front one of transformers', with `llama.cpp:` a
GGUF file.

torch is imported for a model that it runs.
"""

from textwrap import shorten
from typing import TYPE_CHECKING

from isthmus.backends.backend import Backend
from isthmus.errors import InputError

if TYPE_CHECKING:
    import torch

PREFIX = "transformers:"
LLAMA_CPP = "llama.cpp:"
DTYPES = ("float32", "bfloat16", "float16")


def load_backend(name: str, device: str | None = None, dtype: "str | torch.dtype | None" = None) -> Backend:
    """The model `name`: `default/vlm`, a Hugging Face id or a folder of a family that Isthmus builds itself;
    `transformers:NAME` for any other that transformers can load; `llama.cpp:NAME` for a default part that is GGUF, and
    a path that ends in .gguf with or without that.

    device None: "cuda" where there is one, else "cpu". dtype None: as the weights are stored, and float32 for
    `transformers:`. Raises MissingPart and CorruptPart as `resolve`; InputError for another kind of model, and for a
    device or dtype that cannot be had; llama.cpp computes in what the file holds.
    """
    if is_gguf(name):
        return _llama_cpp(name, device, dtype)
    import torch

    place, number = _device(device), None if dtype is None else dtype_of(dtype)
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


def is_gguf(name: str) -> bool:
    """Whether llama.cpp is to run it."""
    return name.startswith(LLAMA_CPP) or name.endswith(".gguf")


def dtype_of(dtype: "str | torch.dtype") -> "torch.dtype":
    """The dtype of that name. Raises InputError."""
    import torch

    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in DTYPES:
        raise InputError(f"there is no dtype {dtype!r} to use", todo=f"dtypes are {', '.join(DTYPES)}")
    named: torch.dtype = getattr(torch, dtype)
    return named


def _llama_cpp(name: str, device: str | None, dtype: object) -> Backend:
    from isthmus.backends.llama_cpp import LlamaCppBackend

    if dtype is not None:
        raise InputError(f"{name} has the numbers of its file", todo="leave out the dtype, or take another file")
    if device not in (None, "cpu", "cuda"):
        raise InputError(f"there is no device {device!r} to use", todo="give cpu or cuda, or leave it out")
    return LlamaCppBackend(name.removeprefix(LLAMA_CPP), gpu=None if device is None else device == "cuda")


def _device(device: str | None) -> "torch.device":
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # no such device, torch built without it
        why = shorten(str(error).splitlines()[0], 200)
        raise InputError(f"there is no device {device!r} to use", why=why, todo="give cpu, cuda or cuda:1") from None
