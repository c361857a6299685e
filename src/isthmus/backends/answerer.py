"""What `isthmus.load` gives: a model to ask about pictures, once or in turns."""

from collections.abc import Sequence
from typing import Any

from isthmus.backends.backend import Backend, Options, Reply, Stream, whole
from isthmus.errors import InputError
from isthmus.messages import ImagePart, Message, Part, TextPart, assistant


class Answerer:
    """A backend, asked in plain arguments.

    Pictures are one or a list of them, each a path, the bytes of a picture file, a PIL image or an images.Picture; an
    empty list asks the language model alone. Errors are the backend's: InputError, PictureError.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def name(self) -> str:
        """Which model answers."""
        return self.backend.name

    def ask(
        self, pictures: Any, question: str, *, max_tokens: int = 512, temperature: float = 0.0, seed: int | None = None
    ) -> Reply:
        """The whole answer. `temperature` 0: the likeliest words; above it they are drawn, the same for the same
        `seed`."""
        stream = self.stream(pictures, question, max_tokens=max_tokens, temperature=temperature, seed=seed)
        return whole(stream, self.name)

    def stream(
        self, pictures: Any, question: str, *, max_tokens: int = 512, temperature: float = 0.0, seed: int | None = None
    ) -> Stream:
        """The answer as it comes: pieces of `text`, then a last Delta with `finish`. Arguments as in `ask`."""
        options = Options(max_tokens=max_tokens, temperature=temperature, seed=seed)
        return self.backend.stream([_question(pictures, question)], options=options)

    def chat(self, *, max_tokens: int = 512, temperature: float = 0.0, seed: int | None = None) -> "Chat":
        """Turns with a history, empty to begin with; the options are those of every answer."""
        return Chat(self.backend, Options(max_tokens=max_tokens, temperature=temperature, seed=seed))


class Chat:
    """A dialogue. `messages` is what was said so far; one thread at a time."""

    def __init__(self, backend: Backend, options: Options) -> None:
        self.backend, self.options = backend, options
        self.messages: tuple[Message, ...] = ()

    def ask(self, pictures: Any, question: str) -> Reply:
        """The whole answer to this turn; `pictures` are those shown with it, an empty list for none."""
        return whole(self.stream(pictures, question), self.backend.name)

    def stream(self, pictures: Any, question: str) -> Stream:
        """The answer as it comes.

        The turn enters the history when the answer has ended. Of one that was broken off, what had been said enters; a
        turn that failed before its first word leaves no trace and can be asked again.
        """
        asked = (*self.messages, _question(pictures, question))
        text, ended = "", False
        try:
            for delta in self.backend.stream(asked, options=self.options):
                text += delta.text
                ended = ended or delta.finish is not None
                yield delta
        finally:
            if text or ended:
                self.messages = (*asked, assistant(text))


def _question(pictures: Any, question: str) -> Message:
    """Pictures first: the order the models were trained on."""
    several: Sequence[Any] = pictures if isinstance(pictures, list | tuple) else [pictures]
    parts: list[Part] = [each if isinstance(each, ImagePart) else ImagePart(each) for each in several]
    if question.strip():
        parts.append(TextPart(question))
    if not parts:
        raise InputError("the question is empty", todo="ask something")
    return Message("user", tuple(parts))
