"""Takes the screenshots of docs/photo-page.md in a real browser, over an album made of scikit-image's photographs.

    python docs/photo-page/take.py [--photos 240] [--keep FOLDER]

`--keep`: the album and its library stay there, and are used again. Needs Debian's chromium and `isthmus[dev]`.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import skimage.data
from PIL import Image, ImageEnhance
from PIL.ExifTags import IFD
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
PATIENCE = 120_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
AS_AT_HOME = """() => { for (const path of document.querySelectorAll('.path')) {
    path.textContent = path.textContent.replace(/^.*[/]photos[/]/, '/home/ana/Pictures/');
} }"""
NAMES = ("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
         "gravel.png", "hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "rocket.jpg")  # fmt: skip
"""Of scikit-image's data; all free to show."""
TOWNS = ((48.86, 2.35), (38.72, -9.14), (31.23, 121.47), (35.01, 135.77), (40.71, -74.0), (-33.87, 151.21))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=240)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).absolute()
        if not (folder / "library").exists():
            album(folder / "photos", options.photos)
            _run("-m", "isthmus.cli.main", "photos", "index", folder / "photos", "--library", folder / "library")
        serve = [
            "-m",
            "isthmus.cli.main",
            "photos",
            "serve",
            "--library",
            folder / "library",
            "--no-browser",
            "--port",
            0,
        ]
        command = [sys.executable, *map(str, serve)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address, token = server.stdout.readline().strip().split("#")
            try:
                take(address.rstrip("/"), token)
            finally:
                server.terminate()


def album(folder: Path, photos: int) -> None:
    """Cuts of a few photographs, of eight years and six towns."""
    draw = random.Random(0)
    folder.mkdir(parents=True)
    for at in range(photos):
        with Image.open(Path(skimage.data.__file__).parent / NAMES[at % len(NAMES)]) as opened:
            whole = opened.convert("RGB")
        share, tall = draw.uniform(0.6, 1), draw.choice((0.75, 0.75, 1.33))
        width = round(min(whole.width, whole.height / tall) * share)
        height = round(width * tall)
        left, top = draw.randint(0, whole.width - width), draw.randint(0, whole.height - height)
        cut = ImageEnhance.Brightness(whole.crop((left, top, left + width, top + height)))
        taken = datetime(2016, 3, 1) + timedelta(minutes=draw.randrange(8 * 365 * 24 * 60))
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Apple", draw.choice(("iPhone 7", "iPhone 11"))
        exif.get_ifd(IFD.Exif)[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
        if draw.random() < 0.8:
            town = draw.choice(TOWNS)
            place = exif.get_ifd(IFD.GPSInfo)
            for tag, degrees, letters in ((1, town[0], "NS"), (3, town[1], "EW")):
                place[tag] = letters[degrees < 0]
                place[tag + 1] = (int(abs(degrees)), int(abs(degrees) * 60 % 60), draw.uniform(0, 59))
        name = folder / taken.strftime("IMG_%Y%m%d_%H%M%S.jpg")
        cut.enhance(draw.uniform(0.85, 1.15)).save(name, quality=90, exif=exif)


def take(address: str, token: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)

        def opened(path: str, **more: object) -> Page:
            context = browser.new_context(**({"viewport": DESK, "locale": "en-GB"} | more))
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(f"{address}{path}#{token}")
            settled(page)
            return page

        page = opened("/?q=a+cat+not+in+2019")
        saved(page, "light")
        page = opened("/?q=coffee", color_scheme="dark")
        page.click("#show-map")
        page.wait_for_selector(".cluster img")
        settled(page)
        page.evaluate("scrollTo(0, 0)")
        saved(page, "dark")
        page = opened("/?q=a+rocket+in+Paris")
        page.locator(".tile").first.click()
        page.wait_for_selector("#viewer .large.loaded")
        page.wait_for_selector("#viewer .facts dl")
        page.evaluate(AS_AT_HOME)
        saved(page, "photo")
        page = opened("/?q=2022年拍的咖啡", viewport=PHONE, has_touch=True, locale="zh-CN")
        saved(page, "phone")
        browser.close()


def settled(page: Page) -> None:
    """Every tile in the window shows its picture."""
    page.wait_for_function(
        """() => {
            const seen = [...document.querySelectorAll('.tile')].filter((tile) => {
                const box = tile.getBoundingClientRect();
                return box.bottom > 0 && box.top < innerHeight;
            });
            return seen.length > 0 && seen.every((tile) => tile.classList.contains('loaded'));
        }"""
    )


def saved(page: Page, name: str) -> None:
    page.mouse.move(2, 2)
    page.wait_for_timeout(600)  # what fades in is in
    page.screenshot(path=HERE / f"{name}.jpg", type="jpeg", quality=85)


def _run(*words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
