"""What the commands that ask share."""

import signal
from collections.abc import Iterator

import pytest

from isthmus.backends.backend import Delta
from isthmus.cli import answering


class Interrupted:
    """Ctrl-C comes while it is finalised, where Python drops what is raised."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)
        for _ in range(100):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_is_not_lost_where_python_drops_it() -> None:
    def endless() -> Iterator[Delta]:
        for at in range(1000):
            if at == 3:
                Interrupted()
            yield Delta("a")

    said: list[str] = []
    told = answering.tell(endless(), said.append)  # type: ignore[arg-type]
    assert told.finish is None
    assert told.text == "".join(said) == "aaaa"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
