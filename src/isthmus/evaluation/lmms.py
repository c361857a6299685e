"""Our models inside lmms-eval, which is no dependency: `lmms-eval --model isthmus --model_args pretrained=default/vlm`.

lmms-eval finds `manifest` by the entry point group lmms_eval.models; it then imports `Isthmus` from here, which is made
only when it is asked for, out of the base class that is installed. Written against lmms-eval 0.7.3.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from isthmus.backends.backend import Options, complete
from isthmus.backends.load import load_backend
from isthmus.backends.native import NativeBackend
from isthmus.errors import InputError, MissingPart
from isthmus.messages import ImagePart, Message, TextPart

MAX_TOKENS = 256
"""Where a task does not say."""


def manifest() -> Any:
    """What lmms-eval's registry reads: a chat model named isthmus. Raises MissingPart without lmms-eval."""
    try:
        from lmms_eval.models.registry_v2 import ModelManifest
    except ImportError:
        raise _missing() from None
    return ModelManifest(model_id="isthmus", chat_class_path=f"{__name__}.Isthmus")


def __getattr__(name: str) -> Any:
    if name == "Isthmus":
        return lmms_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def lmms_class() -> Any:
    """The class that lmms-eval makes a model of. Raises MissingPart without lmms-eval."""
    try:
        from lmms_eval.api.model import lmms
    except ImportError:
        raise _missing() from None
    return adapter(lmms)


def adapter(base: Any) -> Any:
    """A subclass of `base`, which is lmms-eval's `lmms`, that asks one of our backends."""

    class Isthmus(base):  # type: ignore[misc]
        """A chat model: it reads a task's messages and answers. Greedy unless a task says otherwise."""

        is_simple = False

        def __init__(
            self,
            pretrained: str = "default/vlm",
            device: str | None = None,
            dtype: str | None = None,
            batch_size: int | str = 1,
            **others: Any,
        ) -> None:
            super().__init__()
            # lmms-eval itself hands these two over, empty where they were not given
            strange = sorted(
                key for key, value in others.items() if key not in ("max_batch_size",) and value is not None
            )
            if strange:
                raise InputError(
                    f"isthmus has no model argument {strange[0]!r}", todo="give pretrained, device, dtype, batch_size"
                )
            self.backend = load_backend(pretrained, device, dtype)
            self.batch_size = int(batch_size)

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            """The answer to each request, in their order; those of equal settings together, `batch_size` at a time."""
            answers: dict[int, str] = {}
            groups: dict[str, list[int]] = {}
            for at, request in enumerate(requests):
                groups.setdefault(repr(sorted(request.args[2].items())), []).append(at)
            for group in groups.values():
                for start in range(0, len(group), self.batch_size):
                    part = group[start : start + self.batch_size]
                    asked = [self._messages(requests[at].args) for at in part]
                    settings = requests[part[0]].args[2]
                    for at, text in zip(part, self._ask(asked, options_of(settings)), strict=True):
                        answers[at] = text
                        self.cache_hook.add_partial("generate_until", (requests[at].args[0], settings), text)
            return [answers[at] for at in range(len(requests))]

        def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
            raise NotImplementedError("isthmus answers tasks of one round")

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            raise NotImplementedError(
                "isthmus answers tasks that generate; use `isthmus evaluate --language` for choices"
            )

        def _messages(self, args: tuple[Any, ...]) -> tuple[Message, ...]:
            _, doc_to_messages, _, doc_id, task, split = args
            return messages_of(doc_to_messages(self.task_dict[task][split][doc_id]))

        def _ask(self, asked: Sequence[tuple[Message, ...]], options: Options) -> list[str]:
            if isinstance(self.backend, NativeBackend) and len(asked) > 1:
                return [answer.text for answer in self.backend.model.answers(asked, options)]
            return [complete(self.backend, messages, options).text for messages in asked]

    return Isthmus


def messages_of(read: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """lmms-eval's chat messages as ours. Raises InputError for videos and sounds."""
    return tuple(Message(each["role"], tuple(_part(part) for part in each["content"])) for each in read)


def options_of(settings: Mapping[str, Any]) -> Options:
    """A task's generation_kwargs as Options. Drawn answers are drawn by seed 0."""
    until = settings.get("until") or ()
    stop = (until,) if isinstance(until, str) else tuple(each for each in until if each)
    drawn = settings.get("do_sample", True) is not False
    return Options(
        max_tokens=int(settings.get("max_new_tokens") or MAX_TOKENS),
        temperature=float(settings.get("temperature") or 0.0) if drawn else 0.0,
        top_p=float(settings.get("top_p") or 1.0),
        stop=stop,
        seed=0,
    )


def _part(part: Mapping[str, Any]) -> TextPart | ImagePart:
    match part:
        case {"type": "text", "text": str(text)}:
            return TextPart(text)
        case {"type": "image", "url": picture}:
            return ImagePart(picture)
    raise InputError(f"isthmus cannot read a {part.get('type')}", todo="choose tasks about pictures and text")


def _missing() -> MissingPart:
    return MissingPart("lmms-eval is not installed", todo="pip install lmms_eval")
