"""Where a sentence says where: names of the gazetteer with the words around them that make them a condition."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from isthmus.photos.query.fold import is_han
from isthmus.photos.query.found import Doubt, Found
from isthmus.photos.query.gazetteer import LONGEST, LONGEST_HAN, candidates, contains, gazetteer
from isthmus.photos.query.model import Alternative, Place, Places
from isthmus.photos.query.place_words import COMMON, COMMON_HAN, COMPOUND, COMPOUND_HAN, STILL_PLACES

BIG, VERY_BIG = 100_000, 300_000
"""Inhabitants a city must have to be meant without a preposition: written with a capital, or without."""

NEAR_KM = 25.0
"""The least radius of "near"."""

_WORD = re.compile(r"[^\W\d_][\w'.’]*(?:-[\w'’]+)*")
_NEAR = r"near to|near|around|close to|not far from|outside of|outside|in the vicinity of|nearby"
_DISTANCE = r"(?:with)?in (?P<a>\d{1,4}) ?(?P<ua>km|kms|kilometers?|kilometres?|mi|miles?) (?:of|from|around)|(?P<b>\d{1,4}) ?(?P<ub>km|kilometers?|kilometres?|mi|miles?) (?:of|from|around)"
_LEAD = re.compile(
    r"(?:(?:taken|shot|made|captured|located|somewhere|anywhere|all over) )?(?:"
    + _DISTANCE
    + rf"|(?P<near>{_NEAR})|(?P<in>in and around|in|inside|within|across|throughout|visiting)|(?P<weak>at|from|of|to|through|over))"
    r" (?:the )?(?:(?:greater|downtown|central|northern|southern|eastern|western|old) )?(?:(?:city|town|state|country|province|region|streets|island|center|centre|area|suburbs|outskirts) of )?"
)
_AFTER = re.compile(r" (?:area|city|region|province|downtown|suburbs|state)(?![a-z])")
_JOINT = re.compile(r"(?:,? and |,? or |, | & |/)(?:in |near |from )?")
_CAPITALISED = re.compile(r"[ -](?:[A-Z][a-z]|[A-Z]{2,}(?![A-Z0-9]*\d))")

_LEAD_HAN = re.compile(r"(?:拍摄于|拍摄在|摄于|拍于|位于|来自|在|到|去|于|从|距离?|离|靠近)\s*")
_RADIUS_HAN = re.compile(r"(?:附近|方圆|周围|周边)?的?\s*(?P<n>\d{1,4}|[一二两三五]?十|[一二三五]?百)\s*(?P<u>公里|千米|km|里)(?:以内|之内|范围内?|内|的范围内?)?")
_NEAR_HAN = re.compile(r"(?:附近|周边|周围|一带|旁边|近郊|郊外)")
_TAIL_HAN = re.compile(r"(?:市区|市内|市里|市(?![场长民政集])|省(?![会道])|境内|地区|城里|城区|那边|这边|当地|古城区?|县城|县|州|里面?(?![程氏约昂斯])|本地)")
_JOINT_HAN = re.compile(r"\s*(?:和|或者?|、|与|跟|以及)\s*(?:在)?")


@dataclass(frozen=True)
class Named:
    """A place name found at a place in the text."""

    start: int
    end: int
    name: str
    places: tuple[Place, ...]


def find(text: str, sentence: str, taken: Callable[[int, bool], bool]) -> Iterator[Found | Doubt]:
    """Places in `text`, the folded `sentence`; `taken` says whether a character is understood as something else."""
    for match in _WORD.finditer(text):
        if not is_han(match[0][0]):
            yield from _english(text, sentence, match.start(), taken)
    for start, character in enumerate(text):
        if is_han(character):
            yield from _chinese(text, start)


def _english(text: str, sentence: str, start: int, taken: Callable[[int, bool], bool]) -> Iterator[Found | Doubt]:
    lead = _LEAD.match(text, start)
    if lead:
        yield from _english_at(text, sentence, start, lead, taken)
    yield from _english_at(text, sentence, start, None, taken)


def _english_at(
    text: str, sentence: str, start: int, lead: re.Match[str] | None, taken: Callable[[int, bool], bool]
) -> Iterator[Found | Doubt]:
    at = lead.end() if lead else start
    named = _named(text, at)
    is_strong = lead is not None and not lead["weak"]
    if named is None:
        word = re.compile(r"[A-Z][\w'’-]+(?: (?:[A-Z][\w'’-]+))*").match(sentence, at)
        if lead and (is_strong or lead["weak"] in ("from",)) and word and not _shouts(sentence) and not taken(at, False):
            yield Doubt(at, word.end(), "not in the gazetteer")
        return
    reason = _is_no_place(text, sentence, named, lead, taken)
    if reason:
        if reason != "word":
            yield Doubt(named.start, named.end, reason)
        return
    places, end = _in_container(text, named)
    any_of = [places[0]]
    names = [named]
    while (joint := _JOINT.match(text, end)) and (more := _named(text, joint.end())):
        if _is_no_place(text, sentence, more, lead, taken):
            break
        others, end = _in_container(text, more)
        any_of.append(others[0])
        names.append(more)
    if after := _AFTER.match(text, end):
        end = after.end()
    radius = _radius(lead)
    is_word = named.name in COMMON and not sentence[at].isupper()
    note = f"“{sentence[named.start:named.end]}” is also a word" if is_word else ""
    if radius is not None and len(names) == 1 and (centred := _centred(places, named.name, "en")):
        places, any_of = centred, [centred[0]]
    found = _found(start, end, any_of, places if len(names) == 1 else (), radius, note, core=(at, end))
    # "of Paris" says less for the city than "in Paris": a name of the library may win there.
    yield replace(found, weight=end - at if lead and lead["weak"] else 0)


def _named(text: str, at: int) -> Named | None:
    """The longest name of the gazetteer that begins here."""
    ends, end = [], at
    for _ in range(LONGEST):
        word = _WORD.match(text, end)
        if not word or is_han(word[0][0]):
            break
        stop = word.end() - (1 if word[0][-1] in ".’'" else 0)
        if stop != word.end():
            ends.append(stop)
        ends.append(word.end())
        possessive = re.search(r"['’]s$", word[0])
        if possessive:
            ends.append(word.end() - 2)
        if text[word.end() : word.end() + 1] == " ":
            end = word.end() + 1
        elif text[word.end() : word.end() + 2] == ", ":
            end = word.end() + 2
        else:
            break
    for end, name in candidates(text, at, sorted(set(ends))):
        if len(name) > 1:
            return Named(at, end, name, gazetteer().find(name))
    return None


def _is_no_place(
    text: str, sentence: str, named: Named, lead: re.Match[str] | None, taken: Callable[[int, bool], bool]
) -> str:
    """Why a name is no place here: "" it is one, "word" it is a plain word, else a reason to report."""
    if taken(named.start, lead is not None and not lead["weak"]):
        return "word"
    best, name = named.places[0], named.name
    capital = sentence[named.start].isupper() and not _shouts(sentence)
    if COMPOUND.match(text, named.start):
        return "part of a longer name" if capital else "word"
    strong = lead is not None and not lead["weak"]
    size = best.population if best.kind == "city" else VERY_BIG
    if not capital:
        if len(name) < 3 and not (strong and name in ("uk", "la", "sf", "dc", "bc", "nz", "hk")):
            return "word"
        if name in COMMON:
            return "" if strong and name in STILL_PLACES else "word"
        if not sentence.islower() and not strong and not _shouts(sentence):
            return "word"
        least = 15_000 if strong else BIG if lead else VERY_BIG
        return "" if size >= least else "word"
    if not lead and sentence[max(0, named.start - 1) : named.start] not in ("", " ", ",", "，", "(", "。", "、"):
        return "word"
    if (_CAPITALISED.match(sentence, named.end) and not taken(named.end + 1, False) and not _named(text, named.end + 1)) or (
        not lead and _follows_a_name(sentence, named.start, taken)
    ):
        return "part of a longer name"
    if lead is None and name in COMMON - STILL_PLACES and not sentence[: named.start].strip():
        return "word"  # any word begins a sentence with a capital
    if lead is None and (name in COMMON or len(name) < 3) and not _container_follows(text, named):
        return "a place only after a word like “in”"
    if lead and lead["weak"] in ("of", "over", "through", "to") and name in COMMON and name not in STILL_PLACES:
        return "a place only after a word like “in”"
    if lead and name in COMMON and best.kind == "city" and size < BIG and not strong:
        return "word"
    if not lead and size < BIG and not _container_follows(text, named):
        return "too small a town to be meant without “in”"
    return ""


def _follows_a_name(sentence: str, start: int, taken: Callable[[int, bool], bool]) -> bool:
    before = re.search(r"(?P<word>[A-Z][\w'’]+) $", sentence[:start])
    return before is not None and before.start() > 0 and not taken(before.start(), False)


def _shouts(sentence: str) -> bool:
    return sentence.isupper() and len(sentence) > 4


def _container_follows(text: str, named: Named) -> bool:
    return _in_container(text, named)[1] != named.end


def _in_container(text: str, named: Named) -> tuple[tuple[Place, ...], int]:
    """ "Paris, Texas": only the places of that name that are in the next one."""
    joint = re.compile(r",? ").match(text, named.end)
    if joint:
        code = re.compile(r"(?P<code>[a-z]{2})(?![a-z])").match(text, joint.end())
        if code and joint[0] == ", ":
            inside = tuple(p for p in named.places if p.code.startswith(f"US.{code['code'].upper()}."))
            if inside:
                return inside, code.end()
        outer = _named(text, joint.end())
        if outer:
            inside = tuple(p for p in named.places if any(contains(o, p) for o in outer.places))
            if inside:
                return inside, outer.end
    return named.places, named.end


def _centred(places: tuple[Place, ...], name: str, language: str) -> tuple[Place, ...]:
    """ "near Beijing" is counted from the city, though "in Beijing" is all of the municipality."""
    if places[0].radius_km is not None:
        return ()
    cities = gazetteer().cities(name, language)
    return tuple(city for city in cities if contains(places[0], city))


def _radius(lead: re.Match[str] | None) -> float | None:
    """Kilometres said; 0 for "near"; None for neither."""
    if lead is None:
        return None
    distance, unit = lead["a"] or lead["b"], lead["ua"] or lead["ub"] or ""
    if distance:
        return round(float(distance) * (1.609344 if unit.startswith("mi") else 1.0), 1)
    return 0.0 if lead["near"] else None


def _found(
    start: int, end: int, any_of: list[Place], others: tuple[Place, ...], radius: float | None, note: str,
    core: tuple[int, int],
) -> Found:  # fmt: skip
    chosen = [_with_radius(place, radius) for place in any_of]
    alternatives = tuple(
        Alternative(describe(place), Places((_with_radius(place, radius),))) for place in others[1:6]
    )
    value = Places(tuple(dict.fromkeys(chosen)))
    return Found(start, end, value, core=core, keep_words=bool(note), note=note, alternatives=alternatives)


def _with_radius(place: Place, radius: float | None) -> Place:
    if radius is None or place.radius_km is None:
        return place
    return replace(place, radius_km=radius or max(NEAR_KM, round(2 * place.radius_km, 1)))


def describe(place: Place) -> str:
    """The name with what it is in, to tell places of one name apart."""
    if place.kind == "country":
        return place.name
    return f"{place.name} ({'.'.join(place.code.split('.')[:2]) if place.kind == 'city' else place.code})"


def _chinese(text: str, start: int) -> Iterator[Found | Doubt]:
    lead = _LEAD_HAN.match(text, start)
    if lead:
        yield from _chinese_at(text, start, lead.end(), lead[0])
    yield from _chinese_at(text, start, start, "")


def _named_han(text: str, at: int) -> Named | None:
    stop = at
    while stop < len(text) and stop < at + LONGEST_HAN and (is_han(text[stop]) or text[stop] == "·"):
        stop += 1
    for end, name in candidates(text, at, list(range(at + 2, stop + 1))):
        return Named(at, end, name, gazetteer().find(name, "zh"))
    return None


def _chinese_at(text: str, start: int, at: int, lead: str) -> Iterator[Found | Doubt]:
    named = _named_han(text, at)
    if named is None:
        return
    if reason := _is_no_han_place(text, named, lead):
        if reason != "word":
            yield Doubt(named.start, named.end, reason)
        return
    places, end = _in_han_container(text, named)
    any_of = [places[0]]
    while (joint := _JOINT_HAN.match(text, end)) and (more := _named_han(text, joint.end())):
        if _is_no_han_place(text, more, lead):
            break
        any_of.append(more.places[0])
        end = more.end
    core_end, radius = end, None
    if tail := _TAIL_HAN.match(text, end):
        core_end = end = tail.end()
    distance = _RADIUS_HAN.match(text, end)
    if distance:
        from isthmus.photos.query.chinese_time import number

        radius = float(number(distance["n"])) * (0.5 if distance["u"] == "里" else 1.0)
        end = distance.end()
    elif near := _NEAR_HAN.match(text, end):
        radius, end = 0.0, near.end()
    elif lead.startswith(("距", "离")):
        return
    elif lead == "靠近":
        radius = 0.0
    if radius is not None and len(any_of) == 1 and (centred := _centred(places, named.name, "zh")):
        places, any_of = centred, [centred[0]]
    yield _found(start, end, any_of, places if len(any_of) == 1 else (), radius, "", core=(at, core_end))


def _is_no_han_place(text: str, named: Named, lead: str) -> str:
    best, name, end = named.places[0], named.name, named.end
    with_tail = bool(_TAIL_HAN.match(text, end) or _NEAR_HAN.match(text, end) or _RADIUS_HAN.match(text, end))
    said = bool(lead) and lead not in ("到", "去")
    if name in COMMON_HAN and not (with_tail or said):
        return "word"
    big = best.kind != "city" or best.population >= VERY_BIG or (
        best.code.startswith("CN.") and best.population >= BIG
    )  # fmt: skip
    if not big and not said and not with_tail:
        return "word"
    if COMPOUND_HAN.match(text, end) and not (len(name) > 2 and name[-1] in "市省县"):
        return "part of a longer name"
    return ""


def _in_han_container(text: str, named: Named) -> tuple[tuple[Place, ...], int]:
    """江苏苏州: the second name is in the first, so it is the place."""
    after = re.compile(r"(?:省|市|州)?的?").match(text, named.end)
    inner = _named_han(text, after.end() if after else named.end)
    if inner:
        inside = tuple(p for p in inner.places if any(contains(outer, p) for outer in named.places))
        if inside and not _is_no_han_place(text, inner, "在"):
            return inside, inner.end
    return named.places, named.end
