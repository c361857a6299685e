"""Where a Chinese sentence says where: place names with the words around them that make them a condition."""

import re
from collections.abc import Iterator

from isthmus.photos.query.chinese_time import number
from isthmus.photos.query.fold import is_han
from isthmus.photos.query.found import Doubt, Found
from isthmus.photos.query.gazetteer import LONGEST_HAN, candidates, contains, places_named
from isthmus.photos.query.model import Place
from isthmus.photos.query.place_words import COMMON, COMPOUND_HAN
from isthmus.photos.query.places import BIG, MOST, VERY_BIG, Named, build, centred

_LEAD = re.compile(r"(?:拍摄于|拍摄在|摄于|拍于|位于|来自|在|到|去|于|从|距离?|离|靠近)\s*")
_RADIUS = re.compile(
    r"(?:附近|方圆|周围|周边)?的?\s*(?P<n>\d{1,4}|[一二两三五]?十|[一二三五]?百)\s*(?P<u>公里"
    r"|千米|km|里)(?:以内|之内|范围内?|内|的范围内?)?"
)
_NEAR = re.compile(r"(?:附近|周边|周围|一带|旁边|近郊|郊外)")
_TAIL = re.compile(
    r"(?:市区|市内|市里|市(?![场长民政集])|省(?![会道])|境内|地区|城里|城区|那边|这边|当地"
    r"|古城区?|县城|县|州|岛(?!国|屿)|里面?(?![程氏约昂斯])|本地)"
)
_JOINT = re.compile(r"\s*(?:和|或者?|、|与|跟|以及)\s*(?:在)?")


def find(text: str) -> Iterator[Found | Doubt]:
    """Places in `text`, which is folded."""
    for start, character in enumerate(text):
        if is_han(character):
            lead = _LEAD.match(text, start)
            if lead:
                yield from _at(text, start, lead.end(), lead[0])
            yield from _at(text, start, start, "")


def _at(text: str, start: int, at: int, lead: str) -> Iterator[Found | Doubt]:
    named = _named(text, at)
    if named is None:
        return
    if reason := _is_no_place(text, named, lead):
        if reason != "word":
            yield Doubt(named.start, named.end, reason)
        return
    places, end = _in_container(text, named)
    any_of = [places[0]]
    while len(any_of) < MOST and (joint := _JOINT.match(text, end)) and (more := _named(text, joint.end())):
        if _is_no_place(text, more, lead):
            break
        any_of.append(more.places[0])
        end = more.end
    core_end, radius = end, None
    if tail := _TAIL.match(text, end):
        core_end = end = tail.end()
    distance = _RADIUS.match(text, end)
    if distance:
        radius = float(number(distance["n"])) * (0.5 if distance["u"] == "里" else 1.0)
        end = distance.end()
    elif near := _NEAR.match(text, end):
        radius, end = 0.0, near.end()
    elif lead.startswith(("距", "离")):
        return
    elif lead == "靠近":
        radius = 0.0
    if radius is not None and len(any_of) == 1 and (cities := centred(places, named.name, "zh")):
        places, any_of = cities, [cities[0]]
    yield build(start, end, any_of, places if len(any_of) == 1 else (), radius, "", core=(at, core_end))


def _named(text: str, at: int) -> Named | None:
    stop = at
    while stop < len(text) and stop < at + LONGEST_HAN and (is_han(text[stop]) or text[stop] == "·"):
        stop += 1
    for end, name in candidates(text, at, list(range(at + 2, stop + 1))):
        return Named(at, end, name, places_named(name, "zh"))
    return None


def _is_no_place(text: str, named: Named, lead: str) -> str:
    best, name, end = named.places[0], named.name, named.end
    with_tail = bool(_TAIL.match(text, end) or _NEAR.match(text, end) or _RADIUS.match(text, end))
    said = bool(lead) and lead not in ("到", "去")
    if name in COMMON and not with_tail and not (said and (best.kind != "city" or best.population >= BIG)):
        return "word"
    big = best.kind != "city" or best.population >= VERY_BIG or (
        best.code.startswith("CN.") and best.population >= BIG
    )  # fmt: skip
    if not big and not said and not with_tail:
        return "word"
    if COMPOUND_HAN.match(text, end) and not (len(name) > 2 and name[-1] in "市省县"):
        return "part of a longer name"
    return ""


def _in_container(text: str, named: Named) -> tuple[tuple[Place, ...], int]:
    """江苏苏州: the second name is in the first, so it is the place."""
    after = re.compile(r"(?:省|市|州)?的?").match(text, named.end)
    inner = _named(text, after.end() if after else named.end)
    if inner:
        inside = tuple(p for p in inner.places if any(contains(outer, p) for outer in named.places))
        if inside and not _is_no_place(text, inner, "在"):
            return inside, inner.end
    return named.places, named.end
