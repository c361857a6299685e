"""The library for chat clients, asked by the official client: in the process, and over the pipes of a real one."""

import asyncio
import base64
import io
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

mcp = pytest.importorskip("mcp", reason="needs isthmus[mcp]")

from isthmus.contrastive import Embedder  # noqa: E402
from isthmus.photos import swap  # noqa: E402
from isthmus.photos.index import index  # noqa: E402
from isthmus.photos.mcp import server  # noqa: E402
from isthmus.photos.store import Library  # noqa: E402

from .fakes import ColourEmbedder, paint  # noqa: E402


@pytest.fixture
def library(tmp_path: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    for at in range(3):
        paint(tmp_path / f"p/201{at}-05-01.png", "red", seed=at)
    paint(tmp_path / "p/2020-05-01.png", "blue", (300, 200))
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
    with Library.read(tmp_path / "lib") as store:
        yield store


Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


def asked(target: object, talk: Callable[[Ask], Awaitable[None]]) -> None:
    async def run() -> None:
        async with mcp.Client(target, read_timeout_seconds=120) as client:
            await talk(client.call_tool)

    asyncio.run(run())


def test_a_client_searches_pages_and_looks(library: Library, embedder: ColourEmbedder) -> None:
    async def talk(ask: Ask) -> None:
        found = (await ask("search_photos", {"sentence": "something red"})).structured_content
        assert (found["fitting"], found["sure"], found["next_start"]) == (4, 3, None)
        assert [photo["sure"] for photo in found["photos"]] == [True, True, True, False]
        assert {Path(photo["path"]).stem for photo in found["photos"][:3]} == {f"201{at}-05-01" for at in range(3)}
        first = (await ask("search_photos", {"sentence": "photos from 2011 to 2020", "count": 2})).structured_content
        assert (first["sure"], first["next_start"], len(first["photos"])) == (None, 2, 2)
        rest = await ask("search_photos", {"sentence": "photos from 2011 to 2020", "count": 2, "start": 2})
        assert [photo["taken"] for photo in rest.structured_content["photos"]] == ["2011-05-01"]
        blue = first["photos"][0]
        (shown,) = (await ask("look_at_photo", {"photo": blue["photo"], "size": 96})).content
        picture = Image.open(io.BytesIO(base64.b64decode(shown.data)))
        assert (shown.mime_type, picture.format, picture.size) == ("image/jpeg", "JPEG", (96, 64))
        red, _, strong = picture.resize((1, 1)).getpixel((0, 0))
        assert strong > red + 100
        status = (await ask("library_status", {})).structured_content
        assert (status["photos"], status["files"], len(status["folders"])) == (4, 4, 1)

    asked(server(library, lambda: cast(Embedder, embedder)), talk)


def test_a_model_that_comes_to_serve_is_searched_with(
    library: Library, embedder: ColourEmbedder, tmp_path: Path
) -> None:
    loads: list[str] = []

    def load() -> Embedder:
        name = library.models()[0].name
        loads.append(name)
        return cast(Embedder, embedder if name == embedder.name else other)

    other = ColourEmbedder(name="test/other", fingerprint="ee" * 32)

    async def talk(ask: Ask) -> None:
        for _ in range(2):
            await ask("search_photos", {"sentence": "something red"})
        with Library.write(tmp_path / "lib") as store:
            swap.embed_all(store, other, quiet=True)
            swap.serve_with(store, other)
        for _ in range(2):
            found = (await ask("search_photos", {"sentence": "something red"})).structured_content
            assert (found["fitting"], found["sure"]) == (4, 3)

    asked(server(library, load), talk)
    assert loads == [embedder.name, other.name]


def test_what_is_wrong_is_said_in_one_line(library: Library, embedder: ColourEmbedder) -> None:
    async def talk(ask: Ask) -> None:
        for tool, given, said in (
            ("look_at_photo", {"photo": 99}, "there is no photo 99"),
            ("search_photos", {"sentence": "  "}, "the query is empty"),
            ("search_photos", {"sentence": ""}, "sentence"),
            ("search_photos", {"sentence": "red", "count": 10_000}, "count"),
        ):
            answer = await ask(tool, given)
            assert answer.is_error, tool
            assert said in answer.content[0].text

    asked(server(library, lambda: cast(Embedder, embedder)), talk)


def test_a_photo_that_is_away_is_said_to_be(library: Library, embedder: ColourEmbedder, tmp_path: Path) -> None:
    (tmp_path / "p/2020-05-01.png").unlink()

    async def talk(ask: Ask) -> None:
        found = (await ask("search_photos", {"sentence": "photos from 2020"})).structured_content
        assert found["photos"] == []
        answer = await ask("look_at_photo", {"photo": 4})
        assert answer.is_error
        assert "cannot be opened now: missing" in answer.content[0].text

    asked(server(library, lambda: cast(Embedder, embedder)), talk)


@pytest.mark.usefixtures("library")
def test_over_the_pipes_of_the_real_command(tmp_path: Path) -> None:
    command = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "isthmus.cli.main", "photos", "mcp", "--library", str(tmp_path / "lib")]
    )

    async def talk(ask: Ask) -> None:
        found = (await ask("search_photos", {"sentence": "photos from 2020"})).structured_content
        assert [Path(photo["path"]).stem for photo in found["photos"]] == ["2020-05-01"]

    asked(command, talk)
