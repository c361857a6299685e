"""What the time to the first token is made of, measured: the harness and its figures.

Each round asks the same kind of question three times in an order shuffled anew: watched, with every part timed, and
twice plain. The plain ones are the independent total that the parts must add up to; against each other they tell how
much this machine varies, and what cannot be told apart for it.
"""

import gc
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Protocol

from isthmus.backends.backend import Stream, Usage
from isthmus.errors import IsthmusError
from isthmus.progress import SILENT, Progress
from isthmus.stopwatch import PARTS, Part, Watch, watching

GAP = 0.03
"""Parts and total may differ by this share."""


@dataclass(frozen=True)
class Shot:
    """One question as it arrives: the bytes of a picture's file, and text."""

    picture: bytes | None
    text: str


class Subject(Protocol):
    """A model that is asked. `device`: a CUDA device whose own clock counts, or None."""

    @property
    def device(self) -> object: ...

    def ask(self, shot: Shot, tokens: int) -> Stream:
        """The answer of so many tokens, as it comes. From its first `next` to its first Delta with text it is timed."""

    def forget(self) -> None:
        """What was read of earlier questions is let go."""


@dataclass(frozen=True)
class Spent:
    """Seconds of the wall (of the GPU where there is one) and of all threads of this process."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Run:
    """One answer. `first`: from the question's bytes to its first text. `rest`: from there to its end."""

    first: Spent
    rest: Spent
    usage: Usage
    parts: dict[Part, Spent] = field(default_factory=dict)
    """Of a watched one."""

    @property
    def attributed(self) -> Spent:
        return Spent(sum(each.wall for each in self.parts.values()), sum(each.cpu for each in self.parts.values()))

    @property
    def tokens_per_second(self) -> float | None:
        further = (self.usage.completion_tokens or 0) - 1  # a server may not count
        return further / self.rest.wall if further > 0 and self.rest.wall > 0 else None


@dataclass(frozen=True)
class Round:
    """The same kind of question three times."""

    watched: Run
    plain: tuple[Run, Run]


@dataclass(frozen=True)
class Rounds:
    """What was measured. `cold`: the very first answer, whatever it had to set up."""

    cold: Run
    rounds: tuple[Round, ...]


def measure(
    subject: Subject,
    shot: Callable[[int], Shot],
    *,
    tokens: int,
    rounds: int,
    warm: int = 2,
    seed: int = 0,
    remember: bool = False,
    progress: Progress = SILENT,
) -> Rounds:
    """`shot` gives the k-th question, another one each time. `warm` rounds are thrown away. With `remember` the subject
    keeps what it has read, else it forgets before each question."""
    draw = random.Random(seed)
    number = iter(range(1 << 30))

    def once(watch: Watch | None) -> Run:
        if not remember:
            subject.forget()
        return ask_once(subject, shot(next(number)), tokens, watch)

    gc.collect()
    gc.freeze()  # what is there already need not be looked through before each answer
    try:
        cold = once(None)
        kept: list[Round] = []
        for at in range(warm + rounds):
            order = [0, 1, 2]
            draw.shuffle(order)
            runs = {which: once(Watch(subject.device) if which == 0 else None) for which in order}
            if at >= warm:
                kept.append(Round(runs[0], (runs[1], runs[2])))
            progress.advance()
    finally:
        gc.unfreeze()
    return Rounds(cold, tuple(kept))


def ask_once(subject: Subject, shot: Shot, tokens: int, watch: Watch | None) -> Run:
    """One answer, read to its end. Raises IsthmusError where it has no text."""
    gc.collect()  # not within the answer
    clock = watch or Watch(subject.device)
    stream = subject.ask(shot, tokens)
    usage = None
    with watching(watch):
        start = clock.now()
        first = None
        for delta in stream:
            if first is None and delta.text:
                first = clock.now()
                clock.open = False
            if delta.finish is not None:
                usage = delta.finish.usage
    end = clock.now()
    if first is None or usage is None:
        raise IsthmusError("the answer had no text to time", todo="ask something else, or allow more tokens")
    taken = {} if watch is None else watch.seconds
    cpu = {} if watch is None else watch.cpu
    return Run(
        Spent(clock.between(start, first), first.cpu - start.cpu),
        Spent(clock.between(first, end), end.cpu - first.cpu),
        usage,
        {name: Spent(taken[name], cpu.get(name, 0.0)) for name in PARTS if name in taken},
    )


@dataclass(frozen=True)
class Together:
    """Several questions at once: seconds to each one's first text, in the order asked, and tokens a second of all."""

    first: tuple[float, ...]
    tokens_per_second: float | None


def ask_together(subject: Subject, shots: Sequence[Shot], tokens: int) -> Together:
    """Each question in a thread of its own, all asked at the same moment."""
    gate = Barrier(len(shots))

    def one(shot: Shot) -> tuple[float, float, int]:
        stream = subject.ask(shot, tokens)
        gate.wait()
        start, first, made = time.perf_counter(), None, 0
        for delta in stream:
            if first is None and delta.text:
                first = time.perf_counter() - start
            if delta.finish is not None:
                made = delta.finish.usage.completion_tokens or 0
        if first is None:
            raise IsthmusError("the answer had no text to time", todo="ask something else, or allow more tokens")
        return first, time.perf_counter() - start, made

    with ThreadPoolExecutor(len(shots)) as threads:
        found = list(threads.map(one, shots))
    made = sum(count for _, _, count in found)
    return Together(tuple(first for first, _, _ in found), made / max(end for _, end, _ in found) if made else None)
