"""A contact sheet: the results of a search as one labelled picture."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from isthmus.errors import InputError, PictureError
from isthmus.images.open import open_picture
from isthmus.images.sniff import HEAD
from isthmus.images.views import Picture
from isthmus.photos import video
from isthmus.photos.hits import Hit
from isthmus.photos.paths import readable

CELL, GAP, MARGIN, LABEL, TITLE = 300, 16, 24, 44, 56
"""Pixels: a photo's square, between squares, around all, below a photo, above all."""

COLUMNS = 5
PAPER, FRAME, INK, FAINT = "#ffffff", "#f1f1ef", "#1c1c1a", "#6f6f6a"

FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("~/.local/share/fonts"),
    Path("~/.fonts"),
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
WIDE = (
    "NotoSansCJK", "NotoSansSC", "SourceHanSans", "PingFang", "Hiragino", "msyh", "wqy", "DroidSansFallback", "unifont",
)  # fmt: skip
"""Starts of the file names of fonts that have Chinese and Japanese as well as Latin."""

Font = ImageFont.FreeTypeFont


def write_sheet(hits: Sequence[Hit], query: str, path: Path) -> list[str]:
    """Write a PNG grid of the hits, best first, each whole on a grey square with its score and file name.

    A photo that cannot be opened now leaves its square with the reason. Returns notes for the user: characters that
    no font here can draw. Raises InputError where the file cannot be written.
    """
    names = [readable(Path(hit.path).name).encode("utf-8", "replace").decode() for hit in hits]
    font, undrawn = _font(query + "".join(names), 24)
    small = font.font_variant(size=15)
    columns = min(COLUMNS, len(hits))
    rows = -(-len(hits) // columns)
    size = (
        2 * MARGIN + columns * (CELL + GAP) - GAP,
        MARGIN + TITLE + rows * (CELL + LABEL + GAP) - GAP + MARGIN,
    )
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), _cut(query, font, size[0] - 2 * MARGIN), INK, font)
    for place, (hit, name) in enumerate(zip(hits, names, strict=True)):
        left = MARGIN + place % columns * (CELL + GAP)
        top = MARGIN + TITLE + place // columns * (CELL + LABEL + GAP)
        draw.rectangle((left, top, left + CELL - 1, top + CELL - 1), FRAME)
        try:
            photo = _picture(Path(hit.path)).image
        except PictureError as error:
            draw.text((left + 12, top + CELL // 2), _cut(error.reason, small, CELL - 24), FAINT, small)
        else:
            photo.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
            sheet.paste(photo, (left + (CELL - photo.width) // 2, top + (CELL - photo.height) // 2))
        score = f"{hit.rank}" if hit.score is None else f"{hit.rank}   {hit.score:.3f}"
        draw.text((left, top + CELL + 6), score, FAINT, small)
        draw.text((left, top + CELL + 25), _cut(name, small, CELL), INK, small)
    try:
        sheet.save(path, "PNG")
    except OSError as error:
        raise InputError(f"{path} cannot be written", why=str(error), todo="write the sheet elsewhere") from None
    if not undrawn:
        return []
    return [f"no font here has {undrawn}: drawn as boxes (install one that does, say Noto Sans CJK)"]


def _picture(path: Path) -> Picture:
    """Raises PictureError."""
    try:
        with path.open("rb") as file:
            if video.is_one(file.read(HEAD)):
                return video.look(file).picture
    except OSError:
        pass  # said as of every picture
    return open_picture(path, at_least=CELL)


def _font(text: str, size: int) -> tuple[Font, str]:
    """The first font that has every character of the text, and those the best one lacks."""
    own = ImageFont.load_default(size)
    assert isinstance(own, Font)  # Pillow has FreeType and carries an outline font for Latin
    best, lacking = own, _lacks(own, text)
    if lacking:
        for file in _wide_fonts():
            try:
                font = ImageFont.truetype(file, size)
            except OSError:
                continue  # not a font after all
            if len(missing := _lacks(font, text)) < len(lacking):
                best, lacking = font, missing
            if not lacking:
                break
    return best, lacking


def _wide_fonts() -> list[Path]:
    files = [
        file
        for folder in FOLDERS
        for file in sorted(folder.expanduser().rglob("*"))
        if file.suffix.lower() in (".ttf", ".ttc", ".otf", ".otc")
    ]
    wide = [file for start in WIDE for file in files if file.name.lower().startswith(start.lower())]
    return wide + [file for file in files if file.name.startswith("DejaVuSans.")]


def _lacks(font: Font, text: str) -> str:
    """The characters that the font draws as its sign for "none": compared with one that no font has."""
    none = bytes(font.getmask("\U0010fffe"))
    return "".join(c for c in sorted(set(text)) if not c.isspace() and bytes(font.getmask(c)) == none)


def _cut(text: str, font: Font, width: int) -> str:
    """The text, its end left out where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
