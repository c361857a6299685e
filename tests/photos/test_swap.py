"""Another model comes to serve: in the shadow, tried, in one transaction, and back; nothing is lost on the way."""

import json
import random
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from isthmus import contrastive
from isthmus.errors import InputError, MissingPart
from isthmus.images.views import Views
from isthmus.photos import swap
from isthmus.photos.index import index
from isthmus.photos.regions import look_closer
from isthmus.photos.search import search
from isthmus.photos.selftest import self_test
from isthmus.photos.store import Library
from isthmus.photos.update import update

from .fakes import ColourEmbedder, paint, rows
from .metadata import samples
from .test_cli import Run, cheap_models, run  # noqa: F401
from .test_kill import run as process

OTHER = "ff" * 32


def other(**settings: Any) -> ColourEmbedder:
    return ColourEmbedder(name="test/other", fingerprint=OTHER, **settings)


class Confused(ColourEmbedder):
    """Takes red for blue where it reads, not where it sees."""

    def texts(self, texts: Sequence[str]) -> Tensor:
        swapped = {"red": "blue", "blue": "red"}
        return super().texts([" ".join(swapped.get(word, word) for word in text.split()) for text in texts])


class Blind(ColourEmbedder):
    """All pictures look the same to it, but for a speck."""

    def images(self, views: Sequence[Views]) -> Tensor:
        speck = super().images(views)
        return torch.nn.functional.normalize(torch.ones_like(speck) + 0.001 * torch.randn_like(speck), dim=1)


@pytest.fixture
def library(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
        yield store


def test_the_model_before_serves_until_the_other_has_seen_all(
    library: Library, folder: Path, embedder: ColourEmbedder
) -> None:
    asked = iter([False] * 4)
    first = swap.embed_all(library, other(), batch=2, workers=1, quiet=True, stop=lambda: next(asked, True))
    assert 0 < first.done < 5
    assert first.stopped
    assert first.left == 5 - first.done
    assert library.models()[0].fingerprint == embedder.fingerprint
    assert search(library, embedder, "red").hits[0].path.endswith("red.png")
    # What is indexed meanwhile is for the model that serves, and the other catches up.
    paint(folder / "black.png", "black")
    update(library, [folder], embedder, closer=False, quiet=True)
    rest = swap.embed_all(library, other(), quiet=True)
    assert (rest.done, rest.left) == (6 - first.done, 0)
    assert library.models()[0].fingerprint == embedder.fingerprint
    swap.serve_with(library, other())
    assert library.models()[0].fingerprint == OTHER
    assert search(library, other(), "black").hits[0].path.endswith("black.png")
    assert swap.before(library).fingerprint == embedder.fingerprint
    assert swap.embed_all(library, embedder, quiet=True).done == 0


def test_regions_go_along_where_the_model_before_has_them(library: Library, embedder: ColourEmbedder) -> None:
    look_closer(library, embedder, quiet=True)
    assert swap.embed_all(library, other(), quiet=True).left == 0
    assert [(model.fingerprint == OTHER, model.closer) for model in library.models()] == [(False, 5), (True, 5)]


def test_killed_at_random_moments_it_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    for seed in range(60):
        paint(tmp_path / f"photos/{seed}.png", size=(32, 24), seed=seed)
    for name in ("unbroken", "broken"):
        assert process(tmp_path / name, tmp_path / "photos").returncode == 0
    statements = int(process(tmp_path / "unbroken", Path("--swap")).stdout)
    moments = random.Random(3)
    for kill_at in sorted(moments.randint(1, statements) for _ in range(2)):
        killed = process(tmp_path / "broken", Path("--swap"), kill_at)
        assert killed.returncode == -signal.SIGKILL or killed.stdout  # it had less to do than the unbroken one
        with Library.read(tmp_path / "broken") as store:
            store.check()
            served = store.models()[0]
            # Whichever serves has seen every photo.
            assert store.query("SELECT count(*) FROM vectors WHERE model = ?", (served.id,)) == [(60,)]
    assert process(tmp_path / "broken", Path("--swap")).returncode == 0
    assert rows(tmp_path / "broken") == rows(tmp_path / "unbroken")
    with Library.read(tmp_path / "broken") as store:
        assert store.models()[0].fingerprint == OTHER


def test_the_self_test_is_of_the_users_own_photos_and_words(tmp_path: Path, embedder: ColourEmbedder) -> None:
    folder = tmp_path / "photos"
    for seed in range(30):
        colour = ("red", "blue", "green", "yellow", "black", "white")[seed % 6]
        paint(folder / f"{seed}.png", colour, seed=seed)
        (folder / f"{seed}.xmp").write_bytes(samples.xmp(samples.bag("dc:subject", colour)))
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
        for model in (other(), Confused(name="confused", fingerprint="aa" * 32), Blind(fingerprint="bb" * 32)):
            swap.embed_all(store, model, quiet=True)
        good = self_test(store, other(), embedder)
        assert (good.photos, good.texts, good.faults) == (30, 6, ())
        assert good.words == good.words_before == pytest.approx(1.0)
        assert good.same > 0.999
        confused = self_test(store, Confused(name="confused", fingerprint="aa" * 32), embedder)
        assert confused.words is not None
        assert confused.words < 0.9
        blind = self_test(store, Blind(fingerprint="bb" * 32), embedder)
        assert "find themselves" in blind.faults[0]
        # Without one to compare with it stands on its own.
        assert self_test(store, Confused(name="confused", fingerprint="aa" * 32)).words_before is None


def test_words_that_find_less_speak_against_a_model() -> None:
    from isthmus.contrastive.metrics import Interval
    from isthmus.photos.selftest import SelfTest

    def faults(**said: Any) -> tuple[str, ...]:
        good = {"photos": 64, "same": 1.0, "itself": 0.95, "itself_before": 0.97, "texts": 9, "words": 0.5,
                "words_before": 0.6, "words_lost": Interval(0.1, -0.01, 0.2)}  # fmt: skip
        return SelfTest(**(good | said)).faults

    assert faults() == ()
    assert "lost 0.010 to 0.200" in faults(words_lost=Interval(0.1, 0.01, 0.2))[0]
    assert "other numbers" in faults(same=0.9)[0]
    assert faults(itself=0.6, itself_before=0.65) == ()
    assert faults(itself=0.5, itself_before=0.65) != ()
    assert faults(itself=0.75, itself_before=None) != ()


# The command


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "test/colour": ColourEmbedder(),
        "test/other": other(),
        "test/blind": Blind(name="test/blind", fingerprint="bb" * 32),
    }

    def load(name: str, **_: object) -> ColourEmbedder:
        if name not in known:
            raise MissingPart(f"no model is named {name}", todo="check it")
        return known[name]

    monkeypatch.setattr(contrastive, "load_embedder", load)
    monkeypatch.setattr("isthmus.contrastive.words.load_words_first", lambda *_: None)


def test_there_and_back_and_forgotten(run: Run, models: None, tmp_path: Path, folder: Path) -> None:  # noqa: ARG001, F811
    lib = ("--library", tmp_path / "lib")
    run("index", folder, "--model", "test/colour", *lib)
    code, out, _ = run("model", "test/other", "--quiet", *lib)
    assert code == 0
    assert "self-test on 5 photos: 100% find themselves from a part of them (test/colour: 100%)" in out
    assert "test/other serves now: 5 photos embedded" in out
    listed = json.loads(run("model", "--json", *lib)[1])
    assert [(each["name"], each["photos"], each["serves"]) for each in listed] == [
        ("test/other", 5, True),
        ("test/colour", 5, False),
    ]
    assert run("search", "red", *lib)[0] == 0
    code, out, _ = run("model", "--back", "--quiet", "--json", *lib)
    assert json.loads(out)["serves"] == "test/colour"
    assert run("model", "--forget", "test/colour", *lib)[0] == 2
    assert "5 vectors removed" in run("model", "--forget", "test/other", *lib)[1]
    assert {row[0] for row in rows(tmp_path / "lib")["vectors"]} == {"c0" * 32}
    code, _, err = run("model", "--back", *lib)
    assert (code, "no other model served before" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("model", "test/blind", "--quiet"), "test/blind does not serve: only"),
        (("model", "no/such"), "no model is named no/such"),
        (("model", "test/other", "--back"), "three different things"),
        (("model", "--forget", "no/such"), "the library has no vectors of no/such"),
        (("index", "{photos}", "--model", "test/other"), "change it for all photos with: isthmus photos model test/o"),
    ],
)
def test_what_cannot_serve_is_one_line_and_the_model_before_does(
    run: Run, models: None, tmp_path: Path, folder: Path, words: tuple[str, ...], says: str  # noqa: ARG001, F811
) -> None:  # fmt: skip
    lib = ("--library", tmp_path / "lib")
    # Enough photos to tell one from another.
    for seed in range(20):
        paint(folder / f"more/{seed}.png", tuple(np.random.default_rng(seed).integers(0, 255, 3).tolist()))
    run("index", folder, "--model", "test/colour", *lib)
    code, _, err = run(*(word.format(photos=folder) for word in words), *lib)
    assert code == 2
    assert says in err.splitlines()[-1]
    assert json.loads(run("model", "--json", *lib)[1])[0]["name"] == "test/colour"


def test_photos_that_are_not_there_are_not_left_behind_unasked(
    run: Run, models: None, tmp_path: Path, folder: Path  # noqa: ARG001, F811
) -> None:  # fmt: skip
    lib = ("--library", tmp_path / "lib")
    run("index", folder, "--model", "test/colour", *lib)
    folder.rename(tmp_path / "unplugged")
    code, _, err = run("model", "test/other", "--quiet", *lib)
    assert (code, "5 photos would no longer be found by words: 5 missing" in err) == (2, True)
    (tmp_path / "unplugged").rename(folder)
    assert run("model", "test/other", "--quiet", *lib)[0] == 0


def test_only_a_model_of_the_library_can_be_named(library: Library) -> None:
    assert swap.named(library.models(), "c0c0c0c0").name == "test/colour"
    with pytest.raises(InputError, match="it has: test/colour"):
        swap.named(library.models(), "c0")
