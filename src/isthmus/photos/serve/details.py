"""All that the library knows of one photo, for the page's full view."""

import os
from collections.abc import Sequence
from functools import cache

from isthmus.photos.facts import BEST, KINDS, kinds_of, load_facts, pages, with_document
from isthmus.photos.metadata import Precision
from isthmus.photos.query import Query
from isthmus.photos.query.gazetteer import gazetteer
from isthmus.photos.query.model import Camera, Chip, Kind, Names, Places, Text, Time
from isthmus.photos.query.nearest import nearest
from isthmus.photos.serve.answers import (
    Box,
    BriefAnswer,
    FileAnswer,
    Language,
    MatchAnswer,
    NamedAnswer,
    PersonAnswer,
    PhotoAnswer,
    PlaceAnswer,
)
from isthmus.photos.serve.originals import files_of
from isthmus.photos.serve.parts import BOXES
from isthmus.photos.serve.told_paths import raw, shown
from isthmus.photos.store import Library
from isthmus.photos.text.find import matches
from isthmus.photos.text.lines import Line

LETTERS: dict[Precision, int] = {"second": 19, "day": 10, "month": 7, "year": 4}
"""Of an ISO 8601 time that are known."""


def photo_answer(library: Library, photo: int, query: Query, language: Language) -> PhotoAnswer | None:
    """None where there is no such photo, or all its files are marked gone. `query`: what it was found by."""
    files = files_of(library, photo)
    if not files:
        return None
    width, height = library.query("SELECT width, height FROM photos WHERE id = ?", (photo,))[0]
    rows = library.query(
        f"""SELECT t.taken, t.precision, t.taken_from, t."offset", t.latitude, t.longitude, t.altitude, t.code, t.maker,
            t.model, t.lens, t.rating, t.title, t.caption, t.kinds
        FROM files f JOIN facts t ON t.file = f.id WHERE f.photo = ? AND f.gone_at IS NULL ORDER BY {BEST}""",
        (photo,),
    )
    tags = library.query(
        """SELECT DISTINCT t.kind, t.value, t.x, t.y, t.w, t.h FROM files f JOIN tags t ON t.file = f.id
        WHERE f.photo = ? AND f.gone_at IS NULL ORDER BY t.rowid""",
        (photo,),
    )
    taken, precision, taken_from, offset, latitude, longitude, altitude, code, maker, model, lens, rating, *_ = (
        rows[0] if rows else (None,) * 15
    )
    place = None
    if latitude is not None and longitude is not None:
        name = place_name(latitude, longitude, language)
        place = PlaceAnswer(latitude=latitude, longitude=longitude, altitude=altitude, name=name)
    people: dict[str, PersonAnswer] = {}
    for kind, value, x, y, w, h in tags:
        if kind == "person" and (value not in people or people[value].box is None):
            box = Box(x=x, y=y, w=w, h=h) if None not in (x, y, w, h) else None
            people[value] = PersonAnswer(name=value, box=box)
    kinds = with_document(kinds_of(rows[0][14] if rows else 0), bool(pages(library, [photo])))
    answer = PhotoAnswer(
        photo=photo,
        width=width,
        height=height,
        taken=taken[: LETTERS[precision or "second"]] if taken else None,
        taken_from=taken_from,
        offset=offset,
        place=place,
        camera=camera_name(maker or "", model or ""),
        lens=lens or "",
        rating=rating,
        # What one copy does not say, another may.
        title=next((row[12] for row in rows if row[12]), ""),
        caption=next((row[13] for row in rows if row[13]), ""),
        keywords=list(dict.fromkeys(value for kind, value, *_ in tags if kind == "keyword")),
        people=list(people.values()),
        named=named_in(library, photo),
        kinds=[kind for kind in KINDS if kind in kinds],
        files=[
            FileAnswer(path=shown(file.path), raw=raw(file.path), bytes=file.size, there=file.there) for file in files
        ],
        matches=[],
    )
    found = []
    for at, chip in enumerate(query.chips):
        lines = read_there(library, photo, chip)
        if by := " / ".join(line.text for line in lines) or reason(chip, answer, code or ""):
            boxes = [Box(x=line.x, y=line.y, w=line.w, h=line.h) for line in lines]
            found.append(MatchAnswer(chip=at, label=chip.label, by=by, boxes=boxes))
    return answer.model_copy(update={"matches": found})


def named_in(library: Library, photo: int) -> list[NamedAnswer]:
    rows = library.query(
        """SELECT n.name, m.part,
            EXISTS (SELECT 1 FROM examples e WHERE e.name = n.id AND e.photo = m.photo AND NOT e.wrong)
        FROM named m JOIN names n ON n.id = m.name WHERE m.photo = ? ORDER BY n.name""",
        (photo,),
    )
    return [
        NamedAnswer(name=name, box=BOXES[part] if part >= 0 else None, example=bool(example))
        for name, part, example in rows
    ]


def reason(chip: Chip, photo: PhotoAnswer, code: str) -> str:
    """What is known of the photo that satisfies the chip; "" where the chip is no condition, or a denied one."""
    if chip.negative:
        return ""
    match chip.value:
        case Time():
            return photo.taken or ""
        case Places():
            return (photo.place.name if photo.place else "") or code
        case Names(any_of):
            wanted = {name.lower() for name in any_of}
            there = dict.fromkeys([each.name for each in photo.people] + [each.name for each in photo.named])
            return ", ".join(name for name in there if name.lower() in wanted)
        case Camera():
            return photo.camera
        case Kind():
            return ", ".join(photo.kinds) or "photo"
        case Text(text):
            said = (photo.title, photo.caption, *photo.keywords)
            return next((each for each in said if text.lower() in each.lower()), "")
        case _:
            return ""


def read_there(library: Library, photo: int, chip: Chip) -> tuple[Line, ...]:
    """The lines in the picture that hold a text that is asked for."""
    if chip.negative or not isinstance(chip.value, Text):
        return ()
    found = matches(library, chip.value.text, {photo}).get(photo)
    return found.lines if found else ()


def briefs(library: Library, photos: Sequence[int]) -> list[BriefAnswer]:
    """In the order asked for; a photo that is not there any more is left out."""
    facts, found = load_facts(library, photos), []
    for photo in photos:
        files = files_of(library, photo)
        if not files:
            continue
        there = [file for file in files if file.there]
        first = (there or files)[0].path
        found.append(
            BriefAnswer(
                photo=photo,
                name=shown(os.path.basename(first)),  # noqa: PTH119 - bytes
                path=shown(first),
                taken=facts.told_time(photo),
                there=bool(there),
            )
        )
    return found


def place_name(latitude: float, longitude: float, language: Language) -> str:
    """The town, with its country where the gazetteer has it; "" where none is near."""
    town = nearest(latitude, longitude, language)
    if town is None:
        return ""
    country = _countries(language).get(town.code.split(".")[0])
    if not country or country == town.name:
        return town.name
    return f"{country}{town.name}" if language == "zh" else f"{town.name}, {country}"


def camera_name(maker: str, model: str) -> str:
    """The maker once: many cameras say it in the model too."""
    return model if maker and model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()


@cache
def _countries(language: Language) -> dict[str, str]:
    return {place.code: place.name for place in gazetteer().countries(language)}
