"""What a server is called: by its address, by names of its user's own, and by nothing else."""

import pytest

from isthmus.http.gate import Here, is_small
from isthmus.http.secret import Secret

PORT = 8000


@pytest.mark.parametrize(
    ("here", "host", "is_host"),
    [
        (Here(PORT), "127.0.0.1:8000", True),
        (Here(PORT), "LocalHost:8000", True),
        (Here(PORT), "[::1]:8000", True),
        (Here(PORT), "127.0.0.1:8001", False),
        (Here(PORT), "127.0.0.1", False),
        (Here(PORT), "192.168.1.5:8000", False),
        (Here(PORT, exposed=True), "192.168.1.5:8000", True),
        (Here(PORT, exposed=True), "evil.example:8000", False),
        (Here(PORT, names=frozenset({"ai.example"})), "ai.example", True),
        (Here(PORT, names=frozenset({"ai.example"})), "AI.example:443", True),
        (Here(PORT, names=frozenset({"ai.example"})), "ai.example.evil:8000", False),
        (Here(PORT, names=frozenset({"localhost:9000"})), "localhost:9000", True),
        (Here(PORT, names=frozenset({"localhost:9000"})), "localhost:9001", False),
    ],
)
def test_a_host_is_this_server_or_is_not(here: Here, host: str, is_host: bool) -> None:
    assert here.is_host([host]) == is_host
    assert here.is_origin(f"http://{host}") == is_host
    assert not here.is_host([host, host])
    assert not here.is_host([])


def test_an_encrypted_origin_is_ours_only_by_a_name_of_the_user_s() -> None:
    assert Here(PORT, names=frozenset({"ai.example"})).is_origin("https://ai.example")
    for origin in ("https://127.0.0.1:8000", "https://evil.example", "null", ""):
        assert not Here(PORT).is_origin(origin)


def test_a_length_is_a_number_and_small() -> None:
    assert is_small("10", 10)
    for length in ("11", "-1", "", "1e1", "٣", "9" * 4000):
        assert not is_small(length, 10)


def test_a_token_of_the_user_s_own_is_the_secret() -> None:
    assert Secret("the user's own").is_token("the user's own")
    assert Secret().token != Secret().token
