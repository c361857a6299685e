"""What a sentence asks for, as frozen values. Spans count characters of the sentence; times are local wall time."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Span = tuple[int, int]
"""Half-open, in characters of the sentence."""

PhotoKind = Literal["photo", "video", "screenshot", "panorama", "document", "selfie", "raw", "animation"]
Order = Literal["newest", "oldest", "relevance"]
Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Interval:
    """From `start` up to but without `end`, naive local wall time; None is without bound on that side."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Time:
    """A moment satisfies it if it satisfies every field that is not empty; within a field any entry will do.

    `months` 1 to 12; `days` are (month, day) of every year; `weekdays` 0 is Monday; `hours` are half-open ranges of
    the hour of the day within 0 to 24; `festivals` are named days that recur: `festivals.interval(name, year)`.
    """

    intervals: tuple[Interval, ...] = ()
    months: tuple[int, ...] = ()
    days: tuple[tuple[int, int], ...] = ()
    weekdays: tuple[int, ...] = ()
    hours: tuple[tuple[int, int], ...] = ()
    festivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """One place of the gazetteer.

    A city has a centre in degrees and a radius in kilometres. A country (`code` "FR") or a region ("US.CA": country
    and first-level GeoNames code) has no centre: it is compared by its code.
    """

    name: str
    kind: Literal["city", "region", "country"]
    code: str
    latitude: float | None = None
    longitude: float | None = None
    radius_km: float | None = None
    population: int = 0


@dataclass(frozen=True)
class Places:
    """Any of them will do."""

    any_of: tuple[Place, ...]


@dataclass(frozen=True)
class Names:
    """People, pets and things the library knows by name; any of them will do. Canonical names."""

    any_of: tuple[str, ...]


@dataclass(frozen=True)
class Camera:
    """A maker, a model, or both; "" is any. To be compared without case: EXIF says "SONY" as well as "Canon".

    A built-in maker is spelled as its cameras mostly spell it; `model` is what was said, "iPhone" for every iPhone.
    """

    maker: str = ""
    model: str = ""


@dataclass(frozen=True)
class Kind:
    """What sort of file; any of them will do."""

    any_of: tuple[PhotoKind, ...]


@dataclass(frozen=True)
class Text:
    """Words that can be read in the picture."""

    text: str


@dataclass(frozen=True)
class Count:
    """How many results at most."""

    number: int


@dataclass(frozen=True)
class Sort:
    """The order of the results."""

    by: Order


@dataclass(frozen=True)
class Words:
    """What the picture shows, for the vector."""

    text: str


Value = Time | Places | Names | Camera | Kind | Text | Count | Sort | Words
ChipKind = Literal["time", "place", "name", "camera", "kind", "text", "count", "sort", "words"]
KIND_OF: dict[type, ChipKind] = {
    Time: "time", Places: "place", Names: "name", Camera: "camera", Kind: "kind", Text: "text", Count: "count",
    Sort: "sort", Words: "words",
}  # fmt: skip


@dataclass(frozen=True)
class Alternative:
    """Another reading of the same words, to offer on the chip."""

    label: str
    value: Value


@dataclass(frozen=True)
class Chip:
    """One part of the query: what it means, and the words it came from.

    `negative`: photos that satisfy it are left out. `keep_words`: its words may as well describe the picture, so they
    are in the vector text too; `note` says why.
    """

    value: Value
    spans: tuple[Span, ...]
    label: str
    negative: bool = False
    keep_words: bool = False
    note: str = ""
    alternatives: tuple[Alternative, ...] = ()

    @property
    def kind(self) -> ChipKind:
        return KIND_OF[type(self.value)]


@dataclass(frozen=True)
class Unsure:
    """Words that look like a condition but are none we can use. They went to the vector."""

    span: Span
    text: str
    reason: str


@dataclass(frozen=True)
class Query:
    """A sentence read. Every character but spaces is in a chip, in `filler`, or in `removed` (chips taken off later).

    Chips stand in the order of the sentence. All conditions must hold together.
    """

    sentence: str
    now: datetime
    language: Language = "en"
    chips: tuple[Chip, ...] = ()
    filler: tuple[Span, ...] = ()
    unsure: tuple[Unsure, ...] = ()
    removed: tuple[Span, ...] = field(default=())

    @property
    def positive(self) -> tuple[str, ...]:
        """What the picture should show, in the order of the sentence."""
        return tuple(_words(self.sentence, chip) for chip in self.chips if _is_shown(chip))

    @property
    def negative(self) -> tuple[str, ...]:
        """What the picture should not show."""
        return tuple(chip.value.text for chip in self.chips if chip.negative and isinstance(chip.value, Words))

    @property
    def vector_text(self) -> str:
        """`positive` as one text; "" where nothing is left for the vector."""
        return ("" if self.language == "zh" else " ").join(self.positive)

    @property
    def needs_model(self) -> bool:
        """It says what pictures show, or do not."""
        return bool(self.vector_text or self.negative)

    def of(self, kind: ChipKind, *, negative: bool = False) -> tuple[Chip, ...]:
        """The chips of one kind."""
        return tuple(chip for chip in self.chips if chip.kind == kind and chip.negative == negative)

    @property
    def top(self) -> int | None:
        """How many results were asked for."""
        return next((chip.value.number for chip in self.chips if isinstance(chip.value, Count)), None)

    @property
    def order(self) -> Order:
        """The order asked for; relevance where none was."""
        return next((chip.value.by for chip in self.chips if isinstance(chip.value, Sort)), "relevance")


def _is_shown(chip: Chip) -> bool:
    return not chip.negative and (chip.keep_words or isinstance(chip.value, Words))


def _words(sentence: str, chip: Chip) -> str:
    if isinstance(chip.value, Words):
        return chip.value.text
    return " ".join(sentence[start:end] for start, end in chip.spans)


@dataclass(frozen=True)
class Settings:
    """How a sentence is read where countries and people differ.

    `hemisphere` decides when summer is; `day_first` reads 3/5/2018 as 3 May; `week_starts` 0 is Monday, 6 Sunday.
    """

    hemisphere: Literal["north", "south"] = "north"
    day_first: bool = False
    week_starts: int = 0


@dataclass(frozen=True)
class Name:
    """A person, pet or thing of the library, and other names for it."""

    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """What the library knows: named people and things, and the cameras its photos were taken with."""

    names: tuple[Name, ...] = ()
    cameras: tuple[Camera, ...] = ()
