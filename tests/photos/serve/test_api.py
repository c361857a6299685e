"""What the API answers: the photos that search finds, in its order, and one shape for all that goes wrong."""

import base64
import csv
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from isthmus.errors import MissingPart
from isthmus.http.secret import Secret
from isthmus.photos import swap
from isthmus.photos.search import Searcher
from isthmus.photos.serve.app import make_app
from isthmus.photos.serve.engine import Engine
from isthmus.photos.serve.guard import Guard
from isthmus.photos.serve.thumbnails import Thumbnails
from isthmus.photos.store import Library

from ..fakes import ColourEmbedder, paint
from .conftest import HERE, PORT, fill, name_of, named, told

Find = Callable[..., dict]


def opened(app: Guard, secret: Secret) -> TestClient:
    return TestClient(app, base_url=HERE, headers={"Authorization": f"Bearer {secret.token}"})


def names(page: TestClient, found: dict) -> list[str]:
    return [name_of(page, photo) for photo in found["photos"]]


def test_words_rank_all_photos_as_search_does(find: Find, library: Library) -> None:
    found = find(q="something red")
    searched = Searcher(library, ColourEmbedder()).search("something red", 100)
    hits = searched.hits
    assert found["photos"] == [hit.photo for hit in hits]
    assert found["scores"] == pytest.approx([hit.score for hit in hits], abs=1e-4)
    assert (found["count"], found["total"], found["sure"]) == (7, 7, searched.sure)
    assert [(w, h) for w, h in zip(found["widths"], found["heights"], strict=True)] == [(64, 48)] * 7


def test_without_words_the_newest_come_first(find: Find, page: TestClient) -> None:
    found = find()
    assert names(page, found)[0] == "2022-05-02 rome.jpg"
    assert names(page, found)[-1] == "undated white.png"
    assert found["scores"] is None
    assert find(order="oldest")["photos"][0] == named(page, "red.png")
    assert find(q="newest first", order="oldest")["photos"] == find(order="oldest")["photos"]
    assert find(q="oldest first", order="newest")["photos"] == found["photos"]


def test_words_by_time_are_the_nearest_by_time(find: Find, page: TestClient) -> None:
    best, found = find(q="red"), find(q="red", order="newest")
    assert 0 < found["count"] == (best["sure"] or 7)
    by_photo = dict(zip(found["photos"], found["scores"], strict=True))
    assert by_photo == dict(list(zip(best["photos"], best["scores"], strict=True))[: found["count"]])
    dated = [name for name in names(page, found) if "undated" not in name]
    assert dated == sorted(dated, reverse=True)
    assert find(q="red newest first", order="relevance")["photos"] == best["photos"]


def test_a_limit_cuts_the_list_and_not_the_count(find: Find) -> None:
    found = find(q="red", limit=2)
    assert (len(found["photos"]), len(found["scores"]), found["count"]) == (2, 2, 7)


def test_the_first_photos_are_those_of_the_whole_list(find: Find) -> None:
    """Whether the whole list was made out before or is afterwards."""
    columns = ("photos", "widths", "heights", "colours", "scores")
    for q, order in (
        ("something red", ""),
        ("blue in 2019", ""),
        ("", "oldest"),
        ("red", "newest"),
        ("black", "oldest"),
    ):
        asked = {"q": q} | ({"order": order} if order else {})
        first, whole, again = find(**asked, limit=2), find(**asked), find(**asked, limit=2)
        assert first["count"] == whole["count"] == len(whole["photos"])
        assert first == again
        for column in columns:
            assert first[column] == (whole[column] if whole[column] is None else whole[column][:2])


def test_conditions_are_chips_and_edits_change_them(find: Find) -> None:
    found = find(q="red in 2019")
    assert [(chip["kind"], chip["label"]) for chip in found["query"]["chips"]] == [("words", "red"), ("time", "2019")]
    assert (found["count"], found["fitting"], found["total"]) == (2, 2, 7)
    assert find(q="red in 2019", edit="remove:1")["count"] == 7
    assert find(q="red in 2019", edit="invert:1")["count"] == 4 + 1  # the undated one is not known to be of 2019
    assert find(q="red in 2019", edit="remove:0")["scores"] is None
    assert find(q="red in 2019", edit=["remove:0", "remove:0"])["count"] == 7
    said = find(q="red in 2019", edit="say:1:in July 2019 in Paris")
    assert [chip["kind"] for chip in said["query"]["chips"]] == ["words", "time", "place"]
    assert find(q="red in 2019", edit="words:1")["query"]["words"] == "red in 2019"


def test_another_reading_is_offered_and_taken(find: Find) -> None:
    chip = find(q="in Paris")["query"]["chips"][0]
    assert find(q="in Paris")["count"] == 1
    assert chip["alternatives"]
    other = find(q="in Paris", edit="other:0:0")["query"]["chips"][0]
    assert other["label"] != chip["label"]
    assert find(q="in Paris", edit=["other:0:0", "other:0:0"])["query"]["chips"][0]["label"] == chip["label"]


@pytest.mark.parametrize("edit", ["remove:5", "invert:1", "other:0:7", "say:3:x", "words:9"])
def test_an_edit_of_a_chip_that_is_not_there_is_said(page: TestClient, edit: str) -> None:
    answer = page.get("/api/search", params={"q": "red", "edit": edit})
    assert answer.status_code == 400
    assert answer.json()["error"]["what"]


def test_where_nothing_fits_it_is_said_what_stands_in_the_way(find: Find) -> None:
    found = find(q="red in 1999")
    assert (found["photos"], found["fitting"]) == ([], 0)
    assert [chip["without"] for chip in found["query"]["chips"]] == [None, 7]


def test_labels_are_in_the_language_asked_for(find: Find) -> None:
    assert find(q="before 2020", language="zh")["query"]["chips"][0]["label"] == "2020-01-01 之前"
    assert find(q="2020年之前", language="en")["query"]["chips"][0]["label"] == "before 2020-01-01"


def test_the_timeline_counts_every_photo_once(page: TestClient, find: Find) -> None:
    periods = told(page.get("/api/timeline"))["periods"]
    assert [(each["period"], each["count"]) for each in periods] == [
        ("2019-07", 2), ("2020-01", 1), ("2021-12", 1), ("2022-05", 2), ("unknown", 1)]  # fmt: skip
    photos = find()["photos"]
    for each in periods:
        inside = find(period=each["period"])["photos"]
        assert len(inside) == each["count"]
        assert photos[each["first"]] == inside[0]
    assert told(page.get("/api/timeline", params={"period": "2019"}))["periods"] == periods
    assert find(period="2019")["count"] == 2


def test_the_map_counts_every_placed_photo_once(page: TestClient, find: Find) -> None:
    for zoom in (0, 3, 16):
        answer = told(page.get("/api/map", params={"zoom": zoom}))
        assert answer["placed"] == 2
        assert sum(each["count"] for each in answer["clusters"]) == 2
    near = told(page.get("/api/map", params={"zoom": 8}))["clusters"]
    assert {name_of(page, each["photo"]) for each in near} == {"2022-05-01 paris.jpg", "2022-05-02 rome.jpg"}
    assert sorted(each["latitude"] for each in near) == pytest.approx([41.9028, 48.8566], abs=1e-3)
    view = told(page.get("/api/map", params={"view": "40,10,45,15"}))
    assert (view["placed"], len(view["clusters"])) == (2, 1)
    assert names(page, find(area="40,10,45,15")) == ["2022-05-02 rome.jpg"]
    assert find(area="40,15,45,10")["count"] == 0  # the other way round the world
    assert find(area="40,170,50,13")["count"] == 2


def test_area_and_period_narrow_together(find: Find) -> None:
    assert find(q="black", period="2022-05", area="48,2,49,3")["count"] == 1
    assert find(q="black", period="2019-07", area="48,2,49,3")["count"] == 0
    assert find(q="black", period="2019-07", area="48,2,49,3")["fitting"] == 7


@pytest.mark.parametrize("area", ["50,0,40,10", "0,0,91,0", "0,-181,1,0", "0,0,0,999"])
def test_an_area_that_is_none_is_said(page: TestClient, area: str) -> None:
    assert page.get("/api/search", params={"area": area}).status_code == 400


def test_all_that_is_known_of_a_photo(page: TestClient, photos: Path) -> None:
    photo = named(page, "paris.jpg")
    found = told(page.get(f"/api/photos/{photo}", params={"q": "black in Paris in 2022"}))
    assert (found["taken"], found["taken_from"]) == ("2022-05-01", "name")
    assert found["place"]["name"] == "Paris, France"
    assert found["place"]["latitude"] == pytest.approx(48.8566, abs=1e-3)
    assert found["files"] == [
        {"path": str(photos / "2022-05-01 paris.jpg"), "raw": None, "there": True,
         "bytes": (photos / "2022-05-01 paris.jpg").stat().st_size}]  # fmt: skip
    assert [match["by"] for match in found["matches"]] == ["Paris, France", "2022-05-01"]
    assert told(page.get(f"/api/photos/{photo}", params={"language": "zh"}))["place"]["name"] == "法国巴黎"


def test_more_like_this_begins_with_itself(page: TestClient, library: Library) -> None:
    photo = named(page, "red.png")
    found = told(page.get(f"/api/photos/{photo}/similar"))
    assert found["photos"][0] == photo
    assert found["scores"][0] == pytest.approx(1, abs=1e-3)
    rows = dict(library.query("SELECT photo, vector FROM vectors"))
    vectors = {photo: np.frombuffer(blob, "<f2").astype(np.float32) for photo, blob in rows.items()}
    own = vectors[photo] / np.linalg.norm(vectors[photo])
    assert found["scores"] == pytest.approx([float(vectors[each] @ own) for each in found["photos"]], abs=2e-4)
    assert found["scores"] == sorted(found["scores"], reverse=True)
    assert len(told(page.get(f"/api/photos/{photo}/similar", params={"limit": 3}))["photos"]) == 3


def test_photos_like_a_picture_that_is_sent(page: TestClient, photos: Path) -> None:
    data = (photos / "undated white.png").read_bytes()
    found = told(page.post("/api/like", content=data, params={"limit": 2}))
    assert (name_of(page, found["photos"][0]), len(found["photos"]), found["count"]) == ("undated white.png", 2, 7)
    assert found["scores"][0] == pytest.approx(1, abs=2e-3)
    assert page.post("/api/like", content=data, params={"limit": 0}).status_code == 422


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [(b"", 422, "bad_parameter"), (b"hello", 400, "bad_request"), (b"\x89PNG\r\n\x1a\n", 400, "bad_request")],
)
def test_what_is_sent_and_no_picture_is_refused(page: TestClient, sent: bytes, status: int, code: str) -> None:
    answer = page.post("/api/like", content=sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_picture_too_large_is_refused_before_it_is_read(page: TestClient) -> None:
    headers = {"Content-Length": str((64 << 20) + 1)}
    assert page.post("/api/like", content=b"x", headers=headers).status_code == 413
    assert page.post("/api/session", content=b"x", headers={"Content-Length": "5000"}).status_code == 413


def test_a_thumbnail_is_webp_and_kept_by_the_browser(page: TestClient, find: Find) -> None:
    found = find()
    photo, version = found["photos"][0], found["version"]
    answer = page.get(f"/api/photos/{photo}/thumbnail", params={"v": version})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(answer.content)).format == "WEBP"
    assert "immutable" in answer.headers["cache-control"]
    for other in ({}, {"v": "other"}):
        again = page.get(f"/api/photos/{photo}/thumbnail", params=other)
        assert "immutable" not in again.headers["cache-control"]
    tag = {"If-None-Match": answer.headers["etag"]}
    assert page.get(f"/api/photos/{photo}/thumbnail", headers=tag).status_code == 304
    assert page.get(f"/api/photos/{photo}/thumbnail", params={"size": "screen"}, headers=tag).status_code == 200


def test_colours_are_told_once_thumbnails_were_made(page: TestClient, find: Find) -> None:
    assert find(q="red")["colours"] == [-1] * 7
    photo = named(page, "red.png")
    page.get(f"/api/photos/{photo}/thumbnail")
    found = find(q="red")
    colour = found["colours"][found["photos"].index(photo)]
    assert colour >> 16 > 150 > 90 > (colour & 255)


def test_a_photo_that_is_away_keeps_its_thumbnail(page: TestClient, photos: Path) -> None:
    photo = named(page, "red.png")
    first = page.get(f"/api/photos/{photo}/thumbnail").content
    photos.rename(photos.with_name("away"))
    assert page.get(f"/api/photos/{photo}/thumbnail").content == first
    for path in (f"/api/photos/{photo}/thumbnail?size=screen", f"/api/photos/{photo}/original"):
        answer = page.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert told(page.get(f"/api/photos/{photo}"))["files"][0]["there"] is False
    assert told(page.get(f"/api/photos?photos={photo}"))["photos"][0]["there"] is False


def test_the_original_is_sent_as_it_is(page: TestClient, photos: Path) -> None:
    for ending, kind in (("red.png", "png"), ("blue.jpg", "jpeg"), ("yellow.webp", "webp")):
        answer = page.get(f"/api/photos/{named(page, ending)}/original")
        path = next(photos.rglob(f"*{ending}"))
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"] == f"image/{kind}"
        assert answer.headers["content-disposition"].startswith("inline; filename*=UTF-8''")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_file_that_became_a_page_is_not_sent(page: TestClient, photos: Path) -> None:
    photo = named(page, "red.png")
    path = photos / "a/2019-07-04 red.png"
    status = path.stat()
    path.write_bytes(b"<html><script>alert(1)</script>".ljust(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if it had not changed
    for what in ("original", "thumbnail"):
        answer = page.get(f"/api/photos/{photo}/{what}")
        assert answer.status_code == 404
        assert b"alert" not in answer.content


@pytest.mark.parametrize(
    "path",
    ["/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page/%2e%2e%2fapp.py", "/page//etc/passwd",
     "/page/..\\app.py", "/page/%00", "/page/index.html%00.js", "/../../etc/passwd",
     "/api/photos/..%2f..%2fetc%2fpasswd",
     "/api/photos/1/..%2f..%2foriginal", "/api/photos/%2e%2e/thumbnail", "/page/", "/page", "/static/main.js"],
)  # fmt: skip
def test_no_path_leads_to_another_file(page: TestClient, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code in (401, 404, 422)
    assert set(answer.json()) == {"error"}
    assert b"import" not in answer.content
    assert b"root:" not in answer.content


HOSTILE = [
    b"line\nbreak.png", b'quo"te;.png', b"<img src=x onerror=alert(1)>.png", b"\xff\xfe not text.png", b"%2e%2e%2f.png",
    "‮gnp.exe‬ ☃ 照片.png".encode(), b"\r\nSet-Cookie: a=b.png", b"a" * 240 + b".png", b"..png", b" .png",
    b"$(reboot).png", b"con\\..\\up.png",
]  # fmt: skip


@pytest.fixture
def hostile(tmp_path: Path, photos: Path, app: Guard, secret: Secret) -> TestClient:
    for seed, name in enumerate(HOSTILE, 100):
        made = paint(tmp_path / f"{seed}.png", "green", seed=seed)
        made.rename(photos / os.fsdecode(name))
    fill(tmp_path / "lib", photos)
    return opened(app, secret)


def test_hostile_names_are_only_text(hostile: TestClient, photos: Path) -> None:
    found = told(hostile.get("/api/search"))
    assert found["count"] == 7 + len(HOSTILE)
    raw = set()
    for photo in found["photos"]:
        file = told(hostile.get(f"/api/photos/{photo}"))["files"][0]
        raw.add(base64.b64decode(file["raw"]) if file["raw"] else file["path"].encode())
        answer = hostile.get(f"/api/photos/{photo}/original")
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert "\n" not in answer.headers["content-disposition"]
        assert hostile.get(f"/api/photos/{photo}/thumbnail").status_code == 200
    assert {os.fsencode(photos / os.fsdecode(name)) for name in HOSTILE} <= raw


def test_a_zip_holds_the_originals_under_names_that_lead_nowhere(hostile: TestClient, photos: Path) -> None:
    shutil.copy(photos / "a/2019-07-04 red.png", photos / "b/2019-07-04 red.png")
    found = told(hostile.get("/api/search"))["photos"]
    answer = hostile.get("/api/originals.zip", params={"photos": ",".join(map(str, found))})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        entries = archive.namelist()
        contents = {archive.read(name) for name in entries}
    assert contents == {path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    assert len(set(map(str.lower, entries))) == len(entries)
    for name in entries:
        assert not set(name) & set('/\\:\n\r"<>|')
        assert name.strip(". ") == name


def test_a_zip_says_what_is_not_in_it(page: TestClient, photos: Path) -> None:
    photo, other = named(page, "red.png"), named(page, "blue.jpg")
    (photos / "a/2019-07-04 red.png").unlink()
    answer = page.get("/api/originals.zip", params={"photos": f"{photo},{other},{photo},999"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["2019-07-20 blue.jpg", "not here now.txt"]
        assert "red.png" in archive.read("not here now.txt").decode()


def test_a_list_has_the_exact_paths(hostile: TestClient, photos: Path) -> None:
    found = told(hostile.get("/api/search"))["photos"]
    asked = ",".join(map(str, found))
    wanted = {os.fsencode(photos / os.fsdecode(name)) for name in HOSTILE}
    listed = hostile.get("/api/list", params={"photos": asked}).json()["results"]
    assert wanted <= {os.fsencode(hit["path"]) for hit in listed}
    answer = hostile.get("/api/list", params={"photos": asked, "format": "csv"})
    assert answer.headers["content-disposition"] == 'attachment; filename="photos.csv"'
    text = answer.content.decode("utf-8", "surrogateescape")
    assert wanted <= {os.fsencode(row["path"]) for row in csv.DictReader(io.StringIO(text, newline=""))}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/search?q=" + "x" * 501, 422),
        ("/api/search?q=" + "x" * 500, 200),
        ("/api/search?" + "edit=remove:0&" * 33, 422),
        ("/api/search?edit=remove:" + "9" * 400, 422),
        ("/api/search?limit=0", 422),
        ("/api/search?limit=" + "9" * 30, 422),
        ("/api/search?order=up", 422),
        ("/api/search?period=2019-13", 422),
        ("/api/search?area=nan,0,1,1", 422),
        ("/api/search?nonsense=1", 422),
        ("/api/map?zoom=99", 422),
        ("/api/photos/0", 422),
        ("/api/photos/-1", 422),
        ("/api/photos/1.5", 422),
        (f"/api/photos/{2**63}", 422),
        (f"/api/photos/{2**63 - 1}", 404),
        (f"/api/photos/{2**63 - 1}/similar", 404),
        ("/api/photos/999/thumbnail", 404),
        ("/api/photos/1/thumbnail?size=huge", 422),
        ("/api/photos/999/original", 404),
        ("/api/photos?photos=", 422),
        ("/api/photos?photos=1,,2", 422),
        ("/api/photos?photos=" + "1," * 200 + "1", 400),
        ("/api/originals.zip?photos=" + "1," * 1000 + "1", 400),
        ("/api/list?photos=" + "1" * 20_000, 422),
        ("/api/list?photos=1&format=exe", 422),
        ("/api/nothing", 404),
    ],
)
def test_what_is_out_of_range_is_refused_in_one_shape(page: TestClient, path: str, status: int) -> None:
    answer = page.get(path)
    assert answer.status_code == status
    if status != 200:
        assert set(answer.json()) == {"error"}
        assert set(answer.json()["error"]) == {"code", "what", "why", "todo"}


def test_another_method_is_refused_in_that_shape(page: TestClient) -> None:
    answer = page.delete("/api/photos/1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "wrong_method")


def test_while_the_model_is_loaded_only_words_wait(library: Library, secret: Secret) -> None:
    engine = Engine(library, ColourEmbedder, Thumbnails(library.folder / "thumbnails"))
    page = TestClient(
        make_app(engine, secret, PORT), base_url=HERE, headers={"Authorization": f"Bearer {secret.token}"}
    )
    assert page.get("/api/search", params={"q": "in 2019"}).json()["count"] == 2
    answer = page.get("/api/search", params={"q": "red in 2019"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "not_ready"
    assert told(page.get("/api/status"))["model"] == {"name": "test/colour", "state": "loading", "problem": ""}
    photo = named(page, "red.png")
    assert told(page.get(f"/api/photos/{photo}/similar"))["photos"][0] == photo
    engine._get_ready()
    assert page.get("/api/search", params={"q": "red in 2019"}).json()["count"] == 2
    assert told(page.get("/api/status"))["model"]["state"] == "ready"


def test_a_model_that_comes_to_serve_takes_over(library: Library, secret: Secret, tmp_path: Path) -> None:
    serves: list[ColourEmbedder] = [ColourEmbedder()]
    loads: list[str] = []

    def load() -> ColourEmbedder:
        loads.append(serves[0].name)
        return serves[0]

    engine = Engine(library, load, Thumbnails(library.folder / "thumbnails"))
    engine._get_ready()
    page = opened(make_app(engine, secret, PORT), secret)
    first = {colour: told(page.get("/api/search", params={"q": colour}))["photos"][0] for colour in ("red", "blue")}
    with Library.write(tmp_path / "lib") as store:
        other = Confused(name="test/confused", fingerprint="ee" * 32)
        swap.embed_all(store, other, quiet=True)
        swap.serve_with(store, other)
    # Until it is there, the one before answers.
    assert told(page.get("/api/search", params={"q": "red"}))["photos"][0] == first["red"]
    serves[0] = other
    engine._tried = ""  # it was loaded too early above
    for _ in range(200):
        page.get("/api/search", params={"q": "red"})
        if told(page.get("/api/status"))["model"]["name"] == other.name:
            break
        time.sleep(0.05)
    assert told(page.get("/api/search", params={"q": "red"}))["photos"][0] == first["blue"]
    assert told(page.get(f"/api/photos/{first['red']}/similar"))["photos"][0] == first["red"]
    count = len(loads)
    for _ in range(3):
        page.get("/api/search", params={"q": "blue"})
    time.sleep(0.2)
    assert len(loads) == count


class Confused(ColourEmbedder):
    """Takes red for blue where it reads."""

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        return super().texts([text.replace("red", "blue") for text in texts])


def test_a_model_that_cannot_be_loaded_is_said(library: Library, secret: Secret) -> None:
    def load() -> ColourEmbedder:
        raise MissingPart("no model is named x", todo="check --model")

    engine = Engine(library, load, Thumbnails(library.folder / "thumbnails"))
    engine._get_ready()
    page = TestClient(
        make_app(engine, secret, PORT), base_url=HERE, headers={"Authorization": f"Bearer {secret.token}"}
    )
    answer = page.get("/api/search", params={"q": "red"})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "bad_request",
        "what": "no model is named x",
        "why": "",
        "todo": "check --model",
    }
    assert told(page.get("/api/status"))["model"]["state"] == "failed"
    assert page.get("/api/search").status_code == 200


def test_what_is_indexed_meanwhile_is_found(find: Find, photos: Path, tmp_path: Path) -> None:
    assert find(q="red")["count"] == 7
    paint(photos / "2023-01-01 new.png", "red", seed=50)
    fill(tmp_path / "lib", photos)
    assert find(q="red")["count"] == 8
    assert find(period="2023")["count"] == 1
    (photos / "2023-01-01 new.png").unlink()
    fill(tmp_path / "lib", photos)
    assert find(q="red")["count"] == 7


def test_status_says_what_is_there(page: TestClient, photos: Path) -> None:
    found = told(page.get("/api/status"))
    assert found["roots"] == [{"path": str(photos), "there": True}]
    assert (found["photos"], found["pending"], found["unread"]) == (7, 0, 0)


def test_a_mistake_of_ours_is_told_without_its_inside(
    page: TestClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("/home/someone/secret")

    monkeypatch.setattr(engine, "results", broken)
    answer = page.get("/api/search")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "mistake")
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"]


def test_the_description_names_every_answer(api: FastAPI) -> None:
    described = json.loads(json.dumps(api.openapi()))
    for path, methods in described["paths"].items():
        for method in methods.values():
            success = next(answer for code, answer in method["responses"].items() if code.startswith("2"))
            schema = success.get("content", {}).get("application/json", {}).get("schema")
            assert path in ("/api/session", "/api/list") or schema is None or "$ref" in schema
            for code, answer in method["responses"].items():
                if code[0] in "45":
                    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/ProblemAnswer")
