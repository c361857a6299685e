"""People, pets and things named by a few pictures: found, asked for in sentences, corrected, renamed, forgotten."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.errors import InputError, IsthmusError
from isthmus.images.views import Box
from isthmus.photos import naming, swap
from isthmus.photos.index import index
from isthmus.photos.naming import names, teach
from isthmus.photos.pointed import Pointed
from isthmus.photos.recognise import Space, prototype, shows
from isthmus.photos.regions import look_closer
from isthmus.photos.search import search
from isthmus.photos.store import Library
from isthmus.photos.update import update

from .fakes import ColourEmbedder
from .test_cli import Run, cheap_models, run  # noqa: F401

NOW = datetime(2024, 5, 1, 12, 0)


def scene(path: Path, seed: int, *, ball: bool, colour: tuple[int, int, int] = (230, 30, 230)) -> Path:
    """A picture of many even parts, as no two others; with a pink ball or without."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(80, 175, (4, 4, 3)).astype(np.uint8)
    if ball:
        cells[1:3, 1:3] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(cells).resize((64, 64), Image.Resampling.NEAREST).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Of 40 photos, every fourth shows the ball."""
    for seed in range(40):
        scene(tmp_path / f"photos/{seed:02}.png", seed, ball=seed % 4 == 0)
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path: Path, photos: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
        yield store


def found(library: Library, query: str) -> set[int]:
    """Numbers of the photos."""
    return {int(Path(hit.path).stem) for hit in search(library, None, query, 100, now=NOW).hits}


def ball(photos: Path, *numbers: int) -> list[Pointed]:
    return [Pointed(photos / f"{number:02}.png") for number in numbers]


def test_by_three_examples_it_is_found_and_asked_for_in_a_sentence(
    library: Library, photos: Path, embedder: ColourEmbedder
) -> None:
    told = teach(library, embedder, "Bobo", ball(photos, 0, 4, 8))
    right = set(range(0, 40, 4))
    assert found(library, "Bobo") == right
    assert (told.name, told.examples, told.photos) == ("Bobo", 3, len(right))
    assert found(library, "photos without Bobo") == set(range(40)) - right
    assert found(library, "bobo") == right  # as one writes it
    assert found(library, "Bobo in 1999") == set()


def test_new_photos_are_recognised_when_they_are_indexed(
    library: Library, photos: Path, embedder: ColourEmbedder
) -> None:
    teach(library, embedder, "Bobo", ball(photos, 0, 4, 8))
    scene(photos / "77.png", 77, ball=True)
    scene(photos / "78.png", 78, ball=False)
    update(library, [photos], embedder, closer=False, quiet=True)
    assert found(library, "Bobo") >= {77}
    assert 78 not in found(library, "Bobo")


def test_a_correction_counts_at_once_and_what_looks_like_it_goes_too(
    tmp_path: Path, photos: Path, embedder: ColourEmbedder
) -> None:
    # Another ball, of nearly the same colour, is somebody else's.
    for seed in range(50, 56):
        scene(photos / f"{seed}.png", seed, ball=True, colour=(250, 40, 185))
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
        teach(store, embedder, "Bobo", ball(photos, 0, 4, 8))
        taken = found(store, "Bobo") & set(range(50, 56))
        assert taken
        wrong = min(taken)
        told = teach(store, embedder, "Bobo", [], ball(photos, wrong))
        assert (told.examples, told.wrong) == (3, 1)
        assert wrong not in found(store, "Bobo")
        assert len(found(store, "Bobo") & set(range(50, 56))) < len(taken) - 1
        assert found(store, "Bobo") >= {0, 4, 8}
        # It was right after all.
        assert teach(store, embedder, "Bobo", ball(photos, wrong)).wrong == 0
        assert wrong in found(store, "Bobo")


def test_a_part_that_is_pointed_at_and_a_picture_from_elsewhere(
    library: Library, photos: Path, embedder: ColourEmbedder, tmp_path: Path
) -> None:
    elsewhere = Image.new("RGB", (20, 20), (230, 30, 230))
    elsewhere.save(tmp_path / "elsewhere.png")
    look_closer(library, embedder, quiet=True)
    told = teach(
        library,
        embedder,
        "Bobo",
        [Pointed(photos / "00.png", Box(16, 16, 48, 48)), Pointed(tmp_path / "elsewhere.png")],
    )
    assert told.examples == 2
    # The examples are kept: the files may go, and another model looks at them.
    (tmp_path / "elsewhere.png").unlink()
    (photos / "00.png").unlink()
    other = ColourEmbedder(name="test/other", fingerprint="ff" * 32)
    swap.embed_all(library, other, quiet=True)
    swap.serve_with(library, other)
    assert len(library.query("SELECT 1 FROM example_vectors")) == 4
    assert names(library)[0].examples == 2


def test_names_are_changed_and_forgotten(library: Library, photos: Path, embedder: ColourEmbedder) -> None:
    teach(library, embedder, "Bobo", ball(photos, 0, 4))
    teach(library, embedder, "Coco", ball(photos, 1, 5))
    with pytest.raises(InputError, match="coco is a name already"):
        naming.rename(library, "bobo", "coco")
    naming.rename(library, "Bobo", "  Bobo   Ball ")
    assert [each.name for each in names(library)] == ["Bobo Ball", "Coco"]
    assert 0 in found(library, "Bobo Ball")
    naming.forget(library, "bobo ball")
    assert [each.name for each in names(library)] == ["Coco"]
    assert not library.query("SELECT 1 FROM examples WHERE name NOT IN (SELECT id FROM names)")
    assert not library.query("SELECT 1 FROM named WHERE name NOT IN (SELECT id FROM names)")
    with pytest.raises(InputError, match="nothing is named Bobo Ball: names: Coco"):
        naming.forget(library, "Bobo Ball")


def test_nothing_is_learned_where_one_picture_is_bad(library: Library, photos: Path, embedder: ColourEmbedder) -> None:
    (photos / "words.jpg").write_bytes(b"words")
    for bad in (
        Pointed(photos / "words.jpg"),
        Pointed(photos / "absent.png"),
        Pointed(photos / "04.png", Box(90, 90, 99, 99)),
    ):
        with pytest.raises(IsthmusError):
            teach(library, embedder, "Bobo", [*ball(photos, 0), bad])
    with pytest.raises(InputError, match="has no example yet"):
        teach(library, embedder, "Bobo", [], ball(photos, 1))
    with pytest.raises(InputError, match="no name"):
        teach(library, embedder, "  ", ball(photos, 0))
    assert names(library) == []
    assert not library.query("SELECT 1 FROM examples")


def test_the_same_example_twice_is_one(library: Library, photos: Path, embedder: ColourEmbedder) -> None:
    teach(library, embedder, "Bobo", ball(photos, 0, 4))
    assert teach(library, embedder, "Bobo", ball(photos, 4, 0)).examples == 2


def test_where_is_said_behind_an_at(tmp_path: Path) -> None:
    assert Pointed.read("a/b.jpg") == Pointed(Path("a/b.jpg"))
    assert Pointed.read("a/b.jpg@1,2,30.5,40") == Pointed(Path("a/b.jpg"), Box(1, 2, 30.5, 40))
    assert Pointed.read("me@home.jpg") == Pointed(Path("me@home.jpg"))
    odd = tmp_path / "x@1,2,3,4"
    odd.write_bytes(b"")
    assert Pointed.read(str(odd)) == Pointed(odd)
    for box in ("5,5,5,9", "-1,0,5,5", "0,0,inf,9", "nan,0,1,1"):
        with pytest.raises(InputError, match="is no box"):
            Pointed.read(f"a.jpg@{box}")


# The even space


def test_common_directions_weigh_nothing_in_the_even_space() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 24))
    rows[:, 0] *= 30  # indoors or outdoors
    thing = np.zeros(24)
    thing[5] = 6.0
    rows[:20] += thing
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    space = Space.of(unit)
    assert 10 < space.directions < 24
    photos = np.arange(3000)
    shown = shows(space, unit, photos, [unit[:1], unit[1:2], unit[2:3]])
    plain = np.argsort(-(unit.astype(np.float32) @ unit[:3].astype(np.float32).mean(0)))[:20]
    by_score = shown.photos[:20]
    assert np.isin(by_score, np.arange(20)).sum() > np.isin(plain, np.arange(20)).sum()
    assert (np.diff(shown.scores) <= 0).all()
    assert len(np.unique(shown.photos)) == len(shown.photos)


def test_of_several_views_the_one_counts_that_examples_share() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 16)).astype(np.float16)
    space = Space.of(rows)
    shared = rng.normal(size=16) * 3
    examples = [
        np.stack([rng.normal(size=16) * 3, shared + rng.normal(size=16) * 0.1]).astype(np.float16) for _ in range(4)
    ]
    centre = prototype(space, examples)
    assert float(centre @ space.even @ space.unit(shared.astype(np.float32))) > 0.95
    with pytest.raises(ValueError, match="needs an example"):
        prototype(space, [])


def test_photos_that_are_all_alike_have_a_space_too() -> None:
    rows = np.tile(np.ones(8, np.float16), (5, 1))
    assert np.isfinite(shows(Space.of(rows), rows, np.arange(5), [rows[:1]]).scores).all()


# The command


def test_the_command(run: Run, tmp_path: Path, photos: Path) -> None:  # noqa: F811
    lib = ("--library", tmp_path / "lib")
    assert run("name", "Bobo", photos / "00.png", *lib)[0] == 2  # no library
    run("index", photos, "--whole", *lib)
    assert run("name", *lib)[0] == 1
    code, out, err = run("name", "Bobo", photos / "00.png", photos / "04.png", photos / "08.png", *lib)
    assert (code, out, err) == (0, "Bobo: 10 photos, by 3 examples\n", "")
    assert json.loads(run("name", "--json", *lib)[1]) == [{"name": "Bobo", "examples": 3, "wrong": 0, "photos": 10}]
    assert len(json.loads(run("search", "Bobo", "--top", 50, "--json", *lib)[1])["results"]) == 10
    assert run("name", "Bobo", "--not", photos / "12.png", *lib)[1].startswith(
        "Bobo: 9 photos, by 3 examples and 1 that"
    )
    assert run("name", "Bobo", "--rename", "Ball", *lib)[1] == "Bobo is Ball now\n"
    assert run("name", "Bobo", "--forget", *lib)[0] == 2
    assert run("name", "Ball", "--forget", *lib)[1] == "Ball is forgotten\n"
    assert run("name", "--forget", *lib)[0] == 2
    assert run("name", "Bobo", photos / "absent.png", *lib)[2].startswith("isthmus: ")
