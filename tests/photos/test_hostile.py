"""A folder of hostile files is indexed to the end, and each of them is accounted for."""

import json
import os
from pathlib import Path

import pytest

from isthmus.photos.index import index
from isthmus.photos.report import coverage, unread_files
from isthmus.photos.search import search
from isthmus.photos.store import Library

from .fakes import ColourEmbedder
from .hostile import make_hostile


@pytest.mark.filterwarnings("ignore::Warning:PIL")
def test_every_hostile_file_is_indexed_or_listed_with_its_reason(tmp_path: Path, embedder: ColourEmbedder) -> None:
    root = tmp_path / "hostile"
    made = make_hostile(root, 300, seed=1)
    with Library.write(tmp_path / "lib") as library:
        report = index(library, [root], embedder, quiet=True, workers=2)
        found = coverage(library)
        listed = unread_files(library)
        assert report.met == made == found.met == found.known + sum(found.unread.values())
        assert (report.left, found.pending, found.gone) == (0, 0, 0)
        assert found.known >= 25  # the good ones, at least
        assert len(listed) == sum(found.unread.values())
        assert all(file.reason and "\n" not in file.detail for file in listed)
        assert {"empty", "not a picture", "truncated", "corrupt", "too large", "link to a folder", "broken link",
                "link out of the folder", "not a regular file"} <= set(found.unread)  # fmt: skip
        assert found.unread.get("error", 0) == 0
        # Names survive, in JSON too.
        strange = [file for file in listed if b"\xff\xfe\x80" in os.fsencode(file.path)]
        assert strange
        for file in strange:
            assert os.fsencode(json.loads(json.dumps(file.path))) == os.fsencode(file.path)
        hits = search(library, embedder, "red", 1000).hits
        assert len(hits) == found.photos
        again = index(library, [root], embedder, quiet=True)
        assert (again.embedded, again.gone) == (0, 0)
        assert coverage(library).unread == found.unread
