"""Draw docs/images/fits.png: what each Fit shows of one wide picture. Run: python docs/images/make_fits.py"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from isthmus.images.fit_json import AnyFit
from isthmus.images.fits import Crop, Letterbox, Native, Squash
from isthmus.images.focus import Focus
from isthmus.images.tiles import Tiles
from isthmus.images.views import Box, Picture

AS_IS = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
SIDE, GAP = 112, 8
INK, PAPER = (40, 40, 40), (255, 255, 255)
COLOURS = ("#d1495b", "#2e86ab", "#edae49", "#3a7d44", "#8e6c8a", "#00798c", "#f26419")
FITS: list[tuple[AnyFit, str]] = [
    (Crop(size=SIDE, **AS_IS), "the square in the middle (CLIP, DINOv2)"),
    (Squash(size=SIDE, **AS_IS), "all of it, out of shape (SigLIP, BLIP-2)"),
    (Letterbox(size=SIDE, **AS_IS), "all of it, padded (LLaVA-1.5)"),
    (Native(patch=16, max_tokens=98, **AS_IS), "its own shape in a token budget (SigLIP 2 NaFlex)"),
    (Tiles(size=SIDE, **AS_IS), "overview and tiles of the grid that wastes least (LLaVA-NeXT)"),
    (Focus(size=SIDE, count=3, **AS_IS), "overview and the regions with most detail, pixel for pixel"),
]


def main() -> None:
    photo = Image.fromarray(data.coffee()).crop((0, 40, 600, 280))
    picture = Picture(photo, *photo.size)
    font = ImageFont.load_default(13)
    width, map_height = 840, 120
    canvas = Image.new("RGB", (width, 1500), PAPER)
    draw = ImageDraw.Draw(canvas)
    y = GAP
    for fit, words in FITS:
        draw.text((GAP, y), f"{type(fit).__name__}: {words}", INK, font)
        y += 20
        views = fit(picture).views
        canvas.paste(where(photo, [view.box for view in views], map_height), (GAP, y))
        x = 340
        for view, colour in zip(views, COLOURS, strict=False):
            shown = Image.fromarray(np.rint(view.pixels.transpose(1, 2, 0) * 255).astype(np.uint8))
            canvas.paste(shown, (x + 2, y + 2))
            draw.rectangle((x, y, x + shown.width + 3, y + shown.height + 3), outline=colour, width=2)
            x += shown.width + GAP + 4
        y += map_height + 14
    target = Path(__file__).with_name("fits.png")
    canvas.crop((0, 0, width, y)).quantize(200).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size >> 10} kB")  # noqa: T201


def where(photo: Image.Image, boxes: list[Box], height: int) -> Image.Image:
    """The whole picture, small, with the box of every view; what pads is grey."""
    room = (320, height)
    reach = max([box.right - photo.width for box in boxes] + [0])
    tall = max([box.bottom - photo.height for box in boxes] + [0])
    scale = min((room[0] - 4) / (photo.width + 2 * reach), (room[1] - 4) / (photo.height + 2 * tall))
    left, top = (room[0] - photo.width * scale) / 2, (room[1] - photo.height * scale) / 2
    small = photo.resize((round(photo.width * scale), round(photo.height * scale)))
    canvas = Image.new("RGB", room, (235, 235, 235))
    canvas.paste(small, (round(left), round(top)))
    draw = ImageDraw.Draw(canvas)
    for i, (box, colour) in enumerate(zip(boxes, COLOURS, strict=False)):
        inset = 2 * (i == 0 and len(boxes) > 1)
        edges = [box.left * scale + left + inset, box.top * scale + top + inset]
        edges += [box.right * scale + left - inset - 1, box.bottom * scale + top - inset - 1]
        draw.rectangle(edges, outline=colour, width=2)
    return canvas


if __name__ == "__main__":
    main()
