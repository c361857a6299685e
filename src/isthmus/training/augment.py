"""Pictures as they may look too, within what a domain allows."""

import random
from math import sqrt

from PIL import Image, ImageEnhance, ImageOps

from isthmus.images.views import Picture
from isthmus.training.ahead import Vary
from isthmus.training.own_recipe import Augmentation


def vary(how: Augmentation) -> Vary:
    """Draws from `how` by a seed alone. What is turned in from outside the picture is its border's mean colour."""

    def varied(picture: Picture, seed: str) -> Picture:
        draw = random.Random(seed)
        image = picture.image.convert("RGB")
        if how.flip and draw.random() < 0.5:
            image = ImageOps.mirror(image)
        if how.rotate:
            angle = draw.uniform(-how.rotate, how.rotate)
            image = image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=_border(image))
        if how.crop:
            image = _cropped(image, 1 - draw.uniform(0, how.crop), draw)
        if how.light:
            for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast):
                image = enhance(image).enhance(draw.uniform(1 - how.light, 1 + how.light))
        return Picture(image, *image.size)

    return varied


def _border(image: Image.Image) -> tuple[int, ...]:
    width, height = image.size
    rows = [
        image.crop(box).resize((1, 1), Image.Resampling.BOX)
        for box in ((0, 0, width, 1), (0, height - 1, width, height))
    ]
    pixels = [each.getpixel((0, 0)) for each in rows]
    return tuple((a + b) // 2 for a, b in zip(*pixels, strict=True))


def _cropped(image: Image.Image, share: float, draw: random.Random) -> Image.Image:
    """A window of that share of the area, in the picture's own shape."""
    width, height = (max(1, round(side * sqrt(share))) for side in image.size)
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))
