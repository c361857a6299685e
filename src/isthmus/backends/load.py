"""A Backend by its name: one of our own models, with `transformers:` in front one of transformers', with `openai:` one
at a server, with `llama.cpp:` a GGUF file.

torch is imported for a model that it runs.
"""

from textwrap import shorten
from typing import TYPE_CHECKING

from isthmus.backends.backend import Backend
from isthmus.errors import InputError, MissingPart

if TYPE_CHECKING:
    import torch

PREFIX = "transformers:"
SERVED = "openai:"
LLAMA_CPP = "llama.cpp:"
DTYPES = ("float32", "bfloat16", "float16")


def load_backend(
    name: str,
    device: str | None = None,
    dtype: "str | torch.dtype | None" = None,
    *,
    remembered: int | None = None,
) -> Backend:
    """The model `name`: `default/vlm`, a Hugging Face id or a folder of a family that Isthmus builds itself;
    `transformers:NAME` for any other that transformers can load; `openai:MODEL@http://host:port/v1` for one at an
    OpenAI-compatible server, `openai:MODEL` for one where OPENAI_BASE_URL points (unset: at OpenAI); `llama.cpp:NAME`
    for a default part that is GGUF, and a path that ends in .gguf with or without that.

    device None: "cuda" where there is one, else "cpu". dtype None: as the weights are stored, and float32 for
    `transformers:`. remembered: bytes, as in NativeBackend. Raises MissingPart and CorruptPart as `resolve`; InputError
    for another kind of model, and for a device or dtype that cannot be had; of a served model neither can be chosen, of
    a GGUF file no dtype, and what is remembered of Isthmus' own models alone.
    """
    if remembered is not None and not is_ours(name):
        why = "how much is remembered between answers can be chosen of Isthmus' own models alone"
        raise InputError(f"{name} cannot be told what to remember", why=why, todo="leave it out")
    if name.startswith(SERVED):
        if not (device is None and dtype is None):
            todo = "leave out device and dtype"
            raise InputError(f"{name} runs where its server runs it", todo=todo)
        return _served(name.removeprefix(SERVED))
    if is_gguf(name):
        return _llama_cpp(name, device, dtype)
    import torch

    place, number = _device(device), None if dtype is None else dtype_of(dtype)
    try:
        if name.startswith(PREFIX):
            from isthmus.backends.transformers import TransformersBackend

            return TransformersBackend(name.removeprefix(PREFIX), device=place, dtype=number)
        from isthmus.backends.native import REMEMBERED, NativeBackend
        from isthmus.vlm.load import load_vlm

        kept = REMEMBERED if remembered is None else remembered
        return NativeBackend(load_vlm(name, device=place, dtype=number), remembered=kept)
    except torch.OutOfMemoryError as error:
        todo = "use another device or a smaller dtype"
        raise InputError(f"{name} has no room on {place}", why=shorten(str(error), 300), todo=todo) from None


def needs_torch(name: str) -> bool:
    """Whether the model of that name is run by torch here."""
    return not (name.startswith(SERVED) or is_gguf(name))


def is_ours(name: str) -> bool:
    """Whether Isthmus builds it itself, and not transformers, a server or llama.cpp."""
    return needs_torch(name) and not name.startswith(PREFIX)


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


def _served(name: str) -> Backend:
    from isthmus.backends.endpoint import split_name

    model, url = split_name(name)
    try:
        from isthmus.backends.openai import OpenAIBackend
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("openai"):
            raise
        todo = "pip install 'isthmus[openai]'"
        raise MissingPart("a model at a server needs the package openai", todo=todo) from None
    return OpenAIBackend(model, url)


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
