"""The numbers of docs/images.md. Run: OMP_NUM_THREADS=1 python docs/images/measure.py"""

# ruff: noqa: T201

import statistics
import time
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image
from skimage import data

from isthmus.images.fit_json import AnyFit
from isthmus.images.fits import Crop, Letterbox, Native, Squash
from isthmus.images.focus import Focus
from isthmus.images.open import open_picture
from isthmus.images.tiles import Tiles

FITS: list[AnyFit] = [Crop(), Squash(), Letterbox(), Native(), Tiles(), Focus()]


def photo(width: int, height: int) -> Image.Image:
    """The astronaut enlarged to a camera's size, with a sensor's grain."""
    image = np.asarray(Image.fromarray(data.astronaut()).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = np.random.default_rng(0).normal(0, 4, (height, width, 1)).astype(np.int16)
    return Image.fromarray(np.clip(image + grain, 0, 255).astype(np.uint8))


def milliseconds(what: Callable[[], object], repeats: int = 9) -> float:
    """Median CPU time, which neighbours on the machine disturb least."""
    what()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        what()
        times.append(time.process_time() - start)
    return statistics.median(times) * 1e3


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def main() -> None:
    large = photo(4032, 3024)
    files = {
        "JPEG, 12 MP": encoded(large, "JPEG", quality=92),
        "PNG, 12 MP": encoded(large, "PNG", compress_level=1),
        "WebP, 12 MP": encoded(large, "WEBP"),
        "JPEG, 640 x 480": encoded(large.resize((640, 480)), "JPEG", quality=92),
    }
    print("| file | opened whole, ms | with at_least=448, ms |\n|---|---|---|")
    for name, file in files.items():
        whole = milliseconds(lambda file=file: open_picture(file), 5)
        reduced = milliseconds(lambda file=file: open_picture(file, at_least=448), 5)
        print(f"| {name} | {whole:.1f} | {reduced:.1f} |")

    jpeg = files["JPEG, 12 MP"]
    whole_picture = open_picture(jpeg)
    print("\n| fit | of the whole, ms | of what at_least keeps, ms | largest difference | rms |\n|---|---|---|---|---|")
    for fit in FITS:
        name = type(fit).__name__
        of_whole = milliseconds(lambda fit=fit: fit(whole_picture), 5)
        if fit.at_least is None:
            print(f"| {name} | {of_whole:.1f} | keeps all | | |")
            continue
        small = open_picture(jpeg, at_least=fit.at_least)
        of_small = milliseconds(lambda fit=fit, small=small: fit(small), 9)
        largest, rms = difference(fit, whole_picture, small)
        print(f"| {name} | {of_whole:.1f} | {of_small:.1f} | {largest:.0f} of 255 | {rms:.2f} |")

    print("\n| at_least, as a multiple of Crop's 224 | decoded | largest difference | rms |\n|---|---|---|---|")
    crop = Crop()
    for multiple in (1, 2, 4):
        small = open_picture(jpeg, at_least=multiple * crop.size)
        largest, rms = difference(crop, whole_picture, small)
        print(f"| {multiple} | {small.image.width} x {small.image.height} | {largest:.0f} of 255 | {rms:.2f} |")


def difference(fit: AnyFit, whole: object, small: object) -> tuple[float, float]:
    """Between the views of two Pictures: the largest and the root of the mean square, in levels of 255."""
    std = np.array(fit.std)[:, None, None] * 255
    pairs = zip(fit(whole).views, fit(small).views, strict=True)  # type: ignore[arg-type]
    apart = np.stack([(a.pixels - b.pixels) * std for a, b in pairs])
    return float(np.abs(apart).max()), float(np.sqrt((apart**2).mean()))


if __name__ == "__main__":
    main()
