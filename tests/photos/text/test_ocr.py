"""PP-OCR reads what is drawn, on this machine alone."""

import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli.photos import app
from isthmus.errors import MissingPart
from isthmus.images.open import open_picture
from isthmus.photos.store import Library
from isthmus.photos.text.find import matches
from isthmus.photos.text.lines import Line

from ..fakes import ColourEmbedder, paint
from ..test_index import run
from .drawing import write

pytest.importorskip("rapidocr", reason="pip install 'isthmus[ocr]'")

from isthmus.photos.text import ocr as module
from isthmus.photos.text.ocr import Ocr


@pytest.fixture(scope="module")
def ocr() -> Ocr:
    return Ocr()


def lines(ocr: Ocr, path: Path) -> list[Line]:
    return list(ocr.read(open_picture(path, at_least=ocr.at_least)))


def said(ocr: Ocr, path: Path) -> list[str]:
    return ["".join(line.text.split()) for line in lines(ocr, path)]


def test_english_and_figures(ocr: Ocr, tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", "Boarding pass MU587", "Gate 23", "TOTAL 45.20")
    assert said(ocr, path) == ["BoardingpassMU587", "Gate23", "TOTAL45.20"]


def test_chinese(ocr: Ocr, tmp_path: Path) -> None:
    assert said(ocr, write(tmp_path / "a.png", "小心地滑", "取件码 8-3-2046")) == ["小心地滑", "取件码8-3-2046"]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_picture_that_the_camera_held_sideways(ocr: Ocr, tmp_path: Path, turn: int) -> None:
    straight = lines(ocr, write(tmp_path / "a.png", "Fresh bread"))
    turned = lines(ocr, write(tmp_path / "b.png", "Fresh bread", turn=turn))
    assert [line.text for line in turned] == [line.text for line in straight] == ["Fresh bread"]
    assert (turned[0].x, turned[0].y) == (straight[0].x, straight[0].y)


def test_the_box_is_where_the_line_is(ocr: Ocr, tmp_path: Path) -> None:
    (line,) = lines(ocr, write(tmp_path / "a.png", "", "", "", "Fresh bread", size=(3600, 2400), letters=120))
    assert 0 < line.x < 60 / 3600 + 0.01
    assert line.y == pytest.approx((60 + 6 * 120) / 2400, abs=0.03)
    assert 0.02 < line.h < 0.1
    assert 0.5 < line.confidence <= 1


def test_a_long_screenshot_is_read_to_its_end_each_line_once(ocr: Ocr, tmp_path: Path) -> None:
    texts = [f"message number {at}" for at in range(40, 80)]
    path = write(tmp_path / "a.png", *texts, size=(500, 40 * 56 + 120), letters=28)
    assert said(ocr, path) == ["".join(text.split()) for text in texts]


@pytest.mark.parametrize("size", [(1, 1), (7, 3000), (9, 900), (64, 48)])
def test_a_picture_without_text(ocr: Ocr, tmp_path: Path, size: tuple[int, int]) -> None:
    assert lines(ocr, paint(tmp_path / "a.png", "green", size=size)) == []


def test_nothing_goes_over_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert said(Ocr(), write(tmp_path / "a.png", "Fresh bread")) == ["Freshbread"]


def test_the_command(tmp_path: Path, embedder: ColourEmbedder) -> None:
    photos, lib = tmp_path / "p", str(tmp_path / "lib")
    write(photos / "sign.png", "NO PARKING")
    write(photos / os.fsdecode(b"bill \xff.png"), "Harbour Books", "TOTAL 45.20")
    paint(photos / "red.png", "red")
    assert CliRunner().invoke(app, ["text", "--library", lib]).exit_code != 0
    run(Path(lib), photos, embedder=embedder)
    done = CliRunner().invoke(app, ["text", "--library", lib, "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["read"], told["with_text"], told["lines"], told["left"]) == (3, 2, 3, 0)
    with Library.read(Path(lib)) as store:
        assert len(matches(store, "harbour books")) == len(matches(store, "noparking")) == 1
    status = CliRunner().invoke(app, ["status", "--library", lib])
    assert "text read in 3 of 3 photos" in status.stdout


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(MissingPart, match=r"isthmus\[ocr\]"):
        Ocr()
