"""Where a server may listen."""

import socket

import pytest

from isthmus.errors import InputError
from isthmus.http.listening import address_of, check_host, listening


def test_loopback_needs_no_leave_and_others_do() -> None:
    for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost"):
        check_host(host, exposed=False, why="what is sent is not encrypted")
    with pytest.raises(InputError, match="not encrypted"):
        check_host("192.168.1.5", exposed=False, why="what is sent is not encrypted")
    check_host("192.168.1.5", exposed=True, why="")


def test_where_the_usual_port_is_taken_another_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = taken.getsockname()[1]
        with listening("127.0.0.1", None, usual) as listener:
            assert listener.getsockname()[1] != usual
            assert address_of("127.0.0.1", listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(InputError, match="cannot be used"):
            listening("127.0.0.1", usual, 0)
