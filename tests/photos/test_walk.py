"""What a walk meets: each entry once, links and oddities set aside with their reason."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.photos.walk import Entry, walk


def met(root: Path) -> dict[bytes, str | None]:
    entries = list(walk(os.fsencode(root)))
    found = {entry.path: entry.reason for entry in entries}
    assert len(found) == len(entries)
    return found


def test_files_of_all_depths_are_met_with_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("x.jpg", "a/y", "a/b/z.jpg"):
        (tmp_path / name).write_bytes(b"12345")
        os.utime(tmp_path / name, ns=(1, 1_700_000_000_123_456_789))
    assert list(walk(os.fsencode(tmp_path))) == [
        Entry(b"x.jpg", 5, 1_700_000_000_123_456_789),
        Entry(b"a/y", 5, 1_700_000_000_123_456_789),
        Entry(b"a/b/z.jpg", 5, 1_700_000_000_123_456_789),
    ]


def test_links_to_folders_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    inner = tmp_path / "root" / "inner"
    inner.mkdir(parents=True)
    (inner / "up").symlink_to(tmp_path / "root")
    (inner / "self").symlink_to(inner / "self")
    (inner / "out").symlink_to(tmp_path)
    assert met(tmp_path / "root") == {
        b"inner/up": "link to a folder",
        b"inner/self": "broken link",
        b"inner/out": "link to a folder",
    }


def test_a_link_to_a_file_is_followed_only_inside_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "photo.jpg").write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "root-of-another").mkdir()
    (tmp_path / "root-of-another" / "near").write_bytes(b"x")
    (root / "in.jpg").symlink_to("photo.jpg")
    (root / "out.jpg").symlink_to(tmp_path / "secret")
    (root / "near.jpg").symlink_to(tmp_path / "root-of-another" / "near")
    (root / "nowhere.jpg").symlink_to("absent")
    assert met(root) == {
        b"photo.jpg": None,
        b"in.jpg": None,
        b"out.jpg": "link out of the folder",
        b"near.jpg": "link out of the folder",
        b"nowhere.jpg": "broken link",
    }


def test_what_is_not_a_regular_file_is_set_aside(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.jpg").write_bytes(b"x")
    (tmp_path / ".visible.jpg").write_bytes(b"x")
    assert met(tmp_path) == {b"pipe.jpg": "not a regular file", b".hidden": "hidden folder", b".visible.jpg": None}


def test_a_folder_whose_path_is_too_long_to_list_is_said(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):  # 30 x 200 is beyond any system's limit on a path
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    assert list(met(tmp_path).values()) == ["unreadable folder"]


def test_an_unreadable_folder_is_said(users_folder: Path) -> None:
    (users_folder / "closed").mkdir(mode=0)
    assert met(users_folder) == {b"closed": "unreadable folder"}


@settings(max_examples=25)
@given(
    names=st.sets(st.binary(min_size=1, max_size=40).filter(lambda n: not set(n) & {0, 47} and n not in (b".", b"..")))
)
def test_any_name_a_file_system_takes_comes_back_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, names: set[bytes]
) -> None:
    root = os.fsencode(tmp_path_factory.mktemp("names"))
    for name in names:
        with open(os.path.join(root, name), "wb"):  # noqa: PTH118, PTH123
            pass
    assert {entry.path for entry in walk(root)} == names
