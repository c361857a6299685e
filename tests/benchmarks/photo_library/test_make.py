"""The made library: as many files as asked for, the same bytes for the same seed, and a truth that is true."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from benchmarks.photo_library.concepts import called, concepts, cutouts, perhaps, unseen
from benchmarks.photo_library.make import PHOTOS, make
from benchmarks.photo_library.plan import plan
from benchmarks.photo_library.story import HOME, NOW, STAYS, TOWNS, cast, favourites, may_be_seen
from benchmarks.photo_library.truth import Dated, Kind, Library, Photo, Placed, is_small, read
from benchmarks.photo_library.written import WRITINGS
from PIL import Image, ImageOps

from isthmus.errors import InputError
from isthmus.photos.query.festivals import interval

from .conftest import PHOTOS as PHOTOS_MADE
from .conftest import SEED


def test_every_file_is_told_of_and_every_told_one_is_there(made: Path, library: Library) -> None:
    there = {path.relative_to(made).as_posix() for path in (made / PHOTOS).rglob("*") if path.is_file()}
    pictures = {path for path in there if not path.endswith(".xmp")}
    assert pictures == {photo.path for photo in library.photos}
    assert len(pictures) == PHOTOS_MADE
    assert {photo.dated for photo in library.photos} == set(get_args(Dated))
    assert {photo.placed for photo in library.photos} == set(get_args(Placed))
    assert {photo.kind for photo in library.photos} == set(get_args(Kind))
    for sidecar in there - pictures:
        stem = sidecar.removesuffix(".xmp")
        assert any(picture in (stem, f"{stem}.JPG") for picture in pictures)


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(made: Path, tmp_path: Path) -> None:
    make(tmp_path / "again", PHOTOS_MADE, SEED, quiet=True)
    assert _digests(tmp_path / "again") == _digests(made)
    make(tmp_path / "other", 20, 1, quiet=True)
    assert not set(_digests(tmp_path / "other").values()) & set(_digests(made).values())


def test_pictures_are_upright_and_of_the_size_that_is_told(made: Path, library: Library) -> None:
    for photo in library.photos:
        with Image.open(made / photo.path) as stored:
            assert stored.getexif().get(0x0112, 1) == photo.orientation
            assert ImageOps.exif_transpose(stored).size == (photo.width, photo.height)
    assert any(photo.orientation in (6, 8) for photo in library.photos)


def test_boxes_are_within_their_pictures(library: Library) -> None:
    boxed = [(thing.box, photo) for photo in library.photos for thing in photo.things if thing.box]
    assert boxed
    for (left, top, right, bottom), photo in boxed:
        assert 0 <= left < right <= photo.width
        assert 0 <= top < bottom <= photo.height
    assert any(is_small(thing, photo) for photo in library.photos for thing in photo.things)


def test_what_is_on_a_drawn_ground_is_in_its_box(made: Path, library: Library) -> None:
    """Drawn grounds change slowly from pixel to pixel. In a burst, smaller, and under another orientation too."""
    seen = 0
    for photo in library.photos:
        if len(photo.things) == 1 and (box := photo.things[0].box) and photo.kind == "photo":
            with Image.open(made / photo.path) as stored:
                grey = np.asarray(ImageOps.exif_transpose(stored).convert("L"), float)
            edges = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
            inside = edges[box[1] : box[3], box[0] : box[2]].mean()
            edges[box[1] : box[3] + 8, box[0] : box[2] + 8] = np.nan  # with its shadow
            assert inside > 1.5 * np.nanmean(edges)
            seen += 1
    assert seen > 5


def test_copies_are_copies_and_share_their_picture(made: Path, library: Library) -> None:
    by_path = {photo.path: photo for photo in library.photos}
    copies = [photo for photo in library.photos if photo.copy_of]
    assert copies
    for photo in copies:
        assert (made / photo.path).read_bytes() == (made / photo.copy_of).read_bytes()
        assert photo.picture == by_path[photo.copy_of].picture
        assert photo.things == by_path[photo.copy_of].things


def test_a_picture_saved_again_is_the_same_picture_in_other_bytes(made: Path, library: Library) -> None:
    by_picture: dict[int, list[Photo]] = {}
    for photo in library.photos:
        if not photo.copy_of:
            by_picture.setdefault(photo.picture, []).append(photo)
    pairs = [pair for pair in by_picture.values() if len(pair) == 2]
    assert pairs
    for one, other in pairs:
        assert {thing.name for thing in one.things} == {thing.name for thing in other.things}
        thumbs = []
        for photo in (one, other):
            with Image.open(made / photo.path) as stored:
                thumbs.append(np.asarray(ImageOps.exif_transpose(stored).convert("L").resize((16, 16)), float))
        assert np.abs(thumbs[0] - thumbs[1]).mean() < 6
        assert one.width != other.width


def test_bursts_follow_each_other_within_seconds(library: Library) -> None:
    bursts: dict[int, list[Photo]] = {}
    for photo in library.photos:
        if photo.burst is not None:
            bursts.setdefault(photo.burst, []).append(photo)
    assert bursts
    for frames in bursts.values():
        times = sorted(photo.time for photo in frames)
        assert len(frames) > 1
        assert (times[-1] - times[0]).total_seconds() < 60
        assert len({photo.picture for photo in frames}) == len(frames)


def test_a_folder_that_is_there_and_a_tiny_library_are_refused(parts: None, tmp_path: Path) -> None:  # noqa: ARG001
    with pytest.raises(InputError, match="is there already"):
        make(tmp_path, 60, 0, quiet=True)
    with pytest.raises(InputError, match="too few"):
        make(tmp_path / "new", 5, 0, quiet=True)


def test_a_large_plan_tells_a_life(parts: None) -> None:  # noqa: ARG001
    shots = plan(4000, 0)
    assert len({shot.path.lower() for shot in shots}) == 4000
    assert max(shot.time for shot in shots) < NOW
    towns = Counter(shot.town for shot in shots)
    assert towns[HOME] > 1800
    assert set(towns) == set(TOWNS)
    for shot in shots:
        if shot.town != HOME:
            assert any(s.town == shot.town and s.first <= shot.time.date() <= s.last for s in STAYS)
        for item in shot.content.items:
            assert may_be_seen(item.name, shot.town, shot.time.date()), (item.name, shot.path)
        sea = shot.content.seaside or (shot.content.whole is not None and "sea" in shot.content.whole.shows)
        assert not sea or TOWNS[shot.town].seaside
    assert len({shot.camera.model for shot in shots if shot.camera}) == 7
    years = Counter(shot.time.year for shot in shots)
    assert all(years[year] > 200 for year in range(2016, 2024))


def test_special_things_are_where_their_side_is(parts: None) -> None:  # noqa: ARG001
    for name, (towns, _) in cast().items():
        assert {TOWNS[town].side for town in towns} <= {concepts()[name].side}
    for where in (*TOWNS, 2018):
        assert all(where in cast()[name][0] or where in cast()[name][1] for name in favourites(where))


def test_the_table_of_concepts_is_whole(parts: None) -> None:  # noqa: ARG001
    known = concepts()
    assert len({concept.chinese for concept in known.values()}) == len(known)
    for concept in known.values():
        assert set(concept.kinds) <= set(known)
        assert concept.name not in concept.maybe
        assert (concept.scope in ("special", "common", "small") and bool(concept.files)) or not concept.files
    assert called("rooster") == {"rooster", "chicken", "bird", "animal"}
    assert "cat" in perhaps("lion")
    assert unseen("owl") is True
    assert unseen("dog") is False
    assert unseen("rabbit") is None
    assert sum(map(len, cutouts().values())) > 300


def test_no_text_to_ask_for_is_part_of_another() -> None:
    heads = [writing.head for writing in WRITINGS]
    for head in heads:
        assert sum(head in line for writing in WRITINGS for line in writing.lines) == 1, head


def test_photos_are_taken_on_the_festivals_of_the_calendar() -> None:
    from benchmarks.photo_library.story import FESTIVALS

    names = ("spring-festival", "mid-autumn-festival", "christmas", "halloween", "new-years-eve")
    spans = [interval(name, year) for name in names for year in range(2016, 2025)]
    for day in FESTIVALS:
        assert any(span and span[0] <= day < span[1] for span in spans), day


def test_truth_is_read_as_it_was_written(library: Library, tmp_path: Path) -> None:
    library.write(tmp_path)
    assert read(tmp_path) == library
    assert read(tmp_path).about["photos"] == 60


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_photos_are_within_the_radius_of_their_town(library: Library) -> None:
    for photo in library.photos:
        place = TOWNS[photo.town].place
        assert place.latitude is not None and place.longitude is not None and place.radius_km is not None
        north = (photo.latitude - place.latitude) * 111.2
        east = (photo.longitude - place.longitude) * 111.2
        assert (north**2 + east**2) ** 0.5 < place.radius_km
        assert photo.country == place.code[:2]
