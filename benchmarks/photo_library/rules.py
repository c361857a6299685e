"""What a sentence asks for, as rules that are true, false or unknown of a photo (Kleene's three values).

Unknown are photos that a fair judge would count neither as found nor as missed: taken in Kyoto, but nothing in the file
says so; two days after Christmas; a goose for "duck". The meaning of a sentence is written with these by hand, never
read off the sentence by the parser that is measured.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from benchmarks.photo_library.truth import Photo

Verdict = bool | None


class Rule(ABC):
    """True, False, or None for unknown."""

    @abstractmethod
    def holds(self, photo: Photo) -> Verdict: ...

    @property
    def parts(self) -> "Iterator[Rule]":
        """The rule and all within it."""
        yield self
        for entry in fields(self):  # type: ignore[arg-type]  # all rules are dataclasses
            value = getattr(self, entry.name)
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, Rule):
                    yield from inner.parts


@dataclass(frozen=True)
class Shows(Rule):
    """A thing, by the name of its concept or kind."""

    name: str

    def holds(self, photo: Photo) -> Verdict:
        if self.name == "person":
            return True if photo.people else (None if "person" in photo.perhaps else False)
        if self.name in photo.shown:
            return True
        return None if self.name in photo.perhaps else False


@dataclass(frozen=True)
class Taken(Rule):
    """From `start` up to but without `end`; `margin` days before and after are unknown."""

    start: datetime
    end: datetime
    margin: float = 0

    def holds(self, photo: Photo) -> Verdict:
        slack = {"day": timedelta(days=1), "instant": timedelta(hours=14)}.get(photo.dated, timedelta())
        margin = timedelta(days=self.margin)
        if photo.dated == "none":
            return None
        begin, finish = photo.time, photo.time
        if slack and photo.dated == "day":
            begin = photo.time.replace(hour=0, minute=0, second=0)
            finish = begin + slack - timedelta(seconds=1)
        elif slack:
            begin, finish = photo.time - slack, photo.time + slack
        if self.start <= begin and finish < self.end:
            return True
        return None if finish >= self.start - margin and begin < self.end + margin else False


@dataclass(frozen=True)
class InMonths(Rule):
    """Of any year."""

    months: tuple[int, ...]

    def holds(self, photo: Photo) -> Verdict:
        return None if photo.dated == "none" else photo.time.month in self.months


@dataclass(frozen=True)
class AtHours(Rule):
    """Hours of the day from `start` up to but without `end`; an hour before and two after are unknown, for people
    differ in when an evening ends."""

    start: int
    end: int

    def holds(self, photo: Photo) -> Verdict:
        if photo.dated in ("none", "day", "instant"):
            return None
        hour = photo.time.hour + photo.time.minute / 60
        if self.start <= hour < self.end:
            return True
        return None if self.start - 1 <= hour < self.end + 2 else False


@dataclass(frozen=True)
class OnWeekdays(Rule):
    """0 is Monday."""

    days: tuple[int, ...]

    def holds(self, photo: Photo) -> Verdict:
        return None if photo.dated in ("none", "instant") else photo.time.weekday() in self.days


@dataclass(frozen=True)
class In(Rule):
    """A town by its name, or a country by its two letters."""

    where: str

    def holds(self, photo: Photo) -> Verdict:
        if self.where not in (photo.town, photo.country):
            return False
        return True if photo.placed in ("gps", "sidecar") else None


@dataclass(frozen=True)
class With(Rule):
    """A camera: part of its maker's or model's name, without case."""

    camera: str

    def holds(self, photo: Photo) -> Verdict:
        return self.camera.lower() in f"{photo.maker} {photo.model}".lower()


@dataclass(frozen=True)
class Is(Rule):
    """A kind of file. What is asked for as "photo" is any that is no screenshot and no scan."""

    kind: str

    def holds(self, photo: Photo) -> Verdict:
        if self.kind == "photo":
            return photo.kind in ("photo", "panorama")
        return photo.kind == self.kind


@dataclass(frozen=True)
class Reads(Rule):
    """Text that can be read in the picture, without case and however it is spaced."""

    text: str

    def holds(self, photo: Photo) -> Verdict:
        return any(_plain(self.text) in _plain(line) for line in photo.text)


@dataclass(frozen=True)
class Not(Rule):
    rule: Rule

    def holds(self, photo: Photo) -> Verdict:
        verdict = self.rule.holds(photo)
        return None if verdict is None else not verdict


@dataclass(frozen=True)
class All(Rule):
    rules: tuple[Rule, ...]

    def holds(self, photo: Photo) -> Verdict:
        return _least(rule.holds(photo) for rule in self.rules)


def everything(*rules: Rule) -> Rule:
    """All of them; the one alone where it is one."""
    return rules[0] if len(rules) == 1 else All(rules)


def _least(verdicts: Iterable[Verdict]) -> Verdict:
    unknown = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unknown |= verdict is None
    return None if unknown else True


def _plain(text: str) -> str:
    return "".join(text.split()).lower()
