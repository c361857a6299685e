"""A library with dated, placed and oddly named photos, and the app over it as its page asks it."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from isthmus.http.secret import Secret
from isthmus.photos.index import index
from isthmus.photos.serve.app import make_api, make_app
from isthmus.photos.serve.engine import Engine
from isthmus.photos.serve.guard import Guard
from isthmus.photos.serve.thumbnails import Thumbnails
from isthmus.photos.store import Library
from tests.chromium import CHROMIUM, FLAGS, needs_chromium

from ..fakes import ColourEmbedder, paint

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PORT = 8642
HERE = f"http://127.0.0.1:{PORT}"

NAMES = {
    "a/2019-07-04 red.png": "red",
    "a/2019-07-20 blue.jpg": "blue",
    "b/deep/2020-01-02 green.png": "green",
    "b/2021-12-25 yellow.webp": "yellow",
    "undated white.png": "white",
}
PARIS, ROME = (48.8566, 2.3522), (41.9028, 12.4964)


def placed(path: Path, colour: str, at: tuple[float, float], seed: int) -> Path:
    """A JPEG whose EXIF says where it was taken."""
    paint(path, colour, seed=seed)
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    for tag, ref, letters, degrees in ((2, 1, "NS", at[0]), (4, 3, "EW", at[1])):
        whole, rest = divmod(abs(degrees), 1)
        gps[ref] = letters[degrees < 0]
        gps[tag] = (whole, float(int(rest * 60)), rest * 60 % 1 * 60)
    with Image.open(path) as picture:
        picture.load()
        picture.save(path, exif=exif, quality=90)
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven photos, five by NAMES, one of Paris, one of Rome; and a library of them."""
    folder = tmp_path_factory.mktemp("made")
    for seed, (name, colour) in enumerate(NAMES.items()):
        paint(folder / "photos" / name, colour, seed=seed)
    placed(folder / "photos/2022-05-01 paris.jpg", "black", PARIS, 7)
    placed(folder / "photos/2022-05-02 rome.jpg", "black", ROME, 8)
    fill(folder / "lib", folder / "photos")
    return folder


@pytest.fixture
def photos(tmp_path: Path, made: Path) -> Path:
    """A copy of them that a test may change, as the library knows it."""
    for name in ("photos", "lib"):
        shutil.copytree(made / name, tmp_path / name)
    with closing(sqlite3.connect(tmp_path / "lib/library.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE roots SET path = ?", (os.fsencode(tmp_path / "photos"),))
    return tmp_path / "photos"


def fill(folder: Path, root: Path) -> None:
    with Library.write(folder) as store:
        index(store, [root], ColourEmbedder(), quiet=True)


@pytest.fixture
def library(tmp_path: Path, photos: Path) -> Iterator[Library]:  # noqa: ARG001 - copied together
    with Library.read(tmp_path / "lib") as store:
        yield store


@pytest.fixture
def engine(library: Library) -> Engine:
    """With its model loaded."""
    made = Engine(library, ColourEmbedder, Thumbnails(library.folder / "thumbnails"))
    made._get_ready()
    return made


@pytest.fixture
def secret() -> Secret:
    return Secret()


@pytest.fixture
def api(engine: Engine, secret: Secret) -> FastAPI:
    """Without its guard."""
    return make_api(engine, secret, PORT)


@pytest.fixture
def app(engine: Engine, secret: Secret) -> Guard:
    return make_app(engine, secret, PORT)


@pytest.fixture
def stranger(app: Guard) -> TestClient:
    """Who has no secret."""
    return TestClient(app, base_url=HERE, raise_server_exceptions=False)


@pytest.fixture
def page(stranger: TestClient, secret: Secret) -> TestClient:
    """As the page is after it was opened."""
    assert stranger.post("/api/session", json={"token": secret.once()}).status_code == 204
    return stranger


@pytest.fixture
def find(page: TestClient) -> Callable[..., dict[str, object]]:
    """/api/search with these parameters, answered."""

    def search(**asked: object) -> dict[str, object]:
        return told(page.get("/api/search", params=asked))

    return search


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    needs_chromium()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def told(answer: httpx.Response) -> dict:
    assert answer.status_code == 200, answer.text
    return answer.json()


def name_of(page: TestClient, photo: int) -> str:
    """The file's own name."""
    return Path(told(page.get(f"/api/photos/{photo}"))["files"][0]["path"]).name


def named(page: TestClient, ending: str) -> int:
    """The photo whose file's name ends so."""
    found = told(page.get("/api/search"))["photos"]
    return next(photo for photo in found if name_of(page, photo).endswith(ending))
