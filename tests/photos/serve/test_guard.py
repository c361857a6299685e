"""Who is answered: the page that was opened with the secret, at this address, and nobody else."""

import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from isthmus.http.gate import HEADERS
from isthmus.http.secret import Secret
from isthmus.photos.serve.app import make_app
from isthmus.photos.serve.engine import Engine
from isthmus.photos.serve.guard import Guard

from .conftest import HERE, PORT

ASKED = [
    "/api/search", "/api/timeline", "/api/map", "/api/status", "/api/photos?photos=1", "/api/photos/1",
    "/api/photos/1/thumbnail", "/api/photos/1/original", "/api/photos/1/similar", "/api/originals.zip?photos=1",
    "/api/list?photos=1", "/api/names", "/api/names/rename", "/api/names/forget", "/api/like", "/api/nothing",
    "/docs", "/redoc",
]  # fmt: skip


def test_the_list_of_what_is_asked_is_complete(api: FastAPI) -> None:
    listed = {path.split("?")[0].replace("/1", "/{photo}") for path in ASKED}
    assert set(api.openapi()["paths"]) - {"/api/session"} <= listed


@pytest.mark.parametrize("path", ASKED)
def test_nothing_of_the_library_is_told_without_the_secret(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "no_session"
    for wrong in ("x" * 43, "", "é"):
        assert stranger.get(path, headers={"Authorization": f"Bearer {wrong}".encode()}).status_code == 401
        assert stranger.get(path, headers={"Cookie": f"isthmus-{PORT}={wrong}".encode()}).status_code == 401


def test_the_token_is_a_bearer_for_programs(stranger: TestClient, secret: Secret) -> None:
    assert stranger.get("/api/status", headers={"Authorization": f"Bearer {secret.token}"}).status_code == 200


def test_the_exchange_gives_a_cookie_that_scripts_and_other_sites_do_not_have(
    stranger: TestClient, secret: Secret
) -> None:
    answer = stranger.post("/api/session", json={"token": secret.token})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"isthmus-{PORT}=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {"httponly", "samesite=strict", "path=/"}
    assert stranger.get("/api/status").status_code == 200


def test_what_the_browser_was_started_with_holds_once(app: Guard, secret: Secret) -> None:
    once = secret.once()
    answers = [TestClient(app, base_url=HERE).post("/api/session", json={"token": once}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 401]
    assert (
        TestClient(app, base_url=HERE).get("/api/status", headers={"Authorization": f"Bearer {once}"}).status_code
        == 401
    )


@pytest.mark.parametrize("token", ["", "x", "é", "x" * 101, "\ud800", None, 7, ["x"]])
def test_a_wrong_token_opens_nothing(stranger: TestClient, token: object) -> None:
    body = json.dumps({"token": token})
    answer = stranger.post("/api/session", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (401, 422)
    assert not stranger.cookies


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", f"127.0.0.1.evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "localhost",
     f"192.168.1.5:{PORT}", f"0.0.0.0:{PORT}", f"user@127.0.0.1:{PORT}", f"127.0.0.1:{PORT}0", "", f":{PORT}",
     f"localhost.:{PORT}", f"[::2]:{PORT}", f"127.1:{PORT}"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/page/main.js", "/openapi.json", "/api/search"])
def test_another_host_is_refused_whatever_is_asked(page: TestClient, host: str, path: str) -> None:
    answer = page.get(path, headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_host")


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"127.0.0.1:{PORT}", f"[::1]:{PORT}"])
def test_the_names_of_loopback_are_this_host(stranger: TestClient, secret: Secret, host: str) -> None:
    token = {"Authorization": f"Bearer {secret.token}"}
    assert stranger.get("/api/status", headers={"Host": host, **token}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"},
     {"Origin": f"https://127.0.0.1:{PORT}"}, {"Origin": "http://127.0.0.1:1"},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_another_page_is_refused_though_it_has_the_cookie(page: TestClient, headers: dict[str, str]) -> None:
    assert page.get("/api/search", headers=headers).status_code == 403
    assert page.get("/api/photos/1/thumbnail", headers=headers).status_code == 403
    assert page.post("/api/session", json={"token": "x"}, headers=headers).status_code == 403


def test_a_link_on_another_page_may_lead_to_ours(stranger: TestClient) -> None:
    assert stranger.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_our_own_origin_is_answered(page: TestClient) -> None:
    for origin in (HERE, f"http://localhost:{PORT}"):
        assert page.get("/api/status", headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_no_other_origin_is_ever_allowed_to_read(page: TestClient) -> None:
    for path in ("/", "/api/search", "/api/nothing", "/openapi.json"):
        answer = page.options(path, headers={"Access-Control-Request-Method": "GET"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/none", "/api/search", "/api/photos/999", "/api/nothing"])
def test_every_answer_has_the_headers_that_keep_it_in_its_place(page: TestClient, path: str) -> None:
    for answer in (page.get(path), page.get(path, headers={"Host": "evil.example"})):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "server" not in answer.headers
        assert answer.headers["cache-control"]


def test_scripts_and_styles_come_from_files_only(stranger: TestClient) -> None:
    policy = stranger.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    html = stranger.get("/").text
    assert "style=" not in html
    assert "onclick" not in html
    assert html.count("<script") == html.count('<script type="module" src="/page/')


@pytest.mark.parametrize("length", [5_000, 10_000_000])
def test_a_large_body_is_refused_before_it_is_read(stranger: TestClient, length: int) -> None:
    assert stranger.post("/api/session", content=b"x" * length).status_code == 413
    assert stranger.post("/api/session", content=iter([b"x"])).status_code == 413
    assert stranger.post("/api/session", content=b"x", headers={"Content-Length": "-1"}).status_code == 413


def test_exposed_any_address_is_the_host_but_no_name(engine: Engine, secret: Secret) -> None:
    client = TestClient(make_app(engine, secret, PORT, exposed=True), base_url=HERE)
    for host, status in ((f"192.168.1.5:{PORT}", 401), (f"[fe80::1]:{PORT}", 401), (f"evil.example:{PORT}", 403)):
        assert client.get("/api/status", headers={"Host": host}).status_code == status
