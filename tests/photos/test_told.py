"""What files say of their photos, from the index to the columns of a query."""

import os
import sqlite3
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from isthmus.photos import schema, told
from isthmus.photos.facts import load_facts
from isthmus.photos.filter import taken_at
from isthmus.photos.index import IndexReport, index
from isthmus.photos.query.model import Interval, Time
from isthmus.photos.report import coverage, unread_files
from isthmus.photos.store import FILE, Library

from .fakes import ColourEmbedder, paint, step_back
from .metadata import samples
from .test_index import run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """One that a phone took in Paris."""
    path = paint(tmp_path / "p/IMG_1.jpg", "red")
    block = samples.exif(
        {samples.MAKE: "Apple", samples.MODEL: "iPhone 12"},
        {samples.ORIGINAL: "2018:05:03 14:25:30", samples.OFFSET_ORIGINAL: "+02:00"},
        {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)},
    )
    from PIL import Image

    with Image.open(path) as picture:
        picture.load()
    picture.save(path, exif=block)
    return path


def sidecar(path: Path, when: str, *keywords: str) -> None:
    said = samples.bag("dc:subject", *keywords) if keywords else ""
    path.write_bytes(samples.xmp(said, f'photoshop:DateCreated="{when}"'))


def taken(library: Path) -> list[str]:
    with Library.read(library) as store:
        return [str(each) for each in load_facts(store).taken]


def tags(library: Path) -> list[tuple[str, str]]:
    with Library.read(library) as store:
        return [(kind, value) for kind, value in store.query("SELECT kind, value FROM tags ORDER BY rowid")]


def counts(report: IndexReport) -> tuple[int, int, int]:
    return report.embedded, report.known, report.again


def test_what_a_file_says_is_in_the_library(tmp_path: Path, photo: Path, embedder: ColourEmbedder) -> None:
    run(tmp_path / "lib", photo.parent, embedder=embedder)
    with Library.read(tmp_path / "lib") as store:
        facts = load_facts(store)
        kept = store.query('SELECT "offset", taken_from, code, problems FROM facts')
    assert facts.taken.tolist() == [datetime(2018, 5, 3, 14, 25, 30)]
    assert facts.cameras == (("Apple", "iPhone 12"),)
    assert (facts.latitude[0], facts.longitude[0]) == (
        pytest.approx(48.8583, abs=1e-4),
        pytest.approx(2.2944, abs=1e-4),
    )
    assert [(offset, by, code[:6], problems) for offset, by, code, problems in kept] == [(120, "exif", "FR.11.", "")]


def test_a_sidecar_that_comes_changes_and_goes_is_followed_without_the_model(
    tmp_path: Path, photo: Path, embedder: ColourEmbedder
) -> None:
    lib, beside = tmp_path / "lib", photo.with_name("IMG_1.jpg.xmp")
    assert counts(run(lib, photo.parent, embedder=embedder)) == (1, 0, 0)
    sidecar(beside, "2017-01-02T03:04:05", "dog", "beach")
    assert counts(run(lib, photo.parent, embedder=embedder)) == (0, 0, 1)
    assert (taken(lib), tags(lib)) == (["2017-01-02T03:04:05"], [("keyword", "dog"), ("keyword", "beach")])
    assert counts(run(lib, photo.parent, embedder=embedder)) == (0, 0, 0)
    sidecar(beside, "2016-01-02T03:04:05.5")  # another length, so noticed in whatever second
    assert counts(run(lib, photo.parent, embedder=embedder)) == (0, 0, 1)
    assert (taken(lib), tags(lib)) == (["2016-01-02T03:04:05"], [])
    beside.unlink()
    assert counts(run(lib, photo.parent, embedder=embedder)) == (0, 0, 1)
    assert taken(lib) == ["2018-05-03T14:25:30"]
    assert embedder.batches == [1]


def test_a_sidecar_is_no_photo_and_no_trouble(tmp_path: Path, photo: Path, embedder: ColourEmbedder) -> None:
    sidecar(photo.with_suffix(".XMP"), "2017-01-02T03:04:05")
    report = run(tmp_path / "lib", photo.parent, embedder=embedder)
    with Library.read(tmp_path / "lib") as store:
        found = coverage(store)
        assert (found.known, found.sidecars, found.unread, found.met) == (1, 1, {}, report.met)
        assert unread_files(store) == []
    assert taken(tmp_path / "lib") == ["2017-01-02T03:04:05"]


def test_the_surer_of_two_sidecars_counts(tmp_path: Path, photo: Path, embedder: ColourEmbedder) -> None:
    sidecar(photo.with_suffix(".xmp"), "2016-01-02T03:04:05")
    run(tmp_path / "lib", photo.parent, embedder=embedder)
    sidecar(photo.with_name("IMG_1.jpg.xmp"), "2017-01-02T03:04:05")
    assert counts(run(tmp_path / "lib", photo.parent, embedder=embedder)) == (0, 0, 1)
    assert taken(tmp_path / "lib") == ["2017-01-02T03:04:05"]


def test_a_sidecar_that_is_a_link_is_not_read(tmp_path: Path, photo: Path, embedder: ColourEmbedder) -> None:
    sidecar(tmp_path / "p/real.xmp", "2017-01-02T03:04:05")
    photo.with_name("IMG_1.jpg.xmp").symlink_to(tmp_path / "p/real.xmp")
    run(tmp_path / "lib", photo.parent, embedder=embedder)
    assert taken(tmp_path / "lib") == ["2018-05-03T14:25:30"]
    assert counts(run(tmp_path / "lib", photo.parent, embedder=embedder)) == (0, 0, 0)


def test_of_copies_the_one_that_says_most_counts(tmp_path: Path, photo: Path, embedder: ColourEmbedder) -> None:
    (tmp_path / "p/sub").mkdir()
    for name in ("a/plain.jpg", "sub/IMG_1.jpg"):
        (tmp_path / "p" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "p" / name).write_bytes(photo.read_bytes())
    sidecar(tmp_path / "p/sub/IMG_1.xmp", "2017-01-02T03:04:05")
    assert run(tmp_path / "lib", photo.parent, embedder=embedder).embedded == 1
    assert taken(tmp_path / "lib") == ["2017-01-02T03:04:05"]


def test_a_photo_that_says_nothing_has_a_row_too(tmp_path: Path, embedder: ColourEmbedder) -> None:
    paint(tmp_path / "p/a.png", "red")
    paint(tmp_path / "p/2018-05-03.png", "blue")
    run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    with Library.read(tmp_path / "lib") as store:
        facts = load_facts(store)
    assert np.isnat(facts.taken).tolist() == [False, True]
    may = Time((Interval(datetime(2018, 5, 1), datetime(2018, 6, 1)),))
    assert taken_at(may, facts).tolist() == [True, False]


def test_a_file_that_is_gone_says_nothing(tmp_path: Path, photo: Path, embedder: ColourEmbedder) -> None:
    paint(tmp_path / "p/other.png", "blue")
    run(tmp_path / "lib", photo.parent, embedder=embedder)
    photo.unlink()
    run(tmp_path / "lib", photo.parent, embedder=embedder)
    assert taken(tmp_path / "lib") == ["NaT"]


def test_a_library_from_before_metadata_is_brought_up_to_date_without_the_model(
    tmp_path: Path, photo: Path, embedder: ColourEmbedder
) -> None:
    run(tmp_path / "lib", photo.parent, embedder=embedder)
    database = sqlite3.connect(tmp_path / "lib" / FILE)
    step_back(database, 1)
    database.close()
    assert schema.tables(1) == {"library", "roots", "photos", "files", "models", "vectors"}
    assert counts(run(tmp_path / "lib", photo.parent, embedder=embedder)) == (0, 0, 1)
    assert taken(tmp_path / "lib") == ["2018-05-03T14:25:30"]
    assert embedder.batches == [1]


def test_files_are_read_again_where_more_is_read_of_them(tmp_path: Path, photo: Path, embedder: ColourEmbedder) -> None:
    run(tmp_path / "lib", photo.parent, embedder=embedder)
    with Library.write(tmp_path / "lib") as store, store.transaction() as database:
        database.execute("UPDATE facts SET version = ?", (told.VERSION - 1,))
    assert counts(run(tmp_path / "lib", photo.parent, embedder=embedder)) == (0, 0, 1)
    assert counts(run(tmp_path / "lib", photo.parent, embedder=embedder)) == (0, 0, 0)


def test_another_model_reads_each_photo_once_and_what_it_says_not_again(
    tmp_path: Path, photo: Path, embedder: ColourEmbedder
) -> None:
    run(tmp_path / "lib", photo.parent, embedder=embedder)
    other = ColourEmbedder(fingerprint="ab" * 32)
    with Library.write(tmp_path / "lib") as store:
        assert index(store, [photo.parent], other, quiet=True).embedded == 1
        assert store.query("SELECT count(*) FROM facts") == [(1,)]


def test_names_that_are_no_text_have_sidecars_too(tmp_path: Path, photo: Path, embedder: ColourEmbedder) -> None:
    odd = os.fsdecode(b"p/\xff\xfe.jpg")
    (tmp_path / odd).write_bytes(photo.read_bytes())
    photo.unlink()
    sidecar(tmp_path / (odd + ".xmp"), "2017-01-02T03:04:05")
    run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert taken(tmp_path / "lib") == ["2017-01-02T03:04:05"]
