"""The page's own files, held in memory: what is served is this list, whatever path a request has."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

MEDIA = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    data: bytes
    media: str
    etag: str


@cache
def page_files() -> dict[str, PageFile]:
    """By name; the media type does not depend on what the system takes `.js` for."""
    found = {}
    for each in files("isthmus.photos.serve").joinpath("page").iterdir():
        ending = each.name.rpartition(".")[2]
        if ending in MEDIA:
            data = each.read_bytes()
            found[each.name] = PageFile(data, MEDIA[ending], f'"{sha256(data).hexdigest()[:32]}"')
    return found
