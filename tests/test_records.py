"""Samples out of files: both shapes, the number of a record, and where a mistake is."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.messages import ImagePart, Message, TextPart, assistant, system, user
from isthmus.records import MARK, parse_record, read_record

HERE = Path("here")
URI = "data:image/png;base64," + base64.b64encode(b"picture").decode()
ASKED = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": URI}}, {"type": "text", "text": "what?"}]},
    {"role": "assistant", "content": "a cat"},
]
SAID = (user(b"picture", "what?"), assistant("a cat"))


def llava(*turns: tuple[str, str], image: Any = "a.jpg") -> dict[str, Any]:
    named = {} if image is None else {"image": image}
    return {"id": "7", **named, "conversations": [{"from": speaker, "value": value} for speaker, value in turns]}


def test_the_apis_shape_with_and_without_its_frame() -> None:
    assert parse_record({"messages": ASKED}, HERE) == parse_record(ASKED, HERE) == SAID


def test_llavas_shape() -> None:
    record = llava(("system", "be brief"), ("human", "<image>\nwhat?"), ("gpt", "a cat"), ("human", "sure?"))
    picture = ImagePart(HERE / "a.jpg")
    assert parse_record(record, HERE) == (system("be brief"), user(picture, "what?"), assistant("a cat"), user("sure?"))


@pytest.mark.parametrize("value", ["<image>\nwhat?", "what?\n<image>", "<image>what?", " <image> what? "])
def test_a_single_picture_comes_first(value: str) -> None:
    assert parse_record(llava(("human", value)), HERE) == (user(HERE / "a.jpg", "what?"),)


def test_several_pictures_stand_at_their_marks() -> None:
    record = llava(
        ("human", "is <image>\nlike <image>?"), ("gpt", "no"), ("human", "and <image>"), image=["a", "b", "c"]
    )
    a, b, c = (HERE / name for name in "abc")
    assert parse_record(record, HERE) == (user("is", a, "like", b, "?"), assistant("no"), user(c, "and"))


def test_text_alone() -> None:
    assert parse_record(llava(("human", "why?"), ("gpt", "so"), image=None), HERE) == (user("why?"), assistant("so"))


@given(st.lists(st.lists(st.sampled_from(["a", "b c", MARK]), min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_picture_is_placed_once_and_in_order_and_no_mark_is_left(said: list[list[str]]) -> None:
    turns = [("human" if at % 2 == 0 else "gpt", " ".join(parts)) for at, parts in enumerate(said)]
    names = [f"{number}.jpg" for number in range(sum(value.count(MARK) for _, value in turns))]
    messages = parse_record(llava(*turns, image=names), HERE)
    assert [part.source for each in messages for part in each.pictures] == [HERE / name for name in names]
    for message, (_, value) in zip(messages, turns, strict=True):
        assert MARK not in message.text
        assert "".join(message.text.split()) == "".join(value.replace(MARK, "").split())


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (7, "this is no conversation"),
        ({"text": "?"}, "this is no conversation"),
        ([], "the conversation is empty"),
        ({"messages": [{"role": "robot", "content": "?"}]}, "message 0 has the role 'robot'"),
        (llava(image=None), '"conversations" has no turns'),
        (llava(("human", "<image>"), ("bot", "a cat")), "turn 1 is from 'bot'"),
        (llava(("human", "<image>"), ("gpt", " ")), "turn 1 is empty"),
        ({"conversations": [{"from": "human"}]}, "turn 0 cannot be read"),
        (llava(("human", "what?")), "0 of the mark <image> for 1 pictures"),
        (llava(("human", "<image><image>")), "2 of the mark <image> for 1 pictures"),
        (llava(("human", "<image>"), image=3), '"image" is no name'),
    ],
)
def test_mistakes_are_said_with_their_place(record: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps([ASKED, record]))
    with pytest.raises(InputError) as raised:
        read_record(f"{path}:2")
    assert str(raised.value).startswith(f"{path}, record 2: ")
    assert said in str(raised.value)


def test_a_record_of_a_file(tmp_path: Path) -> None:
    one, several, lines = tmp_path / "one.json", tmp_path / "several.json", tmp_path / "lines.jsonl"
    other = llava(("human", "<image>\nwhat\u2028else?"), ("gpt", "a dog"))
    one.write_text(json.dumps(ASKED))
    several.write_text(json.dumps([{"messages": ASKED}, other]))
    lines.write_text(json.dumps(ASKED) + "\n" + json.dumps(other, ensure_ascii=False) + "\n\n", encoding="utf-8")
    dog = (Message("user", (ImagePart(tmp_path / "a.jpg"), TextPart("what\u2028else?"))), assistant("a dog"))
    assert read_record(str(one)) == read_record(f"{one}:1") == SAID
    assert read_record(f"{several}:1") == read_record(f"{lines}:1") == SAID
    assert read_record(f"{several}:2") == read_record(f"{lines}:2") == dog


def test_a_name_with_a_colon_is_a_name_first(tmp_path: Path) -> None:
    path = tmp_path / "odd:2"
    path.write_text(json.dumps(ASKED))
    assert read_record(str(path)) == SAID


@pytest.mark.parametrize(
    ("name", "text", "place", "said"),
    [
        ("a.json", None, "a.json", "there is no file"),
        ("a.json", "{", "a.json", "is not JSON"),
        ("a.json", "[]", "a.json", "holds 0 records"),
        ("a.json", json.dumps([ASKED, ASKED]), "a.json", "holds 2 records (name one of them"),
        ("a.json", json.dumps([ASKED, ASKED]), "a.json:3", "has no record 3: it holds 2"),
        ("a.json", json.dumps([ASKED, ASKED]), "a.json:0", "has no record 0"),
        ("a.jsonl", json.dumps(ASKED) + "\n{\n", "a.jsonl:2", "record 2 is not JSON"),
        ("a.json", "\udcff", "a.json", "cannot be read"),
    ],
)
def test_files_that_are_not_records(tmp_path: Path, name: str, text: str | None, place: str, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as raised:
        read_record(str(tmp_path / place))
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
