"""Names of served models, and where a key may go."""

import sys

import pytest

from isthmus.backends.endpoint import OPENAI, endpoint, split_name
from isthmus.backends.load import load_backend
from isthmus.errors import InputError, MissingPart

KEY = {"ISTHMUS_API_KEY": "sk-1"}
THEIRS = {"OPENAI_API_KEY": "sk-2"}


@pytest.mark.parametrize(
    ("name", "model", "url"),
    [
        ("gpt-4o-mini", "gpt-4o-mini", None),
        ("llava:7b@http://localhost:11434/v1", "llava:7b", "http://localhost:11434/v1"),
        ("llava-hf/llava-1.5-7b-hf@https://a.example/v1", "llava-hf/llava-1.5-7b-hf", "https://a.example/v1"),
        ("@cf/meta/llama@https://a.example/v1", "@cf/meta/llama", "https://a.example/v1"),
        ("@cf/meta/llama", "@cf/meta/llama", None),
    ],
)
def test_a_name_is_a_model_and_perhaps_an_address(name: str, model: str, url: str | None) -> None:
    assert split_name(name) == (model, url)


@pytest.mark.parametrize("name", ["", "http://localhost:8000/v1", "@http://localhost:8000/v1", "llava@localhost:8000"])
def test_half_a_name_goes_nowhere(name: str) -> None:
    with pytest.raises(InputError, match="openai:MODEL@http://host:port/v1"):
        load_backend(f"openai:{name}")


@pytest.mark.parametrize(
    "url",
    ["ftp://host/v1", "http://", "http://host:port/v1", "http://host/v1?key=1", "http://host/v1#x", "http://ho st/v1"],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError, match="address"):
        endpoint(url, {})


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(InputError) as raised:
        endpoint("https://me:hunter2@host/v1", {})
    assert "hunter2" not in str(raised.value)


def test_which_key_goes_where() -> None:
    elsewhere = "https://a.example/v1"

    def key(url: str | None, **environment: str) -> str | None:
        found = endpoint(url, environment).key
        return found and found.get_secret_value()

    assert key(elsewhere) is None
    assert key(elsewhere, **KEY, **THEIRS) == "sk-1"
    assert key(None, **KEY, **THEIRS) == "sk-1"
    assert key(None, **THEIRS) == key(OPENAI, **THEIRS) == key(f"{OPENAI}/", **THEIRS) == "sk-2"
    assert key(elsewhere, **THEIRS) is None
    assert key("https://api.openai.com.a.example/v1", **THEIRS) is None
    assert key("https://api.openai.com:444/v1", **THEIRS) is None
    assert key(elsewhere, **THEIRS, OPENAI_BASE_URL="https://a.example/") == "sk-2"
    assert key(None, **THEIRS, ISTHMUS_API_KEY="") is None


@pytest.mark.parametrize(
    "host", ["192.168.1.5:8000", "a.example", "127.0.0.1.a.example", "localhost.a.example", "[::2]"]
)
def test_a_key_does_not_cross_a_network_in_the_open(host: str) -> None:
    with pytest.raises(InputError, match=r"ISTHMUS_API_KEY would be sent to http://.* for all to read") as raised:
        endpoint(f"http://{host}/v1", KEY)
    assert "sk-1" not in str(raised.value)
    assert endpoint(f"https://{host}/v1", KEY).key is not None
    assert endpoint(f"http://{host}/v1", THEIRS).key is None
    assert endpoint(f"http://{host}/v1", KEY | {"ISTHMUS_API_KEY": ""}).key is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "vllm.localhost"])
def test_a_key_may_be_sent_to_this_machine(host: str) -> None:
    found = endpoint(f"http://{host}/v1", KEY)
    assert found.key is not None
    assert found.loopback
    assert "sk-1" not in repr(found)


@pytest.mark.parametrize("key", ["sk 1", "sk-1\nX-Other: 1", "ключ"])
def test_what_is_no_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InputError, match="ISTHMUS_API_KEY holds characters that no key has") as raised:
        endpoint("https://a.example/v1", {"ISTHMUS_API_KEY": key})
    assert key not in str(raised.value)


@pytest.mark.parametrize("chosen", [{"device": "cpu"}, {"dtype": "float32"}])
def test_where_it_runs_is_the_servers_affair(chosen: dict[str, str]) -> None:
    with pytest.raises(InputError, match="runs where its server runs it"):
        load_backend("openai:llava@http://localhost:8000/v1", **chosen)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "isthmus.backends.openai", raising=False)
    monkeypatch.delitem(sys.modules, "isthmus.backends.openai_errors", raising=False)
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingPart, match=r"\(pip install 'isthmus\[openai\]'\)"):
        load_backend("openai:llava@http://localhost:8000/v1")
