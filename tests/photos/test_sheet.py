"""The contact sheet: every hit in its square, also where a photo is not there or a name is strange."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.errors import InputError
from isthmus.photos.hits import Hit
from isthmus.photos.sheet import CELL, LABEL, MARGIN, TITLE, write_sheet

from .fakes import COLOURS, paint


def hit(rank: int, path: Path | str) -> Hit:
    return Hit(rank, rank, 0.5, str(path), 64, 48)


def square(sheet: Path, column: int, row: int) -> np.ndarray:
    from isthmus.photos.sheet import GAP

    left, top = MARGIN + column * (CELL + GAP), MARGIN + TITLE + row * (CELL + LABEL + GAP)
    return np.asarray(Image.open(sheet))[top : top + CELL, left : left + CELL].astype(int)


def test_each_photo_is_whole_in_its_square_in_the_order_of_rank(tmp_path: Path) -> None:
    colours = list(COLOURS)[:6]
    hits = [hit(at + 1, paint(tmp_path / f"{name}.png", name, size=(600, 300))) for at, name in enumerate(colours)]
    assert write_sheet(hits, "six colours", tmp_path / "sheet.png") == []
    for at, name in enumerate(colours):
        cell = square(tmp_path / "sheet.png", at % 5, at // 5)
        middle, above = cell[CELL // 2, CELL // 2], cell[20, CELL // 2]
        assert np.abs(middle - COLOURS[name]).max() <= 15
        assert (above == (0xF1, 0xF1, 0xEF)).all()  # 2:1, so a quarter of the square is free above it


def test_a_missing_photo_leaves_its_square(tmp_path: Path) -> None:
    hits = [hit(1, paint(tmp_path / "a.png")), hit(2, tmp_path / "gone.png")]
    write_sheet(hits, "q", tmp_path / "sheet.png")
    cell = square(tmp_path / "sheet.png", 1, 0)
    assert (cell[0, 0] == (0xF1, 0xF1, 0xEF)).all()
    assert len(np.unique(cell.reshape(-1, 3), axis=0)) > 2  # the reason is written there


def test_long_and_strange_names_do_not_break_it(tmp_path: Path) -> None:
    hits = [
        hit(1, paint(tmp_path / ("n" * 200 + ".png"))),
        hit(2, tmp_path / "\udcff\udcfe.png"),
        hit(3, tmp_path / "line\nbreak\x1b[31m.png"),
    ]
    write_sheet(hits, "q" * 500, tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").format == "PNG"


def test_characters_without_a_font_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.photos.sheet.FOLDERS", ())
    notes = write_sheet([hit(1, paint(tmp_path / "a.png"))], "一杯咖啡", tmp_path / "sheet.png")
    assert len(notes) == 1
    assert "杯" in notes[0]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_sheet([hit(1, paint(tmp_path / "a.png"))], "q", tmp_path / "absent" / "sheet.png")
