"""The `datasets` library's data: parquet, saved folders, splits, streaming; pictures come as the bytes stored."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from isthmus.data.arrow import ArrowExamples, ArrowStream, open_from_hub, open_parquet, open_saved
from isthmus.data.example import Bad, Example
from isthmus.data.rows import Columns
from isthmus.errors import InputError, MissingPart
from isthmus.messages import assistant, user

from .sources import needs, picture_bytes

PNGS = [picture_bytes(colour=(at, 0, 0)) for at in range(7)]
CAPTIONS = ["a", "b", " ", "d", "e", "f", "猫"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = needs("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def captioned(many: bool = False) -> Any:
    datasets = needs("datasets")
    picture: Any = datasets.Image()
    rows: Any = [{"bytes": each, "path": None} for each in PNGS]
    if many:
        picture, rows = datasets.List(picture), [[each] for each in rows]
    columns = {"image": rows, "caption": CAPTIONS, "sound": [b"not to be read"] * 7}
    features = datasets.Features(
        {"image": picture, "caption": datasets.Value("string"), "sound": datasets.Value("binary")}
    )
    return datasets.Dataset.from_dict(columns, features=features)


def parquet(path: Path, dataset: Any, rows_a_group: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.to_parquet(path, batch_size=rows_a_group)
    return path


def texts(records: Any) -> list[str]:
    return [each.messages[-1].text if isinstance(each, Example) else f"bad: {each.error}" for each in records]


@pytest.mark.parametrize("many", [False, True])
def test_pictures_come_as_they_are_stored(many: bool) -> None:
    data = ArrowExamples("mine", captioned(many))
    assert len(data) == 7
    assert data[6].messages == (user(PNGS[6]), assistant("猫"))
    assert data[0].place == "mine, row 1"
    with pytest.raises(InputError, match="mine, row 3: there is no caption"):
        data[2]
    with pytest.raises(IndexError):
        data[7]


def test_a_parquet_file_in_any_order_and_from_front_to_back(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", captioned())
    listed, stream = open_parquet(path), open_parquet(path, streaming=True)
    assert isinstance(listed, ArrowExamples) and isinstance(stream, ArrowStream)
    records = list(stream)
    assert texts(records) == ["a", "b", "bad: x.parquet, row 3: there is no caption: its text is empty", *"def", "猫"]
    for at in (0, 6):
        assert records[at] == listed[at]
    assert isinstance(records[2], Bad) and records[2].place == "x.parquet, row 3"


@pytest.mark.parametrize("cut", range(9))
def test_a_stream_resumes_behind_the_last_record(tmp_path: Path, cut: int) -> None:
    for name in ("a", "b"):
        parquet(tmp_path / "data" / f"{name}.parquet", captioned().select(range(1, 5)), rows_a_group=2)

    def stream() -> Any:
        return open_parquet(tmp_path / "data", streaming=True)

    whole = list(stream())
    begun, resumed = stream(), stream()
    front = stream().state()
    read = list(islice(begun, cut))
    resumed.resume(json.loads(json.dumps(begun.state())))
    rest = list(resumed)
    assert texts(read + rest) == texts(whole)
    assert [each.place for each in read + rest] == [f"data, row {at}" for at in range(1, 9)]
    resumed.resume(front)
    assert texts(resumed) == texts(whole)


def test_plain_parquet_without_the_librarys_notes(tmp_path: Path) -> None:
    """Columns of bytes, of {"bytes", "path"}, and of file names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "a.png").write_bytes(PNGS[0])
    columns: list[Any] = [
        PNGS[:1],
        [{"bytes": PNGS[0], "path": "x.png"}],
        ["a.png"],
        [{"bytes": None, "path": "a.png"}],
    ]
    for at, column in enumerate(columns):
        path = tmp_path / f"{at}.parquet"
        pq.write_table(pa.table({"image": column, "question": ["what?"], "answers": [["cat", "cat", "dog"]]}), path)
        for streaming in (False, True):
            (example,) = [each for each in open_parquet(path, streaming=streaming)]  # type: ignore[union-attr]
            source = example.messages[0].pictures[0].source  # type: ignore[union-attr]
            assert source == (PNGS[0] if at < 2 else tmp_path / "a.png")
            assert example.answers == ("cat", "cat", "dog")  # type: ignore[union-attr]


def test_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = captioned().select([0 if split == "train" else 6])
        parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet", rows)
    assert texts([open_parquet(tmp_path)[0]]) == ["a"]  # type: ignore[index]
    assert texts(open_parquet(tmp_path, split="test", streaming=True)) == ["猫"]
    with pytest.raises(InputError, match=r"has no split 'dev' .choose one of train, test"):
        open_parquet(tmp_path, split="dev")


def test_folders_of_save_to_disk(tmp_path: Path) -> None:
    datasets = needs("datasets")
    captioned().save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"a": captioned(), "b": captioned().select([6])}).save_to_disk(tmp_path / "two")
    assert texts([open_saved(tmp_path / "one")[6]]) == ["猫"]  # type: ignore[index]
    assert texts([open_saved(tmp_path / "two", split="b")[0]]) == ["猫"]  # type: ignore[index]
    with pytest.raises(InputError, match=r"two has several splits and none is chosen .choose one of a, b"):
        open_saved(tmp_path / "two")


def test_conversations_in_columns() -> None:
    datasets = needs("datasets")
    messages = [
        {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "what?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "a cat"}]},
    ]
    features = datasets.Features(
        {
            "images": datasets.List(datasets.Image()),
            "messages": datasets.List(
                {
                    "role": datasets.Value("string"),
                    "content": datasets.List({"type": datasets.Value("string"), "text": datasets.Value("string")}),
                }
            ),
        }
    )
    row = {"images": [[{"bytes": PNGS[0], "path": None}]], "messages": [messages]}
    data = ArrowExamples("mine", datasets.Dataset.from_dict(row, features=features))
    assert data[0].messages == (user(PNGS[0], "what?"), assistant("a cat"))


def test_columns_nobody_knows() -> None:
    datasets = needs("datasets")
    rows = datasets.Dataset.from_dict({"foo": ["猫"], "bar": ["b"]})
    with pytest.raises(InputError, match="no column is known: there are foo, bar"):
        ArrowExamples("mine", rows)
    assert ArrowExamples("mine", rows, columns=Columns(text="foo"))[0].messages == (assistant("猫"),)


@pytest.mark.parametrize("streaming", [False, True])
def test_files_that_are_no_parquet_take_one_line(tmp_path: Path, streaming: bool) -> None:
    path = parquet(tmp_path / "x.parquet", captioned())
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"x.parquet cannot be read: Parquet magic bytes") as raised:
        list(open_parquet(path, streaming=streaming))  # type: ignore[call-overload]
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(InputError, match="cannot be read"):
        open_saved(tmp_path)


def test_damage_inside_a_parquet_is_said_while_it_is_streamed(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = parquet(tmp_path / "x.parquet", captioned(), rows_a_group=2)
    last = pq.ParquetFile(path).metadata.row_group(3).column(1)
    at = last.dictionary_page_offset or last.data_page_offset
    content = bytearray(path.read_bytes())
    content[at : at + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x.parquet cannot be read") as raised:
        list(open_parquet(path, streaming=True))  # type: ignore[call-overload]
    assert len(str(raised.value).splitlines()) == 1


def test_without_the_network_a_hubs_name_takes_one_line() -> None:
    with pytest.raises(MissingPart, match="owner/name") as raised:
        open_from_hub("owner/name")
    assert len(str(raised.value).splitlines()) == 1
