"""Thumbnails: WebP of the right content, made once, kept within bounds, whole or not at all."""

import os
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.errors import PictureError
from isthmus.photos.serve.colours import RECORD, UNKNOWN, Colours
from isthmus.photos.serve.thumbnails import SCREEN, TILE, Thumbnails, fitted
from isthmus.photos.serve.tiles import Tiles
from isthmus.photos.store import Library

HASH = bytes(range(32))


def jpeg(width: int, height: int, colour: tuple[int, int, int] = (200, 30, 40), **more: object) -> bytes:
    made = BytesIO()
    Image.new("RGB", (width, height), colour).save(made, "JPEG", **more)
    return made.getvalue()


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    picture = Image.open(BytesIO(data))
    assert picture.format == "WEBP"
    return picture


def test_a_tile_has_its_shorter_side_and_a_full_view_its_longer_one(tmp_path: Path) -> None:
    made = Thumbnails(tmp_path)
    assert opened(made.get(HASH, "tile", lambda: jpeg(4000, 3000))).size == (427, TILE)
    assert opened(made.get(HASH, "screen", lambda: jpeg(4000, 3000))).size == (SCREEN, 1440)


@pytest.mark.parametrize(("size", "fits"), [((20, 10), (20, 10)), ((12000, 300), (1280, 32)), ((1, 9000), (1, 1280))])
def test_nothing_is_enlarged_and_nothing_is_endless(size: tuple[int, int], fits: tuple[int, int]) -> None:
    assert fitted(*size, "tile") == fits


def test_it_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    assert opened(Thumbnails(tmp_path).get(HASH, "tile", lambda: jpeg(800, 400, exif=exif))).size == (TILE, 640)


def test_it_is_made_once_and_then_read(tmp_path: Path) -> None:
    first = Thumbnails(tmp_path).get(HASH, "tile", lambda: jpeg(640, 480))

    def away() -> bytes | None:
        raise AssertionError("the original was asked for again")

    assert Thumbnails(tmp_path).get(HASH, "tile", away) == first
    assert (tmp_path / "00" / f"{HASH.hex()[2:]}.webp").read_bytes() == first


def test_without_an_original_there_is_none(tmp_path: Path) -> None:
    assert Thumbnails(tmp_path).get(HASH, "tile", lambda: None) is None
    assert not list(tmp_path.rglob("*.webp"))


@pytest.mark.parametrize("damage", [b"", b"RIFF", b"<svg onload=alert(1)>"])
def test_what_is_not_whole_is_made_again(tmp_path: Path, damage: bytes) -> None:
    made = Thumbnails(tmp_path)
    first = made.get(HASH, "tile", lambda: jpeg(640, 480))
    made.path(HASH, "tile").write_bytes(damage)
    assert made.get(HASH, "tile", lambda: jpeg(640, 480)) == first


@pytest.mark.parametrize("data", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"", b"\xff\xd8\xff\xe0 cut"])
def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(PictureError):
        Thumbnails(tmp_path).get(HASH, "tile", lambda: data)
    assert not list(tmp_path.rglob("*.webp"))


def test_two_that_ask_at_once_have_it_made_once(tmp_path: Path) -> None:
    made, asked, go = Thumbnails(tmp_path, threads=4), [], threading.Event()

    def original() -> bytes:
        asked.append(1)
        go.wait(10)
        return jpeg(64, 48)

    answers: list[bytes | None] = []
    threads = [threading.Thread(target=lambda: answers.append(made.get(HASH, "tile", original))) for _ in range(6)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert len(set(answers)) == 1


def test_the_least_used_go_when_there_is_too_much(tmp_path: Path) -> None:
    hashes = [bytes([n]) * 32 for n in range(8)]
    data = {hash: jpeg(640, 480, (n * 30, 90, 255 - n * 30)) for n, hash in enumerate(hashes)}
    size = len(Thumbnails(tmp_path / "measure").get(hashes[0], "tile", lambda: data[hashes[0]]) or b"")
    made = Thumbnails(tmp_path / "kept", keep=5 * size)
    for at, hash in enumerate(hashes):
        made.get(hash, "tile", lambda hash=hash: data[hash])
        kept = made.path(hash, "tile")
        if kept.exists():
            os.utime(kept, (at, at))
    kept = {path for path in (tmp_path / "kept").rglob("*.webp")}
    assert 0 < sum(path.stat().st_size for path in kept) <= 5 * size
    assert made.path(hashes[-1], "tile") in kept
    assert made.path(hashes[0], "tile") not in kept
    assert not list((tmp_path / "kept").rglob(".new-*"))


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    made = Thumbnails(tmp_path / "file" / "thumbnails")
    assert opened(made.get(HASH, "tile", lambda: jpeg(640, 480))).size == (427, TILE)


def test_its_colour_is_remembered(tmp_path: Path) -> None:
    Thumbnails(tmp_path).get(HASH, "tile", lambda: jpeg(640, 480, (200, 30, 40)))
    known = Colours(tmp_path / "colours").of([HASH, bytes(32)])
    assert known[1] == UNKNOWN
    rgb = np.array([known[0] >> 16, known[0] >> 8 & 255, known[0] & 255])
    assert np.abs(rgb - (200, 30, 40)).max() <= 3


def test_a_record_cut_short_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "colours"
    Colours(path).add(b"a" * 32, 0x010203)
    with path.open("ab") as file:
        file.write(b"b" * 20)
    Colours(path).add(b"c" * 32, 0x040506)
    assert Colours(path).of([b"a" * 32, b"c" * 32]).tolist() == [0x010203, 0x040506]
    assert path.stat().st_size % RECORD == 0


def test_tiles_have_the_colours_that_came_since(made: Path, tmp_path: Path) -> None:
    colours = Colours(tmp_path / "colours")
    with Library.read(made / "lib") as library:
        photos = np.array([photo for (photo,) in library.query("SELECT id FROM photos ORDER BY id")])
        hashes = [hash for (hash,) in library.query("SELECT hash FROM photos ORDER BY id")]
        colours.add(hashes[1], 0x010203)
        tiles = Tiles(library, colours)
        sizes, found = tiles.of(photos[::-1])
        assert sizes.tolist() == [[64, 48]] * len(photos)
        assert found[::-1].tolist() == [UNKNOWN, 0x010203] + [UNKNOWN] * (len(photos) - 2)
        colours.add(bytes(32), 0x0A0B0C)  # of no photo here
        colours.add(hashes[0], 0x040506)
        assert tiles.of(photos[:2])[1].tolist() == [0x040506, 0x010203]
        sizes, found = tiles.of(np.array([photos[-1] + 1]))
        assert (sizes.tolist(), found.tolist()) == ([[1, 1]], [UNKNOWN])
