"""Any pixel format to 8-bit sRGB on white."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

# What lcms2 and Pillow's wrapper of it raise on a profile they cannot use.
PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError, RuntimeError, LookupError)

LARGEST_PROFILE = 4 * 2**20
"""Bytes; a printer's profile has 0.5 to 2 MB. What is larger is no camera's profile and is not read."""

WHITE = (255, 255, 255)


def eight_bits(image: Image.Image) -> Image.Image:
    """In mode L, LA, RGB, RGBA, CMYK or LAB: modes that can be averaged and colour-managed. Alpha stays."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = Image.fromarray(_scaled(image))
        key = image.info.get("transparency")
        if not isinstance(key, int):
            return grey
        return Image.merge("LA", (grey, Image.fromarray(np.where(np.asarray(image) == key, 0, 255).astype(np.uint8))))
    if image.has_transparency_data:
        if image.mode in ("LA", "RGBA"):
            return image
        return image.convert("LA" if image.mode in ("1", "L", "La") else "RGBA")
    match image.mode:
        case "L" | "RGB" | "CMYK" | "LAB":
            return image
        case "1":
            return image.convert("L")
        case _:  # P, YCbCr, HSV, RGBX
            return image.convert("RGB")


def on_white(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An `eight_bits` image as sRGB in mode RGB: its ICC profile applied, what is transparent shown on white.

    A profile that is broken or made for other channels is left out: the picture is then read as sRGB.
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert(image.mode[:-1])
    image = _srgb(image, profile)
    if alpha is None or alpha.getextrema() == (255, 255):
        return image
    flat = Image.new("RGB", image.size, WHITE)
    flat.paste(image, mask=alpha)
    return flat


def _scaled(image: Image.Image) -> NDArray[np.uint8]:
    """Samples of more than 8 bits to 8, [H, W].

    16-bit files (12-bit where the file says so) keep their high byte, as their RGB siblings do. 32-bit integers and
    floats carry no range: it is 0 to 1 (floats), 255 or 65535, the first that holds all of them, or else the
    picture's own.
    """
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(258, (16,))  # BitsPerSample
        high_byte: NDArray[np.uint8] = (values >> (4 if bits == (12,) else 8)).astype(np.uint8)
        return high_byte
    values = values.astype(np.float32)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    ranges = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    if low >= 0:
        low, high = 0.0, next((r for r in ranges if high <= r), high)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    span = max(high - low, float(np.finfo(np.float32).tiny))
    scaled: NDArray[np.uint8] = np.clip((values - low) / span * 255 + 0.5, 0, 255).astype(np.uint8)
    return scaled


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode == "LAB":
        profile = _lab_profile()
    if profile is None or len(profile) > LARGEST_PROFILE:
        return image.convert("RGB")
    mode, transform = _transform(profile)
    if image.mode == "L" and mode == "RGB":  # a grey picture saved by an RGB editor
        image = image.convert("RGB")
    if transform is None or image.mode != mode:
        return image.convert("RGB")
    try:
        converted = ImageCms.applyTransform(image, transform)
    except PROFILE_ERRORS:
        return image.convert("RGB")
    return converted if converted is not None else image.convert("RGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The mode a profile describes and the map from it to sRGB; None where it is unusable or changes nothing.

    Building one costs milliseconds, and a camera writes the same profile into every photo.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}[source.profile.xcolor_space.strip()]
        # NOCACHE: the one-pixel cache is the only state of a transform, and threads share this one.
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", flags=ImageCms.Flags.NOCACHE
        )
        if mode == "RGB" and _is_identity(transform):
            return mode, None
    except PROFILE_ERRORS:
        return "", None
    return mode, transform


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether no colour of a 9 x 9 x 9 lattice moves by more than a rounding step: most files say they are sRGB."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    after = ImageCms.applyTransform(Image.fromarray(lattice), transform)
    return after is not None and bool(np.abs(np.asarray(after).astype(int) - lattice).max() <= 1)


@lru_cache(maxsize=1)
def _lab_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
