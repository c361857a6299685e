"""Naming by the API and on the page: a part is marked, named, found, and what was found wrongly is said."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect

from isthmus.http.secret import Secret
from isthmus.photos.index import index
from isthmus.photos.regions import look_closer
from isthmus.photos.serve.app import make_app
from isthmus.photos.serve.engine import Engine
from isthmus.photos.serve.thumbnails import Thumbnails
from isthmus.photos.store import Library

from ..fakes import ColourEmbedder
from ..test_naming import scene
from .browser import served
from .conftest import HERE, PORT, told
from .test_page import PATIENCE, complaints, context, settled

SHOWN = frozenset(range(0, 40, 4))
MIDDLE = "0.2,0.2,0.8,0.8"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library of 40 photos; those whose names are in SHOWN have the ball."""
    for seed in range(40):
        scene(tmp_path / f"photos/{seed:02}.png", seed, ball=seed in SHOWN)
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "photos"], ColourEmbedder(), quiet=True)
        look_closer(store, ColourEmbedder(), quiet=True)
    return tmp_path / "lib"


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with Library.read(folder) as library:
        engine = Engine(library, ColourEmbedder, Thumbnails(folder / "thumbnails"))
        engine._get_ready()
        secret = Secret()
        app = make_app(engine, secret, PORT)
        yield TestClient(app, base_url=HERE, headers={"Authorization": f"Bearer {secret.token}"})


def number(client: TestClient, at: int) -> int:
    """Of the photo with this name."""
    all_of_them = told(client.get("/api/search"))["photos"]
    tiles = told(client.get("/api/photos", params={"photos": ",".join(map(str, all_of_them))}))["photos"]
    return next(each["photo"] for each in tiles if each["name"] == f"{at:02}.png")


def found(client: TestClient, sentence: str) -> set[str]:
    photos = told(client.get("/api/search", params={"q": sentence}))["photos"]
    return {told(client.get(f"/api/photos/{photo}"))["files"][0]["path"][-6:-4] for photo in photos}


def test_what_is_named_is_found_by_its_name(client: TestClient) -> None:
    assert told(client.get("/api/names")) == {"names": []}
    examples = [{"photo": number(client, at), "part": MIDDLE} for at in (0, 4)]
    answer = told(client.post("/api/names", json={"name": "Pink Ball", "right": examples}))
    assert (answer["name"], answer["examples"], answer["wrong"]) == ("Pink Ball", 2, 0)
    assert told(client.get("/api/names")) == {"names": [answer]}
    there = found(client, "Pink Ball")
    assert len(there) == answer["photos"] <= len(SHOWN) + 2
    assert there >= {f"{at:02}" for at in SHOWN}
    about = told(client.get(f"/api/photos/{number(client, 8)}", params={"q": "pink ball"}))
    (named,) = about["named"]
    assert (named["name"], named["example"]) == ("Pink Ball", False)
    assert about["matches"][0]["by"] == "Pink Ball"
    assert told(client.get(f"/api/photos/{number(client, 0)}"))["named"] == [
        {"name": "Pink Ball", "box": None, "example": True}
    ]


def test_a_wrong_one_goes_and_stays_away(client: TestClient) -> None:
    examples = [{"photo": number(client, at), "part": MIDDLE} for at in (0, 4)]
    told(client.post("/api/names", json={"name": "Ball", "right": examples}))
    answer = told(client.post("/api/names", json={"name": "ball", "wrong": [{"photo": number(client, 8)}]}))
    assert (answer["wrong"], "08" in found(client, "Ball")) == (1, False)
    told(client.post("/api/names", json={"name": "ball", "right": [{"photo": number(client, 8)}]}))
    assert "08" in found(client, "Ball")


def test_renamed_and_forgotten(client: TestClient) -> None:
    told(client.post("/api/names", json={"name": "Ball", "right": [{"photo": number(client, 0), "part": MIDDLE}]}))
    (renamed,) = told(client.post("/api/names/rename", json={"name": "ball", "new": "Globe"}))["names"]
    assert renamed["name"] == "Globe"
    assert found(client, "Globe")
    assert told(client.post("/api/names/forget", json={"name": "Globe"})) == {"names": []}


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ({"name": "Ball"}, 400, "no example yet"),
        ({"name": " ", "right": [{"photo": 1}]}, 400, "no name"),
        ({"name": "x" * 81, "right": [{"photo": 1}]}, 422, "name"),
        ({"name": "Ball", "right": [{"photo": 999}]}, 400, "no photo 999"),
        ({"name": "Ball", "right": [{"photo": 0}]}, 422, "right.0.photo"),
        ({"name": "Ball", "right": [{"photo": 1, "part": "0.5,0,0.2,1"}]}, 400, "no inside"),
        ({"name": "Ball", "right": [{"photo": 1, "part": "0,0,2,1"}]}, 422, "right.0.part"),
        ({"name": "Ball", "right": [{"photo": 1}] * 25}, 422, "right"),
        ({"name": "Ball", "right": [], "x": 1}, 422, "x"),
    ],
)
def test_what_cannot_be_named_is_said_and_changes_nothing(
    client: TestClient, asked: dict, status: int, says: str
) -> None:
    answer = client.post("/api/names", json=asked)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert says in f"{error['what']} {error['why']}"
    assert told(client.get("/api/names")) == {"names": []}


def test_while_another_process_writes_it_is_told_to_wait(client: TestClient, folder: Path) -> None:
    with Library.write(folder):
        answer = client.post("/api/names", json={"name": "Ball", "right": [{"photo": 1}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "in_use")


def test_a_file_that_is_away_is_no_example(client: TestClient, folder: Path) -> None:
    photo = number(client, 0)
    (folder.parent / "photos/00.png").unlink()
    answer = client.post("/api/names", json={"name": "Ball", "right": [{"photo": photo}]})
    assert (answer.status_code, answer.json()["error"]["why"]) == (400, "missing")


def test_like_a_part_of_a_photo(client: TestClient) -> None:
    photo = number(client, 0)
    answer = told(client.get(f"/api/photos/{photo}/similar", params={"part": MIDDLE}))
    assert answer["count"] == 40
    assert answer["photos"][0] == photo
    best = {told(client.get(f"/api/photos/{each}"))["files"][0]["path"][-6:-4] for each in answer["photos"][:10]}
    assert best == {f"{at:02}" for at in SHOWN}
    assert told(client.get(f"/api/photos/{photo}/similar"))["photos"] != answer["photos"]
    assert client.get(f"/api/photos/{photo}/similar", params={"part": "0,0,0,1"}).status_code == 400
    assert client.get(f"/api/photos/{photo}/similar", params={"part": "0,0,2,1"}).status_code == 422
    assert client.get("/api/photos/999/similar", params={"part": MIDDLE}).status_code == 404


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    with served(folder) as address, context(browser, bypass_csp=True) as made:
        opened = made.new_page()
        opened.goto(address)
        settled(opened)
        yield opened


def open_photo(page: Page, name: str) -> None:
    page.locator(f'.tile[aria-label*="{name}"]').first.click()
    expect(page.locator("#viewer .facts dl").first).to_be_visible(timeout=PATIENCE)


browser_tests = pytest.mark.xdist_group("browser")


@browser_tests
def test_a_part_is_drawn_named_found_and_corrected(page: Page) -> None:
    from axe_playwright_python.sync_playwright import Axe

    open_photo(page, "00.png")
    page.get_by_role("button", name="Mark a part").click()
    box = page.locator(".marking").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.75 * box["height"], steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Name…").click()
    complaints(Axe().run(page))
    page.get_by_role("combobox", name="Who or what is it?").fill("Ball")
    page.keyboard.press("Enter")
    note = page.locator(".naming .note")
    expect(note).to_have_text(re.compile(r"Ball: in 1[0-2] photos"), timeout=PATIENCE)
    count = int(re.findall(r"\d+", note.inner_text())[0])
    page.get_by_role("button", name="Show Ball").click()
    expect(page).to_have_url(re.compile(r"\?q=Ball$"), timeout=PATIENCE)
    expect(page.locator("#count")).to_have_text(f"{count} of 40 photos", timeout=PATIENCE)
    expect(page.locator("#chips li .kind")).to_have_text("who")

    open_photo(page, "08.png")
    page.get_by_role("button", name="Not Ball").click()
    expect(page.get_by_role("button", name="Not Ball")).to_have_count(0, timeout=PATIENCE)
    page.reload()
    settled(page)
    expect(page.locator("#count")).not_to_have_text(f"{count} of 40 photos", timeout=PATIENCE)
    expect(page.locator('.tile[aria-label*="08.png"]')).to_have_count(0)


@browser_tests
def test_a_part_is_marked_by_the_keyboard_and_alike_ones_come_first(page: Page) -> None:
    open_photo(page, "04.png")
    page.get_by_role("button", name="Mark a part").press("Enter")
    expect(page.locator(".part")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".marking")).to_have_count(0)
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    page.get_by_role("button", name="More like this part").press("Enter")
    expect(page).to_have_url(re.compile(r"like=\d+%400.2500%2C0.2500%2C0.7500%2C0.7300"), timeout=PATIENCE)
    expect(page.locator("#chips .label")).to_have_text("This part of a photo", timeout=PATIENCE)
    settled(page)
    first = page.locator(".tile").evaluate_all(
        "tiles => tiles.sort((a, b) => a.dataset.index - b.dataset.index).slice(0, 10).map((tile) => tile.ariaLabel)"
    )
    assert all(int(re.search(r"(\d\d)\.png", label)[1]) in SHOWN for label in first), first


@browser_tests
def test_selected_photos_are_named_together(page: Page) -> None:
    for name in ("00.png", "04.png", "12.png"):
        page.locator(f'.tile[aria-label*="{name}"] .check').first.click()
    page.locator("#selection").get_by_role("button", name="Name…").click()
    page.get_by_role("combobox", name="Who or what is it?").fill("Ball")
    page.get_by_role("button", name="Name", exact=True).click()
    expect(page.locator(".naming .note")).to_contain_text("Ball: in", timeout=PATIENCE)
