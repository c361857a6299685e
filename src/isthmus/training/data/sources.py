"""Installable sets of drawn and cut-out pictures with captions: stamps, clip art, emoji, icons.

None is copied into this project: each is read where its own package installed it.
- stamps: Debian `tuxpaint-stamps-default` (GPL-2), photo cut-outs and drawings, each with a sentence.
- clip art: Debian `openclipart-svg` (public domain), SVG with a title and keywords.
- emoji: npm `openmoji` 17 (CC-BY-SA-4.0), SVG with an annotation and tags.
- icons: npm `@iconify-json/*`, emoji as others draw them (ICONS, with licences), SVG with a name.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from isthmus.errors import InputError, MissingPart

STAMPS = Path("/usr/share/tuxpaint/stamps")
CLIPART = Path("/usr/share/openclipart/svg")
FONTS = ("DejaVuS*.ttf", "STIXGeneral*.ttf", "cm[brt]*10.ttf", "cmss10.ttf")
"""Families that have all letters and digits."""
OUTLINED = " outlined"
WALLPAPERS = Path("/usr/share/backgrounds")


@dataclass(frozen=True)
class Sample:
    """One picture file and what is said of it. `captions[0]` is the fullest; the others say less or say it again.

    `concept` names what splits keep together: two samples of one concept never lie on both sides of a split.
    """

    source: str
    path: Path
    captions: tuple[str, ...]
    concept: str


def stamps(root: Path = STAMPS) -> list[Sample]:
    """Stamps with an English caption, ordered by path. Raises MissingPart where the package is not installed."""
    _require(root, "stamps", "apt-get install tuxpaint-stamps-default")
    found = []
    for path in sorted([*root.rglob("*.png"), *root.rglob("*.svg")]):
        text = path.with_suffix(".txt")
        if not text.is_file() or path.stem.endswith(("_mirror", "_flip")):
            continue
        lines = text.read_text(encoding="utf-8", errors="replace").splitlines()
        caption = lines[0].strip() if lines else ""
        if caption and "=" not in caption:
            found.append(Sample("stamps", path, (caption,), concept_of(caption)))
    return found


def clipart(root: Path = CLIPART) -> list[Sample]:
    """Clip art whose title or keywords name what is drawn, ordered by path. Raises MissingPart."""
    _require(root, "clip art", "apt-get install openclipart-svg")
    found = []
    for path in sorted(root.rglob("*.svg")):
        captions = tuple(_clipart_captions(path))
        if captions:
            found.append(Sample("clipart", path, captions, concept_of(captions[0])))
    return found


OPENMOJI = "openmoji@17.0.0"


def emoji_folder(named: str | None) -> Path:
    """The folder a recipe names, or $OPENMOJI. Raises InputError where neither does."""
    return _folder(
        named,
        "OPENMOJI",
        "no folder of emoji",
        todo=f"{_install(OPENMOJI)}; export OPENMOJI=drawings/node_modules/openmoji",
    )


def _install(*packages: str) -> str:
    return f"npm install --prefix drawings {' '.join(packages)}"


def _folder(named: str | None, variable: str, missing: str, *, todo: str) -> Path:
    folder = named or os.environ.get(variable)
    if not folder:
        raise InputError(missing, todo=todo)
    return Path(folder)


def emoji(root: Path) -> list[Sample]:
    """OpenMoji in colour without skin-tone variants, ordered by code. `root` is the unpacked npm package.

    Raises MissingPart where there is none.
    """
    table = root / "data" / "openmoji.json"
    _require(table, "emoji", _install(OPENMOJI))
    found = []
    for entry in json.loads(table.read_text(encoding="utf-8")):
        path = root / "color" / "svg" / f"{entry['hexcode']}.svg"
        if entry["skintone"] or not path.is_file():
            continue
        name = entry["annotation"].replace("flag: ", "flag of ")
        tags = [tag.strip() for tag in f"{entry['tags']},{entry['openmoji_tags']}".split(",")]
        tags = [tag for tag in dict.fromkeys(tags) if tag and tag != name]
        captions = (name, *([", ".join(tags[:6])] if tags else []))
        found.append(Sample("emoji", path, captions, concept_of(name)))
    return found


ICONS = {
    "emojione": ("1.2.3", "CC-BY-4.0"),
    "emojione-v1": ("1.2.3", "CC-BY-SA-4.0"),
    "fluent-emoji": ("1.2.7", "MIT"),
    "fluent-emoji-flat": ("1.2.6", "MIT"),
    "fxemoji": ("1.2.2", "Apache-2.0"),
    "noto": ("1.2.9", "Apache-2.0"),
    "noto-v1": ("1.2.5", "Apache-2.0"),
    "streamline-emojis": ("1.2.4", "CC-BY-4.0"),
    "twemoji": ("1.2.5", "CC-BY-4.0"),
}
"""Packages, their versions and licences."""


def icons_folder(named: str | None) -> Path:
    """The folder a recipe names, or $ICONS. Raises InputError where neither does."""
    return _folder(
        named,
        "ICONS",
        "no folder of icons",
        todo=f"{_install(*(f'@iconify-json/{name}@{version}' for name, (version, _) in ICONS.items()))}; "
        "export ICONS=drawings/node_modules/@iconify-json",
    )


def icons(root: Path) -> list[Sample]:
    """Emoji as others draw them, by package and name, without variants of the skin. `root` holds the unpacked packages,
    each under its own name.

    A sample's path is that of its package's icons.json and, as if that were a folder, its name. Raises MissingPart.
    """
    found = []
    for package in ICONS:
        table = root / package / "icons.json"
        _require(table, "icons", _install(f"@iconify-json/{package}@{ICONS[package][0]}"))
        names = _icons(table)
        for name in names:
            if _TONE.search(name) and ("tone" in name or _TONE.sub("", name) in names):
                continue
            said = re.sub(r"-\d+$", "", name).replace("-", " ")
            found.append(Sample("icons", table / f"{name}.svg", (said,), concept_of(said)))
    return found


def photographs(root: Path = WALLPAPERS) -> list[Path]:
    """Photographs without captions, ordered by path: grounds for scenes. Raises MissingPart."""
    _require(root, "photographs", "apt-get install lomiri-wallpapers-16.04 lomiri-wallpapers-20.04")
    return sorted(path for path in root.glob("*.jpg") if "_by_" in path.name)


def glyphs() -> list[Sample]:
    """Letters and digits in the fonts that come with matplotlib, filled and outlined: a letter, whoever drew it.

    Each sample's path is its font's file, the caption says which letter. Raises MissingPart.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingPart("letters are drawn in matplotlib's fonts", todo="pip install 'isthmus[labs]'") from None
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    fonts = sorted(font for family in FONTS for font in folder.glob(family) if "Display" not in font.name)
    return [
        Sample("glyphs", font, (f"{'number' if character.isdigit() else 'letter'} {character}",), character + drawn)
        for font in fonts
        for drawn in ("", OUTLINED)
        for character in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    ]


def render(sample: Sample, side: int) -> Image.Image:
    """The picture as RGBA, its longer side `side` pixels (PNG: at most its own size).

    Raises MissingPart without the `train` extra, ValueError where the SVG cannot be drawn.
    """
    if sample.source == "glyphs":
        return _glyph(sample, side)
    if sample.path.suffix == ".png":
        image = Image.open(sample.path).convert("RGBA")
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        return image
    try:
        import resvg_py
    except ImportError:
        raise MissingPart("SVG pictures need resvg-py", todo="pip install 'isthmus[train]'") from None
    if sample.source == "icons":
        svg = _icons(sample.path.parent)[sample.path.stem]
        drawn = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, dpi=96)
    else:
        drawn = resvg_py.svg_to_bytes(svg_path=str(sample.path), width=side, height=side, dpi=96)
    return Image.open(BytesIO(bytes(drawn))).convert("RGBA")


def concept_of(caption: str) -> str:
    """Caption -> its concept: lower case, letters only, no article, no plural s.

    "A cat.", "Cats" and "the cat" are one concept; "a black cat" is another.
    """
    words = re.findall(r"[^\W\d_]+", caption.lower())
    words = [word for word in words if word not in {"a", "an", "the", "some", "of", "this", "is"}] or words
    return " ".join(
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words
    )


_TONE = re.compile(r"(-medium)?-(light|medium|dark)(-skin-tone)?$|-tone-?[1-6]$")


@lru_cache(maxsize=len(ICONS))
def _icons(table: Path) -> dict[str, str]:
    """An icons.json of Iconify: name -> SVG."""
    read = json.loads(table.read_text(encoding="utf-8"))
    sizes = {"width": read.get("width", 16), "height": read.get("height", 16), "left": 0, "top": 0}
    drawn = {}
    for name, icon in read["icons"].items():
        if not icon.get("hidden"):
            box = sizes | {key: icon[key] for key in sizes if key in icon}
            around = f"{box['left']} {box['top']} {box['width']} {box['height']}"
            drawn[name] = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{around}">{icon["body"]}</svg>'
    return drawn


def _glyph(sample: Sample, side: int) -> Image.Image:
    from PIL import ImageDraw, ImageFont

    character, outlined = sample.concept[0], sample.concept.endswith(OUTLINED)
    stroke = side // 28 if outlined else 0
    font = ImageFont.truetype(str(sample.path), side)
    left, top, right, bottom = (round(at) for at in font.getbbox(character, stroke_width=stroke))
    image = Image.new("RGBA", (right - left, bottom - top), (0, 0, 0, 0))
    ink, none = (0, 0, 0, 255), (0, 0, 0, 0)
    ImageDraw.Draw(image).text(
        (-left, -top),
        character,
        none if outlined else ink,
        font,
        stroke_width=stroke,
        stroke_fill=ink,
    )
    image = image.crop(image.getbbox())
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def _require(path: Path, what: str, todo: str) -> None:
    if not path.exists():
        raise MissingPart(f"{what} not found", why=f"no {path}", todo=todo)


_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
# titles and keywords that say nothing about what is drawn
_NOISE = re.compile(
    r"@|https?:|^untitled|^unnamed|^no title|\.svg$|^\d+$|collection|^part of"
    r"|^(clip ?art|image|media|color|colour|unsorted|hash)$",
    re.IGNORECASE,
)


def _clipart_captions(path: Path) -> Iterator[str]:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError):
        return
    title = root.find(f".//{_DC}title")
    words = [item.text or "" for item in root.iterfind(f".//{_DC}subject//{_RDF}li")]
    keywords = [word for word in dict.fromkeys(map(_clean, words)) if word and not _NOISE.search(word)]
    name = _clean(title.text or "") if title is not None else ""
    if name and not _NOISE.search(name):
        yield name
    elif keywords:
        name = keywords[0]
        yield name
    if name and len(keywords) > 1:
        yield ", ".join(keywords[:6])


def _clean(text: str) -> str:
    """ "red_house 01" -> "red house"."""
    text = re.sub(r"[_\-]+", " ", text)
    text = re.sub(r"\b\d+\b", " ", text)
    return " ".join(text.split()).strip(" .,").lower()
