"""A page's own files, held in memory: what is served is this list, whatever path a request has."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

MEDIA = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}

SHARED = "isthmus.http"
"""What all pages have is in its folder `page`."""


@dataclass(frozen=True)
class PageFile:
    data: bytes
    media: str
    etag: str


@cache
def page_files(package: str) -> dict[str, PageFile]:
    """Those in the folder `page` of a package, by name; the media type does not depend on what the system takes `.js`
    for."""
    found = {}
    for place in (SHARED, package):
        for each in files(place).joinpath("page").iterdir():
            ending = each.name.rpartition(".")[2]
            if ending in MEDIA:
                data = each.read_bytes()
                found[each.name] = PageFile(data, MEDIA[ending], f'"{sha256(data).hexdigest()[:32]}"')
    return found


def page_file(package: str, name: str, request: Request) -> Response | None:
    """The file of that name; None where there is none."""
    file = page_files(package).get(name)
    if file is None:
        return None
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.media, headers=headers)
