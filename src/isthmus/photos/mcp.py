"""The photo library for chat clients: an MCP server of three tools, over stdin and stdout.

What a tool answers goes to the client, and from there to the model behind it, which may not be on this machine.
"""

import io
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from isthmus.errors import IsthmusError
from isthmus.photos.hits import Hit
from isthmus.photos.paths import readable
from isthmus.photos.query import explain
from isthmus.photos.report import coverage
from isthmus.photos.search import Searcher, check_query
from isthmus.photos.source import NotThere, Source

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.contrastive.words import WordsFirst
    from isthmus.photos.store import Library

T = TypeVar("T")

MOST = 100
"""Photos an answer."""
LARGEST = 1536
"""Pixels of a shown photo's longer side."""
READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

INSTRUCTIONS = """Searches the photos on this machine. Give search_photos the user's own words, in English or Chinese,
with times and places as they said them: "a red car in Paris last summer", "去年春节在上海拍的烟花", "screenshots from
2021", "beach without people", 'a sign that says "NO PARKING"'. Look at read_as to see how the sentence was understood,
and at sure: photos beyond the first of them may show something else."""


class FoundPhoto(BaseModel):
    """One result."""

    photo: int = Field(description="Its number in the library, for look_at_photo.")
    path: str
    sure: bool | None = Field(description="Whether it surely shows the words; null where the sentence has none.")
    taken: str | None = Field(description="Local time, ISO 8601, as exactly as it is known.")
    width: int
    height: int
    copies: int = Field(description="Other files with the same content.")
    available: bool = Field(description="False where its drive is not there now.")


class Answer(BaseModel):
    """What a sentence was read as, and what was found."""

    read_as: str
    fitting: int = Field(description="Photos that satisfy the conditions of the sentence.")
    sure: int | None = Field(description="How many of them surely show its words; they come first.")
    photos: list[FoundPhoto]
    next_start: int | None = Field(description="Where to go on from; null where there are no more.")


class Status(BaseModel):
    """What the library holds."""

    photos: int
    files: int
    unread: int
    text_read: int
    folders: list[str]


def server(library: "Library", load: "Callable[[], Embedder | WordsFirst] | None") -> MCPServer:
    """`load` gives the model that serves, when the first words come and where another comes to serve; None where the
    library has no vectors."""
    searcher, tried = Searcher(library, None), ""
    app = MCPServer("isthmus-photos", title="Photos on this machine", instructions=INSTRUCTIONS, log_level="WARNING")

    @app.tool(title="Search photos", annotations=READS)
    def search_photos(
        sentence: Annotated[str, Field(min_length=1, max_length=1000, description="What to look for.")],
        count: Annotated[int, Field(ge=1, le=MOST)] = 10,
        start: Annotated[int, Field(ge=0, le=1_000_000)] = 0,
    ) -> Answer:
        """Photos by what they show, when and where and with which camera they were taken, their kind, text in them."""

        def answer() -> Answer:
            nonlocal searcher, tried
            check_query(sentence, count)
            query = searcher.read(sentence)
            if query.needs_model:
                if load is None:
                    raise ToolError("no photos are indexed yet; the user can: isthmus photos index FOLDER")
                model = library.serving()
                serving = model.fingerprint if model else ""
                if searcher.embedder is None or serving not in (searcher.embedder.fingerprint, tried):
                    searcher, tried = Searcher(library, load()), serving
            ranking = searcher.rank(query)
            hits, place = searcher.page(ranking, start, count)
            return Answer(
                read_as=explain(query),
                fitting=ranking.fitting,
                sure=ranking.sure,
                photos=[_found(hit, ranking.sure) for hit in hits],
                next_start=place if place < ranking.fitting and hits else None,
            )

        return _told(answer)

    @app.tool(title="Look at a photo", annotations=READS)
    def look_at_photo(
        photo: Annotated[int, Field(ge=1, description="Its number, from search_photos.")],
        size: Annotated[int, Field(ge=64, le=LARGEST, description="Pixels of the longer side.")] = 768,
    ) -> Image:
        """The photo itself, upright and scaled down."""
        return _told(lambda: Image(data=_jpeg(library, photo, size), format="jpeg"))

    @app.tool(title="Library status", annotations=READS)
    def library_status() -> Status:
        """How many photos are indexed, and from which folders."""

        def answer() -> Status:
            found = coverage(library)
            folders = [readable(root.path) for root in found.roots]
            unread = sum(found.unread.values())
            return Status(
                photos=found.photos, files=found.known, unread=unread, text_read=found.text_read, folders=folders
            )

        return _told(answer)

    return app


def _told(answer: Callable[[], T]) -> T:
    """What is wrong, in one line to the client."""
    try:
        return answer()
    except IsthmusError as error:
        raise ToolError(str(error)) from error


def _found(hit: Hit, sure: int | None) -> FoundPhoto:
    return FoundPhoto(
        photo=hit.photo,
        path=readable(hit.path),
        sure=None if sure is None else hit.rank <= sure,
        taken=hit.taken,
        width=hit.width,
        height=hit.height,
        copies=len(hit.copies),
        available=hit.available,
    )


def _jpeg(library: "Library", photo: int, size: int) -> bytes:
    shape = library.query("SELECT width, height FROM photos WHERE id = ?", (photo,))
    if not shape:
        raise ToolError(f"there is no photo {photo}; search_photos gives their numbers")
    width, height = shape[0]
    try:
        # Enough of the shorter side that the longer one has `size`.
        picture = Source(library).picture(photo, max(1, math.ceil(size * min(width, height) / max(width, height))))
    except NotThere as error:
        raise ToolError(f"photo {photo} cannot be opened now: {error.reason}") from error
    image = picture.image
    scale = min(1.0, size / max(image.size))
    if scale < 1:
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    packed = io.BytesIO()
    image.convert("RGB").save(packed, "JPEG", quality=85)
    return packed.getvalue()
