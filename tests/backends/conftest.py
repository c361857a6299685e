"""The tiny models, made once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.backends.transformers import TransformersBackend
from tests.backends import tiny

SAVERS: dict[str, Callable[[Path], str]] = {
    "qwen2-vl": lambda folder: tiny.save_qwen_vl(folder, "2"),
    "qwen2.5-vl": lambda folder: tiny.save_qwen_vl(folder, "2.5"),
    "qwen3-vl": lambda folder: tiny.save_qwen_vl(folder, "3"),
    "llava": tiny.save_llava,
    "idefics3": tiny.save_idefics3,
    "text only": tiny.save_text_only,
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of the tiny model of that name; not to be written to."""
    saved: dict[str, str] = {}

    def get(name: str) -> str:
        if name not in saved:
            saved[name] = SAVERS[name](tmp_path_factory.mktemp("models") / name.replace(" ", "-"))
        return saved[name]

    return get


@pytest.fixture(scope="session")
def backend(folder: Callable[[str], str]) -> Callable[[str], TransformersBackend]:
    """The tiny model of that name, loaded once."""
    loaded: dict[str, TransformersBackend] = {}

    def get(name: str) -> TransformersBackend:
        if name not in loaded:
            loaded[name] = TransformersBackend(folder(name))
        return loaded[name]

    return get
