"""Photos of which only what a test is about needs to be said."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from benchmarks.photo_library.truth import Photo, Seen

_PLAIN = Photo(
    path="photos/a.jpg",
    picture=0,
    kind="photo",
    time=datetime(2019, 8, 12, 19, 30),
    offset=120,
    dated="exif",
    town="Barcelona",
    chinese_town="巴塞罗那",
    country="ES",
    latitude=41.4,
    longitude=2.2,
    placed="gps",
    maker="Canon",
    model="Canon EOS 80D",
    width=640,
    height=480,
    orientation=1,
    things=(),
    maybe=(),
    people=0,
    text=(),
    keywords=(),
)


def photo(*things: str, **changes: Any) -> Photo:
    """One that shows these things."""
    seen = tuple(Seen(name, "", "", (0, 0, 200, 200)) for name in things)
    return replace(_PLAIN, things=seen, **changes)
