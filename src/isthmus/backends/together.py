"""Answers made together: whoever waits for a piece of its own answer takes a step for all of them.

There is no thread of its own. Of the threads that read, one at a time leads: it lets one newcomer in, whose prompt is
read alone, and reads one token of every answer under way, in one batch. The others wait, and are told when there is
something for them. So an answer that nobody reads holds up no other.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, get_ident

from isthmus.errors import IsthmusError
from isthmus.messages import Message
from isthmus.options import Options
from isthmus.stopwatch import current, watching
from isthmus.vlm.answer import Answer
from isthmus.vlm.conversation import Conversation, Turn
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.reading import CausalReading


class Row:
    """One answer: what is asked, and what has come of it. Timed by whoever watches where it is made."""

    def __init__(self, conversation: Conversation, messages: Sequence[Message], options: Options) -> None:
        self.conversation, self.messages, self.options = conversation, messages, options
        self.pieces: deque[str] = deque()
        self.answer: Answer | None = None
        """The whole of it, once it has ended."""
        self.failure: IsthmusError | None = None
        self.spoiled = False
        """torch failed: what its conversation holds is of no use."""
        self.watch, self.asked = current(), time.perf_counter()
        self.turn: Turn | None = None
        """None before its prompt is read."""

    @property
    def over(self) -> bool:
        return self.answer is not None or self.failure is not None

    @property
    def under_way(self) -> Turn:
        assert self.turn is not None
        return self.turn


class Together:
    """Up to `most` answers under way; more wait for a place, first come, first served.

    `fail` makes one line of what torch raised: a newcomer's is its own failure, one in a common step is everybody's.
    """

    def __init__(self, model: VisionLanguageModel, most: int, fail: Callable[[RuntimeError], IsthmusError]) -> None:
        self._model, self._most, self._fail = model, most, fail
        self._joined = model.joined_readings()
        self._rows: list[Row] = []
        """Under way: in `_joined`, in this order, where the model can read several at once."""
        self._waiting: deque[Row] = deque()
        self._left: deque[Row] = deque()
        """Not read any more, and to be dropped when nobody leads."""
        self._turn = Condition()  # over an RLock: garbage collected while it is held may be another stream
        self._leader: int | None = None

    def ask(self, row: Row) -> None:
        with self._turn:
            self._waiting.append(row)

    def next(self, row: Row) -> str | None:
        """The next piece of its text; None: no more will come, see `answer` and `failure`."""
        while True:
            with self._turn:
                while not row.pieces and not row.over and self._leader is not None:
                    self._turn.wait()
                if row.pieces:
                    return row.pieces.popleft()
                if row.over:
                    return None
                self._leader = get_ident()
            try:
                self._step()
            finally:
                self._end_leading()

    def leave(self, row: Row) -> None:
        """Nobody reads it any more. Afterwards its conversation is free: at once, or, where garbage collected within a
        step was its stream, before anybody can use it."""
        if row.over:
            return
        self._left.append(row)
        # `_is_owned`: whether this thread is in the middle of `next` already, and will come to `_end_leading`
        if self._leader == get_ident() or self._turn._is_owned():  # type: ignore[attr-defined]
            return
        with self._turn:
            while self._leader is not None:
                self._turn.wait()
            self._leader = get_ident()
        self._end_leading()

    def _end_leading(self) -> None:
        with self._turn:
            while self._left:
                self._drop(self._left.popleft())
            self._leader = None
            self._turn.notify_all()

    def _step(self) -> None:
        with self._turn:
            newcomer = self._waiting.popleft() if self._waiting and len(self._rows) < self._most else None
        if newcomer is not None:
            try:
                self._let_in(newcomer)
            except BaseException:  # an interrupt: it is this thread's and not that answer's
                if newcomer.turn is None:
                    self._waiting.appendleft(newcomer)
                raise
            with self._turn:
                self._turn.notify_all()
        if any(row is not newcomer for row in self._rows):
            self._read_on()

    def _let_in(self, row: Row) -> None:
        if row.watch is not None:
            row.watch.add("queue", time.perf_counter() - row.asked)
        try:
            with watching(row.watch):
                turn = row.conversation.begin(row.messages, row.options, row.asked)
            if not turn.ended:
                reading = row.conversation.reading
                if self._joined is not None and isinstance(reading, CausalReading):
                    self._joined.add(reading)
                self._rows.append(row)
        except IsthmusError as error:
            row.failure = error
        except RuntimeError as error:  # torch's
            row.failure, row.spoiled = self._fail(error), True
        else:
            row.turn = turn
            self._tell(row)

    def _read_on(self) -> None:
        started = time.perf_counter()
        try:
            if self._joined is None:
                logits = [row.conversation.reading.step(row.under_way.token) for row in self._rows]
            else:
                logits = list(self._joined.step([row.under_way.token for row in self._rows])[:, None])
        except RuntimeError as error:  # torch's
            failure = self._fail(error)
            for row in self._rows:
                row.failure, row.spoiled = failure, True
            self._rows, self._joined = [], self._model.joined_readings()
            return
        for row, each in zip(list(self._rows), logits, strict=True):
            row.under_way.take(each)
            if row.watch is not None:
                row.watch.add("sample", time.perf_counter() - started)
            self._tell(row)

    def _tell(self, row: Row) -> None:
        """Its reader is given what has become certain."""
        turn = row.under_way
        if turn.text:
            if row.watch is not None:
                row.watch.open = False
            row.pieces.append(turn.text)
        if turn.ended:
            self._drop(row)
            row.answer = turn.answer()

    def _drop(self, row: Row) -> None:
        """Its conversation holds again what was read of it."""
        if row in self._waiting:
            self._waiting.remove(row)
        if row in self._rows:
            at = self._rows.index(row)
            del self._rows[at]
            if self._joined is not None:
                self._joined.remove(at)
