"""How well near-duplicates are told from pictures that are only alike: a made set with exact truth.

Originals: photographs, corners of them ("zoomed"), bursts (something pasted on a photograph moves on, the camera
shakes, the sensor is noisy), two views of a stereo camera, pages of words set alike, Debian's tuxpaint stamps. Each has
six copies: half the size, a thumbnail, JPEG of quality 30, WebP, cropped by 3 %, brighter. All of them are indexed as
files, with default/embedder. Originals are split in two by photograph and by the stamps' folders: thresholds are chosen
on one half (--choose prints what others would do there), figures are of the other.

    python -m benchmarks.near_duplicates [--choose] [--json]
"""

import argparse
import itertools
import random
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.machine import show
from benchmarks.photo_library.photographs import PHOTOGRAPHS, Photograph, load
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from isthmus.errors import MissingPart
from isthmus.photos.duplicates import Photos, Thresholds, load_photos, stars
from isthmus.photos.index import index
from isthmus.photos.store import Library

STAMPS = Path("/usr/share/tuxpaint/stamps")
MORE = ("page", "text", "ihc", "cell", "clock_motion", "motorcycle_right", "coins", "horse")
"""Of scikit-image's, beside the photographs."""
WORDS = "the of a sea and light in house to river we when paper stone they old is far with bread"
SIDE = 480
"""Pixels of an original's longer side, at most."""
FRAMES = 3


@dataclass(frozen=True)
class Original:
    """`half`: 0 to choose by, 1 to report of."""

    name: str
    kind: str
    half: int
    image: Image.Image


@dataclass(frozen=True)
class Made:
    """A file: of which original, of what kind, and what was done."""

    original: str
    kind: str
    copy: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choose", action="store_true", help="what other thresholds do, on the half to choose by")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        photos, made = indexed(Path(name), 0 if options.choose else 1)
    if options.choose:
        grid = itertools.product((8, 10, 12, 14), (0.3, 0.4, 0.5, np.inf), (0.0, 0.8, 0.9))
        rows = [
            {"bits": bits, "unlike": most, "cosine": cosine, **scored(photos, made, Thresholds(bits, most, cosine))[0]}
            for bits, most, cosine in grid
        ]
        show("near-duplicates, thresholds", rows, [f"{len(made)} pictures"], options.json)
        return
    total, by_copy, by_kind = scored(photos, made, Thresholds())
    rows = [{"of": "all", **total}, *({"of": name, **row} for name, row in (by_copy | by_kind).items())]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    rows = [{key: row.get(key, "") for key in keys} for row in rows]
    show("near-duplicates", rows, [f"{len(made)} pictures, thresholds {Thresholds()}"], options.json)


def indexed(base: Path, half: int) -> tuple[Photos, dict[int, Made]]:
    """What is compared, and what each photo of the library is."""
    from isthmus.contrastive import load_embedder

    (base / "photos").mkdir()
    files: dict[str, Made] = {}
    seen: set[int] = set()
    for original in originals():
        content = zlib.crc32(original.image.tobytes())
        if original.half == half and content not in seen:  # some stamps are there twice
            seen.add(content)
            for copy, path in copies(original, base / "photos"):
                files[path.name] = Made(original.name, original.kind, copy)
    with Library.write(base / "library") as library:
        report = index(library, [base / "photos"], load_embedder("default/embedder"))
        assert report.left == 0 and not report.unread, report
        found = library.query("SELECT photo, path FROM files WHERE photo IS NOT NULL")
        return load_photos(library), {photo: files[path.decode()] for photo, path in found}


Row = dict[str, float]


def scored(photos: Photos, made: dict[int, Made], thresholds: Thresholds) -> tuple[Row, dict[str, Row], dict[str, Row]]:
    """recall: of the copies, how many are in a group with their original; precision: of what is shown beside a photo to
    keep, how much is of its original. In all, for each way of copying, for each kind of original."""
    found, shown, true = Counter[str](), Counter[str](), Counter[str]()
    for star in stars(photos, thresholds):
        group = [made[int(photos.ids[row])] for row in (star.centre, *(row for row, *_ in star.others))]
        whole = {one.original for one in group if one.copy == "original"}
        for one in group:
            if one.copy != "original" and one.original in whole:
                found.update(("all", one.copy, one.kind))
        for one in group[1:]:
            shown.update(("all", group[0].kind))
            if one.original == group[0].original:
                true.update(("all", group[0].kind))
    of = Counter[str]()
    for one in made.values():
        if one.copy != "original":
            of.update(("all", one.copy, one.kind))

    def row(name: str, *, both: bool) -> Row:
        recall: Row = {"copies": of[name], "recall": found[name] / of[name]}
        return recall | ({"shown": shown[name], "precision": true[name] / max(shown[name], 1)} if both else {})

    names = sorted({one.copy for one in made.values()} - {"original"})
    kinds = sorted({one.kind for one in made.values()})
    return (
        row("all", both=True),
        {name: row(name, both=False) for name in names},
        {kind: row(kind, both=True) for kind in kinds},
    )


def originals() -> Iterator[Original]:
    for photograph in PHOTOGRAPHS:
        try:
            image = load(photograph).copy()
        except MissingPart:
            continue
        image.thumbnail((SIDE, SIDE))
        half = half_of(photograph.name)
        yield Original(photograph.name, "photograph", half, image)
        yield from corners(photograph, image, half)
        if photograph.ground:
            yield from bursts(photograph, image, half)
    yield from others()
    for at in range(30):
        yield Original(f"page {at}", "page", at % 2, page(at))
    for path in sorted(STAMPS.rglob("*.png"))[::6]:
        name = str(path.relative_to(STAMPS))
        yield Original(name, "stamp", half_of(str(Path(name).parent)), on_white(stamp(path)))


def half_of(name: str) -> int:
    return zlib.crc32(name.encode()) % 2


def others() -> Iterator[Original]:
    from importlib.util import find_spec

    spec = find_spec("skimage")
    assert spec and spec.origin, "pip install scikit-image"
    for name in MORE:
        with Image.open(Path(spec.origin).parent / f"data/{name}.png") as image:
            picture = image.convert("RGB")
        picture.thumbnail((SIDE, SIDE))
        # The right view of the motorcycle is judged where the left one is.
        half = half_of("skimage/data/motorcycle_left.png" if name == "motorcycle_right" else name)
        yield Original(f"skimage/data/{name}", "photograph", half, picture)


def corners(photograph: Photograph, image: Image.Image, half: int) -> Iterator[Original]:
    """Seven tenths of each side, from two corners."""
    width, height = round(image.width * 0.7), round(image.height * 0.7)
    for at, (x, y) in enumerate([(0, 0), (image.width - width, image.height - height)]):
        yield Original(f"{photograph.name} corner {at}", "zoomed", half, image.crop((x, y, x + width, y + height)))


def bursts(photograph: Photograph, image: Image.Image, half: int) -> Iterator[Original]:
    """Frames of one second: what stands on the photograph moves by an eighth of its width, the camera by a fiftieth."""
    stamps = [path for path in sorted(STAMPS.rglob("*.png")) if half_of(str(path.relative_to(STAMPS).parent)) == half]
    dice = random.Random(photograph.name)
    for path in dice.sample(stamps, min(1, len(stamps))):
        thing = stamp(path)
        scale = 0.45 * image.height / thing.height
        thing = thing.resize((max(1, round(thing.width * scale)), round(thing.height * scale)))
        for frame in range(FRAMES):
            shake = [round(dice.uniform(0, 0.02) * side) for side in image.size]
            picture = image.crop((*shake, shake[0] + round(image.width * 0.98), shake[1] + round(image.height * 0.98)))
            picture.paste(thing, (round(picture.width * (0.2 + frame / 8)), round(picture.height * 0.4)), thing)
            noise = np.random.default_rng(frame).normal(0, 3, (picture.height, picture.width, 3))
            noisy = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
            yield Original(f"{photograph.name} burst, frame {frame}", "burst", half, noisy)


def page(seed: int) -> Image.Image:
    """Lines of words, all pages set alike."""
    dice = random.Random(seed)
    image = Image.new("RGB", (600, 800), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    for line in range(28):
        text = " ".join(dice.choices(WORDS.split(), k=11 if line % 7 else 4))
        draw.text((50, 45 + 25 * line), text, "black", font)
    return image


def stamp(path: Path) -> Image.Image:
    with Image.open(path) as image:
        thing = image.convert("RGBA")
    thing.thumbnail((SIDE, SIDE))
    return thing


def on_white(thing: Image.Image) -> Image.Image:
    ground = Image.new("RGB", thing.size, "white")
    ground.paste(thing, (0, 0), thing)
    return ground


def copies(original: Original, folder: Path) -> Iterator[tuple[str, Path]]:
    """(what was done, file) of the original itself ("original") and of its copies."""
    image, dice = original.image, random.Random(original.name)
    left, top = (round(dice.uniform(0, 0.03) * side) for side in image.size)
    cropped = image.crop((left, top, left + round(0.97 * image.width), top + round(0.97 * image.height)))
    thumbnail = image.copy()
    thumbnail.thumbnail((256, 256))
    for name, picture, ending, quality in (
        ("original", image, "png", 0),
        ("half size", image.resize((max(1, image.width // 2), max(1, image.height // 2))), "jpg", 90),
        ("thumbnail", thumbnail, "jpg", 85),
        ("JPEG 30", image, "jpg", 30),
        ("WebP", image, "webp", 75),
        ("cropped 3 %", cropped, "jpg", 90),
        ("brighter", ImageEnhance.Brightness(image).enhance(1.2), "jpg", 90),
    ):
        path = folder / f"{zlib.crc32(original.name.encode()):08x}-{name.replace(' ', '-')}.{ending}"
        picture.save(path, quality=quality, method=2) if quality else picture.save(path, compress_level=1)
        yield name, path


if __name__ == "__main__":
    main()
