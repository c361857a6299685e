"""Webdataset shards: read in any order or from front to back, damaged ones up to the damage, nothing unpacked."""

import io
import json
import tarfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data.example import Bad, Example
from isthmus.data.rows import Columns
from isthmus.data.shard_sample import example_of_sample, key_and_suffix
from isthmus.data.shard_stream import ShardStream
from isthmus.data.shards import Shards
from isthmus.errors import InputError
from isthmus.messages import assistant, user

from .sources import needs, picture_bytes

JPEG = picture_bytes("JPEG")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tar(path: Path, members: Sequence[tuple[str, bytes]], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def pairs(first: int, count: int) -> list[tuple[str, bytes]]:
    found = []
    for at in range(first, first + count):
        found += [(f"{at:04d}.jpg", JPEG), (f"{at:04d}.txt", f"caption {at}\n".encode())]
    return found


def shards(folder: Path, counts: Sequence[int] = (3, 2)) -> list[Path]:
    firsts = [sum(counts[:at]) for at in range(len(counts))]
    made = zip(counts, firsts, strict=True)
    return [tar(folder / f"{at}.tar", pairs(first, count)) for at, (count, first) in enumerate(made)]


def captions(records: Any) -> list[str]:
    return [each.messages[1].text if isinstance(each, Example) else f"bad: {each.error}" for each in records]


def test_shards_in_any_order(tmp_path: Path) -> None:
    data = Shards("parts", shards(tmp_path))
    assert len(data) == 5
    assert captions(data[at] for at in (4, 0, 3, 1, -3)) == [f"caption {at}" for at in (4, 0, 3, 1, 2)]
    assert data[0].messages == (user(JPEG), assistant("caption 0"))
    assert data[3].place == "1.tar, 0003"
    with pytest.raises(IndexError):
        data[5]


def test_members_need_not_stand_side_by_side_nor_be_all_of_one_sort(tmp_path: Path) -> None:
    long = "a/" + "long/" * 40 + "猫"
    members = [("./x/b.jpg", JPEG), (f"{long}.JPG", JPEG), ("x/c.txt", b"alone"), ("__meta__", b""), ("._b.jpg", b"")]
    members += [("README", b"?"), (f"{long}.txt", "猫".encode()), ("./x/b.json", b'{"caption": "a cat", "url": "?"}')]
    data = Shards("parts", [tar(tmp_path / "a.tar", members)])
    assert len(data) == 3
    assert captions([data[0], data[1]]) == ["a cat", "猫"]
    assert data[2].messages == (assistant("alone"),)


def test_the_index_is_kept_until_the_file_changes(tmp_path: Path, own_cache: Path) -> None:
    (path,) = shards(tmp_path, [2])
    whole = path.read_bytes()
    Shards("parts", [path])
    (kept,) = (own_cache / "shards").iterdir()
    first = kept.read_bytes()
    assert captions([Shards("parts", [path])[1]]) == ["caption 1"]
    kept.write_bytes(first[:100])  # half of one
    assert captions([Shards("parts", [path])[1]]) == ["caption 1"]
    tar(path, pairs(7, 3))
    data = Shards("parts", [path])
    assert captions(data[at] for at in range(3)) == ["caption 7", "caption 8", "caption 9"]
    path.write_bytes(whole[:700])  # while it is open
    with pytest.raises(InputError, match="cannot be read"):
        data[2]


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "file"))
    assert len(Shards("parts", shards(tmp_path))) == 5


@settings(max_examples=60)
@given(cut=st.integers(0, 3 * (512 + 1024 + 1024) + 1024))
def test_a_tar_cut_anywhere_gives_what_is_whole(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = tar(folder / "a.tar", pairs(0, 3))
    with tarfile.open(path) as archive:
        ends = [member.offset_data + member.size for member in archive if member.name.endswith(".txt")]
    path.write_bytes(path.read_bytes()[:cut])
    data = Shards("parts", [path, tar(folder / "b.tar", pairs(9, 1))])
    whole = sum(end <= cut for end in ends)
    read = []
    for at in range(len(data)):
        try:
            read.append(data[at].messages[1].text)
        except InputError as error:
            read.append(error.what)
    assert read[:whole] == [f"caption {at}" for at in range(whole)]
    assert read[-1] == "caption 9"
    rest = read[whole:-1]
    assert all("a.tar is damaged behind sample" in each or "there is no caption" in each for each in rest)
    padded = (ends[-1] + 511) // 512 * 512
    assert any("damaged" in each for each in rest) is (cut < padded + 512)


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    (path,) = shards(tmp_path, [3])
    with tarfile.open(path) as archive:
        offset = archive.getmember("0001.jpg").offset
    content = bytearray(path.read_bytes())
    content[offset + 148 : offset + 156] = b"garbage!"  # the header's checksum
    path.write_bytes(content)
    data = Shards("parts", [path])
    assert captions([data[0]]) == ["caption 0"]
    with pytest.raises(InputError, match=r"0.tar is damaged behind sample 1: no member is whole from byte \d+ on"):
        data[1]
    assert len(data) == 2


def test_files_that_are_no_plain_tars(tmp_path: Path) -> None:
    packed = tar(tmp_path / "a.tar", pairs(0, 1), "w:gz")
    with pytest.raises(InputError, match="is compressed with gzip"):
        Shards("parts", [packed])
    (tmp_path / "b.tar").write_bytes(JPEG)
    with pytest.raises(InputError, match="is no tar"):
        Shards("parts", [tmp_path / "b.tar"])
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Shards("parts", [tmp_path / "c.tar"])
    with pytest.raises(InputError, match="holds no sample"):
        Shards("parts", [tar(tmp_path / "d.tar", [])])


@pytest.mark.parametrize(
    ("member", "key"),
    [
        ("a/b.jpg", ("a/b", "jpg")),
        ("./b.seg.PNG", ("b", "seg.png")),
        ("a.b/c.txt", ("a.b/c", "txt")),
        (".b.jpg", None),
        ("a/._b.jpg", None),
        ("README", None),
        ("__index__.json", None),
    ],
)
def test_keys(member: str, key: Any) -> None:
    assert key_and_suffix(member) == key


TURNS = [{"from": "human", "value": "<image> or <image>?"}, {"from": "gpt", "value": "x"}]


def test_samples_in_json() -> None:
    two = {"a.jpg": b"x", "b.png": b"y"}
    llava = json.dumps({"image": ["was/here.jpg", "and/there.png"], "conversations": TURNS}).encode()
    example = example_of_sample({**two, "json": llava}, "here")
    assert example.messages == (user(b"x", "or", b"y", "?"), assistant("x"))
    listed = json.dumps(TURNS).encode()
    assert example_of_sample({**two, "json": listed}, "here").messages == example.messages
    asked = json.dumps({"q": "what?", "answer": "a cat", "path": "?"}).encode()
    example = example_of_sample({"jpg": b"x", "json": asked}, "here", Columns(question="q"))
    assert example.messages == (user(b"x", "what?"), assistant("a cat"))
    both = {"jpg": b"x", "json": asked, "txt": "\ufeff猫\r\n\r\na cat".encode()}
    assert example_of_sample(both, "here").answers == ("猫", "a cat")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"jpg": b"x"}, "here: there is no caption: its members are jpg"),
        ({"jpg": b"x", "txt": b" "}, "here: there is no caption"),
        ({"jpg": b"", "txt": b"a"}, "here: a picture is empty"),
        ({"jpg": b"x", "txt": b"\xff"}, "here: a text is not UTF-8"),
        ({"jpg": b"x", "json": b"{"}, "here: its json is not JSON"),
        ({"jpg": b"x", "json": b"{}"}, "here: there is no caption, question or conversation"),
    ],
)
def test_samples_that_cannot_be_used(members: dict[str, bytes], said: str) -> None:
    with pytest.raises(InputError) as raised:
        example_of_sample(members, "here")
    assert str(raised.value).startswith(said)


def test_a_stream_gives_what_shards_give(tmp_path: Path) -> None:
    needs("webdataset")
    paths = shards(tmp_path)
    listed = Shards("parts", paths)
    streamed = list(ShardStream("parts", [str(path) for path in paths]))
    assert captions(streamed) == captions(listed[at] for at in range(5))
    assert streamed[0].messages == listed[0].messages  # type: ignore[union-attr]
    assert streamed[3].place == f"{paths[1]}, 0003"


@pytest.mark.parametrize("cut", range(8))
def test_a_stream_resumes_behind_the_last_record(tmp_path: Path, cut: int) -> None:
    needs("webdataset")
    paths = [*shards(tmp_path), tar(tmp_path / "2.tar", [("a.jpg", JPEG), *pairs(8, 1)])]

    def stream() -> ShardStream:
        return ShardStream("parts", [str(path) for path in paths])

    whole = captions(stream())
    assert len(whole) == 7 and whole[5].startswith("bad")
    begun, resumed = stream(), stream()
    read = captions(islice(begun, cut))
    resumed.resume(json.loads(json.dumps(begun.state())))
    assert read + captions(resumed) == whole
    assert captions(resumed) == []  # at its end
    resumed.resume(stream().state())
    assert captions(resumed) == whole


def test_streams_of_pipes_and_compressed_shards(tmp_path: Path) -> None:
    needs("webdataset")
    plain, packed = shards(tmp_path, [2])[0], tar(tmp_path / "b.tar.gz", pairs(2, 2), "w:gz")
    assert captions(ShardStream("parts", [f"pipe:cat {plain}", str(packed)])) == [f"caption {at}" for at in range(4)]


def test_a_stream_says_damage_and_goes_on(tmp_path: Path) -> None:
    needs("webdataset")
    first, second = shards(tmp_path, [3, 2])
    with tarfile.open(first) as archive:
        inside = archive.getmember("0001.txt").offset_data + 1
    first.write_bytes(first.read_bytes()[:inside])
    missing = str(tmp_path / "none.tar")
    records = list(ShardStream("parts", [str(first), missing, "pipe:exit 3", str(second)]))
    good = [each for each in records if isinstance(each, Example)]
    bad = [each for each in records if isinstance(each, Bad)]
    assert captions(good) == ["caption 0", "caption 3", "caption 4"]
    assert [each.place for each in bad] == [str(first), missing, "pipe:exit 3"]
    assert "is damaged behind sample 1" in str(bad[0].error)
    assert all(len(str(each.error).splitlines()) == 1 for each in bad)


def test_no_address_is_said() -> None:
    with pytest.raises(InputError, match="names no shard"):
        ShardStream("parts", [])
