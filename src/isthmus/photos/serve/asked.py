"""What a request asks for: a sentence, what was changed on its chips, and the filters of timeline and map."""

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from isthmus.errors import InputError
from isthmus.images.views import Box
from isthmus.photos.facts import MONTH, YEAR, Facts, Mask
from isthmus.photos.query import Query, as_words, inverted, with_alternative, without
from isthmus.photos.query.explain import label_of
from isthmus.photos.query.model import Order
from isthmus.photos.search import Searcher

LONGEST = 500
"""Characters of a sentence."""

EDIT = r"^(?:(?:remove|invert|words):\d{1,3}|other:\d{1,3}:\d{1,3}|say:\d{1,3}:[\s\S]{1,200})$"
PERIOD = r"^(?:\d{4}(?:-(?:0[1-9]|1[0-2]))?|unknown)$"
NUMBER = r"-?\d{1,3}(?:\.\d{1,9})?"
AREA = rf"^{NUMBER},{NUMBER},{NUMBER},{NUMBER}$"

SHARE = r"(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?|\.\d{1,9})"
PART = rf"^{SHARE},{SHARE},{SHARE},{SHARE}$"

Edit = Annotated[str, Field(pattern=EDIT)]


class Asked(BaseModel):
    """Which photos, in which order. Without anything: all, the newest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: str = Field("", max_length=LONGEST, description="A sentence in English or Chinese.")
    edit: tuple[Edit, ...] = Field(
        (),
        max_length=32,
        description="Changes to the chips of the sentence, one after the other; chips are counted from 0. `remove:0`, "
        "`invert:0` (means the opposite), `words:0` (its words describe the picture), `other:0:1` (its second other "
        "reading), `say:0:in Rome` (what is said there instead).",
    )
    order: Order | None = Field(None, description="Instead of the order that the sentence asks for.")
    period: str | None = Field(
        None, pattern=PERIOD, description="Only photos of this year (2019), this month (2019-06), or of unknown time."
    )
    area: str | None = Field(
        None,
        pattern=AREA,
        description="Only photos taken in south,west,north,east (degrees). West may be greater than east.",
    )
    language: Literal["en", "zh"] | None = Field(None, description="Of the chips' labels. Default: the sentence's.")


def read(searcher: Searcher, asked: Asked) -> Query:
    """The sentence with its edits. Raises InputError for a chip that is not there."""
    query = searcher.read(asked.q)
    for edit in asked.edit:
        what, chip, *more = edit.split(":", 2)
        query = _edited(searcher, query, what, int(chip), more[0] if more else "")
    if asked.language is not None:
        chips = [replace(chip, label=label_of(chip.value, asked.language)) for chip in query.chips]
        query = replace(query, chips=tuple(chips))
    return query


def _edited(searcher: Searcher, query: Query, what: str, chip: int, more: str) -> Query:
    match what:
        case "remove":
            return without(query, chip)
        case "invert":
            return inverted(query, chip)
        case "words":
            return as_words(query, chip)
        case "other":
            return with_alternative(query, chip, int(more))
        case _:
            return said_instead(query, chip, searcher.read(more))


def said_instead(query: Query, chip: int, said: Query) -> Query:
    """The chips of another sentence in the place of one. They keep the words that it came from."""
    fewer = without(query, chip)  # raises for a chip that is not there
    old = query.chips[chip]
    new = [replace(each, spans=old.spans, keep_words=False, alternatives=()) for each in said.chips]
    if not new:
        return fewer
    if old.negative:
        new = [replace(each, negative=True) for each in new]
    return replace(query, chips=(*query.chips[:chip], *new, *query.chips[chip + 1 :]))


def of_period(facts: Facts, period: str) -> Mask:
    """[N]: a photo known to the year alone is in 2019, and not in 2019-06."""
    if period == "unknown":
        return np.isnat(facts.taken)
    unit, precision = ("M", MONTH) if "-" in period else ("Y", YEAR)
    found: Mask = (facts.taken.astype(f"datetime64[{unit}]") == np.datetime64(period)) & (facts.precision <= precision)
    return found


def bounds(area: str) -> tuple[float, float, float, float]:
    """South, west, north, east in degrees. Raises InputError."""
    south, west, north, east = (float(number) for number in area.split(","))
    if not (-90 <= south <= north <= 90 and -180 <= west <= 180 and -180 <= east <= 180):
        raise InputError(f"{area} is no area", why="south,west,north,east in degrees", todo="give 40,-5,45,5, say")
    return south, west, north, east


def part(said: str) -> Box:
    """ "left,top,right,bottom" in shares of a photo's sides. Raises InputError."""
    left, top, right, bottom = (float(number) for number in said.split(","))
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InputError(f"{said} is no part of a photo", why="it has no inside", todo="give left,top,right,bottom")
    return Box(left, top, right, bottom)


def within(facts: Facts, area: tuple[float, float, float, float]) -> Mask:
    """[N]; False where it is not known where a photo was taken."""
    south, west, north, east = area
    east_of, west_of = facts.longitude >= west, facts.longitude <= east
    across = (east_of & west_of) if west <= east else (east_of | west_of)
    found: Mask = (facts.latitude >= south) & (facts.latitude <= north) & across
    return found
