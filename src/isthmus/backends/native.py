"""Our own models as a Backend. What they have read is kept: a next turn, or a second question about the same picture,
reads only what is new.
"""

from collections.abc import Sequence
from contextlib import closing
from textwrap import shorten

import torch

from isthmus import stopwatch
from isthmus.backends.backend import Delta, Finish, Options, Stream, Tool, Usage, check_abilities, check_messages
from isthmus.backends.idle import Idle, Said
from isthmus.backends.together import Row, Together
from isthmus.errors import IsthmusError
from isthmus.images.views import Fit
from isthmus.messages import ImagePart, Message, Part, TextPart
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.packed import pack, worth_packing
from isthmus.vlm.pictures import known

REMEMBERED = 2 << 30
"""Bytes that conversations between their answers may hold: some 70 dialogues of 500 tokens with the default model, four
of 700 with one of 7 billion parameters in bf16."""


class NativeBackend:
    """A VisionLanguageModel that answers.

    Streams that are read at the same time are answered together: up to `together` of them, whose next tokens are
    computed in one batch; more wait their turn. A stream nobody reads holds up no other.
    Each has a Conversation of its own. Between answers these are kept, with their KV caches and pictures up to
    `remembered` bytes of them, and a stream takes the one that has read most of its messages.
    Where the device runs out of memory before an answer's first word, all that is let go and the answer tried again.
    What is kept belongs to the weights it was computed with: make a new backend after training.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        *,
        remembered: int = REMEMBERED,
        together: int = 8,
        packed: bool | None = None,
    ) -> None:
        """`remembered` 0: nothing is kept between answers. `packed`: the linear layers of `model` are to be
        PackedLinear (vlm.packed); None: where that is faster and leaves three quarters of the free memory."""
        self.model, self.name = model, model.name
        parts = (model.encoder.net, model.connector, model.language_model)
        if worth_packing(*parts) if packed is None else packed:
            pack(*parts)
        self._idle = Idle(model, remembered)
        self._together = Together(model, together, lambda error: _failure(self.name, error))

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        """See Backend. Raises InputError for tools and JSON: these models can do neither."""
        check_messages(messages)
        check_abilities(self.name, tools, options, messages)
        with stopwatch.part("decode"):
            opened, said = _open(messages, self.model.encoder.fit)
        kept, begun = self.remembers > 0, False
        try:
            with closing(self._answer(opened, said, options)) as answer:
                for delta in answer:
                    begun = True
                    yield delta
        except _NoRoom:
            if begun or not kept:
                raise
        else:
            return
        # What was remembered is let go by now: there may be room.
        yield from self._answer(opened, said, options)

    def _answer(self, opened: Sequence[Message], said: tuple[Said, ...], options: Options) -> Stream:
        """Of messages whose pictures are open. Raises _NoRoom."""
        row = Row(self._idle.take(said), opened, options)
        text: list[str] = []
        self._together.ask(row)
        try:
            while (piece := self._together.next(row)) is not None:
                text.append(piece)
                yield Delta(piece)
            if (answer := row.answer) is not None:
                usage = Usage(answer.tokens_in, answer.tokens_pictures, answer.tokens_out, answer.tokens_reused)
                yield Delta(finish=Finish(answer.finish, usage))
        finally:
            self._together.leave(row)
            if not row.spoiled:
                self._idle.give_back(row.conversation, (*said, ("assistant", "".join(text))))
        if (failure := row.failure) is not None:
            if row.spoiled:
                self._idle.clear()
            # Nothing is left here: the error's frames would hold the very tensors there was no room for.
            del row
            raise failure

    @property
    def remembers(self) -> int:
        """Bytes of what is kept between answers, now."""
        return self._idle.nbytes

    def forget(self) -> None:
        """What was read of earlier conversations is let go, but for the openings they share."""
        self._idle.forget()


class _NoRoom(IsthmusError):
    """The device ran out of memory."""


def _open(messages: Sequence[Message], fit: Fit) -> tuple[list[Message], tuple[Said, ...]]:
    """The messages with their pictures opened, and all their parts in a row. Raises InputError, PictureError."""
    opened: list[Message] = []
    said: list[Said] = []
    for message in messages:
        parts: list[Part] = []
        for part in message.content:
            if isinstance(part, TextPart):
                parts.append(part)
                said.append((message.role, part.text))
            else:
                picture = known(part.source, fit)
                parts.append(ImagePart(picture))
                said.append((message.role, picture.key))
        opened.append(Message(message.role, tuple(parts)))
    return opened, tuple(said)


def _failure(name: str, error: RuntimeError) -> IsthmusError:
    if isinstance(error, torch.OutOfMemoryError):
        todo = "give fewer or smaller pictures, a smaller dtype, or another device"
        return _NoRoom(f"{name} ran out of memory", why=shorten(str(error), 300), todo=todo)
    failure = IsthmusError(f"{name} failed while answering", why=shorten(f"{type(error).__name__}: {error}", 300))
    failure.__cause__ = error
    return failure
