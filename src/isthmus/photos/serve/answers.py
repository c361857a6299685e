"""The shapes of the API's answers, and from them its OpenAPI description. Every text is Unicode that JSON can hold."""

from typing import Literal

from pydantic import BaseModel, Field

from isthmus.photos.query.model import ChipKind

Language = Literal["en", "zh"]


class Problem(BaseModel):
    """What went wrong. `code` is a stable word for programs."""

    code: str
    what: str
    why: str = ""
    todo: str = ""


class ProblemAnswer(BaseModel):
    """Every answer that is no success has this shape."""

    error: Problem


class ChipAnswer(BaseModel):
    """A part of the sentence as it was read. `text`: the words it came from."""

    kind: ChipKind
    label: str
    text: str
    negative: bool
    note: str
    alternatives: list[str]
    without: int | None = Field(description="Where nothing fits: how many photos would without this chip.")


class UnsureAnswer(BaseModel):
    """Words that look like a condition but were not understood; they describe the picture instead."""

    text: str
    reason: str


class GlossAnswer(BaseModel):
    """What Chinese words were taken for, where the model reads no Chinese: pairs, and words that are not known."""

    words: list[list[str]]
    unknown: list[str]


class QueryAnswer(BaseModel):
    sentence: str
    language: Language
    words: str = Field(description="What the pictures are compared with; empty where the photos are ordered by time.")
    order: Literal["newest", "oldest", "relevance"]
    chips: list[ChipAnswer]
    unsure: list[UnsureAnswer]
    gloss: GlossAnswer | None


class Box(BaseModel):
    """Left top corner, width and height, as shares (0 to 1) of the upright picture's sides."""

    x: float
    y: float
    w: float
    h: float


class SearchAnswer(BaseModel):
    """A whole ranking as columns: entry i of each list is of the i-th photo."""

    query: QueryAnswer
    count: int = Field(description="Photos found, of which `photos` has the first ones.")
    fitting: int = Field(description="Photos that satisfy the conditions, before period and area.")
    total: int = Field(description="Photos in the library.")
    sure: int | None = Field(description="How many from the top are surely meant; null where that is not known.")
    version: str = Field(description="For `thumbnail?v=`: with it, a thumbnail may be kept for ever.")
    photos: list[int]
    widths: list[int]
    heights: list[int]
    colours: list[int] = Field(description="Mean colour, 0xRRGGBB; -1 where it is not known yet.")
    scores: list[float] | None = Field(description="Cosines; null where nothing was compared.")
    parts: list[int] | None = Field(
        description="Which of `boxes` was nearest to the words, -1 for the whole photo; null where none was."
    )
    boxes: list[Box]


class PersonAnswer(BaseModel):
    name: str
    box: Box | None


class NamedAnswer(BaseModel):
    """What a name was given to, in this photo. `box`: the part that shows it, where that is known; `example`: this was
    said, not found."""

    name: str
    box: Box | None
    example: bool


class PlaceAnswer(BaseModel):
    latitude: float
    longitude: float
    altitude: float | None
    name: str = Field(description="The town it lies in or near; empty where none is near.")


class FileAnswer(BaseModel):
    path: str = Field(description="Bytes that are no UTF-8 are written \\xNN.")
    raw: str | None = Field(description="The path's bytes in Base64, where they are no UTF-8.")
    bytes: int
    there: bool = Field(description="False where it, or the drive it is on, is not there now.")


class MatchAnswer(BaseModel):
    """Why a photo satisfies a chip: what is known of it."""

    chip: int
    label: str
    by: str
    boxes: list[Box] = Field(description="Where in the picture, where that is known.")


class PhotoAnswer(BaseModel):
    """All that is known of a photo. `taken`: ISO 8601, local wall time, as exactly as it is known ("2018-05");
    `offset`: minutes east of UTC."""

    photo: int
    width: int
    height: int
    taken: str | None
    taken_from: str | None
    offset: int | None
    place: PlaceAnswer | None
    camera: str
    lens: str
    rating: int | None
    title: str
    caption: str
    keywords: list[str]
    people: list[PersonAnswer]
    named: list[NamedAnswer]
    kinds: list[str]
    files: list[FileAnswer]
    matches: list[MatchAnswer]


class BriefAnswer(BaseModel):
    """What a tile says. `there`: whether any of its files is there now."""

    photo: int
    name: str
    path: str
    taken: str | None
    there: bool


class BriefsAnswer(BaseModel):
    photos: list[BriefAnswer]


class NameAnswer(BaseModel):
    """A person, pet or thing. `examples` show it, `wrong` ones do not; it was found in `photos`, the examples among
    them."""

    name: str
    examples: int
    wrong: int
    photos: int


class NamesAnswer(BaseModel):
    names: list[NameAnswer]


class PeriodAnswer(BaseModel):
    """`period`: a month (2019-06), a year of photos known to the year alone (2019), or "unknown". `first`: the place of
    its first photo in the ranking, from 0."""

    period: str
    count: int
    first: int


class TimelineAnswer(BaseModel):
    """Months in order of time, the unknown last."""

    periods: list[PeriodAnswer]


class ClusterAnswer(BaseModel):
    """Photos near each other. `photo`: the one that comes first in the ranking."""

    count: int
    photo: int
    latitude: float
    longitude: float
    south: float
    west: float
    north: float
    east: float


class MapAnswer(BaseModel):
    """`placed`: photos of the ranking with coordinates; `clusters`: the largest first."""

    placed: int
    clusters: list[ClusterAnswer]


class RootAnswer(BaseModel):
    path: str
    there: bool


class ModelAnswer(BaseModel):
    name: str | None
    state: Literal["none", "loading", "ready", "failed"]
    problem: str


class StatusAnswer(BaseModel):
    """`pending`: files that wait to be read; `unread`: files that could not be."""

    isthmus: str
    library: str
    photos: int
    pending: int
    unread: int
    roots: list[RootAnswer]
    model: ModelAnswer
