"""A conversation with one model that reads nothing twice: the KV cache and the pictures' tokens are kept between turns.

What was read is known position by position: a token by its id, a picture's token by the picture's content and its
number. A new prompt is compared with that from the start; only what follows the longest common beginning is read.
So a second question about a picture, in the same dialogue or a fresh one, costs its own few tokens.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from isthmus.connectors.connector import Tokens
from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.messages import ImagePart, Message, TextPart
from isthmus.options import Options
from isthmus.stopwatch import part
from isthmus.vlm.answer import Answer
from isthmus.vlm.cache import bytes_of
from isthmus.vlm.decoding import Chooser
from isthmus.vlm.openings import Openings
from isthmus.vlm.pictures import known
from isthmus.vlm.questions import Question, text_of
from isthmus.vlm.reading import Read
from isthmus.vlm.sequence import Extent, Sample, Slot
from isthmus.vlm.splice import embed
from isthmus.vlm.writing import Writing

if TYPE_CHECKING:
    from isthmus.vlm.model import VisionLanguageModel


Key: TypeAlias = tuple[str, Question]
"""What a picture shows and, where the connector reads it, what is asked about it."""


@dataclass(frozen=True)
class Seen:
    """A picture after the connector. rows [M, D_llm], padding left out; the first `lasting` of them depend on no
    question."""

    rows: Tensor
    extent: Extent
    lasting: int


@dataclass(frozen=True)
class Prompt:
    """A sample, what was seen in each of its pictures, and what stands at each of its positions."""

    sample: Sample
    seen: tuple[Seen, ...]
    read: tuple[Read, ...]


class Turn:
    """An answer under way: its prompt is read. What comes is `text` (often empty), until it has `ended`; whoever reads
    on reads `token` and lets it `take` the logits that gives."""

    def __init__(self, sample: Sample, reused: int, writing: Writing, choose: Chooser, started: float) -> None:
        self._sample, self._reused, self._writing, self._choose = sample, reused, writing, choose
        self._started = started
        self._first: float | None = None
        self.token = -1
        self.text = ""

    @property
    def ended(self) -> bool:
        return self._writing.finish is not None

    def take(self, logits: Tensor) -> None:
        """logits [1, V]."""
        self.token = int(self._choose(logits))
        if self._first is None:
            self._first = time.perf_counter() - self._started
        self.text = self._writing.push(self.token)

    def answer(self) -> Answer:
        """The whole of it, once it has ended."""
        assert self._first is not None
        return self._writing.answer(self._sample, self._reused, self._first)


class Conversation:
    """Made by `model.conversation()`. Holds what the model has read last; one answer is generated at a time.

    What is held belongs to the weights it was computed with: begin a new conversation after training.
    """

    def __init__(self, model: "VisionLanguageModel", openings: Openings | None = None) -> None:
        """`openings`: shared with other conversations, one of which is read at a time."""
        self._model, self._openings = model, openings
        self._seen: dict[Key, Seen] = {}
        self.last: Answer | None = None
        """The answer that was generated last, whole: None while one is."""
        self._number = 0
        self.reading = model.reading()
        """What the language model has read of it."""

    @property
    def nbytes(self) -> int:
        """Memory that what it has read takes, KV cache and pictures' tokens."""
        return self.reading.nbytes + bytes_of(each.rows for each in self._seen.values())

    def stream(self, messages: Sequence[Message], options: Options | None = None) -> Generator[str, None, None]:
        """The answer's text as it comes, in whole characters. None: the likeliest tokens. Fewer than `max_tokens` come
        where the context ends earlier.

        Raises InputError where the messages make no prompt or leave no room for an answer, or where another answer was
        begun before this one was read to its end; PictureError for a picture.
        """
        self.last = None
        self._number += 1
        return self._generate(messages, options or Options(), time.perf_counter(), self._number)

    def answer(self, messages: Sequence[Message], options: Options | None = None) -> Answer:
        """The whole answer. Arguments and errors as in `stream`."""
        for _ in self.stream(messages, options):
            pass
        assert self.last is not None
        return self.last

    def ask(self, pictures: Sequence[Any] | Any, question: str, options: Options | None = None) -> Answer:
        """A question about one picture or several, apart from what was asked before."""
        return self.answer([question_about(pictures, question)], options)

    def begin(self, messages: Sequence[Message], options: Options, started: float | None = None) -> "Turn":
        """The prompt is read and the first token chosen; for whoever reads on by `reading` and the Turn.

        `started`: when it was asked, by time.perf_counter. Raises as `stream`.
        """
        model = self._model
        prompt = self._prompt(messages)
        with part("prompt"):
            room = room_for_answer(model, len(prompt.read), options.max_tokens)
            choose = Chooser(options, next(model.language_model.parameters()).device)
            writing = Writing(model, options, room)
        with part("splice"):
            if self._openings is not None:
                self._openings.give(self.reading, prompt.read)
            reused = self.reading.keep(prompt.read)
            rest = self._rest(prompt, reused)
        turn = Turn(prompt.sample, reused, writing, choose, time.perf_counter() if started is None else started)
        logits = self.reading.begin(rest, prompt.read[reused:])
        if self._openings is not None:
            self._openings.learn(self.reading, prompt.read)
        with part("sample"):
            turn.take(logits)
        return turn

    def _generate(
        self, messages: Sequence[Message], options: Options, started: float, number: int
    ) -> Generator[str, None, None]:
        self._require(number)
        turn = self.begin(messages, options, started)
        while True:
            if turn.ended:
                self.last = turn.answer()
            if turn.text:
                yield turn.text
            if turn.ended:
                return
            self._require(number)
            turn.take(self.reading.step(turn.token))

    def _require(self, number: int) -> None:
        if number != self._number:
            raise InputError(
                "the answer cannot go on",
                why="another was begun in the same conversation",
                todo="read one to its end first, or hold two conversations",
            )

    def _prompt(self, messages: Sequence[Message]) -> Prompt:
        """Pictures not seen before are encoded in one batch; those that no longer appear are forgotten."""
        keys = self._look(messages)
        seen = tuple(self._seen[key] for key in keys)
        with part("prompt"):
            sample = self._model.sample(messages, [each.extent for each in seen], prompt=True)
            read: list[Read] = list(sample.ids)
            for slot, first in numbered(sample):
                (picture, question), lasting = keys[slot.picture], seen[slot.picture].lasting
                for place, number in enumerate(range(first, first + slot.stop - slot.start), slot.start):
                    read[place] = (picture if number < lasting else f"{picture} asked {question}", number)
        return Prompt(sample, seen, tuple(read))

    @torch.no_grad()
    def _look(self, messages: Sequence[Message]) -> list[Key]:
        """The key of each picture: what it shows and, where the connector reads it, what is asked about it."""
        model = self._model
        with part("decode"):
            pictures = [known(each.source, model.encoder.fit) for message in messages for each in message.pictures]
        keys = [(each.key, question) for each, question in zip(pictures, model.questions(messages), strict=True)]
        # a known picture of which something else is asked: where all but a hint lasts, only that is made anew
        lasting = {key[0]: seen for key, seen in self._seen.items() if seen.lasting}
        seen = dict(self._seen)
        seen |= {key: hinted(model, lasting[key[0]], key[1]) for key in keys if key not in seen and key[0] in lasting}
        new = {key: at for at, key in enumerate(keys) if key not in seen}
        if new:
            shown = [pictures[at].picture for at in new.values()]
            seen |= zip(new, see(model, shown, [question for _, question in new]), strict=True)
        self._seen = {key: seen[key] for key in keys}
        return keys

    @torch.no_grad()
    def _rest(self, prompt: Prompt, start: int) -> Tensor:
        """The embeddings of positions [start, T), [1, T - start, D]."""
        rows = []
        for slot, first in numbered(prompt.sample):
            skipped = max(0, start - slot.start)
            last = first + slot.stop - slot.start
            rows.append(prompt.seen[slot.picture].rows[first + skipped : last])
        ids = torch.tensor([prompt.sample.ids[start:]])
        return embed(ids, torch.cat(rows) if rows else None, self._model.language_model.get_input_embeddings())


def question_about(pictures: Sequence[Any] | Any, question: str) -> Message:
    """One picture or several, then the question: the order the models were trained on."""
    several = pictures if isinstance(pictures, list | tuple) else [pictures]
    return Message("user", (*(ImagePart(each) for each in several), TextPart(question)))


def numbered(sample: Sample) -> Iterator[tuple[Slot, int]]:
    """The sample's slots, each with the number of its first token within its picture."""
    taken = [0] * sample.pictures
    for slot in sample.slots:
        yield slot, taken[slot.picture]
        taken[slot.picture] += slot.stop - slot.start


def room_for_answer(model: "VisionLanguageModel", tokens: int, max_tokens: int) -> int:
    """How many tokens an answer to a prompt of `tokens` may have. Raises InputError where there is no room for any."""
    room = max_tokens if model.context is None else min(max_tokens, model.context - tokens)
    if room < 1:
        raise InputError(
            f"the prompt's {tokens} tokens leave no room for an answer",
            why=f"the language model reads at most {model.context}",
            todo="shorten the text or give fewer pictures",
        )
    return room


def see(model: "VisionLanguageModel", pictures: Sequence[Picture], questions: Sequence[Question]) -> list[Seen]:
    """Pictures through encoder and connector, in one batch, each with what the connector reads beside it."""
    features = model.encode(pictures)
    with part("connector"):
        tokens = model.connect(features, text_of(questions, features.tokens.device))
    extents = model.extents(features)
    rows = [each[mask] for each, mask in zip(tokens.tokens, tokens.mask, strict=True)]
    for at, (each, extent) in enumerate(zip(rows, extents, strict=True)):
        if len(each) != extent.tokens:
            raise InputError(
                f"the connector made {len(each)} tokens of picture {at}", why=f"it had announced {extent.tokens}"
            )
    later = model.hints or (len(tokens.tokens[0]) if any(questions) else 0)
    return [Seen(each, extent, len(each) - min(later, len(each))) for each, extent in zip(rows, extents, strict=True)]


def hinted(model: "VisionLanguageModel", seen: Seen, question: Question) -> Seen:
    """The same picture with another question's hint (connectors.HintConnector)."""
    rows = seen.rows[None, : seen.lasting]
    text = text_of([question], rows.device)
    hint = model.connector.hint(Tokens(rows, torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device)), text)
    return replace(seen, rows=torch.cat([rows[0], hint.tokens[0].to(rows)]))
