"""Whose photos these are: a home, journeys, festivals and cameras over eight years, and what was seen where and when.

Special things are seen only in the places and at home in the years that `cast` gives them, so that a right thing in a
wrong place or year is surely in no photo. Places and things are each on one side, "dev" or "test"; a special thing
is seen abroad only in places of its own side.
"""

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from benchmarks.photo_library.concepts import Side, concepts

from isthmus.photos.query.gazetteer import cities_named
from isthmus.photos.query.model import Place

FIRST, NOW = date(2016, 6, 1), datetime(2024, 5, 22, 20, 15)
"""The first day, and the moment at which everything is asked: a Wednesday evening."""

HOME = "Hangzhou"
YEARS = tuple(range(FIRST.year, NOW.year + 1))


@dataclass(frozen=True)
class Town:
    """`chinese` as one writes it. The gazetteer has where it is."""

    name: str
    chinese: str
    side: Side
    seaside: bool = False

    @property
    def place(self) -> Place:
        return cities_named(self.name.lower(), "en")[0]

    @property
    def country(self) -> str:
        return self.place.code.split(".")[0]


TOWNS = {
    town.name: town
    for town in (
        Town(HOME, "杭州", "dev"),
        Town("Beijing", "北京", "dev"),
        Town("Paris", "巴黎", "dev"),
        Town("Kyoto", "京都", "dev"),
        Town("New York City", "纽约", "dev"),
        Town("Sanya", "三亚", "dev", seaside=True),
        Town("Shanghai", "上海", "dev"),
        Town("Rome", "罗马", "dev"),
        Town("Singapore", "新加坡", "dev", seaside=True),
        Town("Lijiang", "丽江", "dev"),
        Town("London", "伦敦", "test"),
        Town("Tokyo", "东京", "test"),
        Town("Barcelona", "巴塞罗那", "test", seaside=True),
        Town("Harbin", "哈尔滨", "test"),
        Town("Chengdu", "成都", "test"),
        Town("Suzhou", "苏州", "test"),
        Town("Sydney", "悉尼", "test", seaside=True),
        Town("Qingdao", "青岛", "test", seaside=True),
        Town("Istanbul", "伊斯坦布尔", "test"),
        Town("Reykjavik", "雷克雅未克", "test", seaside=True),
    )
}


@dataclass(frozen=True)
class Stay:
    """Days in a town, the last one included. `offset` in minutes east of Greenwich; `share`: how much is photographed
    there in relation to the other journeys."""

    town: str
    first: date
    last: date
    offset: int
    share: float = 1.0

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


CHINA = 8 * 60


def _stay(town: str, first: str, days: int, offset: int = CHINA, share: float = 1.0) -> Stay:
    start = date.fromisoformat(first)
    return Stay(town, start, start + timedelta(days=days - 1), offset, share)


STAYS = (
    _stay("Beijing", "2016-10-01", 6),
    _stay("Sanya", "2017-01-28", 6),
    _stay("Paris", "2017-07-08", 8, 120, 1.3),
    _stay("London", "2017-07-16", 6, 60),
    _stay("Suzhou", "2017-10-14", 2, share=1.2),
    _stay("Kyoto", "2018-04-02", 8, 540, 1.2),
    _stay("Shanghai", "2018-06-16", 3, share=1.2),
    _stay("Qingdao", "2018-08-04", 6),
    _stay("Chengdu", "2018-10-19", 6),
    _stay("New York City", "2018-12-22", 10, -300, 1.3),
    _stay("Suzhou", "2019-04-20", 3, share=1.2),
    _stay("Lijiang", "2019-05-11", 6),
    _stay("Barcelona", "2019-08-10", 9, 120, 1.3),
    _stay("London", "2019-11-08", 6, 0),
    _stay("Harbin", "2020-01-03", 6),
    _stay("Qingdao", "2020-08-15", 6),
    _stay("Shanghai", "2020-11-07", 3, share=1.2),
    _stay("Sanya", "2021-02-13", 6),
    _stay("Beijing", "2021-05-15", 6),
    _stay("Chengdu", "2021-10-22", 5),
    _stay("Harbin", "2022-01-14", 5),
    _stay("Shanghai", "2022-12-10", 3, share=1.2),
    _stay("Singapore", "2023-03-04", 7, 480, 1.2),
    _stay("Istanbul", "2023-04-15", 7, 180, 1.2),
    _stay("Reykjavik", "2023-06-24", 8, 0, 1.2),
    _stay("Rome", "2023-10-12", 8, 120, 1.2),
    _stay("Paris", "2023-10-21", 5, 120),
    _stay("Sydney", "2023-12-21", 10, 660, 1.3),
    _stay("Kyoto", "2024-02-17", 5, 540),
    _stay("Tokyo", "2024-04-06", 8, 540, 1.3),
    _stay("Suzhou", "2024-05-11", 2, share=1.2),
)
AWAY = 0.46
"""Of all photos."""

FESTIVALS = (
    # Christmas, New Year's Eve, Halloween and the days of the lunar calendar: eve of the Spring Festival, Mid-Autumn
    *(date(year, 12, 25) for year in range(2016, 2024)),
    *(date(year, 12, 31) for year in range(2016, 2024)),
    *(date(year, 10, 31) for year in range(2016, 2024)),
    *map(date.fromisoformat, (
        "2018-02-16", "2019-02-05", "2020-01-25", "2022-02-01", "2023-01-22", "2024-02-10",
        "2016-09-15", "2017-10-04", "2018-09-24", "2019-09-13", "2020-10-01", "2021-09-21", "2022-09-10", "2023-09-29",
    )),
)  # fmt: skip
RECENT = (date(2024, 5, 21), date(2024, 5, 18), date(2024, 5, 17), date(2024, 5, 15), date(2024, 5, 14), NOW.date())
"""Days shortly before NOW on which photos were taken at home, for "yesterday" and "last week"."""


@dataclass(frozen=True)
class Camera:
    """As EXIF spells it. A phone knows where it is and how far its clock is from Greenwich; a camera may not."""

    maker: str
    model: str
    first: date
    last: date
    phone: bool = False
    gps: bool = False
    prefix: str = "IMG_"


CAMERAS = (
    Camera("Apple", "iPhone 7", date(2016, 6, 1), date(2019, 9, 30), phone=True, gps=True),
    Camera("Apple", "iPhone 11", date(2019, 10, 1), date(2022, 12, 31), phone=True, gps=True),
    Camera("Xiaomi", "Xiaomi 13", date(2023, 1, 1), NOW.date(), phone=True, gps=True),
    Camera("Canon", "Canon EOS 80D", date(2016, 6, 1), date(2021, 12, 31)),
    Camera("SONY", "ILCE-7M4", date(2022, 1, 1), NOW.date(), prefix="DSC0"),
    Camera("FUJIFILM", "X100F", date(2018, 1, 1), NOW.date(), prefix="DSCF"),
    Camera("DJI", "FC3170", date(2020, 6, 1), date(2023, 12, 31), gps=True, prefix="DJI_"),
)

SEASONAL = {
    "christmas tree": (12,),
    "santa claus": (12,),
    "candy cane": (12,),
    "wreath": (12,),
    "roast turkey": (11, 12),
    "menorah": (12,),
    "pumpkin lantern": (10,),
    "snowman": (12, 1, 2),
}
"""Months in which alone a thing is seen."""

PAIRS = (
    ("dog", "soccer ball"), ("dog", "car"), ("horse", "firefighter"), ("duck", "pigeon"), ("airplane", "car"),
    ("camera", "dog"), ("guitar", "hat"), ("cup", "cake"), ("cow", "house"), ("sheep", "tree"),
    ("bus", "traffic light"), ("flower", "flag"), ("bird", "hat"), ("guitar", "tree"),
)  # fmt: skip
"""Common things often seen together, so that "one without the other" leaves photos out."""


@cache
def cast() -> dict[str, tuple[frozenset[str], frozenset[int]]]:
    """Special thing -> the towns and the years at home in which it is seen: two towns of its side, four years."""
    seen = {}
    for concept in concepts().values():
        if concept.scope != "special":
            continue
        rng = random.Random(f"cast {concept.name}")
        towns = [town.name for town in TOWNS.values() if town.side == concept.side and town.name != HOME]
        away = () if concept.name in SEASONAL else rng.sample(towns, 2)
        seen[concept.name] = frozenset(away), frozenset(rng.sample(YEARS[:-1], 4))
    return seen


FAVOURITES = 8


@cache
def favourites(where: str | int) -> frozenset[str]:
    """Of a town, or of a year at home: special things that are photographed again and again there."""
    seen = [n for n, (towns, years) in cast().items() if n not in SEASONAL and (where in towns or where in years)]
    return frozenset(random.Random(f"favourites {where}").sample(seen, min(FAVOURITES, len(seen))))


def may_be_seen(name: str, town: str, day: date) -> bool:
    """Whether the story lets the thing be there then."""
    if name in SEASONAL and day.month not in SEASONAL[name]:
        return False
    if name not in cast():
        return True
    towns, years = cast()[name]
    return day.year in years if town == HOME else town in towns


def year_side(year: int) -> Side:
    return "test" if year % 2 else "dev"
