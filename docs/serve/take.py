"""Takes the screenshots of docs/serve.md in a real browser, with the default model and scikit-image's photographs.

    python docs/serve/take.py

Needs Debian's chromium and `isthmus[dev]`.
"""

import subprocess
import sys
from pathlib import Path

import skimage.data
from playwright.sync_api import Page, expect, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PHOTOS = Path(skimage.data.__file__).parent
DESK, PHONE = {"width": 1100, "height": 760}, {"width": 390, "height": 780}
PATIENCE = 300_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


def main() -> None:
    command = [sys.executable, "-m", "isthmus.cli.main", "serve", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        try:
            address = server.stdout.readline().partition(":")[2].strip()
            assert server.stderr.readline().startswith("ready")
            take(address)
        finally:
            server.terminate()


def take(address: str) -> None:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)

        def opened(**more: object) -> Page:
            page = browser.new_context(**({"viewport": DESK, "locale": "en-GB"} | more)).new_page()
            page.goto(address)
            return page

        page = opened()
        ask(page, "chelsea.png", "What animal is this?")
        saved(page, "light")
        page = opened(color_scheme="dark")
        ask(page, "coffee.png", "What is on the table?")
        saved(page, "dark")
        page = opened(viewport=PHONE, has_touch=True, locale="zh-CN")
        ask(page, "rocket.jpg", "What is this?")
        saved(page, "phone")
        browser.close()


def ask(page: Page, picture: str, question: str) -> None:
    page.locator("#file").set_input_files(PHOTOS / picture)
    expect(page.locator("#pictures img")).to_be_visible()
    page.fill("#text", question)
    page.press("#text", "Enter")
    expect(page.locator(".ledger .usage")).to_be_visible()


def saved(page: Page, name: str) -> None:
    page.mouse.move(2, 2)
    page.screenshot(path=HERE / f"{name}.jpg", type="jpeg", quality=80)


if __name__ == "__main__":
    main()
