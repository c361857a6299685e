"""Where an English sentence says where: place names with the words around them that make them a condition."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from isthmus.photos.query.fold import fold, is_han
from isthmus.photos.query.found import Doubt, Found
from isthmus.photos.query.gazetteer import LONGEST, candidates, contains, gazetteer, places_named
from isthmus.photos.query.model import Place
from isthmus.photos.query.place_words import COMMON, COMPOUND, STILL_PLACES
from isthmus.photos.query.places import BIG, MOST, VERY_BIG, Named, build, centred

_WORD = re.compile(r"[^\W\d_][\w'.’]*(?:-[\w'’]+)*")
_NEAR = r"near to|near|around|close to|not far from|outside of|outside|in the vicinity of|nearby"
_DISTANCE = (
    r"(?:with)?in (?P<a>\d{1,4}) ?(?P<ua>km|kms|kilometers?|kilometres?|mi|miles?) (?:of|from"
    r"|around)|(?P<b>\d{1,4}) ?(?P<ub>km|kilometers?|kilometres?|mi|miles?) (?:of|from|around)"
)
_LEAD = re.compile(
    r"(?:(?:taken|shot|made|captured|located|somewhere|anywhere|all over) )?(?:"
    + _DISTANCE
    + rf"|(?P<near>{_NEAR})|(?P<in>in and around|in|inside|within|across|throughout|visiting)"
    r"|(?P<weak>at|from|of|to|through|over))"
    r" (?:the )?(?:(?:greater|downtown|central|northern|southern|eastern|western|old) )?(?:(?:city"
    r"|town|state|country|province|region|streets|island|center|centre|area|suburbs|outskirts) of )?"
)
_AFTER = re.compile(r" (?:area|city|region|province|downtown|suburbs|state)(?![a-z])")
_TITLE = re.compile("Mr|Mrs|Ms|Dr|Lady|Lord|Sir|King|Queen|President|Saint|Mount|Lake|Port|Fort|New|Cape|Old|Little")
_JOINT = re.compile(r"(?:,? and |,? or |, | & |/)(?:in |near |from )?")
_CAPITALISED = re.compile(r"[ -](?:[A-Z][a-z]|[A-Z]{2,}(?![A-Z0-9]*\d))")


def find(text: str, sentence: str, taken: Callable[[int, bool], bool]) -> Iterator[Found | Doubt]:
    """Places in `text`, the folded `sentence`.

    `taken` says whether a character is understood as something else, given whether a strong preposition stands before.
    """
    for match in _WORD.finditer(text):
        if is_han(match[0][0]):
            continue
        lead = _LEAD.match(text, match.start())
        if lead:
            yield from _at(text, sentence, match.start(), lead, taken)
        yield from _at(text, sentence, match.start(), None, taken)


def _at(
    text: str, sentence: str, start: int, lead: re.Match[str] | None, taken: Callable[[int, bool], bool]
) -> Iterator[Found | Doubt]:
    at = lead.end() if lead else start
    named = _named(text, at)
    is_strong = lead is not None and not lead["weak"]
    if named is None:
        word = re.compile(r"[A-Z][\w'’-]+(?: (?:[A-Z][\w'’-]+))*").match(sentence, at)
        if (
            lead
            and (is_strong or lead["weak"] in ("from",))
            and word
            and not _shouts(sentence)
            and not taken(at, False)
        ):
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
    while len(any_of) < MOST and (joint := _JOINT.match(text, end)) and (more := _named(text, joint.end())):
        if _is_no_place(text, sentence, more, lead, taken):
            break
        others, end = _in_container(text, more)
        any_of.append(others[0])
        names.append(more)
    if after := _AFTER.match(text, end):
        end = after.end()
    radius = _radius(lead)
    is_word = named.name in COMMON and (not sentence[at].isupper() or (lead is None and not sentence[:at].strip()))
    note = f"“{sentence[named.start : named.end]}” is also a word" if is_word else ""
    if radius is not None and len(names) == 1 and (near := centred(places, named.name, "en")):
        places, any_of = near, [near[0]]
    found = build(start, end, any_of, places if len(names) == 1 else (), radius, note, core=(at, end))
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
            return Named(at, end, name, places_named(name, "en"))
    return None


def _is_no_place(
    text: str, sentence: str, named: Named, lead: re.Match[str] | None, taken: Callable[[int, bool], bool]
) -> str:
    """Why a name is no place here: "" it is one, "word" it is a plain word, else a reason to report."""
    strong = lead is not None and not lead["weak"]
    if taken(named.start, strong):
        return "word"
    best, name = named.places[0], named.name
    if text.endswith("made in ", 0, named.start):
        return "word"
    capital = sentence[named.start].isupper() and not _shouts(sentence)
    if COMPOUND.match(text, named.start):
        return "part of a longer name" if capital else "word"
    size = best.population if best.kind == "city" else VERY_BIG
    if not capital:
        if len(name) < 3 and not (strong and name in ("uk", "la", "sf", "dc", "bc", "nz", "hk")):
            return "word"
        if name in COMMON:
            return "" if strong and name in STILL_PLACES else "word"
        # Who writes capitals elsewhere would have written one here; after "from" it matters less.
        if (
            not sentence[1:].islower()
            and not _shouts(sentence)
            and not strong
            and not (lead and lead["weak"] == "from")
        ):
            return "word"
        least = 15_000 if strong else BIG if lead else VERY_BIG
        return "" if size >= least else "word"
    if not lead and sentence[max(0, named.start - 1) : named.start] not in ("", " ", ",", "，", "(", "。", "、"):
        return "word"
    if (
        _CAPITALISED.match(sentence, named.end)
        and not taken(named.end + 1, False)
        and not _container_follows(text, named)
        and not _is_small_word(sentence, named.end)
    ) or (not lead and _follows_a_name(sentence, named.start, taken)):
        return "part of a longer name" if size >= BIG else "word"
    if lead is None and name in STILL_PLACES and _stands_alone(sentence, named, taken):
        return ""
    if lead is None and name in COMMON - STILL_PLACES and not sentence[: named.start].strip():
        return "word"  # any word begins a sentence with a capital
    if lead is None and (name in COMMON or len(name) < 3) and not _container_follows(text, named):
        return "a place only after a word like “in”"
    if lead and lead["weak"] in ("of", "over", "through", "to") and name in COMMON and name not in STILL_PLACES:
        return "a place only after a word like “in”"
    if lead and name in COMMON and best.kind == "city" and size < BIG and not strong:
        return "word"
    if not lead and size < BIG and not _container_follows(text, named):
        return "too small a town to be meant without “in”" if sentence[: named.start].strip() else "word"
    return ""


def _stands_alone(sentence: str, named: Named, taken: Callable[[int, bool], bool]) -> bool:
    """ "China, 2018": nothing but punctuation and other conditions around it."""
    before, after = sentence[: named.start].rstrip(), sentence[named.end :].lstrip()
    open_before = not before or not before[-1].isalnum() or taken(len(before) - 1, False)
    return open_before and (not after or not after[0].isalnum() or taken(len(sentence) - len(after), False))


def _follows_a_name(sentence: str, start: int, taken: Callable[[int, bool], bool]) -> bool:
    before = re.search(r"(?P<word>[A-Z][\w'’]*)\.? $", sentence[:start])
    if before is None or taken(before.start(), False):
        return False
    # Any word begins a sentence with a capital: there only names and titles count.
    return before.start() > 0 or _TITLE.fullmatch(before["word"]) is not None or fold(before["word"]) in gazetteer()


def _is_small_word(sentence: str, at: int) -> bool:
    """Titles Of Photos Are Written Like This: a preposition is no part of the name before it."""
    return (
        re.compile(r" (?:In|On|At|From|With|And|Or|By|Of|The|Photos?|Pictures?|Images?|Videos?)(?![a-z])").match(
            sentence, at
        )
        is not None
    )


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


def _radius(lead: re.Match[str] | None) -> float | None:
    """Kilometres said; 0 for "near"; None for neither."""
    if lead is None:
        return None
    distance, unit = lead["a"] or lead["b"], lead["ua"] or lead["ub"] or ""
    if distance:
        return round(float(distance) * (1.609344 if unit.startswith("mi") else 1.0), 1)
    return 0.0 if lead["near"] else None
