"""Who is answered: whoever has the token, at this address; and of other pages nobody."""

import httpx
import pytest

from isthmus.http.gate import OWN_PICTURES
from tests.backends.scripted import Scripted

from .serving import Served, served

ASKED = ["v1/models", "v1/models/default", "v1/chat/completions", "v1/embeddings", "metrics", "v1/nothing", "docs"]


@pytest.mark.parametrize("path", ASKED)
def test_nothing_is_told_without_the_token(scripted: Served, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": scripted.token}, {"Cookie": "isthmus-1=x"}):
        answer = httpx.get(scripted.address + path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_page_exchanges_the_token_for_a_cookie(scripted: Served) -> None:
    with httpx.Client(base_url=scripted.address) as page:
        assert page.post("/api/session", json={"token": "wrong"}).status_code == 401
        answer = page.post("/api/session", json={"token": scripted.token})
        assert answer.status_code == 204
        said = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
        assert said >= {"httponly", "samesite=strict", "path=/"}
        assert page.get("/v1/models").status_code == 200
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
            assert page.get("/v1/models", headers=headers).status_code == 403
        assert page.get("/v1/models", headers={"Origin": scripted.address.rstrip("/")}).status_code == 200


@pytest.mark.parametrize("path", ["", "health", "v1/models", "page/main.js"])
def test_another_host_is_refused_whatever_is_asked(scripted: Served, path: str) -> None:
    answer = httpx.get(scripted.address + path, headers={"Host": "evil.example", **scripted.auth})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_host")


def test_without_a_token_this_machine_may_ask_and_other_pages_may_not() -> None:
    with served(Scripted(), token=False) as here:
        assert httpx.get(here.address + "v1/models").status_code == 200
        assert httpx.get(here.address + "v1/models", headers={"Authorization": "Bearer any"}).status_code == 200
        assert httpx.get(here.address + "v1/models", headers={"Origin": "https://evil.example"}).status_code == 403
        assert httpx.get(here.address + "v1/models", headers={"Host": "evil.example"}).status_code == 403
        assert httpx.post(here.address + "api/session", json={"token": "any"}).status_code == 204


@pytest.mark.parametrize("path", ["", "page/main.js", "page/none", "health", "v1/models", "v1/nothing", "openapi.json"])
def test_every_answer_has_an_id_and_the_headers_that_keep_it_in_its_place(scripted: Served, path: str) -> None:
    answers = [httpx.get(scripted.address + path, headers=headers) for headers in ({}, scripted.auth, {"Host": "evil"})]
    for answer in answers:
        for name, value in OWN_PICTURES.items():
            assert answer.headers[name] == value
        assert answer.headers["cache-control"]
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


def test_scripts_and_styles_come_from_files_only(scripted: Served) -> None:
    html = httpx.get(scripted.address).text
    assert "unsafe" not in OWN_PICTURES["Content-Security-Policy"]
    assert "style=" not in html
    assert html.count("<script") == html.count('<script type="module" src="/page/')
