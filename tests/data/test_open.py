"""open_data: what is recognised as what, and what is said where nothing is. And the survey of what was opened."""

import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pytest

from isthmus.data.arrow import ArrowExamples, ArrowStream
from isthmus.data.captions import CaptionFolder
from isthmus.data.coco import CocoCaptions
from isthmus.data.conversations import Conversations
from isthmus.data.example import Stream
from isthmus.data.mixture import Draw, Mixture, Prepared
from isthmus.data.open import FORMS, open_data
from isthmus.data.rows import Columns
from isthmus.data.shard_stream import ShardStream
from isthmus.data.shards import Shards
from isthmus.data.survey import survey
from isthmus.data.table import Table
from isthmus.data.vqa import Vqa
from isthmus.errors import InputError, MissingPart
from isthmus.images.open import picture_of

from .sources import Listed, Streamed, needs, picture_bytes, write
from .test_coco_and_vqa import ANNOTATIONS, COCO, NAMES, QUESTIONS
from .test_shards import pairs, tar

ROW = {"image": "9.jpg", "caption": "a cat"}
TURNS = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One of everything."""
    made = tmp_path / "data"
    made.mkdir()
    (made / "9.jpg").write_bytes(picture_bytes("JPEG"))
    (made / "000000000009.jpg").write_bytes(picture_bytes("JPEG"))
    write(made / "9.txt", "a cat")
    write(made / "list.json", "\ufeff " + json.dumps([ROW]))
    write(made / "one.json", json.dumps({"messages": TURNS}))
    write(made / "lines.JSONL", json.dumps(ROW))
    write(made / "coco.json", json.dumps(COCO))
    write(made / "sorted.json", json.dumps(dict(sorted(COCO.items()))))
    write(made / NAMES["questions"], json.dumps(QUESTIONS))
    write(made / NAMES["annotations"], json.dumps(ANNOTATIONS))
    write(made / "table.tsv", "image\tcaption\n9.jpg\ta cat\n")
    write(made / "captions.txt", "image,caption\n9.jpg,a cat\n")
    tar(made / "0.tar", pairs(0, 2))
    tar(made / "1.tar", pairs(2, 2))
    return made


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("list.json", Conversations, 1),
        ("one.json", Conversations, 1),
        ("lines.JSONL", Conversations, 1),
        ("coco.json", CocoCaptions, 3),
        ("sorted.json", CocoCaptions, 3),
        (NAMES["questions"], Vqa, 2),
        ("table.tsv", Table, 1),
        ("captions.txt", Table, 1),
        ("0.tar", Shards, 2),
        ("{0..1}.tar", Shards, 4),
        ("*.tar", Shards, 4),
        ("", Shards, 4),
    ],
)
def test_what_is_recognised(folder: Path, name: str, kind: Any, size: int) -> None:
    if "{" in name:
        needs("braceexpand")
    data = open_data(str(folder / name))
    assert isinstance(data, kind)
    assert len(data) == size
    assert data[0].place  # type: ignore[index]


def test_examples_go_to_other_processes(folder: Path) -> None:
    for name in ("list.json", "coco.json", NAMES["questions"], "table.tsv", "0.tar"):
        data: Any = open_data(str(folder / name))
        again = pickle.loads(pickle.dumps(data))
        assert (again.name, len(again), again[0]) == (data.name, len(data), data[0])


def test_folders_by_what_is_in_them(folder: Path) -> None:
    keep = {"9.jpg", "9.txt"}
    for path in folder.iterdir():
        if path.name not in keep:
            path.unlink()
    assert isinstance(open_data(str(folder)), CaptionFolder)
    write(folder / "a.json", json.dumps([ROW]))
    with pytest.raises(InputError, match=r"data holds a.json .name the file"):
        open_data(str(folder))
    assert isinstance(open_data(str(folder), form="pictures"), CaptionFolder)
    write(folder / NAMES["questions"], json.dumps(QUESTIONS))
    write(folder / NAMES["annotations"], json.dumps(ANNOTATIONS))
    assert isinstance(open_data(str(folder)), Vqa)
    write(folder / "metadata.csv", "file_name,text\n9.jpg,a cat\n")
    assert isinstance(open_data(str(folder)), CaptionFolder)


def test_datasets_and_streams(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = needs("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    rows = datasets.Dataset.from_dict({"alt": ["a", "b"]})
    rows.to_parquet(folder / "in" / "x.parquet")
    rows.save_to_disk(folder / "saved")
    columns = Columns(text="alt")
    for where in (folder / "in", folder / "in" / "x.parquet", folder / "saved"):
        data = open_data(str(where), columns=columns)
        assert isinstance(data, ArrowExamples) and data[1].messages[0].text == "b"
    assert isinstance(open_data(str(folder / "in"), columns=columns, streaming=True), ArrowStream)
    with pytest.raises(MissingPart, match="owner/name"):
        open_data("owner/name")


def test_shards_by_streaming_and_elsewhere(folder: Path) -> None:
    needs("webdataset")
    data = open_data(str(folder / "{0..1}.tar"), streaming=True)
    assert isinstance(data, ShardStream) and isinstance(data, Stream)
    assert len(list(data)) == 4
    assert len(list(open_data(str(folder), streaming=True))) == 4  # type: ignore[call-overload]
    far = open_data("https://a.b/{00..02}.tar")
    assert isinstance(far, ShardStream) and far.addresses[2] == "https://a.b/02.tar"
    with tarfile.open(folder / "2.tgz", "w:gz"):
        pass
    with pytest.raises(InputError, match="is compressed with gzip"):
        open_data(str(folder / "2.tgz"))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("none", "there is no none (give a .json or .jsonl file"),
        ("none/at/all", "there is no none/at/all (give"),
        ("none/data.json", "there is no none/data.json (give"),
        ("", "no data are named (give"),
        ("none/*.tar", "there is no none/*.tar"),
    ],
)
def test_where_there_is_nothing(where: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        open_data(where)
    assert str(raised.value).startswith(said)


def test_what_is_not_recognised(folder: Path) -> None:
    write(folder / "a.doc", "?")
    with pytest.raises(InputError, match=r"a.doc is not recognised .give a .json or .jsonl file"):
        open_data(str(folder / "a.doc"))
    with pytest.raises(InputError, match=r"there is no form 'llava' of data .forms are conversations, coco"):
        open_data(str(folder), form="llava")
    with pytest.raises(InputError, match="is read as conversations, which takes no streaming"):
        open_data(str(folder / "list.json"), streaming=True)
    with pytest.raises(InputError, match="has a brace without its pair"):
        needs("braceexpand")
        open_data(str(folder / "{0..1.tar"))
    assert len(set(FORMS)) == 10


def test_a_survey_opens_what_is_there(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    rows = [ROW, {**ROW, "image": ["9.jpg", "gone.jpg", "bad.jpg"]}, {"image": "9.jpg"}, {**ROW, "caption": "cats"}]
    found = survey(open_data(str(write(folder / "rows.json", json.dumps(rows)))))
    assert (found.records, found.looked_at, found.usable) == (4, 4, 2)
    assert (found.pictures, found.missing, found.unreadable) == (5, 1, 1)
    assert (found.mean_question, found.mean_answer, found.kinds) == (0, 4.5, {"": 2})
    assert [bad.place for bad in found.bad] == ["rows.json, record 2", "rows.json, record 3"]
    said = "rows.json: 2 of 4 records looked at of 4 can be used; 5 pictures, 1 missing, 1 unreadable"
    assert str(found).startswith(said)


def test_a_survey_looks_at_as_many_as_it_is_told() -> None:
    listed = survey(Listed("a", 100, {0, 90}), 10)
    assert (listed.records, listed.looked_at, listed.usable, len(listed.bad)) == (100, 10, 8, 2)
    streamed = survey(Streamed("a", 100, {5, 90}), 10)
    assert (streamed.records, streamed.looked_at, streamed.usable, len(streamed.bad)) == (None, 10, 9, 1)
    assert survey(Streamed("a", 0)).looked_at == 0


def test_real_files_all_together(folder: Path) -> None:
    """Sources of four kinds mixed, their pictures opened, the damaged one replaced and reported."""
    (folder / "bad.jpg").write_bytes(picture_bytes("JPEG")[:200])
    table = write(folder / "bad.csv", "image,caption\nbad.jpg,damaged\n9.jpg,fine\n")
    names = [str(table), str(folder / "lines.JSONL"), str(folder), str(folder / NAMES["questions"])]
    mixture = Mixture([open_data(name) for name in names], [1, 1, 1, 1], seed=0)

    def prepare(draw: Draw) -> tuple[int, int]:
        opened = [picture_of(part.source) for message in draw.example.messages for part in message.pictures]
        return draw.source, opened[0].width

    reader = Prepared(mixture, prepare)
    made = [next(reader) for _ in range(80)]
    assert {source for source, _ in made} == {0, 1, 2, 3} and {width for _, width in made} == {8}
    assert mixture.report.counts == {"bad.csv": 1, NAMES["questions"]: 1}
