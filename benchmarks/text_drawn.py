"""Pictures with text that is known: signs, receipts, screenshots, photographs of 12 megapixels with small text.

English and Chinese, letters of 10 to 120 pixels, full to faint contrast, with blur, noise and JPEG. Words come from two
lists in the package (WordNet's names of things, the gazetteer's Chinese names) and are divided between `tune` and
`report`: what is chosen on the one is never measured on the same words.
"""

import gzip
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from benchmarks.photo_library.written import chinese_font
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from isthmus.training.data.scenes import background

Split = Literal["tune", "report"]
Language = Literal["English", "Chinese"]
Sort = Literal["sign", "receipt", "screenshot", "12 MP"]
SORTS: tuple[Sort, ...] = ("sign", "receipt", "screenshot", "12 MP")
LANGUAGES: tuple[Language, ...] = ("English", "Chinese")


@dataclass(frozen=True)
class Drawn:
    """`jpeg`: the file; `lines`: what is written in it; `height`: pixels of its letters (font size); `contrast`: of ink
    and paper, 0 to 1."""

    sort: Sort
    language: Language
    jpeg: bytes
    lines: tuple[str, ...]
    height: int
    contrast: float


def drawn(split: Split, sort: Sort, language: Language, seed: int) -> Drawn:
    rng = random.Random(f"{split} {sort} {language} {seed}")
    contrast = rng.choice((1.0, 1.0, 0.6, 0.3))
    match sort:
        case "sign":
            height, lines = rng.choice((28, 44, 70, 120)), _several(_sign, rng, split, language, 1, 2)
            image = _page(rng, lines, height, contrast, room=height)
            image = _before(rng, image, (1600, 1200), turn=8)
        case "receipt":
            height, lines = rng.choice((14, 18, 24, 32)), _several(_item, rng, split, language, 8, 14)
            image = _page(rng, lines, height, contrast, room=height, pale=True)
            image = _before(rng, image, (1200, 1600), turn=3)
        case "screenshot":
            height, lines = rng.choice((14, 20, 28, 36)), _several(_item, rng, split, language, 5, 12)
            image = _page(rng, lines, height, contrast, room=24, size=(720, 1280), crisp=True)
        case "12 MP":
            height, lines = rng.choice((24, 32, 48, 72)), _several(_item, rng, split, language, 3, 6)
            image = _page(rng, lines, height, contrast, room=height, pale=True)
            image = _before(rng, image, (4000, 3000), turn=5)
    if sort != "screenshot":
        image = _taken(rng, image)
    file = BytesIO()
    image.save(file, "JPEG", quality=rng.choice((70, 85, 95)))
    return Drawn(sort, language, file.getvalue(), lines, height, contrast)


def photograph(split: Split, seed: int) -> bytes:
    """A picture of 12 megapixels without text."""
    rng = random.Random(f"{split} nothing {seed}")
    image = background(rng, 1000, _any_colour).resize((4000, 4000)).crop((0, 0, 4000, 3000))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(5, 40)):
        x, y, r = rng.randrange(4000), rng.randrange(3000), rng.randint(20, 500)
        shape = rng.choice((draw.ellipse, draw.rectangle))
        shape((x - r, y - r // 2, x + r, y + r // 2), fill=_any_colour(rng), outline=_any_colour(rng), width=8)
    file = BytesIO()
    _taken(rng, image).save(file, "JPEG", quality=85)
    return file.getvalue()


@cache
def words(split: Split, language: Language) -> tuple[str, ...]:
    """Half of the list, by a hash."""
    if language == "English":
        table = files("isthmus.vision").joinpath("imagenet.tsv").read_text(encoding="utf-8")
        names = {word for row in table.splitlines() for word in row.split("\t")[1].replace(",", " ").split()}
        found = {name.lower() for name in names if name.isalpha() and name.isascii() and len(name) > 2}
    else:
        packed = files("isthmus.photos.query").joinpath("places.tsv.gz").read_bytes()
        found = {row.split("\t")[3] for row in gzip.decompress(packed).decode().splitlines()} - {""}
        found = {name for name in found if name.isalpha() and len(name) <= 5}
    half = 0 if split == "tune" else 1
    return tuple(sorted(each for each in found if hashlib.sha256(each.encode()).digest()[0] % 2 == half))


def _several(
    one: Callable[[random.Random, Split, Language], str],
    rng: random.Random,
    split: Split,
    language: Language,
    least: int,
    most: int,
) -> tuple[str, ...]:
    return tuple(one(rng, split, language) for _ in range(rng.randint(least, most)))


def _sign(rng: random.Random, split: Split, language: Language) -> str:
    chosen = rng.sample(words(split, language), 2)
    if language == "Chinese":
        return "".join(chosen)
    return rng.choice((str.upper, str.upper, str.title))(" ".join(chosen))


def _item(rng: random.Random, split: Split, language: Language) -> str:
    """A few words, mostly with figures or a code."""
    chosen = rng.sample(words(split, language), rng.randint(1, 3))
    text = "".join(chosen) if language == "Chinese" else rng.choice((str.lower, str.title, str.upper))(" ".join(chosen))
    match rng.randrange(5):
        case 0:
            return text
        case 1:
            return f"{text} {rng.randint(1, 99)}.{rng.randint(0, 99):02}"
        case 2:
            return f"{text} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
        case 3:
            return f"{text} {rng.randint(100_000, 999_999)}"
        case _:
            return f"{text} {''.join(rng.choices('ABCDEFGHJKLMNPQRSTUVWXYZ0123456789', k=6))}"


def _page(
    rng: random.Random,
    lines: tuple[str, ...],
    height: int,
    contrast: float,
    *,
    room: int,
    pale: bool = False,
    size: tuple[int, int] | None = None,
    crisp: bool = False,
) -> Image.Image:
    """The lines on paper; with a `size` wrapped by nothing: what does not fit is drawn smaller."""
    paper = np.array([rng.randint(225, 255)] * 3 if pale or rng.random() < 0.5 else _any_colour(rng))
    far = np.array([255] * 3 if paper.mean() < 128 else [0] * 3)
    ink = tuple(int(each) for each in np.rint(paper + contrast * (far - paper)))
    font = rng.choice(_fonts())
    widest = max(_length(font, line, height) for line in lines)
    if size and widest > size[0] - 2 * room:
        height = max(10, int(height * (size[0] - 2 * room) / widest))
        widest = max(_length(font, line, height) for line in lines)
    step = round(height * rng.uniform(1.35, 2.2))
    image = Image.new("RGB", size or (round(widest) + 2 * room, step * len(lines) + room), tuple(paper))
    draw = ImageDraw.Draw(image)
    for at, line in enumerate(lines):
        _write(draw, (room, room // 2 + at * step + height), line, ink, font, height)
    return image if crisp else image.filter(ImageFilter.GaussianBlur(rng.choice((0, 0, 0.6))))


def _before(rng: random.Random, page: Image.Image, size: tuple[int, int], turn: float) -> Image.Image:
    """The page, turned by up to so many degrees, before something else."""
    side = max(size)
    ground = background(rng, side // 4, _any_colour).resize((side, side)).crop((0, 0, *size))
    if page.width > size[0] * 0.95 or page.height > size[1] * 0.95:
        page.thumbnail((round(size[0] * 0.95), round(size[1] * 0.95)), Image.Resampling.LANCZOS)
    turned = page.convert("RGBA").rotate(rng.uniform(-turn, turn), Image.Resampling.BICUBIC, expand=True)
    turned.thumbnail(size, Image.Resampling.LANCZOS)
    at = rng.randint(0, size[0] - turned.width), rng.randint(0, size[1] - turned.height)
    ground.paste(turned, at, turned)
    return ground


def _taken(rng: random.Random, image: Image.Image) -> Image.Image:
    """With a sensor's noise and a lens's blur."""
    image = image.filter(ImageFilter.GaussianBlur(rng.choice((0.4, 0.8, 1.2))))
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.choice((2, 6, 12)), (*image.size[::-1], 1))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def _any_colour(rng: random.Random) -> tuple[int, ...]:
    return tuple(rng.randrange(256) for _ in range(3))


@cache
def _fonts() -> tuple[Path | None, ...]:
    """For Latin letters: the one Pillow carries, and those matplotlib does."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    names = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "DejaVuSerif-Italic")
    return (None, *(folder / f"{name}.ttf" for name in names))


@cache
def _font(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    if path is not None:
        return ImageFont.truetype(path, size)
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont)
    return own


def _runs(text: str, font: Path | None, size: int) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    return [(each, _font(font if each.isascii() else chinese_font(), size)) for each in text]


def _length(font: Path | None, text: str, size: int) -> float:
    return sum(face.getlength(each) for each, face in _runs(text, font, size))


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ink: tuple[int, ...], font: Path | None, size: int
) -> None:
    x, y = at
    for each, face in _runs(text, font, size):
        draw.text((x, y), each, ink, face, anchor="ls")
        x += face.getlength(each)
