"""The page in a real browser: what a person does, with the mouse, with the keyboard alone, on a phone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from isthmus.photos.index import index
from isthmus.photos.store import Library
from tests.chromium import needs_chromium

from ..fakes import COLOURS, ColourEmbedder, paint
from .browser import served
from .conftest import PARIS, ROME, placed

MANY = 2400
PATIENCE = 60_000
"""Milliseconds: a busy machine is slow, and a condition that never comes is a failure all the same."""

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of MANY small pictures in five colours over ten years, of Paris and of Rome."""
    needs_chromium()
    folder = tmp_path_factory.mktemp("many")
    names = [name for name in COLOURS if name != "black"]
    for at in range(MANY - 2):
        name = f"{2012 + at % 10}-{at % 12 + 1:02}-{at % 28 + 1:02} {names[at % 5]} {at}.jpg"
        paint(folder / "photos" / name, names[at % 5], (24 + at % 5 * 6, 24), seed=at)
    placed(folder / "photos/2022-05-01 paris.jpg", "black", PARIS, 7)
    placed(folder / "photos/2022-05-02 rome.jpg", "black", ROME, 8)
    with Library.write(folder / "lib") as store:
        index(store, [folder / "photos"], ColourEmbedder(), batch=256, quiet=True)
    return folder


@pytest.fixture(scope="module")
def address(many: Path) -> Iterator[str]:
    with served(many / "lib") as where:
        yield where


def context(browser: Browser, **more: object) -> BrowserContext:
    settings = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "reduced_motion": "reduce"} | more
    made = browser.new_context(**settings)
    made.set_default_timeout(PATIENCE)
    return made


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """Opened with the token; at its end nothing was refused by the policy and no script has failed."""
    with context(browser) as made:
        opened = made.new_page()
        said: list[str] = []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(f"error: {error}"))
        opened.goto(address)
        settled(opened)
        yield opened
        assert not [text for text in said if "Content Security Policy" in text or text.startswith("error")], said


def settled(page: Page) -> None:
    """Every tile in the window shows its picture."""
    page.wait_for_function(
        """() => {
            const seen = [...document.querySelectorAll('.tile')].filter((tile) => {
                const box = tile.getBoundingClientRect();
                return box.bottom > 0 && box.top < innerHeight;
            });
            return seen.length > 0 && seen.every((tile) => tile.querySelector('img').naturalWidth > 0);
        }""",
        timeout=PATIENCE,
    )


def search(page: Page, text: str) -> None:
    page.fill("#q", text)
    page.press("#q", "Enter")
    expect(page).to_have_url(re.compile(r"\?q="), timeout=PATIENCE)


def labels(page: Page) -> list[str]:
    return page.locator("#chips .label").all_inner_texts()


def counted(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text, timeout=PATIENCE)


def test_the_token_leaves_the_address_and_the_cookie_stays(page: Page) -> None:
    assert "token" not in page.url
    counted(page, "2,400 photos")
    page.reload()
    counted(page, "2,400 photos")
    assert page.evaluate("document.cookie") == ""


def test_without_the_token_the_page_says_how_to_open_it(browser: Browser, address: str) -> None:
    with context(browser) as made:
        page = made.new_page()
        page.goto(address.split("#")[0])
        expect(page.locator("#trouble")).to_contain_text("open the address that isthmus printed", timeout=PATIENCE)
        assert page.locator(".tile").count() == 0


def test_a_sentence_is_typed_and_its_chips_are_taken_off(page: Page) -> None:
    search(page, "green in 2015")
    expect(page.locator("#chips li")).to_have_count(2, timeout=PATIENCE)
    assert labels(page) == ["green", "2015"]
    counted(page, "240 of 2,400 photos")
    settled(page)
    page.click(".chip:nth-child(2) .remove")
    counted(page, "2,400 photos")
    assert labels(page) == ["green"]
    expect(page.locator(".tile").first).to_have_attribute("aria-label", re.compile("green"), timeout=PATIENCE)
    page.go_back()
    counted(page, "240 of 2,400 photos")
    assert labels(page) == ["green", "2015"]
    page.go_forward()
    counted(page, "2,400 photos")


def test_a_chip_is_turned_round_and_said_otherwise(page: Page) -> None:
    search(page, "green in 2015")
    counted(page, "240 of 2,400 photos")
    page.click(".chip:nth-child(2) .what")
    page.get_by_role("button", name="Leave these out").click()
    counted(page, "2,160 of 2,400 photos")
    expect(page.locator(".chip.negative")).to_have_count(1)
    page.click(".chip:nth-child(2) .what")
    page.fill("#menu input", "in March 2016")
    page.press("#menu input", "Enter")
    expect(page.locator(".chip:nth-child(2) .label")).to_contain_text("2016-03", timeout=PATIENCE)
    page.click(".chip:nth-child(2) .what")
    page.keyboard.press("Escape")
    expect(page.locator("#menu")).to_be_hidden()
    expect(page.locator(".chip:nth-child(2) .what")).to_be_focused()


def test_what_stands_in_the_way_is_offered(page: Page) -> None:
    search(page, "green in 1999")
    expect(page.locator("#none")).to_contain_text("No photo fits", timeout=PATIENCE)
    page.get_by_role("button", name="Without “1999”: 2,400 photos").click()
    counted(page, "2,400 photos")


def test_scrolling_leaves_no_tile_blank_and_keeps_the_page_small(page: Page) -> None:
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height > 20_000
    for share in (0.1, 0.5, 0.97, 0.3, 1, 0):
        page.evaluate("(y) => scrollTo(0, y)", share * height)
        settled(page)
        covered = page.evaluate(
            """() => [0.35, 0.5, 0.8].every((part) => [0.2, 0.5, 0.7].some((side) => [0, 20].some((below) =>
                document.elementFromPoint(innerWidth * side, innerHeight * part + below)?.closest('.tile'))))"""
        )
        assert covered or share == 1, share  # the last row need not fill the window
        assert page.locator(".tile").count() < 300


def test_scrolling_by_the_wheel_meets_pictures(page: Page) -> None:
    page.mouse.move(600, 500)
    for _ in range(30):
        page.mouse.wheel(0, 700)
    settled(page)
    assert page.evaluate("scrollY") > 5000


def test_the_keyboard_alone_walks_opens_and_goes_back(page: Page) -> None:
    page.locator("#home").focus()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("red in 2012")
    page.keyboard.press("Enter")
    counted(page, "240 of 2,400 photos")
    page.keyboard.press("ArrowDown")
    focused = page.locator(".tile:focus")
    expect(focused).to_have_attribute("data-index", "0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("data-index", "2")
    page.keyboard.press("ArrowDown")
    below = int(focused.get_attribute("data-index") or 0)
    assert below > 4
    page.keyboard.press("ArrowUp")
    expect(focused).to_have_attribute("data-index", "2")
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-index", "239")
    assert page.evaluate("document.activeElement.getBoundingClientRect().bottom <= innerHeight")
    page.keyboard.press("Home")
    expect(focused).to_have_attribute("data-index", "0")
    assert page.evaluate(
        "document.activeElement.getBoundingClientRect().top >= document.getElementById('top').offsetHeight"
    )
    page.keyboard.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer .facts")).to_contain_text("Photo 2 of 240", timeout=PATIENCE)
    assert "photo=" in page.url
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(focused).to_have_attribute("data-index", "1")
    page.keyboard.press(" ")
    expect(page.locator("#selected")).to_have_text("1 selected")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#selected")).to_have_text("2 selected")
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()
    assert page.locator('.tile[tabindex="0"]').count() == 1


def test_the_full_view_shows_the_picture_and_what_is_known(page: Page) -> None:
    search(page, "black in Paris in 2022")
    counted(page, "1 of 2,400 photos")
    page.locator(".tile").first.click()
    expect(page.locator("#viewer .large.loaded")).to_be_visible(timeout=PATIENCE)
    facts = page.locator("#viewer .facts")
    for text in ("2022-05-01 paris.jpg", "1 May 2022", "Paris, France", "64 × 48", "Why it was found", "Similarity"):
        expect(facts).to_contain_text(text)
    expect(page.locator('[data-view="back"]')).to_be_disabled()
    expect(page.locator('[data-view="on"]')).to_be_disabled()
    page.get_by_role("button", name="More like this").click()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#chips .label")).to_have_text("This photo", timeout=PATIENCE)
    expect(page.locator(".tile").first).to_have_attribute("aria-label", re.compile("paris"), timeout=PATIENCE)
    expect(page.locator(".tile").nth(1)).to_have_attribute("aria-label", re.compile("rome"), timeout=PATIENCE)
    page.go_back()
    expect(page.locator("#viewer")).to_be_visible(timeout=PATIENCE)


def test_a_month_of_the_timeline_leads_there_or_filters(page: Page) -> None:
    bar = page.get_by_role("button", name=re.compile("^March 2014"))
    bar.click()
    expect(page.locator(".tile:focus")).to_have_attribute("aria-label", re.compile("Mar(ch)? 2014"), timeout=PATIENCE)
    search(page, "green")
    page.get_by_role("button", name=re.compile("^March 2014.*only these")).click()
    expect(page.locator("#chips .filter .label")).to_have_text("March 2014", timeout=PATIENCE)
    expect(page.locator("#count")).to_have_text(re.compile("^40 of"), timeout=PATIENCE)
    page.click(".chip.filter .remove")
    counted(page, "2,400 photos")


def test_a_place_on_the_map_filters(page: Page) -> None:
    page.click("#show-map")
    expect(page.locator(".cluster")).to_have_count(2, timeout=PATIENCE)
    expect(page.locator("#map .placed")).to_have_text("2 photos with a known place")
    page.locator(".cluster").first.click()
    expect(page.locator("#count")).to_have_text("1 of 2,400 photos", timeout=PATIENCE)
    assert "area=" in page.url
    page.click(".chip.filter .remove")
    counted(page, "2,400 photos")


def test_a_picture_of_ones_own_is_looked_like(page: Page, tmp_path: Path) -> None:
    paint(tmp_path / "mine.png", "yellow", seed=1)
    page.locator("#picture").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#chips .filter .label")).to_have_text("A picture of yours")
    first = page.locator(".tile").first
    expect(first).to_have_attribute("aria-label", re.compile("yellow"))
    paint(tmp_path / "other.png", "blue", seed=1)
    dropped = """async (data) => {
        const file = new File([Uint8Array.from(data)], "other.png", { type: "image/png" });
        const carried = new DataTransfer();
        carried.items.add(file);
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(dropped, list((tmp_path / "other.png").read_bytes()))
    expect(first).to_have_attribute("aria-label", re.compile("blue"))
    page.go_back()
    page.go_back()
    expect(page.locator("#chips .filter")).to_have_count(0)
    page.evaluate(dropped, list(b"no picture"))
    expect(page.locator("#trouble")).to_contain_text("not a picture")
    page.reload()
    expect(page.locator("#chips .filter")).to_have_count(0)


def test_photos_are_selected_and_listed(page: Page) -> None:
    page.locator(".tile").nth(0).hover()
    page.locator(".tile").nth(0).locator(".check").click()
    page.locator(".tile").nth(3).click(modifiers=["Shift"])
    expect(page.locator("#selected")).to_have_text("4 selected")
    for what, ending in (("csv", ".csv"), ("zip", ".zip"), ("json", ".json")):
        with page.expect_download(timeout=PATIENCE) as download:
            page.click(f'#selection [data-do="{what}"]')
        assert download.value.suggested_filename.endswith(ending)
        assert download.value.path().stat().st_size > 200


def test_chinese_by_the_browser_s_language_and_english_by_choice(browser: Browser, address: str) -> None:
    with context(browser, locale="zh-CN") as made:
        page = made.new_page()
        page.goto(address)
        settled(page)
        counted(page, "2,400 张照片")
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
        search(page, "2015年拍的绿色")
        expect(page.locator("#chips .kind").first).to_have_text("时间", timeout=PATIENCE)
        counted(page, "2,400 张照片中的 240 张")
        page.locator(".tile").first.click()
        expect(page.locator("#viewer .facts")).to_contain_text("拍摄时间", timeout=PATIENCE)
        page.keyboard.press("Escape")
        page.click("#language")
        counted(page, "240 of 2,400 photos")
        page.reload()
        counted(page, "240 of 2,400 photos")
        assert page.evaluate("document.documentElement.lang") == "en"


def test_on_a_phone_nothing_is_wider_than_the_window(browser: Browser, address: str) -> None:
    with context(browser, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True) as made:
        page = made.new_page()
        page.goto(address)
        settled(page)
        page.tap("#show-map")
        expect(page.locator(".cluster").first).to_be_visible(timeout=PATIENCE)
        search(page, "something green in Paris in March 2014 not in 2015 without people")
        expect(page.locator("#chips li").nth(2)).to_be_visible(timeout=PATIENCE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto(address.split("#")[0])
        settled(page)
        page.locator(".tile").first.tap()
        expect(page.locator("#viewer .facts dl").first).to_be_visible(timeout=PATIENCE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_rules_of_accessibility_hold(browser: Browser, address: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with context(browser, color_scheme=scheme, bypass_csp=True) as made:  # axe is put into the page as a script
        page = made.new_page()
        page.goto(address)
        settled(page)
        page.click("#show-map")
        search(page, "green in Paris not in 2015 without people")
        expect(page.locator("#chips li").nth(3)).to_be_visible(timeout=PATIENCE)
        complaints(Axe().run(page))
        page.click(".chip:nth-child(2) .what")
        complaints(Axe().run(page))
        page.keyboard.press("Escape")
        page.goto(address.split("#")[0])
        settled(page)
        page.locator(".tile").first.click()
        expect(page.locator("#viewer .facts dl").first).to_be_visible(timeout=PATIENCE)
        complaints(Axe().run(page))


def complaints(results: object) -> None:
    found = results.response["violations"]
    assert not found, [(each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in found]
