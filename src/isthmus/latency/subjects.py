"""What can be asked and timed: our own models, any vision-language model of `transformers`, an endpoint."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from isthmus.backends.backend import Backend, Options, Stream
from isthmus.backends.native import NativeBackend
from isthmus.backends.transformers import TransformersBackend
from isthmus.latency.hooks import timed_modules
from isthmus.latency.rounds import Shot
from isthmus.messages import user


class Asked:
    """A Backend as a Subject."""

    def __init__(self, backend: Backend, device: Any = None, forget: Callable[[], None] = lambda: None) -> None:
        self.backend, self.device, self._forget = backend, device, forget

    def ask(self, shot: Shot, tokens: int) -> Stream:
        content = (shot.text,) if shot.picture is None else (shot.picture, shot.text)
        return self.backend.stream([user(*content)], options=Options(max_tokens=tokens))

    def forget(self) -> None:
        self._forget()


@contextmanager
def subject_of(backend: Backend) -> Iterator[Asked]:
    """Within, its parts can be watched. Raises InputError where they cannot be told apart."""
    match backend:
        case NativeBackend():
            device = next(backend.model.language_model.parameters()).device
            yield Asked(backend, _gpu(device), backend.forget)
        case TransformersBackend():
            with timed_modules(backend.model):
                yield Asked(backend, _gpu(backend.model.device))
        case _:
            yield Asked(backend)


def tokenizer_of(backend: Backend) -> Callable[[str], int]:
    """How many tokens a text has; its words where the tokenizer is not here."""
    match backend:
        case NativeBackend():
            tokenizer = backend.model.tokenizer
        case TransformersBackend():
            tokenizer = backend.tokenizer
        case _:
            return lambda text: len(text.split())
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def dtype_of(backend: Backend) -> Any:
    """Of its language model, as torch has it; None where it is not here."""
    match backend:
        case NativeBackend():
            return next(backend.model.language_model.parameters()).dtype
        case TransformersBackend():
            return backend.model.dtype
    return None


def _gpu(device: Any) -> Any:
    return device if device.type == "cuda" else None
