"""A cut-out as it might have been photographed or drawn elsewhere: other ground, crop, side, light and colour."""

import random

from PIL import Image, ImageEnhance

WHITE = (255, 255, 255)


def augmented(image: Image.Image, rng: random.Random, *, whole: bool = False) -> Image.Image:
    """RGBA -> RGB on white or a random colour, perhaps mirrored, cropped or set smaller, colours shifted a little.
    `whole`: neither mirrored nor cropped, for what would then be something else (letters)."""
    colour = WHITE if rng.random() < 0.5 else tuple(rng.randrange(256) for _ in range(3))
    flat = on_colour(image, colour)
    if rng.random() < 0.5 and not whole:
        flat = flat.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    width, height = flat.size
    if rng.random() < 0.6:
        share = 1 if whole else rng.uniform(0.75, 1)
        left, top = rng.uniform(0, 1 - share) * width, rng.uniform(0, 1 - share) * height
        flat = flat.crop((int(left), int(top), int(left + share * width) + 1, int(top + share * height) + 1))
    else:
        canvas = Image.new("RGB", (int(width * rng.uniform(1, 1.6)), int(height * rng.uniform(1, 1.6))), colour)
        canvas.paste(flat, (rng.randint(0, canvas.width - width), rng.randint(0, canvas.height - height)))
        flat = canvas
    for change, least, most in (
        (ImageEnhance.Brightness, 0.8, 1.2),
        (ImageEnhance.Contrast, 0.8, 1.2),
        (ImageEnhance.Color, 0.7, 1.3),
    ):
        flat = change(flat).enhance(rng.uniform(least, most))
    return flat


def on_colour(image: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """RGBA -> RGB."""
    canvas = Image.new("RGBA", image.size, (*colour, 255))
    canvas.alpha_composite(image)
    return canvas.convert("RGB")
