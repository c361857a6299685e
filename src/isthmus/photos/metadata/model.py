"""What is known of a photo, as frozen values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from isthmus.photos.query.model import PhotoKind

Source = Literal["exif", "xmp", "iptc", "gps", "name", "video"]
Precision = Literal["second", "day", "month", "year"]

MOTION_PHOTO = "motion photo"
"""The `live_id` of a Google motion photo: its video lies in the same file, so there is nothing to pair it with."""


@dataclass(frozen=True)
class Region:
    """A named part of the picture: `x`, `y` are its left top corner, all four shares 0..1 of the upright picture.

    `kind` is "face", "pet", "focus", "barcode" (MWG 2.0, in small letters) or "" where it is not said.
    """

    name: str
    kind: str
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Metadata:
    """All fields are empty where the file says nothing that can be used; `problems` has one line for what it said.

    `taken`: naive wall time where the photo was taken, at the start of its `precision` (a year is 1 January, 00:00).
    `offset`: minutes east of UTC, -720..840. `latitude`, `longitude`: degrees, WGS 84, north and east positive;
    `altitude`: metres above sea level. `rating`: 0..5, or -1 for rejected. `keywords`: as written, levels of a
    hierarchy separated by "|". `people`: named faces and pets, and people named without a place in the picture.
    `live_id`: what a live photo shares with its video, or MOTION_PHOTO.

    Texts are plain: they may contain "<" and "&", which a page must escape. Source of the fields' meaning: EXIF 3.0,
    XMP parts 1 and 2, IPTC Photo Metadata 2023, MWG Guidelines for Handling Image Metadata 2.0.
    """

    taken: datetime | None = None
    precision: Precision | None = None
    offset: int | None = None
    taken_from: Source | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    maker: str = ""
    model: str = ""
    lens: str = ""
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    title: str = ""
    caption: str = ""
    software: str = ""
    kinds: frozenset[PhotoKind] = frozenset()
    live_id: str = ""
    problems: tuple[str, ...] = ()
