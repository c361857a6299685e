"""The routes: the page, and the API that it and other programs ask. OpenAPI at /openapi.json."""

import logging
import secrets
from typing import Annotated, Any, Literal, cast

from fastapi import Body, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException

from isthmus import __version__
from isthmus.errors import CorruptLibrary, InputError, InUse, IsthmusError, PictureError
from isthmus.http.page_files import page_file
from isthmus.http.secret import Secret, cookie_of
from isthmus.photos import paths
from isthmus.photos.naming import LONGEST as LONGEST_NAME
from isthmus.photos.pointed import Given, PhotoPart
from isthmus.photos.report import count_photos
from isthmus.photos.serve.answers import (
    BriefsAnswer,
    MapAnswer,
    ModelAnswer,
    NameAnswer,
    NamesAnswer,
    PhotoAnswer,
    Problem,
    ProblemAnswer,
    RootAnswer,
    SearchAnswer,
    StatusAnswer,
    TimelineAnswer,
)
from isthmus.photos.serve.asked import AREA, PART, Asked, bounds, read
from isthmus.photos.serve.asked import part as asked_part
from isthmus.photos.serve.clusters import clusters
from isthmus.photos.serve.describe import answered
from isthmus.photos.serve.details import briefs, photo_answer
from isthmus.photos.serve.engine import Engine, ModelNotReady
from isthmus.photos.serve.guard import LARGEST_PICTURE, Guard
from isthmus.photos.serve.originals import read_original
from isthmus.photos.serve.sent import MOST, listed_as_csv, listed_as_json, original, zipped
from isthmus.photos.serve.thumbnails import Size
from isthmus.photos.serve.timeline import timeline
from isthmus.photos.serve.told_paths import shown
from isthmus.photos.walk import NOT_A_FILE, SIDECAR

EXAMPLES = 24
"""Of a name, at once."""

BRIEFS = 200
"""Photos whose tiles are described at once."""

LIST = r"^\d{1,18}(?:,\d{1,18})*$"
HIGHEST = 2**63 - 1

PhotoId = Annotated[int, Path(ge=1, le=HIGHEST, description="The photo's number in the library.")]
Limit = Annotated[int | None, Query(ge=1, le=10_000_000, description="At most so many photos. Default: all.")]

Part = Annotated[
    str | None, Query(pattern=PART, description="left,top,right,bottom in shares of the photo's sides, 0 to 1.")
]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemAnswer, "description": why}
    for code, why in {
        400: "What is asked cannot be answered.",
        401: "Without the secret of this start.",
        403: "From another page, or by another name of this server.",
        422: "A parameter is missing, unknown or out of range.",
        500: "The library is damaged, or this is a mistake of ours.",
        503: "The model is being loaded; ask again.",
    }.items()
}
BUSY: dict[int | str, dict[str, Any]] = {
    409: {"model": ProblemAnswer, "description": "Another process writes the library, say one that indexes."}
}
TOO_LARGE: dict[int | str, dict[str, Any]] = {
    413: {"model": ProblemAnswer, "description": f"More than {LARGEST_PICTURE >> 20} MB."}
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": ProblemAnswer, "description": "There is no such photo."}}

_log = logging.getLogger(__name__)


class SearchAsked(Asked):
    limit: int | None = Field(None, ge=1, le=10_000_000, description="At most so many photos. Default: all.")


class MapAsked(Asked):
    zoom: int = Field(1, ge=0, le=16, description="Of the map: the world is 256 points wide at 0, twice that at 1.")
    view: str | None = Field(
        None, pattern=AREA, description="Only what lies in south,west,north,east is answered; nothing is filtered."
    )


class PhotosAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    photos: Annotated[str, StringConstraints(max_length=19 * MOST, pattern=LIST)] = Field(
        description="Numbers of photos, with commas between."
    )

    def numbers(self, most: int) -> list[int]:
        found = [int(number) for number in self.photos.split(",")]
        if len(found) > most:
            raise InputError(f"{len(found)} photos are asked for at once", todo=f"ask for {most} at most")
        return found


class ListAsked(PhotosAsked):
    format: Literal["json", "csv"] = "json"


class SessionAsked(BaseModel):
    token: str = Field(max_length=100)


class ExampleAsked(BaseModel):
    """A photo, or a part of it."""

    model_config = ConfigDict(extra="forbid")

    photo: int = Field(ge=1, le=HIGHEST)
    part: str | None = Field(None, pattern=PART, description="left,top,right,bottom in shares of its sides, 0 to 1.")


class NameAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=LONGEST_NAME)


class TeachAsked(NameAsked):
    """`right` ones show it; in `wrong` ones it was found and is not."""

    right: list[ExampleAsked] = Field([], max_length=EXAMPLES)
    wrong: list[ExampleAsked] = Field([], max_length=EXAMPLES)


class RenameAsked(NameAsked):
    new: str = Field(max_length=LONGEST_NAME)


def make_app(engine: Engine, secret: Secret, port: int, *, exposed: bool = False) -> Guard:
    """What is served: the API, and before all of it, its mistakes too, the guard."""
    api = make_api(engine, secret, port)
    _describe_security(api)
    return Guard(api, secret, port, exposed=exposed)


def make_api(engine: Engine, secret: Secret, port: int) -> FastAPI:
    app = FastAPI(
        title="Isthmus photos",
        version=__version__,
        description="Search a photo library on this machine. Ask with the cookie that the page has, or with "
        "`Authorization: Bearer TOKEN`, the token being the one in the address that `isthmus photos serve` prints.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        responses=PROBLEMS,
    )
    # Of this start: numbers of photos mean something else in another library.
    version = secrets.token_hex(6)
    _answer_problems(app)

    @app.get("/", include_in_schema=False)
    def page(request: Request) -> Response:
        return _page_file(request, "index.html")

    @app.get("/page/{name}", include_in_schema=False)
    def file_of_page(request: Request, name: str) -> Response:
        return _page_file(request, name)

    @app.post("/api/session", status_code=204, tags=["page"])
    def begin_session(asked: SessionAsked) -> Response:
        """Exchange the token for a cookie."""
        if not secret.admits(asked.token):
            raise HTTPException(401, "this address is of another start of the server, or was opened before")
        answer = Response(status_code=204)
        answer.set_cookie(cookie_of(port), secret.token, httponly=True, samesite="strict", path="/")
        return answer

    @app.get("/api/search", tags=["photos"])
    def search(asked: Annotated[SearchAsked, Query()]) -> SearchAnswer:
        """All photos that fit, best first, with what a page needs to lay them out."""
        found = engine.results(asked)
        return _json(answered(engine, found, asked.order, version, asked.limit))

    @app.get("/api/timeline", tags=["photos"])
    def months(asked: Annotated[Asked, Query()]) -> TimelineAnswer:
        """How many of them were taken in which month. The filter `period` is not applied."""
        found = engine.results(asked.model_copy(update={"period": None}))
        return TimelineAnswer(periods=timeline(found.photos, engine.searcher.facts()))

    @app.get("/api/map", tags=["photos"])
    def places(asked: Annotated[MapAsked, Query()]) -> MapAnswer:
        """Where they were taken, near ones as one. The filter `area` is not applied."""
        view = bounds(asked.view) if asked.view else None
        found = engine.results(asked.model_copy(update={"area": None}))
        return clusters(found.photos, engine.searcher.facts(), asked.zoom, view)

    @app.get("/api/photos", tags=["photos"])
    def tiles(asked: Annotated[PhotosAsked, Query()]) -> BriefsAnswer:
        """Name and time of up to 200 photos."""
        return BriefsAnswer(photos=briefs(engine.library, asked.numbers(BRIEFS)))

    @app.get("/api/photos/{photo}", tags=["photos"], responses=NOT_FOUND)
    def details(photo: PhotoId, asked: Annotated[Asked, Query()]) -> PhotoAnswer:
        """All that is known of a photo, and why it was found by the sentence."""
        query = read(engine.searcher, asked)
        found = photo_answer(engine.library, photo, query, asked.language or query.language)
        if found is None:
            raise _no_photo(photo)
        return found

    @app.get("/api/photos/{photo}/similar", tags=["photos"], responses=NOT_FOUND)
    def similar(photo: PhotoId, limit: Limit = None, part: Part = None) -> SearchAnswer:
        """All photos by their likeness to this one, or to a part of it."""
        found = engine.alike(photo, None if part is None else asked_part(part))
        if found is None:
            raise _no_photo(photo)
        return _json(answered(engine, found, "relevance", version, limit))

    @app.post("/api/like", tags=["photos"], responses=TOO_LARGE)
    def like(
        picture: Annotated[bytes, Body(media_type="application/octet-stream", description="A picture's file.")],
        limit: Limit = None,
    ) -> SearchAnswer:
        """All photos by their likeness to a picture that is sent along."""
        try:
            found = engine.like(Given(picture))
        except PictureError as error:  # of a photo it means that it is not there; of what was sent, a mistake
            raise InputError(error.what, why=error.why, todo=error.todo) from None
        return _json(answered(engine, found, "relevance", version, limit))

    @app.get(
        "/api/photos/{photo}/thumbnail",
        tags=["photos"],
        response_class=Response,
        responses={**NOT_FOUND, 200: {"content": {"image/webp": {}}}, 304: {"description": "Unchanged."}},
    )
    def thumbnail(request: Request, photo: PhotoId, size: Size = "tile", v: str | None = None) -> Response:
        """A picture of it as WebP: for a tile, or as large as a screen. 404 also where its file is away and it was
        never made."""
        rows = engine.library.query("SELECT hash FROM photos WHERE id = ?", (photo,))
        if not rows:
            raise _no_photo(photo)
        hash = rows[0][0]
        etag = f'"{hash.hex()[:32]}-{size}"'
        kept = "private, max-age=31536000, immutable" if v == version else "private, no-cache"
        headers = {"ETag": etag, "Cache-Control": kept}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        data = engine.thumbnails.get(hash, size, lambda: read_original(engine.library, photo))
        if data is None:
            raise HTTPException(404, "the photo's file is not there now, and no picture of it was kept")
        return Response(data, media_type="image/webp", headers=headers)

    @app.get(
        "/api/photos/{photo}/original",
        tags=["photos"],
        response_class=Response,
        responses={**NOT_FOUND, 200: {"content": {"image/*": {}}}},
    )
    def file(photo: PhotoId) -> Response:
        """The photo's file itself."""
        found = original(engine.library, photo)
        if found is None:
            raise HTTPException(404, "no file of this photo is there as it was indexed")
        return StreamingResponse(found[0], headers=found[1])

    @app.get(
        "/api/originals.zip",
        tags=["photos"],
        response_class=Response,
        responses={200: {"content": {"application/zip": {}}}},
    )
    def originals(asked: Annotated[PhotosAsked, Query()]) -> Response:
        """The files of up to 1,000 photos."""
        parts = zipped(engine.library, asked.numbers(MOST))
        headers = {"Content-Disposition": 'attachment; filename="photos.zip"'}
        return StreamingResponse(parts, media_type="application/zip", headers=headers)

    @app.get(
        "/api/list",
        tags=["photos"],
        response_class=Response,
        responses={200: {"content": {"application/json": {}, "text/csv": {}}}},
    )
    def listed(asked: Annotated[ListAsked, Query()]) -> Response:
        """Paths, sizes and times of up to 1,000 photos, as a file."""
        make, media = {"json": (listed_as_json, "application/json"), "csv": (listed_as_csv, "text/csv")}[asked.format]
        headers = {"Content-Disposition": f'attachment; filename="photos.{asked.format}"'}
        return Response(make(engine.library, asked.numbers(MOST)), media_type=media, headers=headers)

    @app.get("/api/names", tags=["names"])
    def names() -> NamesAnswer:
        """What is named, and in how many photos it was found."""
        return NamesAnswer(names=[NameAnswer(**vars(each)) for each in engine.names()])

    @app.post("/api/names", tags=["names"], responses=BUSY)
    def teach(asked: TeachAsked) -> NameAnswer:
        """Give examples of a person, a pet or a thing, new or known; all photos are looked through."""
        right, wrong = (
            [PhotoPart(engine.library, each.photo, asked_part(each.part) if each.part else None) for each in some]
            for some in (asked.right, asked.wrong)
        )
        return NameAnswer(**vars(engine.teach(asked.name, right, wrong)))

    @app.post("/api/names/rename", tags=["names"], responses=BUSY)
    def rename(asked: RenameAsked) -> NamesAnswer:
        """Call it otherwise from now on."""
        engine.rename(asked.name, asked.new)
        return names()

    @app.post("/api/names/forget", tags=["names"], responses=BUSY)
    def forget(asked: NameAsked) -> NamesAnswer:
        """Forget a name and its examples."""
        engine.forget(asked.name)
        return names()

    @app.get("/api/status", tags=["photos"])
    def status() -> StatusAnswer:
        """What is indexed, and whether the model is there."""
        pending, unread = engine.library.query(
            f"""SELECT coalesce(sum(photo IS NULL AND reason IS NULL), 0),
                coalesce(sum(reason IS NOT NULL AND reason <> '{SIDECAR}' AND size <> {NOT_A_FILE}), 0)
            FROM files WHERE gone_at IS NULL"""
        )[0]
        roots = engine.library.query("SELECT path FROM roots ORDER BY id")
        models = engine.library.models()
        embedder = engine.searcher.embedder
        state, problem = engine.model_state
        return StatusAnswer(
            isthmus=__version__,
            library=str(engine.library.folder),
            photos=count_photos(engine.library),
            pending=pending,
            unread=unread,
            roots=[RootAnswer(path=shown(path), there=paths.is_folder(path)) for (path,) in roots],
            model=ModelAnswer(
                name=embedder.name if embedder else models[0].name if models else None, state=state, problem=problem
            ),
        )

    return app


def _page_file(request: Request, name: str) -> Response:
    found = page_file("isthmus.photos.serve", name, request)
    if found is None:
        raise HTTPException(404, "there is no such page")
    return found


def _json(answer: SearchAnswer) -> SearchAnswer:
    """Written by pydantic at once: FastAPI, which takes a Response for any answer, would first check every number."""
    return cast(SearchAnswer, Response(answer.model_dump_json(), media_type="application/json"))


def _no_photo(photo: int) -> HTTPException:
    return HTTPException(404, f"there is no photo {photo}")


CODES = {400: "bad_request", 401: "no_session", 403: "forbidden", 404: "not_found", 405: "wrong_method", 409: "in_use",
         422: "bad_parameter", 500: "mistake", 503: "not_ready"}  # fmt: skip


def _problem(status: int, what: str, why: str = "", todo: str = "", headers: dict[str, str] | None = None) -> Response:
    code = CODES.get(status, "refused")
    answer = ProblemAnswer(error=Problem(code=code, what=what, why=why, todo=todo))
    return JSONResponse(answer.model_dump(), status, headers)


def _answer_problems(app: FastAPI) -> None:
    """Every one in the one shape."""

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> Response:
        return _problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    def bad_parameter(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return _problem(422, f"{where} is not as it should be", why=first["msg"])

    @app.exception_handler(IsthmusError)
    def told(_: Request, error: IsthmusError) -> Response:
        match error:
            case ModelNotReady():
                return _problem(503, error.what, error.why, error.todo, {"Retry-After": "1"})
            case InUse():
                return _problem(409, error.what, error.why, error.todo)
            case PictureError():
                return _problem(404, "the photo's file cannot be shown", error.reason, error.todo)
            case CorruptLibrary():
                return _problem(500, error.what, error.why, error.todo)
        return _problem(400, error.what, error.why, error.todo)

    @app.exception_handler(Exception)
    def mistake(_: Request, error: Exception) -> Response:
        _log.error("a request failed", exc_info=error)
        return _problem(500, "this is a mistake of ours", why=type(error).__name__)


def _describe_security(app: FastAPI) -> None:
    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"token": []}]
            schema["paths"]["/api/session"]["post"]["security"] = []
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
