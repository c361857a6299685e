"""The photo page over libraries of random vectors and facts: start, answers, and scrolling in a real browser.

Start: from the command to the page's first byte, to the first answer without words, and to the first with words (the
default model's). Answers: /api/search over HTTP
with distinct sentences (nothing is answered from memory), words and conditions: the first FIRST photos, as a program
asks, and all of them, as the page does. Scrolling: Debian's chromium goes
through the grid steadily and by jumps; blank is the share of tiles in the window, over all frames, that show no
picture. The pictures are a few, linked under every photo's name: it is delivery that is measured, not decoding.

    python -m benchmarks.photo_page [--rows 10000 100000] [--queries 40] [--no-browser] [--json]
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
from benchmarks.machine import show
from PIL import Image

from isthmus.cli.photos.parts import searching_with
from isthmus.photos.matrix import load_matrix
from isthmus.photos.serve.thumbnails import Thumbnails
from isthmus.photos.store import Library
from isthmus.photos.sure import load_background
from isthmus.photos.told import VERSION

MODEL = "default/embedder"
SHAPES = ((4000, 3000), (3000, 4000), (1920, 1080), (6000, 4000), (2048, 2048))
PICTURES = 60
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
SPEEDS = (1000, 2000, 4000)
"""Points a second, of the steady scrolling: at most five windows."""

SECONDS, JUMPS = 8, 20
FIRST = 200
SETTLING = 8
"""Seconds after the first answer, in which a server loads what makes later ones faster."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    table: list[dict[str, object]] = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder), rows)
            row: dict[str, object] = {"rows": rows}
            row |= start(Path(folder))
            with served(Path(folder)) as (address, token):
                row |= answers(address, token, options.queries)
                if not options.no_browser:
                    row |= scrolling(address, token)
            table.append(row)
    notes = ["times in ms; blank: mean share of the window's tiles without a picture; settled: after a jump, median"]
    show("photo page", table, notes, options.json)


def fill(folder: Path, rows: int) -> None:
    """A library of so many photos whose files are away, and a thumbnail of each; made ready as indexing does."""
    random = np.random.default_rng(0)
    with Library.write(folder) as library:
        words = searching_with(MODEL)
        load_background(folder, words)
        model = library.register(words.fingerprint, words.name, words.dim)
        thumbnails = Thumbnails(folder / "thumbnails")
        pictures = [_picture(folder / f"{at}.webp", random) for at in range(PICTURES)]
        with library.transaction() as database:
            root = database.execute("INSERT INTO roots (path) VALUES (?)", (b"/nowhere",)).lastrowid
            for first in range(0, rows, 4096):
                vectors = _unit(random, min(4096, rows - first), words.dim).astype("<f2")
                for at, vector in enumerate(vectors, first + 1):
                    hash = hashlib.sha256(b"%d" % at).digest()
                    width, height = SHAPES[at % len(SHAPES)]
                    database.execute("INSERT INTO photos VALUES (?, ?, ?, ?, 0)", (at, hash, width, height))
                    database.execute(
                        "INSERT INTO files (id, root, path, size, mtime_ns, photo) VALUES (?, ?, ?, 1, 1, ?)",
                        (at, root, b"%d.jpg" % at, at),
                    )
                    blob = vector.tobytes()
                    database.execute(
                        "INSERT INTO vectors (photo, model, vector, crc) VALUES (?, ?, ?, ?)",
                        (at, model.id, blob, zlib.crc32(blob)),
                    )
                    taken = datetime(2008, 1, 1) + timedelta(minutes=int(random.integers(8_000_000)))
                    latitude, longitude = random.uniform(-50, 65), random.uniform(-180, 180)
                    database.execute(
                        """INSERT INTO facts (file, version, taken, precision, taken_from, latitude, longitude, code,
                        maker, model, lens, title, caption, software, kinds, live_id, problems)
                        VALUES (?, ?, ?, 'second', 'exif', ?, ?, '', 'Canon', 'EOS 80D', '', '', '', '', 1, '', '')""",
                        (at, VERSION, taken.isoformat(), latitude, longitude),
                    )
                    thumbnails.colours.add(hash, int(random.integers(1 << 24)))
                    thumbnail = thumbnails.path(hash, "tile")
                    thumbnail.parent.mkdir(parents=True, exist_ok=True)
                    os.link(pictures[at % PICTURES], thumbnail)
        load_matrix(library, library.models()[0])


def start(folder: Path) -> dict[str, object]:
    """Of a new process."""
    begun = time.perf_counter()
    with served(folder) as (address, token), asking(address, token) as client:
        client.get("/").raise_for_status()
        page = time.perf_counter()
        client.get("/api/search", params={"limit": FIRST}).raise_for_status()
        answer = time.perf_counter()
        wait_for_model(client)
        words = time.perf_counter()
    times = {"start to page": page, "to photos": answer, "to words": words}
    return {name: 1000 * (at - begun) for name, at in times.items()}


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """Address and token of a new process."""
    command = [sys.executable, "-m", "isthmus.cli.main", "photos", "serve", "--library", str(folder)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--no-browser", "--port", "0"], text=True, **pipes) as server:  # type: ignore[call-overload]
        assert server.stdout is not None
        try:
            address, token = server.stdout.readline().strip().split("#token=")
            yield address, token
        finally:
            server.terminate()


def asking(address: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=300)


def wait_for_model(client: httpx.Client) -> None:
    while (answer := client.get("/api/search", params={"q": "ready", "limit": FIRST})).status_code == 503:
        time.sleep(0.02)
    answer.raise_for_status()


def answers(address: str, token: str, queries: int) -> dict[str, object]:
    found: dict[str, object] = {}
    with asking(address, token) as client:
        wait_for_model(client)
        time.sleep(SETTLING)
        for name, sentence, limit in (
            ("words", "thing {at}", {"limit": FIRST}),
            ("both", "thing {at} in {year}", {"limit": FIRST}),
            ("time", "before {at} May {year}", {"limit": FIRST}),
            ("all, words", "item {at}", {}),
            ("all, both", "item {at} in {year}", {}),
            ("all, time", "after {at} May {year}", {}),
        ):
            times: list[float] = []
            for at in range(queries):
                asked = sentence.format(at=at % 28 + 1, year=2009 + at % 14)
                asked += " photo" * (at // 28)
                begun = time.perf_counter()
                client.get("/api/search", params={"q": asked, **limit}).raise_for_status()
                times.append(1000 * (time.perf_counter() - begun))
            found[f"{name} p50"] = statistics.median(times)
            found[f"{name} p95"] = float(np.quantile(times, 0.95))
    return found


WATCH = """() => {
    window.blank = []; window.watching = true;
    const look = () => {
        const seen = [...document.querySelectorAll('.tile')].filter((tile) => {
            const box = tile.getBoundingClientRect();
            return box.bottom > 70 && box.top < innerHeight;
        });
        const bare = seen.filter((tile) => !tile.querySelector('img').naturalWidth).length;
        window.blank.push(seen.length ? bare / seen.length : 1);
        if (window.watching) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""
SCROLL = """([speed, seconds]) => new Promise((done) => {
    const begun = performance.now();
    const step = (now) => {
        scrollTo(0, (speed * (now - begun)) / 1000);
        if (now - begun < 1000 * seconds) requestAnimationFrame(step); else done();
    };
    requestAnimationFrame(step);
})"""
JUMP = """(share) => new Promise((done) => {
    scrollTo(0, share * document.documentElement.scrollHeight);
    const begun = performance.now();
    const look = () => {
        const seen = [...document.querySelectorAll('.tile')].filter((tile) => {
            const box = tile.getBoundingClientRect();
            return box.bottom > 70 && box.top < innerHeight;
        });
        if (seen.length && seen.every((tile) => tile.querySelector('img').naturalWidth)) {
            done(performance.now() - begun);
        } else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


def scrolling(address: str, token: str) -> dict[str, object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        page.goto(f"{address}#token={token}")
        page.wait_for_selector(".tile.loaded")
        blank = {}
        for speed in SPEEDS:
            page.evaluate("scrollTo(0, 0)")
            time.sleep(1)
            page.evaluate(WATCH)
            page.evaluate(SCROLL, [speed, SECONDS])
            blank[speed] = page.evaluate("() => { window.watching = false; return window.blank; }")
        random = np.random.default_rng(1)
        settled = [page.evaluate(JUMP, share) for share in random.uniform(0, 0.99, JUMPS).tolist()]
        mounted = page.locator(".tile").count()
        browser.close()
    return {
        **{f"blank at {speed}": statistics.fmean(shares) for speed, shares in blank.items()},
        **{f"frames/s at {speed}": len(shares) / SECONDS for speed, shares in blank.items()},
        "settled": statistics.median(settled),
        "tiles mounted": mounted,
    }


def _unit(random: np.random.Generator, count: int, dim: int) -> np.ndarray:
    rows = random.standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _picture(path: Path, random: np.random.Generator) -> Path:
    """As large in bytes as a tile of a photo: smooth, with some grain."""
    coarse = Image.fromarray(random.integers(0, 256, (8, 11, 3), np.uint8)).resize((427, 320), Image.Resampling.BICUBIC)
    grain = random.normal(0, 9, (320, 427, 3))
    Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)).save(path, quality=76)
    return path


if __name__ == "__main__":
    main()
