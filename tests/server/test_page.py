"""The page in a real browser: what a person does, with the mouse, with the keyboard alone, on a phone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from isthmus.backends.backend import Delta, Finish, Options, Stream, Usage
from isthmus.server.settings import Limits, Settings
from isthmus.stopwatch import part
from tests.backends.conformance import picture
from tests.chromium import CHROMIUM, FLAGS, needs_chromium

from .serving import NAME, Held, Served, served

PATIENCE = 60_000
"""Milliseconds: a busy machine is slow, and a condition that never comes is a failure all the same."""

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>&amp; **bold**\n\n  end"

pytestmark = pytest.mark.xdist_group("browser")


class Speaks(Held):
    """What the question says after "say "; anything else is held."""

    def stream(self, messages: Any, *, tools: Any = None, options: Options) -> Stream:
        text = messages[-1].text
        if not text.startswith("say "):
            yield from super().stream(messages, tools=tools, options=options)
            return
        for name in ("decode", "encoder", "prefill"):
            with part(name):
                sum(range(100_000))
        said = EVIL if text == "say evil" else f"{text[4:]}, {len(messages)} messages"
        for piece in re.findall(r"\s*\S+|\s+$", said):
            yield Delta(piece)
        pictures = sum(len(message.pictures) for message in messages)
        yield Delta(finish=Finish("stop", Usage(10 + 7 * pictures, 7 * pictures, 5)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs_chromium()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def speaking() -> Iterator[tuple[Served, Speaks]]:
    backend = Speaks()
    with served(backend, Settings(limits=Limits(pixels=100_000))) as here:
        yield here, backend
        backend.permit(1000)


def context(browser: Browser, **more: object) -> BrowserContext:
    settings: dict[str, Any] = {
        "viewport": {"width": 1280, "height": 800},
        "locale": "en-GB",
        "reduced_motion": "reduce",
    }
    made = browser.new_context(**settings | more)
    made.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    return made


def address(here: Served) -> str:
    return f"{here.address}#token={here.token}"


@pytest.fixture
def page(browser: Browser, speaking: tuple[Served, Speaks]) -> Iterator[Page]:
    """Opened with the token; at its end nothing was refused by the policy and no script has failed."""
    with context(browser) as made:
        opened = made.new_page()
        said: list[str] = []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(f"error: {error}"))
        opened.goto(address(speaking[0]))
        expect(opened.locator("#name")).to_have_text(NAME)
        yield opened
        assert not [text for text in said if "Content Security Policy" in text or text.startswith("error")], said


def ask(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pictures") / "noise.png"
    made.write_bytes(picture(0))
    return made


def test_a_picture_is_asked_about_and_the_ledger_shows_where_the_time_went(page: Page, file: Path) -> None:
    assert "token" not in page.url
    assert page.evaluate("document.cookie") == ""
    page.locator("#file").set_input_files(file)
    expect(page.locator("#pictures img")).to_have_attribute("alt", "Picture: noise.png")
    assert page.wait_for_function("document.querySelector('#pictures img').naturalWidth === 56")
    ask(page, "say a cat")
    expect(page.locator(".turn.model .words")).to_have_text("a cat, 1 messages")
    expect(page.locator(".turn.user img")).to_be_visible()
    expect(page.locator("#pictures")).to_be_hidden()
    ledger = page.locator(".ledger")
    expect(ledger.locator("figcaption")).to_have_text(re.compile(r"^[\d.,]+ ms to the first text$"))
    parts = ledger.locator(".legend li").evaluate_all("(all) => all.map((each) => each.dataset.part)")
    assert parts[-1] == "unattributed"
    assert {"queue", "decode", "encoder", "prefill"} <= set(parts)
    widths = ledger.locator(".bar i").evaluate_all("(all) => all.map((each) => each.getBoundingClientRect().width)")
    whole = ledger.locator(".bar").evaluate("(bar) => bar.getBoundingClientRect().width")
    assert sum(widths) == pytest.approx(whole, abs=1)
    assert len([width for width in widths if width > 0]) >= 4
    expect(ledger.locator(".usage")).to_contain_text("17 tokens read, 7 of them pictures; 5 written")
    ask(page, "say and now")  # the picture is still known in the next turn
    expect(page.locator(".turn.model .words").nth(1)).to_have_text("and now, 3 messages")
    expect(page.locator(".ledger .usage").nth(1)).to_contain_text("7 of them pictures")


def test_what_a_model_says_is_text(page: Page) -> None:
    ask(page, "say evil")
    words = page.locator(".turn.model .words")
    expect(words).to_contain_text("end")
    assert words.evaluate("(each) => each.textContent") == EVIL
    assert words.evaluate("(each) => each.childElementCount") == 0
    assert page.title() == "Isthmus"


def test_stop_keeps_what_was_said_and_frees_the_slot(page: Page, speaking: tuple[Served, Speaks]) -> None:
    here, backend = speaking
    ask(page, "hold on")
    backend.permit(2, "hold on")
    expect(page.locator(".turn.model .words")).to_have_text("aa")
    expect(page.locator("#send")).to_be_hidden()
    page.click("#stop")
    expect(page.locator(".turn.model .note")).to_have_text("Stopped.")
    expect(page.locator("#send")).to_be_visible()
    expect(page.locator("#text")).to_be_focused()
    backend.permit(1, "hold on")
    here.until(lambda: here.engine.admission.busy == 0)
    ask(page, "say on")
    expect(page.locator(".turn.model .words").nth(1)).to_have_text("on, 3 messages")


def test_the_keyboard_alone_asks_stops_and_begins_again(page: Page, speaking: tuple[Served, Speaks]) -> None:
    here, backend = speaking
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("wait")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("here")
    page.keyboard.press("Enter")
    backend.permit(1, "wait\nhere")
    expect(page.locator(".turn.model .words")).to_have_text("a")
    page.keyboard.press("Escape")
    expect(page.locator(".note")).to_have_text("Stopped.")
    backend.permit(1, "wait\nhere")
    here.until(lambda: here.engine.admission.busy == 0)
    page.locator("#new").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator("#hint")).to_be_visible()
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("say new")
    page.keyboard.press("Enter")
    expect(page.locator(".turn.model .words")).to_have_text("new, 1 messages")


def test_pictures_are_dropped_pasted_and_left_out(page: Page) -> None:
    carried = """([data, how]) => {
        const file = new File([Uint8Array.from(data)], `${how}.png`, { type: "image/png" });
        const carried = new DataTransfer();
        carried.items.add(file);
        const event = how === "drop"
            ? new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
    }"""
    page.evaluate(carried, [list(picture(1)), "drop"])
    expect(page.locator("#pictures li")).to_have_count(1)
    page.evaluate(carried, [list(picture(2)), "paste"])
    expect(page.locator("#pictures li")).to_have_count(2)
    page.get_by_role("button", name="Leave out drop.png").click()
    expect(page.locator("#pictures li")).to_have_count(1)
    ask(page, "say both")
    expect(page.locator(".usage")).to_contain_text("7 of them pictures")
    page.evaluate(carried, [list(b"no picture"), "drop"])
    ask(page, "say nothing")
    expect(page.locator("#trouble")).to_contain_text("not a picture")
    expect(page.locator(".turn.user")).to_have_count(1)  # it was not asked, and can be asked again
    expect(page.locator("#text")).to_have_value("say nothing")
    page.get_by_role("button", name="Leave out drop.png").click()
    page.press("#text", "Enter")
    expect(page.locator(".turn.model .words").nth(1)).to_have_text("nothing, 3 messages")


def test_without_the_token_the_page_says_how_to_open_it(browser: Browser, speaking: tuple[Served, Speaks]) -> None:
    with context(browser) as made:
        page = made.new_page()
        page.goto(speaking[0].address)
        expect(page.locator("#trouble")).to_contain_text("open the address that isthmus printed")


def test_loading_is_shown_until_the_model_is_there(browser: Browser) -> None:
    with served(None) as here, context(browser) as made:
        page = made.new_page()
        page.goto(address(here))
        expect(page.locator("#state")).to_have_text("The model is being loaded…")
        here.engine.backend = Speaks()
        expect(page.locator("#state")).to_have_text("Ready")
        ask(page, "say here")
        expect(page.locator(".turn.model .words")).to_have_text("here, 1 messages")


def test_chinese_by_the_browser_s_language_on_a_phone(browser: Browser, speaking: tuple[Served, Speaks]) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "locale": "zh-CN"}
    with context(browser, **phone) as made:
        page = made.new_page()
        page.goto(address(speaking[0]))
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
        expect(page.locator("#send")).to_have_text("发送")
        page.fill("#text", "say " + "很长的回答" * 80)
        page.tap("#send")
        expect(page.locator(".ledger .usage")).to_contain_text("写出 5 个")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("#send").bounding_box()["y"] < 740  # type: ignore[index]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_rules_of_accessibility_hold(
    browser: Browser, speaking: tuple[Served, Speaks], file: Path, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with context(browser, color_scheme=scheme, bypass_csp=True) as made:  # axe is put into the page as a script
        page = made.new_page()
        page.goto(address(speaking[0]))
        page.locator("#file").set_input_files(file)
        ask(page, "say a cat")
        expect(page.locator(".ledger .usage")).to_be_visible()
        page.locator("#file").set_input_files(file)
        expect(page.locator("#pictures img")).to_be_visible()
        found = Axe().run(page).response["violations"]
        assert not found, [(each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in found]
