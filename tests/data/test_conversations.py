"""JSON and JSON lines: records read one by one, rows in all their shapes, and files as people have them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.data.conversations import Conversations
from isthmus.data.json_file import JsonRecords, members
from isthmus.data.picture_files import existing
from isthmus.data.rows import Columns, example_of
from isthmus.errors import InputError
from isthmus.messages import ImagePart, assistant, system, user
from isthmus.records import read_record

from .sources import picture_bytes, write

PNG = picture_bytes()
CAT = {
    "image": "a.png",
    "conversations": [{"from": "human", "value": "<image>\nwhat?"}, {"from": "gpt", "value": "一只猫"}],
}
TEXT = {"messages": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "so"}]}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(), VALUES, max_size=3), min_size=1, max_size=5)


@given(records=RECORDS, ascii=st.booleans(), indent=st.sampled_from([None, 2]), bom=st.booleans(), crlf=st.booleans())
def test_every_record_is_found_where_it_stands(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any], ascii: bool, indent: int | None, bom: bool, crlf: bool
) -> None:
    folder = tmp_path_factory.mktemp("json")
    end = "\r\n" if crlf else "\n"
    lines = end.join(json.dumps(each, ensure_ascii=ascii) for each in records) + end + end
    listed = json.dumps(records, ensure_ascii=ascii, indent=indent).replace("\n", end)
    start = b"\xef\xbb\xbf" if bom else b""
    for name, text in (("a.jsonl", lines), ("a.json", listed)):
        path = folder / name
        path.write_bytes(start + text.encode("utf-8", "surrogatepass"))
        read = JsonRecords(path)
        assert [read[at] for at in range(len(read))] == records
        assert read.place(len(records) - 1) == f"{name}, record {len(records)}"


@given(listed=RECORDS, value=VALUES, other=VALUES, indent=st.sampled_from([None, 1]))
def test_members_of_an_object_come_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, listed: list[Any], value: Any, other: Any, indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    content = {"x": other, "list": listed, "empty": [], "value": {"in": value}, "y": other}
    path.write_text(json.dumps(content, indent=indent), encoding="utf-8")
    found = list(members(path, "list", "value", "empty"))
    assert found == [*(("list", each) for each in listed), ("value", {"in": value})]


def test_llava_and_messages_are_read_as_records_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    listed = write(tmp_path / "a.json", json.dumps([CAT, TEXT]))
    lines = write(tmp_path / "a.jsonl", "\ufeff" + json.dumps(CAT) + "\r\n\r\n" + json.dumps(TEXT) + "\r\n")
    for path, second in ((listed, 2), (lines, 3)):
        data = Conversations(path)
        assert len(data) == 2 and data.name == path.name
        assert data[0].messages == (user(tmp_path / "a.png", "what?"), assistant("一只猫"))
        assert data[0].messages == read_record(f"{path}:1")
        assert data[1].messages == data[-1].messages == (user("why?"), assistant("so"))
        assert data[1].place == f"{path.name}, record {second}"
        with pytest.raises(IndexError):
            data[2]


def test_one_conversation_alone(tmp_path: Path) -> None:
    for record in (TEXT, TEXT["messages"]):
        data = Conversations(write(tmp_path / "one.json", "\ufeff" + json.dumps(record)))
        assert len(data) == 1
        assert data[0].messages == (user("why?"), assistant("so"))


def test_pictures_are_named_from_the_folder_given(tmp_path: Path) -> None:
    path = write(tmp_path / "text" / "a.json", json.dumps([{**CAT, "image": "coco\\Train\\a.PNG"}]))
    picture = tmp_path / "pictures" / "coco" / "Train" / "a.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(PNG)
    data = Conversations(path, folder=tmp_path / "pictures")
    assert data[0].messages[0].pictures[0].source == picture
    with pytest.raises(InputError, match="there is no folder"):
        Conversations(path, folder=tmp_path / "none")


def test_a_missing_picture_is_left_to_who_opens_it(tmp_path: Path) -> None:
    data = Conversations(write(tmp_path / "a.json", json.dumps([CAT])))
    assert data[0].messages[0].pictures[0].source == tmp_path / "a.png"


def test_of_two_names_that_differ_in_case_alone_none_is_guessed(tmp_path: Path) -> None:
    for name in ("A.png", "a.PNG"):
        (tmp_path / name).write_bytes(PNG)
    assert existing(tmp_path / "a.png") == tmp_path / "a.png"
    assert existing(tmp_path / "A.png") == tmp_path / "A.png"


def part(value: Any) -> ImagePart:
    return ImagePart(value)


ASKED = {"image": b"x", "question": " what? "}


@pytest.mark.parametrize(
    ("row", "messages", "answers"),
    [
        ({"image": b"x", "caption": " a cat "}, (user(b"x"), assistant("a cat")), ("a cat",)),
        ({"Image": b"x", "TEXT": "猫"}, (user(b"x"), assistant("猫")), ("猫",)),
        ({"images": [b"x", b"y"], "text": ["a", "", "b"]}, (user(b"x", b"y"), assistant("a")), ("a", "b")),
        ({"image": b"x", "sentences": [{"raw": "a"}]}, (user(b"x"), assistant("a")), ("a",)),
        ({**ASKED, "answer": "no"}, (user(b"x", "what?"), assistant("no")), ("no",)),
        ({**ASKED, "answers": ["a", "b", "b"]}, (user(b"x", "what?"), assistant("b")), ("a", "b", "b")),
        ({**ASKED, "answer": "c", "answers": ["a"]}, (user(b"x", "what?"), assistant("c")), ("c", "a")),
        (
            {**ASKED, "multiple_choice_answer": "a", "answers": [{"answer": "b"}, {"answer": "a"}]},
            (user(b"x", "what?"), assistant("a")),
            ("b", "a"),
        ),
        ({"text": "alone"}, (assistant("alone"),), ()),
        ({"image": None, **TEXT}, (user("why?"), assistant("so")), ()),
        (
            {"images": [b"x", b"y"], "texts": [{"user": "?", "assistant": "a"}, {"user": "!", "assistant": "b"}]},
            (user(b"x", b"y", "?"), assistant("a"), user("!"), assistant("b")),
            (),
        ),
        (
            {
                "images": [b"x", b"y"],
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "<image> or <image>?"},
                    {"role": "assistant", "content": "x"},
                ],
            },
            (system("be brief"), user(b"x", "or", b"y", "?"), assistant("x")),
            (),
        ),
        (
            {
                "image": b"x",
                "answers": ["a cat", "cat"],
                "messages": [
                    {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "?"}]},
                    {"role": "assistant", "content": [{"type": "text", "text": "a cat"}]},
                ],
            },
            (user(b"x", "?"), assistant("a cat")),
            ("a cat", "cat"),
        ),
    ],
)
def test_rows(row: dict[str, Any], messages: Any, answers: tuple[str, ...]) -> None:
    example = example_of(row, "here", part)
    assert (example.messages, example.answers, example.place) == (messages, answers, "here")


def test_columns_of_other_names() -> None:
    row = {"url": b"x", "alt": "a cat", "q": "what?", "a": "cat", "text": "no", "answer_type": "other"}
    caption = example_of(row, "here", part, Columns(picture="url", text="alt"))
    assert caption.messages == (user(b"x"), assistant("a cat"))
    question = example_of(row, "here", part, Columns(picture="url", question="q", answer="a"))
    assert question.messages == (user(b"x", "what?"), assistant("cat"))
    assert question.kind == "other"
    with pytest.raises(InputError, match="here: there is no column 'b': its columns are url, alt"):
        example_of(row, "here", part, Columns(picture="b"))


MARKED = {"role": "user", "content": "<image>?"}
ANSWER = {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"image": b"x"}, "there is no caption, question or conversation: its columns are image"),
        ({"image": b"x", "caption": " "}, "there is no caption: its text is empty"),
        ({"image": None, "caption": "a"}, "there is no picture: its place is empty"),
        ({"image": b"x", "question": "?"}, "there is no answer"),
        ({"image": b"x", "question": " ", "answer": "a"}, "the question is empty"),
        ({"text": " "}, "the text is empty"),
        ({"image": b"x", "caption": {"en": "a"}}, "a text is expected where dict stands"),
        ({"messages": [ANSWER, {"role": "user", "content": "?"}]}, "does not end with an answer"),
        ({"messages": []}, "the conversation is empty"),
        ({"messages": "hello"}, "this is no conversation"),
        ({"messages": [MARKED, ANSWER], "images": [b"x", b"y"]}, "1 of the mark <image> for 2 pictures"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}] * 2, "image": b"x"},
            "more places than pictures",
        ),
        ({"messages": [{"role": "user", "content": [None]}], "image": b"x"}, "a part that cannot be read"),
        ({"messages": [{"role": "user", "content": []}], "image": b"x"}, "more pictures than places"),
        ({"messages": [{**MARKED, "role": "robot"}, ANSWER], "image": b"x"}, "has the role 'robot'"),
    ],
)
def test_rows_that_cannot_be_used_say_why(row: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        example_of(row, "here", part)
    assert str(raised.value).startswith("here: ")
    assert said in str(raised.value)


def test_pictures_in_json(tmp_path: Path) -> None:
    uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
    rows = [
        {"image": uri, "caption": "a"},
        {"image": "https://a.b/c.jpg", "caption": "a"},
        {"image": 3, "caption": "a"},
    ]
    data = Conversations(write(tmp_path / "a.json", json.dumps(rows)))
    assert data[0].messages[0].pictures[0].source == PNG
    with pytest.raises(InputError, match="record 2: the picture is an address"):
        data[1]
    with pytest.raises(InputError, match="record 3: a picture cannot be read from int"):
        data[2]


def test_a_bad_record_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    deep = b'{"messages": ' + b"[" * 100_000
    path.write_bytes(b"\n".join([json.dumps(TEXT).encode(), b'{"x": ', b"\xff\xfe", deep, json.dumps(TEXT).encode()]))
    data = Conversations(path)
    assert data[0].messages == data[4].messages
    for at in (1, 2, 3):
        with pytest.raises(InputError, match=f"a.jsonl, record {at + 1}: it is not JSON") as raised:
            data[at]
        assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", None, "there is no file"),
        ("a.json", "", "is not JSON|holds no record"),
        ("a.json", "[]", "holds no record"),
        ("a.jsonl", "\n\n", "holds no record"),
        ("a.json", '[{"a": 1}, {"a"', "is not JSON"),
        ("a.json", '[{"a": 1}\n {"a": 2}]', "line 2 has '{' where ',' is expected"),
        ("a.json", "\udcff", "is not UTF-8"),
    ],
)
def test_files_that_hold_no_records(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=said):
        Conversations(tmp_path / name)


def test_a_file_that_went_away_is_said(tmp_path: Path) -> None:
    data = Conversations(write(tmp_path / "a.jsonl", json.dumps(TEXT)))
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        data[0]
