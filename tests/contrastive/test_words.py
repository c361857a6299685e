"""The default embedder's texts in numpy: the same vectors as torch makes, and no torch for a search by words."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.checkpoints import resolve
from isthmus.contrastive import Embedder, load_embedder
from isthmus.contrastive.words import WordsFirst, load_words_first, text_vectors, whole
from isthmus.errors import CorruptPart

DEFAULT = "default/embedder"
TEXTS = ["a cup of coffee", "", "dog", "x " * 400, "Zürich's 雪 lake -- !!", "the quick brown fox", "two", "a cat"]


def never() -> Embedder:
    raise AssertionError("words need no more")


@pytest.fixture(scope="module")
def both() -> tuple[WordsFirst, Embedder]:
    words = load_words_first(DEFAULT, never)
    assert words is not None
    return words, load_embedder(DEFAULT)


def test_it_is_the_same_embedder(both: tuple[WordsFirst, Embedder]) -> None:
    words, embedder = both
    for name in ("name", "fingerprint", "dim", "languages"):
        assert getattr(words, name) == getattr(embedder, name)


def test_vectors_are_those_of_torch(both: tuple[WordsFirst, Embedder]) -> None:
    words, embedder = both
    mine, its = text_vectors(words, TEXTS), text_vectors(embedder, TEXTS)
    assert mine.dtype == its.dtype == np.float32
    assert np.abs(mine - its).max() < 1e-6
    assert np.allclose(np.linalg.norm(mine, axis=1), 1, atol=1e-6)
    assert text_vectors(words, []).shape == (0, embedder.dim)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_any_text_has_the_vector_of_torch(both: tuple[WordsFirst, Embedder], texts: list[str]) -> None:
    words, embedder = both
    assert np.abs(text_vectors(words, texts) - text_vectors(embedder, texts)).max() < 1e-6


def test_the_whole_embedder_is_loaded_once_when_it_is_needed(both: tuple[WordsFirst, Embedder]) -> None:
    _, embedder = both
    loaded = []
    words = load_words_first(DEFAULT, lambda: loaded.append(1) or embedder)
    assert words is not None
    words.texts(["a dog"])
    assert not loaded
    assert whole(words) is whole(words) is whole(embedder) is embedder
    assert loaded == [1]


def heads(folder: Path, **changed: object) -> str:
    """A copy of the default heads with other settings."""
    shutil.copytree(resolve(DEFAULT).folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changed))
    return str(folder)


def test_heads_of_other_settings_are_another_embedder(both: tuple[WordsFirst, Embedder], tmp_path: Path) -> None:
    config = resolve(DEFAULT).config["heads"]
    name = heads(tmp_path / "other", heads=config | {"prior_weight": 1.0})
    words, embedder = load_words_first(name, never), load_embedder(name)
    assert words is not None
    assert words.fingerprint == embedder.fingerprint != both[0].fingerprint
    assert np.abs(text_vectors(words, TEXTS) - text_vectors(embedder, TEXTS)).max() < 1e-6


def test_what_is_not_computed_here_is_left_to_torch(tmp_path: Path) -> None:
    named = resolve(DEFAULT).config["text_encoder"]
    assert load_words_first(str(resolve("default/minilm").folder), never) is None
    other = heads(tmp_path / "other", text_encoder=named | {"fingerprint": "00"})
    assert load_words_first(other, never) is None  # and load_embedder says what is wrong
    with pytest.raises(CorruptPart, match="is not the text_encoder"):
        load_embedder(other)


def test_damaged_heads_are_refused(tmp_path: Path) -> None:
    name = heads(tmp_path / "damaged", heads={"nothing": 1})
    with pytest.raises(CorruptPart, match="holds no embedder heads"):
        load_words_first(name, never)


def test_a_search_by_words_imports_no_torch() -> None:
    script = f"""
import sys
from isthmus.cli.photos.parts import searching_with
from isthmus.photos import search
assert searching_with({DEFAULT!r}).texts(["a dog"]).shape == (1, 768)
assert "torch" not in sys.modules, "imported"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
