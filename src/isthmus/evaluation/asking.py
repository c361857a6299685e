"""Asking a backend many questions: together where it can, and so that a run that was killed goes on.

Every answer is written to a JSON-lines file as soon as it is there, under the model's fingerprint, the example's place
and the prompt's hash; what is found there is not asked again. What goes into a batch together depends on the questions
alone, so a run that was broken off gives the answers of one that was not.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from isthmus.backends.backend import Backend, Options, complete
from isthmus.backends.native import NativeBackend
from isthmus.errors import InputError, MissingPart
from isthmus.evaluation.questions import Prompt, with_pictures
from isthmus.images.open import picture_of
from isthmus.messages import ImagePart, Message
from isthmus.progress import SILENT, Progress
from isthmus.vlm.model import VisionLanguageModel

BATCH = 8


@dataclass(frozen=True)
class Failed:
    """A question that could not be asked: its picture is damaged, its text too long."""

    place: str
    error: InputError


class AnswerLog:
    """The answers of one model, kept in the file `path`, which other models' may share.

    A line that a kill left half-written is asked anew. Raises MissingPart where the file cannot be used.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model = path, model
        self._known: dict[tuple[str, str], str] = {}
        self._whole = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        except OSError as error:
            raise _cannot(path, error) from None
        self._whole = not lines[-1]
        for line in lines:
            self._read(line)

    def get(self, place: str, hash_: str) -> str | None:
        return self._known.get((place, hash_))

    def add(self, answers: Sequence[tuple[str, str, str]]) -> None:
        """(place, hash, answer) of each, written before this returns."""
        rows = [
            {"model": self._model, "place": place, "prompt": hash_, "answer": text} for place, hash_, text in answers
        ]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        try:
            with self._path.open("ab") as file:
                # surrogatepass: a model may write half of a character
                file.write((("" if self._whole else "\n") + lines).encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise _cannot(self._path, error) from None
        self._whole = True
        self._known |= {(place, hash_): text for place, hash_, text in answers}

    def _read(self, line: bytes) -> None:
        try:
            row: Any = json.loads(line.decode("utf-8", "surrogatepass"))
        except ValueError:
            return  # half-written, or the empty one at the end
        match row:
            case {"model": self._model, "place": str(place), "prompt": str(hash_), "answer": str(text)}:
                self._known[place, hash_] = text


def ask(
    backend: Backend,
    prompts: Sequence[Prompt],
    options: Options,
    log: AnswerLog,
    *,
    batch: int = BATCH,
    reporter: Progress = SILENT,
) -> list[str | Failed]:
    """The answer to each prompt. `reporter` advances by one for each of `unanswered`.

    A question that cannot be asked is Failed and costs no other its answer. Raises IsthmusError where the backend
    itself fails, MissingPart where the log cannot be written.
    """
    hashes = [_with_options(prompt, options) for prompt in prompts]
    found: list[str | Failed] = []
    step = batch if isinstance(backend, NativeBackend) else 1
    for start in range(0, len(prompts), step):
        part, keys = prompts[start : start + step], hashes[start : start + step]
        known = [log.get(prompt.place, key) for prompt, key in zip(part, keys, strict=True)]
        if all(each is not None for each in known):
            found += [each for each in known if each is not None]
            continue
        said = _ask_together(backend, part, options)
        log.add(
            [
                (prompt.place, key, text)
                for prompt, key, text, before in zip(part, keys, said, known, strict=True)
                if isinstance(text, str) and before is None
            ]
        )
        found += [text if before is None else before for text, before in zip(said, known, strict=True)]
        reporter.advance(sum(each is None for each in known))
    return found


def unanswered(prompts: Sequence[Prompt], options: Options, log: AnswerLog) -> int:
    """How many of these `ask` has yet to ask."""
    return sum(log.get(prompt.place, _with_options(prompt, options)) is None for prompt in prompts)


def _ask_together(backend: Backend, prompts: Sequence[Prompt], options: Options) -> list[str | Failed]:
    said: list[str | Failed] = []
    ready: list[tuple[int, tuple[Message, ...]]] = []
    for at, prompt in enumerate(prompts):
        said.append("")
        try:
            messages = prompt.messages()
            if isinstance(backend, NativeBackend):
                messages = _opened(messages, backend.model)
            ready.append((at, messages))
        except InputError as error:
            said[at] = Failed(prompt.place, error)
    if len(ready) > 1 and isinstance(backend, NativeBackend):
        try:
            answers = backend.model.answers([messages for _, messages in ready], options)
        except InputError:
            pass  # one of them cannot be asked: the others are, each by itself
        else:
            for (at, _), answer in zip(ready, answers, strict=True):
                said[at] = answer.text
            return said
    for at, messages in ready:
        try:
            said[at] = complete(backend, messages, options).text
        except InputError as error:
            said[at] = Failed(prompts[at].place, error)
    return said


def _opened(messages: tuple[Message, ...], model: VisionLanguageModel) -> tuple[Message, ...]:
    """With their pictures opened: a batch does not say which of its pictures is damaged."""
    at_least = model.encoder.fit.at_least
    return with_pictures(messages, lambda _, part: ImagePart(picture_of(part.source, at_least=at_least)))


def _with_options(prompt: Prompt, options: Options) -> str:
    if options.temperature == 0:
        options = replace(options, seed=None)  # nothing is drawn
    return hashlib.sha256(json.dumps([prompt.hash, asdict(options)]).encode()).hexdigest()[:32]


def _cannot(path: Path, error: OSError) -> MissingPart:
    return MissingPart(f"{path} cannot be used", why=error.strerror or str(error), todo="choose another --out folder")
