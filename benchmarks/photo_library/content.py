"""What a photo is of: things large or small, a view, writing. Chosen by a seed within what the story allows."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import NamedTuple

from benchmarks.photo_library.concepts import called, concepts, cutouts
from benchmarks.photo_library.photographs import PHOTOGRAPHS, Photograph, alone
from benchmarks.photo_library.story import HOME, PAIRS, SEASONAL, TOWNS, favourites, may_be_seen
from benchmarks.photo_library.truth import Kind
from benchmarks.photo_library.written import WRITINGS, Sort, Writing


class Seed(NamedTuple):
    """Of the library, and of the photo whose pixels it draws."""

    library: int
    photo: int


@dataclass(frozen=True)
class Item:
    """A thing to be pasted, `copies` of the same cut-out, large or small."""

    name: str
    copies: int = 1
    small: bool = False


@dataclass(frozen=True)
class Content:
    """`seed` draws the pixels: equal content of equal seed is the same picture.

    Either `whole`, a photograph that fills the frame, or `items` before a ground, or `writing`. `seaside`: the sea may
    be behind things. `scanned`: a flat page, not a photo of one.
    """

    kind: Kind
    seed: Seed
    items: tuple[Item, ...] = ()
    whole: Photograph | None = None
    writing: Writing | None = None
    seaside: bool = False
    scanned: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return self.whole.shows if self.whole else tuple(item.name for item in self.items)


SORTS: dict[Sort, float] = {"sign": 0.045, "receipt": 0.02, "whiteboard": 0.012, "screen": 0.035, "paper": 0.018}
"""Share of photos with writing, by sort."""
VIEWS, PANORAMAS, SMALL = 0.06, 0.015, 0.2
"""Shares: of views of nature without a thing; of panoramas; among photos of things, of those with small ones."""


OFTEN = 8
"""Times that a favourite is photographed for one of another special thing."""


def content(rng: random.Random, seed: Seed, town: str, day: date) -> Content:
    at_sea = TOWNS[town].seaside
    chance = rng.random()
    for sort, share in SORTS.items():
        if chance < share:
            return _writing(rng, seed, sort, town)
        chance -= share
    if chance < PANORAMAS:
        items = _large(rng, town, day, rng.choice((1, 2, 3)))
        return Content("panorama", seed, tuple(i for i in items if i.name in cutouts()), seaside=at_sea)
    if chance < PANORAMAS + VIEWS:
        of_the_sea = at_sea and rng.random() < 0.5
        views = [p for p in PHOTOGRAPHS if p.alone and p.ground and ("sea" in p.shows) == of_the_sea]
        return Content("photo", seed, whole=rng.choice(views))
    if rng.random() < SMALL:
        return Content("photo", seed, _small(rng, town, day), seaside=at_sea)
    items = _large(rng, town, day, rng.choices((1, 2, 3), (55, 28, 17))[0])
    first = items[0].name
    photographs, stamps = alone().get(first, ()), cutouts().get(first, ())
    if photographs and rng.random() * (len(photographs) + len(stamps)) < len(photographs):
        return Content("photo", seed, whole=rng.choice(photographs))
    return Content("photo", seed, tuple(i for i in items if i.name in cutouts()), seaside=at_sea)


def _writing(rng: random.Random, seed: Seed, sort: Sort, town: str) -> Content:
    """At home and on journeys in the country mostly Chinese, elsewhere English."""
    chinese = TOWNS[town].country == "CN" and rng.random() < 0.7
    writing = rng.choice([each for each in WRITINGS if each.sort == sort and each.chinese == chinese])
    kind: Kind = "screenshot" if sort == "screen" else "document" if sort in ("receipt", "paper") else "photo"
    return Content(kind, seed, writing=writing, seaside=TOWNS[town].seaside, scanned=sort in ("screen", "paper"))


@cache
def specials(town: str, year: int, month: int) -> tuple[str, ...]:
    """What the story lets be seen; favourites, and what has its season, as often as they are taken."""
    names = [c.name for c in concepts().values() if c.scope == "special"]
    seen = [name for name in names if may_be_seen(name, town, date(year, month, 1))]
    liked = favourites(year if town == HOME else town)
    return tuple(seen + [name for name in seen if name in SEASONAL or name in liked] * (OFTEN - 1))


@cache
def _of(scope: str) -> tuple[str, ...]:
    """What there is one photograph of and no cut-out comes a third as often, or it would be seen too often; people,
    of whom there are few pictures, twice as often."""
    names = [concept.name for concept in concepts().values() if concept.scope == scope]
    weight = {name: (3 if name in cutouts() else 1) * (2 if "person" in called(name) else 1) for name in names}
    return tuple(name for name in names for _ in range(weight[name]))


def _large(rng: random.Random, town: str, day: date, count: int) -> tuple[Item, ...]:
    if count > 1 and rng.random() < 0.3:
        names = list(rng.choice(PAIRS))
    else:
        names = [_name(rng, town, day) for _ in range(count)]
    items = [Item(name) for name in dict.fromkeys(names)]
    if len(items) == 1 and rng.random() < 0.15:
        items = [Item(items[0].name, copies=rng.randint(2, 4))]
    return tuple(items)


def _small(rng: random.Random, town: str, day: date) -> tuple[Item, ...]:
    """One or two small things, now and then with a large one beside them."""
    names = [
        rng.choice(_of("small")) if rng.random() < 0.5 else _pasted(rng, town, day) for _ in range(rng.choice((1, 2)))
    ]
    items = [Item(name, small=True) for name in dict.fromkeys(names)]
    if rng.random() < 0.35 and (other := _pasted(rng, town, day)) not in names:
        items.append(Item(other))
    return tuple(items)


def _name(rng: random.Random, town: str, day: date) -> str:
    """Special things make up more of a journey than of life at home."""
    known = specials(town, day.year, day.month)
    return rng.choice(known if known and rng.random() < (0.5 if town == HOME else 0.62) else _of("common"))


def _pasted(rng: random.Random, town: str, day: date) -> str:
    """As `_name`, of what there are cut-outs."""
    names: Sequence[str] = [_name(rng, town, day) for _ in range(20)]
    return next(name for name in names if name in cutouts())
