"""What is known of each file of the library: one line of JSON a file, the first line about the whole.

Times are wall clock where the photo was taken; boxes are pixels of the upright picture; degrees as in WGS 84.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmarks.photo_library.concepts import called, perhaps
from benchmarks.photo_library.story import HOME

FILE = "truth.jsonl"

Kind = Literal["photo", "screenshot", "document", "panorama"]
Dated = Literal["exif", "sidecar", "name", "day", "instant", "none"]
"""Where the time can be read: in EXIF, in the XMP sidecar, in the file's name, there to the day, there as an instant of
Greenwich, or nowhere."""
Placed = Literal["gps", "sidecar", "folder", "none"]
"""Where the place can be read: in GPS, in the sidecar's GPS, only in the folder's name, or nowhere."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Seen:
    """One thing in the picture. `box`: left, top, right, bottom; None for the whole picture or what is behind things.

    `unseen`: the shipped embedder saw no picture of this caption in training. `drawn`: no photograph. `source`: which
    picture it was cut from or is.
    """

    name: str
    chinese: str
    source: str
    box: Box | None = None
    unseen: bool = False
    drawn: bool = False


@dataclass(frozen=True)
class Photo:
    """`picture`: equal for exact copies and for the same picture saved again; `burst`: equal for frames of one moment.

    `maybe`: what some would say is to be seen as well. `people`: how many are. `text`: lines that can be read.
    """

    path: str
    picture: int
    kind: Kind
    time: datetime
    offset: int
    dated: Dated
    town: str
    chinese_town: str
    country: str
    latitude: float
    longitude: float
    placed: Placed
    maker: str
    model: str
    width: int
    height: int
    orientation: int
    things: tuple[Seen, ...]
    maybe: tuple[str, ...]
    people: int
    text: tuple[str, ...]
    keywords: tuple[str, ...]
    burst: int | None = None
    copy_of: str = ""
    moved_from: str = ""

    @cached_property
    def shown(self) -> frozenset[str]:
        """All names, kinds included, of what is to be seen."""
        return frozenset().union(*(called(thing.name) for thing in self.things))

    @cached_property
    def perhaps(self) -> frozenset[str]:
        """What is neither surely to be seen nor surely not."""
        said = frozenset().union(*(perhaps(thing.name) for thing in self.things), *map(called, self.maybe))
        return said - self.shown


@dataclass(frozen=True)
class Library:
    """`about`: seed, count and the versions of what it was made from."""

    about: dict[str, Any] = field(compare=False)
    photos: tuple[Photo, ...]

    def write(self, folder: Path) -> None:
        lines = [json.dumps(self.about, ensure_ascii=False)]
        lines += [json.dumps(asdict(photo), ensure_ascii=False, default=datetime.isoformat) for photo in self.photos]
        (folder / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def counts(self) -> dict[str, int]:
        """Files by kind and by what is particular about them."""
        told: dict[str, int] = {}

        def count(what: str, several: Iterable[bool]) -> None:
            told[what] = sum(several)

        photos = self.photos
        count("files", (True for _ in photos))
        for kind in ("photo", "screenshot", "document", "panorama"):
            count(f"{kind}s", (photo.kind == kind for photo in photos))
        count("with text", (bool(photo.text) for photo in photos))
        count("with people", (photo.people > 0 for photo in photos))
        count("with a small thing", (any(is_small(t, p) for t in p.things) for p in photos))
        count("with GPS", (photo.placed in ("gps", "sidecar") for photo in photos))
        for dated in ("exif", "sidecar", "name", "day", "instant", "none"):
            count(f"time from {dated}", (photo.dated == dated for photo in photos))
        count("stored turned", (photo.orientation != 1 for photo in photos))
        count("with keywords", (bool(photo.keywords) for photo in photos))
        count("copies", (photo.copy_of != "" for photo in photos))
        count("in bursts", (photo.burst is not None for photo in photos))
        count("away from home", (photo.town != HOME for photo in photos))
        count("moved", (photo.moved_from != "" for photo in photos))
        return told


SMALL = 0.02
"""Of the picture's area: a box below it is a small thing's."""


def is_small(thing: Seen, photo: Photo) -> bool:
    if thing.box is None:
        return False
    left, top, right, bottom = thing.box
    return (right - left) * (bottom - top) < SMALL * photo.width * photo.height


def read(folder: Path) -> Library:
    """What `Library.write` wrote."""
    about, *lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    return Library(json.loads(about), tuple(map(_photo, lines)))


def _photo(line: str) -> Photo:
    told: dict[str, Any] = json.loads(line)
    told["time"] = datetime.fromisoformat(told["time"])
    told["things"] = tuple(Seen(**{**one, "box": one["box"] and tuple(one["box"])}) for one in told["things"])
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
    return Photo(**fields)


def moved(photo: Photo, path: str) -> Photo:
    return replace(photo, path=path, moved_from=photo.moved_from or photo.path)
