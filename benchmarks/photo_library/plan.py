"""The photos of a library by a seed, before anything is drawn: when, where, with what, of what, and in which file."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from functools import cache

from benchmarks.photo_library.concepts import concepts, cutouts
from benchmarks.photo_library.content import Content, Seed, content
from benchmarks.photo_library.photographs import PHOTOGRAPHS, file_of
from benchmarks.photo_library.story import (
    AWAY,
    CAMERAS,
    CHINA,
    FESTIVALS,
    FIRST,
    HOME,
    NOW,
    RECENT,
    STAYS,
    TOWNS,
    Camera,
    Stay,
)
from benchmarks.photo_library.truth import Dated, Placed
from benchmarks.photo_library.written import chinese_font

COPIES, RESAVED, BURSTS = 0.03, 0.03, 0.04
"""Of all files: exact copies elsewhere, the same picture saved again smaller, further frames of a moment."""
SPREAD_KM, FARTHEST_KM = 2.0, 4.4
"""Photos from the middle of a town, each way: standard deviation, and never more. All are within its radius."""
HOURS = (0, 0, 0, 0, 0, 0, 1, 3, 5, 8, 9, 8, 7, 6, 7, 8, 8, 7, 9, 8, 6, 4, 2, 1)
"""How often photos are taken in each hour of the day."""


@dataclass(frozen=True)
class Shot:
    """One file to be made. `number` seeds its pixels; frames of a burst and copies share `picture`'s content.

    `offset` in minutes east of Greenwich; `orientation` as in EXIF.
    `frame`: 0, or which later frame of a burst; `copy_of`: the path of which it is a byte-for-byte copy;
    `resaved`: the content of another shot, smaller and at a lower quality.
    """

    number: int
    picture: int
    time: datetime
    offset: int
    town: str
    latitude: float
    longitude: float
    camera: Camera | None
    content: Content
    path: str
    dated: Dated
    placed: Placed
    orientation: int
    portrait: bool
    keywords: tuple[str, ...] = ()
    burst: int | None = None
    frame: int = 0
    copy_of: str = ""
    resaved: bool = False

    @property
    def instant(self) -> datetime:
        return self.time.replace(tzinfo=timezone(timedelta(minutes=self.offset)))


def plan(count: int, seed: int) -> list[Shot]:
    """`count` shots ordered by path. The same for the same arguments and the same stamps."""
    rng = random.Random(f"plan {seed}")
    copies, resaved, frames = round(COPIES * count), round(RESAVED * count), round(BURSTS * count)
    moments = sorted(_moments(rng, count - copies - resaved - frames))
    shots = [_shot(seed, number, time, stay) for number, (time, stay) in enumerate(moments)]
    camera_photos = [s for s in shots if s.content.kind == "photo" and s.dated == "exif"]
    number = len(shots)
    for first in rng.sample(camera_photos, min(len(camera_photos), max(1, frames // 2))):
        # two or three frames of one moment, the first of which is there already
        for frame in range(1, rng.choice((2, 2, 3, 4))):
            if frames:
                shots[first.number] = replace(shots[first.number], burst=first.number)
                shots.append(_frame(shots[first.number], number, frame))
                number, frames = number + 1, frames - 1
    while frames:  # few photos, or short bursts
        first = rng.choice(camera_photos)
        shots[first.number] = replace(shots[first.number], burst=first.number)
        shots.append(_frame(shots[first.number], number, 4 + frames))
        number, frames = number + 1, frames - 1
    for original in rng.sample(camera_photos, resaved):
        shots.append(_resaved(rng, original, number))
        number += 1
    for original in rng.sample(shots[: len(moments)], copies):
        shots.append(_copy(rng, original, number))
        number += 1
    return sorted(_distinct(shots), key=lambda shot: shot.path)


@cache
def _home_days() -> tuple[tuple[date, ...], tuple[int, ...]]:
    """Days at home and how much is photographed on each: weekends and festivals count more."""
    away = {stay.first + timedelta(days=at) for stay in STAYS for at in range(stay.days)}
    days = [FIRST + timedelta(days=at) for at in range((NOW.date() - FIRST).days + 1)]
    at_home = tuple(day for day in days if day not in away)
    weight = {day: 1 + 2 * (day.weekday() >= 5) for day in at_home}
    for day in at_home:
        weight[day] += 20 * (day in FESTIVALS) + 20 * (day in RECENT)
    return at_home, tuple(weight.values())


def _moments(rng: random.Random, count: int) -> list[tuple[datetime, Stay]]:
    away = round(AWAY * count)
    stays = rng.choices(STAYS, [stay.share * stay.days**0.5 for stay in STAYS], k=away)
    days = [(stay.first + timedelta(days=rng.randrange(stay.days)), stay) for stay in stays]
    at_home, weights = _home_days()
    days += [(day, Stay(HOME, day, day, CHINA)) for day in rng.choices(at_home, weights, k=count - away)]
    return [(_moment(rng, day), stay) for day, stay in days]


def _moment(rng: random.Random, day: date) -> datetime:
    time = datetime(day.year, day.month, day.day) + timedelta(
        hours=rng.choices(range(24), HOURS)[0], seconds=rng.randrange(3600)
    )
    return time if time < NOW else time - timedelta(hours=rng.randint(6, 12))


def _shot(seed: int, number: int, time: datetime, stay: Stay) -> Shot:
    rng = random.Random(f"shot {seed} {number}")
    place = TOWNS[stay.town].place
    assert place.latitude is not None and place.longitude is not None
    shown = content(rng, Seed(seed, number), stay.town, time.date())
    camera = _camera(rng, time.date(), shown)
    panorama = shown.kind == "panorama"
    shot = Shot(
        number=number,
        picture=number,
        time=time,
        offset=stay.offset,
        town=stay.town,
        latitude=round(place.latitude + _aside(rng), 6),
        longitude=round(place.longitude + _aside(rng), 6),
        camera=camera,
        content=shown,
        path="",
        dated="exif",
        placed="gps" if camera is not None and camera.gps and rng.random() < 0.93 else "none",
        orientation=1,
        portrait=shown.kind in ("screenshot", "document") or (not panorama and rng.random() < 0.25),
    )
    return _filed(rng, shot)


def _aside(rng: random.Random) -> float:
    """In degrees of latitude; those of longitude are shorter."""
    return max(-FARTHEST_KM, min(FARTHEST_KM, rng.gauss(0, SPREAD_KM))) / 111.2


def _camera(rng: random.Random, day: date, shown: Content) -> Camera | None:
    if shown.kind in ("screenshot", "document") and shown.scanned:
        return None
    used = [camera for camera in CAMERAS if camera.first <= day <= camera.last]
    phones = [camera for camera in used if camera.phone]
    others = [camera for camera in used if not camera.phone]
    if shown.kind != "photo" or shown.writing or not others or rng.random() < 0.68:
        return phones[0]
    return rng.choice(others)


def _filed(rng: random.Random, shot: Shot) -> Shot:
    """In which folder under which name, and what the file says of time and place there."""
    time, camera, chance = shot.time, shot.camera, rng.random()
    month = f"{time:%Y/%Y-%m}"
    if shot.content.kind == "screenshot":
        name = f"phone/Screenshots/Screenshot_{time:%Y%m%d-%H%M%S}.png"
        return replace(shot, path=name, dated="name", placed="none")
    if camera is None:
        return replace(shot, path=f"scans/{time:%Y}/Scan_{time:%Y%m%d}_{shot.number}.jpg", dated="day", placed="none")
    if shot.content.kind == "panorama":
        return replace(shot, path=f"phone/DCIM/{month}/PANO_{time:%Y%m%d_%H%M%S}.jpg")
    if chance < 0.015:
        return replace(shot, path=f"old stuff/pic{shot.number:05}.jpg", dated="none", placed="none", camera=None)
    if camera.phone and chance < 0.10:
        return _chat(rng, replace(shot, camera=None, placed="none"))
    turned = rng.choice((6, 6, 8)) if shot.portrait and rng.random() < 0.7 else (3 if rng.random() < 0.02 else 1)
    if camera.phone:
        kind = "webp" if rng.random() < 0.03 else "jpg"
        return replace(shot, path=f"phone/DCIM/{month}/IMG_{time:%Y%m%d_%H%M%S}.{kind}", orientation=turned)
    town = TOWNS[shot.town]
    event = "" if shot.town == HOME else f" {rng.choice((town.name, town.chinese))}"
    folder = f"camera/{time:%Y}/{time:%Y-%m}{event}"
    keywords = _keywords(rng, shot.content)
    path = f"{folder}/{camera.prefix}{shot.number % 10000:04}.JPG"
    shot = replace(shot, path=path, orientation=turned, keywords=keywords)
    if shot.placed == "none" and rng.random() < 0.2:
        # developed elsewhere: the sidecar has what the file lost
        stripped = replace(shot, placed="sidecar", dated="sidecar", camera=None, orientation=1)
        return stripped if rng.random() < 0.5 else replace(shot, placed="sidecar")
    return replace(shot, placed="folder") if event and shot.placed == "none" else shot


def _chat(rng: random.Random, shot: Shot) -> Shot:
    """Sent by a friend: nothing but the name is left."""
    if shot.offset == CHINA and rng.random() < 0.6:
        milliseconds = round(shot.instant.timestamp() * 1000) + rng.randrange(1000)
        return replace(shot, path=f"chat/WeiXin/mmexport{milliseconds}.jpg", dated="instant")
    return replace(shot, path=f"chat/WhatsApp Images/IMG-{shot.time:%Y%m%d}-WA{shot.number:05}.jpg", dated="day")


def _keywords(rng: random.Random, shown: Content) -> tuple[str, ...]:
    if rng.random() > 0.3:
        return ()
    chinese, known = rng.random() < 0.5, concepts()
    return tuple(dict.fromkeys(known[name].chinese if chinese else name for name in shown.names))


def _frame(first: Shot, number: int, frame: int) -> Shot:
    """The next picture of a burst: a moment later, a little moved."""
    time = first.time + timedelta(seconds=frame)
    folder, _, name = first.path.rpartition("/")
    stem, _, kind = name.rpartition(".")
    path = f"{folder}/{stem}_BURST{frame:02}.{kind}"
    return replace(first, number=number, picture=number, time=time, path=path, frame=frame)


def _resaved(rng: random.Random, original: Shot, number: int) -> Shot:
    """The same picture come back from a chat: smaller, without EXIF."""
    sent = replace(
        original, number=number, orientation=1, camera=None, placed="none",
        keywords=(), burst=None, resaved=True,
    )  # fmt: skip
    return _chat(rng, sent)


def _copy(rng: random.Random, original: Shot, number: int) -> Shot:
    name = original.path.rpartition("/")[2]
    stem, _, kind = name.rpartition(".")
    path = rng.choice((f"backup/old laptop/{original.time:%Y}/{name}", f"backup/{stem} (1).{kind}"))
    placed: Placed = "none" if original.placed in ("folder", "sidecar") else original.placed
    dated: Dated = "none" if original.dated == "sidecar" else original.dated
    return replace(
        original, number=number, path=path, copy_of=original.path, placed=placed, dated=dated, burst=None,
    )  # fmt: skip


def _distinct(shots: Sequence[Shot]) -> list[Shot]:
    """Two photos of one second do not overwrite each other. Copies name their original as it is named in the end."""
    renamed: dict[int, str] = {}
    taken: set[str] = set()
    for shot in shots:
        path, again = shot.path, 0
        while path.lower() in taken:
            again += 1
            stem, _, kind = shot.path.rpartition(".")
            path = f"{stem}_{again}.{kind}"
        taken.add(path.lower())
        renamed[shot.number] = path
    by_picture = {
        shot.picture: renamed[shot.number] for shot in reversed(shots) if not shot.copy_of and not shot.resaved
    }
    return [
        replace(shot, path=renamed[shot.number], copy_of=by_picture[shot.picture] if shot.copy_of else "")
        for shot in shots
    ]


def check_parts() -> None:
    """Raises MissingPart before any work where something is not installed."""
    cutouts()
    chinese_font()
    for photograph in PHOTOGRAPHS:
        file_of(photograph)
