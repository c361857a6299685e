"""What an evaluation asks: the Examples of a source as questions, known by what they say and show.

Only hashes are kept, so that a source may be larger than memory: an Example is read again when it is asked.
"""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from isthmus.checkpoints.cache import sha256_of
from isthmus.data.example import Bad, Example, Examples
from isthmus.errors import InputError, PictureError
from isthmus.images.views import Picture
from isthmus.messages import ImagePart, Message, TextPart
from isthmus.progress import SILENT, Progress


@dataclass(frozen=True)
class Question:
    """One Example: its number `at` in the source, where it came from, the answers expected, and hashes of what each of
    its pictures shows. `wordless`: a message of it is pictures alone."""

    at: int
    place: str
    kind: str
    answers: tuple[str, ...]
    pictures: tuple[str, ...]
    wordless: bool
    hash: str


@dataclass(frozen=True)
class Survey:
    """The questions of a source, those of its records that cannot be asked, and one hash over all that was read."""

    name: str
    questions: tuple[Question, ...]
    bad: tuple[Bad, ...]
    fingerprint: str


@dataclass(frozen=True)
class Prompt:
    """What is asked, made when it is needed. `hash`: over its texts and what its pictures show, never over a path."""

    place: str
    hash: str
    messages: Callable[[], tuple[Message, ...]]


def survey(examples: Examples, *, limit: int | None = None, seed: int = 0, reporter: Progress = SILENT) -> Survey:
    """All of `examples`, or `limit` of them drawn by `seed`, in their order.

    A record that cannot be read, asks nothing, or whose picture is missing is left out and named. Raises InputError
    where nothing is left.
    """
    chosen: Sequence[int] = range(len(examples))
    if limit is not None and limit < len(chosen):
        chosen = sorted(random.Random(seed).sample(chosen, limit))
    contents = _Contents()
    questions: list[Question] = []
    bad: list[Bad] = []
    for at in chosen:
        try:
            questions.append(_question(at, examples[at], contents))
        except InputError as error:
            bad.append(Bad(f"{examples.name}, example {at + 1}", error))
        reporter.advance()
    if not questions:
        first = f": {bad[0].error}" if bad else ""
        raise InputError(f"{examples.name} has nothing to ask{first}", todo="give questions with their answers")
    whole = [[each.hash, each.answers, each.kind] for each in questions]
    return Survey(examples.name, tuple(questions), tuple(bad), _hash(whole))


def asked(example: Example) -> tuple[Message, ...]:
    """The conversation up to the answer that is judged, which is its last. Raises InputError where it asks nothing."""
    *before, last = example.messages or (Message("user", ()),)
    if last.role != "assistant" or not any(each.role == "user" for each in before):
        raise InputError(
            f"{example.place} cannot be asked", why="it is no question with an answer", todo="end it with an answer"
        )
    return tuple(before)


def prompt_hash(messages: Sequence[Message], pictures: Sequence[str]) -> str:
    """Of the messages, the k-th picture of which shows what the k-th hash says."""
    left = iter(pictures)
    said = []
    for message in messages:
        parts = [
            ["text", part.text] if isinstance(part, TextPart) else ["picture", next(left)] for part in message.content
        ]
        said.append([message.role, parts])
    return _hash(said)


def _question(at: int, example: Example, contents: "_Contents") -> Question:
    messages = asked(example)
    pictures = tuple(contents(part.source) for message in messages for part in message.pictures)
    expected = example.answers or (example.messages[-1].text,)
    if not any(each.strip() for each in expected):
        raise InputError(f"{example.place} has an empty answer", todo="give it a text")
    wordless = any(message.pictures and not message.text.strip() for message in messages)
    whole = prompt_hash(messages, pictures)
    return Question(at, example.place, example.kind, expected, pictures, wordless, whole)


def with_pictures(messages: Sequence[Message], pictures: Callable[[int, ImagePart], ImagePart]) -> tuple[Message, ...]:
    """The same messages; the k-th picture is what `pictures` makes of it."""
    number = 0
    out = []
    for message in messages:
        parts: list[TextPart | ImagePart] = []
        for part in message.content:
            if isinstance(part, ImagePart):
                parts.append(pictures(number, part))
                number += 1
            else:
                parts.append(part)
        out.append(Message(message.role, tuple(parts)))
    return tuple(out)


@dataclass
class _Contents:
    """Hashes of what pictures show. A file is read once for each path."""

    files: dict[Path, str] = field(default_factory=dict)

    def __call__(self, source: Any) -> str:
        match source:
            case str() | Path():
                path = Path(source)
                if path not in self.files:
                    self.files[path] = _of_file(path)
                return self.files[path]
            case bytes():
                return hashlib.sha256(source).hexdigest()
            case Picture():
                return _of_image(source.image)
            case Image.Image():
                return _of_image(source)
        raise InputError(f"a {type(source).__name__} is no picture", todo="give a path, bytes or an opened picture")


def _of_file(path: Path) -> str:
    try:
        return sha256_of(path)
    except (FileNotFoundError, NotADirectoryError):
        raise PictureError("missing", f"{path} does not exist", todo="check the path") from None
    except OSError as error:
        raise PictureError("unreadable", f"{path} cannot be read", why=error.strerror or str(error)) from None


def _of_image(image: Image.Image) -> str:
    try:
        pixels = image.tobytes()
    except OSError as error:  # Pillow reads a file's pixels only now
        raise PictureError("corrupt", "an opened picture cannot be read", why=str(error)) from None
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + pixels).hexdigest()


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()[:32]
