"""Prints and the groups made of them: what is one picture, what only looks like it, and which one to keep."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from isthmus.images.open import open_picture
from isthmus.images.views import Picture
from isthmus.photos import prints, read, schema
from isthmus.photos.alike import unlike
from isthmus.photos.duplicates import UNLIKE, Photos, Thresholds, find_duplicates, stars
from isthmus.photos.index import index
from isthmus.photos.prints import apart, print_of, words
from isthmus.photos.store import FILE, Library

from .fakes import ColourEmbedder, before_prints, paint, rows
from .test_cli import Run, cheap_models, run  # noqa: F401 - fixtures
from .test_index import run as index_run


def scene(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """A picture like no other."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def same(folder: Path, seed: int = 0) -> dict[str, Path]:
    """One picture six times."""
    folder.mkdir(parents=True, exist_ok=True)
    image = scene(seed)
    made = {
        "original": (image, "png", 0),
        "half": (image.resize((320, 240)), "jpg", 90),
        "poor": (image, "jpg", 30),
        "webp": (image, "webp", 75),
        "cropped": (image.crop((10, 8, 632, 474)), "jpg", 90),
        "brighter": (ImageEnhance.Brightness(image).enhance(1.06), "jpg", 90),
    }
    found = {name: folder / f"{name}-{seed}.{ending}" for name, (_, ending, _) in made.items()}
    for name, (picture, _, quality) in made.items():
        picture.save(found[name], **({"quality": quality} if quality else {}))
    return found


def photos(
    bits: Sequence[int],
    ratios: Sequence[float] | None = None,
    vectors: Sequence[Sequence[float] | None] | None = None,
    greys: np.ndarray | None = None,
) -> Photos:
    """Numbered from 100 in the order in which they are kept."""
    vectors = vectors or [None] * len(bits)
    there = [vector for vector in vectors if vector is not None]
    at = iter(range(len(there)))
    return Photos(
        np.arange(100, 100 + len(bits)),
        np.array(bits, np.uint64),
        np.zeros((len(bits), prints.SIDE, prints.SIDE), np.uint8) if greys is None else greys,
        np.array(ratios or [1.5] * len(bits), np.float64),
        np.array([-1 if vector is None else next(at) for vector in vectors], np.int64),
        np.array(there, np.float16).reshape(len(there), 2),
    )


# Prints


def test_a_print_outlives_size_quality_format_and_light_and_tells_scenes_apart(tmp_path: Path) -> None:
    def numbers(seed: int) -> np.ndarray:
        found = [print_of(open_picture(path)).bits for path in same(tmp_path, seed).values()]
        return words([bits for bits in found if bits is not None])

    one, other = numbers(0), numbers(1)
    assert len(one) == len(other) == 6
    assert apart(one[0], one).max() <= 6
    assert min(apart(bits, other).min() for bits in one) >= 20


def test_a_jpeg_decoded_at_reduced_scale_has_the_same_print_but_for_a_bit_or_two(tmp_path: Path) -> None:
    scene(3, (2003, 1501)).save(tmp_path / "x.jpg", quality=95)
    full = print_of(open_picture(tmp_path / "x.jpg")).bits
    reduced = print_of(open_picture(tmp_path / "x.jpg", at_least=prints.AT_LEAST)).bits
    assert full is not None
    assert reduced is not None
    assert apart(words([full])[0], words([reduced]))[0] <= 2


@pytest.mark.parametrize("colour", ["black", "white", (120, 130, 110)])
def test_an_even_picture_has_no_print(tmp_path: Path, colour: str | tuple[int, int, int]) -> None:
    assert print_of(open_picture(paint(tmp_path / "x.png", colour, size=(640, 480)))).bits is None


def test_each_photo_is_decoded_once_and_has_a_print_also_when_nothing_is_seen_in_it(
    tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    same(tmp_path / "p")
    paint(tmp_path / "p/even.png", "white")
    opened = []

    def counted(*given: object, **options: object) -> Picture:
        opened.append(given)
        return open_picture(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(read, "open_picture", counted)
    assert index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder).embedded == 7
    assert len(opened) == 7
    made = [bits for _, _, bits, _ in rows(tmp_path / "lib")["prints"]]
    assert (len(made), made.count(None)) == (7, 1)


def test_an_older_library_gets_prints_without_the_model(tmp_path: Path, embedder: ColourEmbedder) -> None:
    same(tmp_path / "p")
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    before, batches = rows(tmp_path / "lib"), list(embedder.batches)
    before_prints(tmp_path / "lib" / FILE)
    with Library.write(tmp_path / "lib") as store:
        assert store.query("PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
        assert find_duplicates(store).unprinted == 6
    report = index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert (report.embedded, report.again, report.left) == (0, 6, 0)
    assert embedder.batches == batches
    assert rows(tmp_path / "lib") == before


def test_a_new_making_of_prints_makes_all_again_and_once(tmp_path: Path, embedder: ColourEmbedder) -> None:
    same(tmp_path / "p")
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    with Library.write(tmp_path / "lib") as store, store.transaction() as database:
        database.execute("UPDATE prints SET version = 0")
    assert index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder).again == 6
    assert index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder).again == 0


def test_a_photo_that_can_no_longer_be_decoded_stays_and_is_not_tried_at_each_run(
    tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    same(tmp_path / "p")
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    before_prints(tmp_path / "lib" / FILE)

    def fails(*_: object, **__: object) -> Picture:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(read, "open_picture", fails)
        report = index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert (report.again, dict(report.unread), report.left) == (6, {}, 0)
    assert index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder).again == 0


# Groups


def test_small_grey_versions_tell_what_moved_from_crops_and_light() -> None:
    def small(image: Image.Image) -> np.ndarray:
        return np.asarray(image.convert("L").resize((prints.SIDE, prints.SIDE), Image.Resampling.BOX))

    image = scene(4)
    moved = image.copy()
    moved.paste(image.crop((40, 40, 200, 200)), (360, 240))
    cropped = image.crop((0, 14, 621, 480))
    others = np.stack([small(one) for one in (image, cropped, image.point(lambda value: 40 + value // 2), moved)])
    same, crop, dim, other = unlike(small(image), others)
    assert same < 1e-3
    assert crop < UNLIKE / 2
    assert dim < UNLIKE / 4
    assert other > 1.5 * UNLIKE
    assert stars(photos([0] * 4, greys=others), Thresholds())[0].others[-1][0] == 2


def test_a_chain_of_pictures_each_like_the_next_is_not_one_group() -> None:
    chain = [(1 << 4 * length) - 1 for length in range(6)]  # 0, 4, 8, ... bits from the first
    found = stars(photos(chain), Thresholds(radius=8))
    assert [(star.centre, [row for row, *_ in star.others]) for star in found] == [(0, [1, 2]), (3, [4, 5])]
    assert found[0].others[1][1] == 8


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 255), max_size=40), st.integers(0, 4))
def test_all_of_a_group_are_near_the_one_to_keep_and_none_that_is_near_is_left_alone(
    bits: list[int], radius: int
) -> None:
    some = photos(bits)
    found = stars(some, Thresholds(radius=radius))
    grouped = [row for star in found for row in (star.centre, *(row for row, *_ in star.others))]
    assert len(grouped) == len(set(grouped))
    for star in found:
        for row, distance, cosine in star.others:
            assert row > star.centre
            assert distance == (bits[row] ^ bits[star.centre]).bit_count() <= radius
            assert np.isnan(cosine)
    alone = [bits[row] for row in range(len(bits)) if row not in grouped]
    assert all((a ^ b).bit_count() > radius for at, a in enumerate(alone) for b in alone[:at])


def test_vectors_confirm_where_both_have_one_and_shapes_always() -> None:
    vectors = [(1, 0), (0.96, 0.28), (0, 1), None]
    (star,) = stars(photos([0, 0, 0, 0], vectors=vectors), Thresholds())
    assert [row for row, *_ in star.others] == [1, 3]
    assert star.others[0][2] == pytest.approx(0.96, abs=1e-3)
    assert np.isnan(star.others[1][2])
    assert stars(photos([0, 0], ratios=[1.5, 1.5 * 1.03]), Thresholds())
    assert not stars(photos([0, 0], ratios=[1.5, 1.5 * 1.1]), Thresholds())
    assert not stars(photos([0, 0], ratios=[1.5 * 1.1, 1.5]), Thresholds())


@pytest.fixture
def library(tmp_path: Path, embedder: ColourEmbedder) -> Path:
    """Two pictures six times, one of these twice over, and one that is alone."""
    made = same(tmp_path / "p/a", 0)
    same(tmp_path / "p/b", 1)
    shutil.copy(made["half"], tmp_path / "p/copy of half.jpg")
    scene(2).save(tmp_path / "p/alone.png")
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
    return tmp_path / "lib"


def test_one_picture_is_one_group_and_the_largest_is_to_be_kept(library: Path, tmp_path: Path) -> None:
    with Library.read(library) as store:
        found = find_duplicates(store)
    assert (found.photos, found.unprinted, len(found.groups)) == (13, 0, 2)
    for group in found.groups:
        assert Path(group.keep.paths[0]).name.startswith("original")
        assert (group.keep.bits, group.keep.cosine) == (None, None)
        assert len({Path(other.paths[0]).stem.split("-")[1] for other in group.others}) == 1
        assert len(group.others) == 5
        assert all(other.cosine is not None for other in group.others)
    (half,) = (other for group in found.groups for other in group.others if len(other.paths) == 2)
    assert {Path(path).name for path in half.paths} == {"half-0.jpg", "copy of half.jpg"}
    assert found.groups[0].spare >= found.groups[1].spare
    assert sum(1 for _ in (tmp_path / "p").rglob("*.*")) == 14


def test_equal_files_alone_are_a_group_and_files_that_are_gone_are_in_none(
    tmp_path: Path, embedder: ColourEmbedder
) -> None:
    made = same(tmp_path / "p")
    scene(5).save(tmp_path / "p/x.png")
    shutil.copy(tmp_path / "p/x.png", tmp_path / "p/y.png")
    for name in ("half", "poor", "webp"):
        made[name].unlink()
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    made["cropped"].unlink()
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    made["brighter"].unlink()  # and the library does not know it yet
    with Library.read(tmp_path / "lib") as store:
        (group,) = find_duplicates(store).groups
    assert [Path(path).name for path in group.keep.paths] == ["x.png", "y.png"]
    assert group.others == ()
    assert group.spare == (tmp_path / "p/x.png").stat().st_size


def test_photos_on_a_drive_that_is_not_there_are_shown_and_marked(library: Path, tmp_path: Path) -> None:
    (tmp_path / "p").rename(tmp_path / "unplugged")
    with Library.read(library) as store:
        found = find_duplicates(store)
    assert len(found.groups) == 2
    assert not any(each.available for group in found.groups for each in (group.keep, *group.others))


def test_a_photo_without_a_vector_is_compared_by_its_print(tmp_path: Path, embedder: ColourEmbedder) -> None:
    same(tmp_path / "p")
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)

    another = ColourEmbedder(name="test/other", fingerprint="ff" * 32)
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], another, batch=2, quiet=True, stop=lambda: bool(another.batches))
        (group,) = find_duplicates(store).groups
    assert len(group.others) == 5
    assert any(other.cosine is None for other in group.others)


# The command


def test_the_command_shows_groups_and_what_to_keep(run: Run, library: Path) -> None:  # noqa: F811
    code, out, err = run("duplicates", "--library", library)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    kept = {line.split("  ")[0].split("/")[-1] for line in lines if line.startswith("keep ")}
    assert kept == {"original-0.png", "original-1.png"}
    assert sum(line.startswith("   ~ ") for line in lines) == 10
    assert sum(line.startswith("   = ") for line in lines) == 1
    assert lines[-1].startswith("2 groups; ")
    found = json.loads(run("duplicates", "--json", "--library", library)[1])
    assert {Path(group["keep"]["paths"][0]).name for group in found["groups"]} == {"original-0.png", "original-1.png"}


def test_none_is_exit_1_and_what_was_not_compared_is_said(run: Run, tmp_path: Path, folder: Path) -> None:  # noqa: F811
    run("index", folder, "--library", tmp_path / "lib")
    before_prints(tmp_path / "lib" / FILE)
    with Library.write(tmp_path / "lib"):
        pass
    code, out, err = run("duplicates", "--library", tmp_path / "lib")
    assert (code, out.splitlines()) == (1, ["0 groups; beside those to keep, their files are 0.0 MB"])
    assert err == "5 of 5 photos are not compared yet (index your folders again)\n"
    assert run("duplicates", "--library", tmp_path / "nothing")[0] == 2
