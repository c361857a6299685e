"""Everything that may be asked, by kind: a meaning and the parts of a sentence that says it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from benchmarks.photo_library.concepts import Side, called, concepts
from benchmarks.photo_library.phrases import When, in_year, one, plural, times_of
from benchmarks.photo_library.rules import In, Is, Not, Reads, Rule, Shows, Taken, With, everything
from benchmarks.photo_library.shapes import Language
from benchmarks.photo_library.story import HOME, PAIRS, SEASONAL, STAYS, TOWNS, YEARS, cast, favourites
from benchmarks.photo_library.written import WRITINGS, Sort

from benchmarks.photo_library import phrases


@dataclass(frozen=True)
class Ask:
    """`fillings` go into a shape; `sentence`: written out instead. `subject`: what others of its kind should not
    repeat."""

    rule: Rule
    side: Side
    answerable: bool = True
    fillings: dict[str, str] = field(default_factory=dict)
    sentence: str = ""
    subject: str = ""


def asked_things(language: Language) -> Iterator[Ask]:
    for concept in concepts().values():
        if concept.scope != "small":
            yield Ask(Shows(concept.name), concept.side, True, _thing(concept.name, language), subject=concept.name)
    for absent in phrases.THINGS:
        yield Ask(Shows(absent.english), absent.side, False, _absent(absent, language), subject=absent.english)


def asked_small(language: Language) -> Iterator[Ask]:
    for concept in concepts().values():
        if concept.scope == "small":
            yield Ask(Shows(concept.name), concept.side, True, _thing(concept.name, language), subject=concept.name)


def asked_times(language: Language) -> Iterator[Ask]:
    """Each time in one language only: the other is for `times_and_things`."""
    for when in _half(phrases.TIMES, language):
        yield Ask(when.rule, when.side, True, _time(when, language), subject=when.english)
    for when in phrases.NEVER:
        yield Ask(when.rule, when.side, False, _time(when, language), subject=when.english)


def asked_places(language: Language) -> Iterator[Ask]:
    for town in TOWNS.values():
        yield Ask(In(town.name), town.side, True, _place(town.name, language), subject=town.name)
    for code, (english, chinese, side) in phrases.COUNTRIES.items():
        filled = {"p": english if language == "en" else chinese}
        yield Ask(In(code), side, True, filled, subject=code)
    for absent in phrases.PLACES:
        rule = In(phrases.CODES.get(absent.english, absent.english))
        filled = {"p": absent.english if language == "en" else absent.chinese}
        yield Ask(rule, absent.side, False, filled, subject=absent.english)


def asked_texts(language: Language) -> Iterator[Ask]:
    """In the language of the text, as a reader would."""
    written = [each for each in WRITINGS if each.chinese == (language == "zh")]
    for at, writing in enumerate(written):
        sentence = _WRITTEN[writing.sort][language == "zh"] if at % 2 else ""
        yield Ask(Reads(writing.head), writing.side, True, {"x": writing.head}, sentence, subject=writing.head)
    for absent in phrases.TEXTS:
        text = absent.english if language == "en" else absent.chinese
        yield Ask(Reads(text), absent.side, False, {"x": text}, subject=text)


_WRITTEN: dict[Sort, tuple[str, str]] = {
    "sign": ('the sign that says "{x}"', "写着“{x}”的牌子"),
    "receipt": ("receipt from {x}", "{x}的小票"),
    "whiteboard": ('the whiteboard with "{x}" on it', "白板上写着“{x}”"),
    "screen": ('screenshot that says "{x}"', "有“{x}”的截图"),
    "paper": ('the page headed "{x}"', "标题是“{x}”的那页"),
}
"""Said with what it is written on, without quotation marks where one would not set them."""


def asked_negations(language: Language) -> Iterator[Ask]:
    """One thing without another, with and without people, not there, not then."""
    english = language == "en"
    for pair in PAIRS:
        for first, other in (pair, pair[::-1]):
            filled = _thing(first, language) | _other(other, language)
            rule = everything(Shows(first), Not(Shows(other)))
            yield Ask(rule, concepts()[first].side, True, filled, subject=first)
    for name in ("camera", "dog", "horse", "tree", "flower", "grass"):
        rule = everything(Shows(name), Not(Shows("person")))
        filled = _thing(name, language) | {"b": "people" if english else "人", "bs": "people"}
        sentence = "{s}, without people" if english else "有{a}没有人的照片"
        yield Ask(rule, concepts()[name].side, True, filled, sentence, subject=f"people {name}")
    for name, town in (("pigeon", "Kyoto"), ("airplane", HOME), ("hat", "London"), ("bus", "Tokyo")):
        rule = everything(Shows(name), Not(In(town)))
        filled = _thing(name, language) | _place(town, language)
        sentence = "{s}, but not in {p}" if english else "不在{p}拍的{a}"
        yield Ask(rule, concepts()[name].side, True, filled, sentence, subject=f"place {name}")
    for name, year in (("car", 2018), ("duck", 2020), ("cow", 2019), ("cake", 2021)):
        rule = everything(Shows(name), Not(in_year(year).rule))
        filled = _thing(name, language) | {"t": str(year)}
        sentence = "{s} except {t}" if english else "除了{t}年的{a}"
        yield Ask(rule, concepts()[name].side, True, filled, sentence, subject=f"year {name}")
    for name in ("piano", "snake"):
        side: Side = "dev" if name == "piano" else "test"
        absent = next(each for each in phrases.THINGS if each.english == name)
        other = "dog" if side == "dev" else "tree"
        filled = _absent(absent, language) | _other(other, language)
        yield Ask(everything(Shows(name), Not(Shows(other))), side, False, filled, subject=name)


def asked_cameras(language: Language) -> Iterator[Ask]:
    for english, chinese, camera, side in _CAMERAS:
        filled = {"c": english if language == "en" else chinese}
        yield Ask(With(camera), side, True, filled, subject=camera)
    for absent in phrases.CAMERAS:
        filled = {"c": absent.english if language == "en" else absent.chinese}
        yield Ask(With(absent.english), absent.side, False, filled, subject=absent.english)


_CAMERAS: tuple[tuple[str, str, str, Side], ...] = (
    ("iPhone 7", "iPhone 7", "iPhone 7", "dev"), ("Canon", "佳能", "Canon", "dev"), ("Sony", "索尼", "SONY", "dev"),
    ("iPhone 11", "iPhone 11", "iPhone 11", "test"), ("Fujifilm", "富士", "FUJIFILM", "test"),
    ("Xiaomi", "小米", "Xiaomi", "test"), ("DJI", "大疆", "DJI", "test"),
)  # fmt: skip


def asked_kinds(language: Language) -> Iterator[Ask]:
    for english, chinese, rule, side, answerable in _KINDS:
        sentence = english if language == "en" else chinese
        yield Ask(rule, side, answerable, sentence=sentence, subject=sentence)


_SHOT, _SCAN, _WIDE = Is("screenshot"), Is("document"), Is("panorama")
_KINDS: tuple[tuple[str, str, Rule, Side, bool], ...] = (
    ("screenshots", "截图", _SHOT, "dev", True),
    ("my scanned documents", "扫描的文件", _SCAN, "test", True),
    ("panoramas", "全景照片", _WIDE, "dev", True),
    ("screenshots from 2019", "2019年的截图", everything(_SHOT, in_year(2019).rule), "test", True),
    ("documents from 2020", "2020年的文档", everything(_SCAN, in_year(2020).rule), "dev", True),
    ("panoramas taken in 2021", "2021年拍的全景图", everything(_WIDE, in_year(2021).rule), "test", True),
    ("videos", "视频", Is("video"), "dev", False),
    ("animated GIFs", "动图", Is("animation"), "test", False),
)


def times_and_things(language: Language) -> Iterator[Ask]:
    """Common things at any time, special things in years of their own; unanswerable in all other years."""
    common = [c for c in concepts().values() if c.scope == "common" and c.files]
    other: Language = "zh" if language == "en" else "en"
    for at, when in enumerate(_half(phrases.TIMES, other)):
        if _is_long(when):
            for concept in common[at % 3 :: 3]:
                if concept.side == when.side:
                    filled = _thing(concept.name, language) | _time(when, language)
                    rule = everything(Shows(concept.name), when.rule)
                    yield Ask(rule, when.side, True, filled, subject=when.english)
    for name, (towns, years) in cast().items():
        if not _is_leaf(name) or name in SEASONAL:
            continue
        seen = years | {stay.first.year for stay in STAYS if stay.town in towns}
        for year in YEARS[1:-1]:
            when = in_year(year)
            if when.side == concepts()[name].side and (name in favourites(year) or year not in seen):
                filled = _thing(name, language) | _time(when, language)
                yield Ask(everything(Shows(name), when.rule), when.side, year in seen, filled, subject=name)


def places_and_things(language: Language) -> Iterator[Ask]:
    for name, (towns, _) in cast().items():
        side = concepts()[name].side
        for town in TOWNS.values():
            if town.name == HOME or town.side != side or not _is_leaf(name) or name in SEASONAL:
                continue
            if town.name in towns and name not in favourites(town.name):
                continue
            filled = _thing(name, language) | _place(town.name, language)
            rule = everything(Shows(name), In(town.name))
            yield Ask(rule, side, town.name in towns, filled, subject=name)


def times_and_places(language: Language) -> Iterator[Ask]:
    for stay in STAYS:
        town = TOWNS[stay.town]
        for when in times_of(stay, town.side):
            filled = _time(when, language) | _place(town.name, language)
            yield Ask(
                everything(when.rule, In(town.name)), town.side, True, filled, subject=f"{town.name} {stay.first}"
            )
    for where, when in _not_then():
        filled = _time(when, language) | _place(where, language)
        yield Ask(everything(when.rule, In(where)), TOWNS[where].side, False, filled, subject=where)


def times_places_things(language: Language) -> Iterator[Ask]:
    """Unanswerable: the right thing and place in a wrong year, or the right journey and a thing not seen on it."""
    for stay in STAYS:
        town = TOWNS[stay.town]
        for name, (towns, _) in cast().items():
            seen = town.name in towns
            if not _is_leaf(name) or concepts()[name].side != town.side or name in SEASONAL:
                continue
            if seen and name not in favourites(town.name):
                continue
            for when in times_of(stay, town.side):
                filled = _thing(name, language) | _time(when, language) | _place(town.name, language)
                rule = everything(Shows(name), when.rule, In(town.name))
                yield Ask(rule, town.side, seen, filled, subject=f"{town.name} {stay.first}" if seen else name)
    for where, when in _not_then():
        for name, (towns, _) in cast().items():
            if where in towns and _is_leaf(name):
                filled = _thing(name, language) | _time(when, language) | _place(where, language)
                rule = everything(Shows(name), when.rule, In(where))
                yield Ask(rule, TOWNS[where].side, False, filled, subject=name)


def _not_then() -> Iterator[tuple[str, When]]:
    """A town and a year without a journey to it."""
    for town in TOWNS:
        visited = {day for stay in STAYS if stay.town == town for day in (stay.first.year, stay.last.year)}
        yield from ((town, in_year(year)) for year in YEARS[1:-1] if town != HOME and year not in visited)


@cache
def _is_leaf(name: str) -> bool:
    """No other thing is one too, so that where the story does not let it be none is."""
    return not any(name in called(other) for other in concepts() if other != name)


def _is_long(when: When) -> bool:
    """Long enough for a common thing to be seen in it for sure."""
    return all((part.end - part.start).days >= 80 for part in when.rule.parts if isinstance(part, Taken))


def _half(times: Sequence[When], language: Language) -> Sequence[When]:
    return times[0 if language == "en" else 1 :: 2]


def _thing(name: str, language: Language) -> dict[str, str]:
    return {"a": one(name), "s": plural(name)} if language == "en" else {"a": concepts()[name].chinese}


def _other(name: str, language: Language) -> dict[str, str]:
    return {"b": one(name), "bs": plural(name)} if language == "en" else {"b": concepts()[name].chinese}


def _absent(absent: phrases.Absent, language: Language) -> dict[str, str]:
    return {"a": one(absent.english), "s": plural(absent.english)} if language == "en" else {"a": absent.chinese}


def _time(when: When, language: Language) -> dict[str, str]:
    return {"t": when.english if language == "en" else when.chinese}


def _place(town: str, language: Language) -> dict[str, str]:
    english = "New York" if town == "New York City" else town
    return {"p": english if language == "en" else TOWNS[town].chinese}
