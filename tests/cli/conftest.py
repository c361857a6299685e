"""A tiny model, a picture, and the command line in this process."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.cli.main import main
from tests.backends.tiny_native import save_native_llava
from tests.vlm import models

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """It never ends an answer by itself and takes a hundred thousand tokens."""
    return save_native_llava(tmp_path_factory.mktemp("llava"), context=100_000)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    models.picture(1).save(path)
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """(exit code, stdout, stderr) of a command; neither is a terminal."""

    def command(*words: object, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["isthmus", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capfd.readouterr()  # what came before it
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(end.value.code or 0), out, err

    return command
