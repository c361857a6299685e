"""Samples for training, read from JSON files: a record is a conversation, in the API's shape or in LLaVA's.

No picture is opened here. Source of the second shape: LLaVA (Liu et al., 2023), the released data's format.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isthmus.errors import InputError
from isthmus.messages import ImagePart, Message, Part, Role, TextPart, parse

MARK = "<image>"
SPEAKERS: dict[str, Role] = {"human": "user", "gpt": "assistant", "system": "system"}


def read_record(place: str) -> tuple[Message, ...]:
    """The conversation at `place`: FILE, or FILE:3 for the third record of one that holds several.

    A file is JSON (one record or a list of them) or, where its name ends in .jsonl, a record a line. A record is
    {"messages": [...]} or such a list alone, as `messages.parse` takes it; or {"image": NAME or a list of them,
    "conversations": [{"from": "human", "value": "<image>..."}, {"from": "gpt", "value": ...}]}, its pictures named from
    the file's folder. Raises InputError that says where the mistake is.
    """
    path, number = _file_and_number(place)
    where = str(path) if number is None else f"{path}, record {number}"
    record = _record(path, number)
    try:
        return parse_record(record, path.parent)
    except InputError as error:
        raise InputError(f"{where}: {error.what}", why=error.why, todo=error.todo) from None


def parse_record(record: Any, folder: Path) -> tuple[Message, ...]:
    """A record, already read, as Messages. `folder`: where its pictures are named from. Raises InputError."""
    if isinstance(record, Mapping) and "conversations" in record:
        return _llava(record, folder)
    messages = record.get("messages") if isinstance(record, Mapping) else record
    if not isinstance(messages, list) or not all(isinstance(each, Mapping) for each in messages):
        raise InputError("this is no conversation", todo='give "messages", or "image" and "conversations"')
    if not messages:
        raise InputError("the conversation is empty", todo="give it a question and an answer")
    return parse(messages)


def _llava(record: Mapping[str, Any], folder: Path) -> tuple[Message, ...]:
    named = record.get("image", [])
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError('"image" is no name of a picture', todo="give a file's name or a list of them")
    return conversation(record["conversations"], [ImagePart(folder / name) for name in names])


def conversation(turns: Any, pictures: Sequence[ImagePart]) -> tuple[Message, ...]:
    """LLaVA's turns, already read, with these pictures at their marks. Raises InputError."""
    if not isinstance(turns, list) or not turns:
        raise InputError('"conversations" has no turns', todo="give a list of turns")
    return at_marks([_turn(at, turn) for at, turn in enumerate(turns)], pictures)


def at_marks(turns: Sequence[tuple[Role, str]], pictures: Sequence[ImagePart]) -> tuple[Message, ...]:
    """Turns as Messages, each picture at its mark. Raises InputError where marks and pictures differ in number."""
    marks = sum(value.count(MARK) for _, value in turns)
    if marks != len(pictures):
        raise InputError(
            f"the conversation has {marks} of the mark {MARK} for {len(pictures)} pictures",
            todo="write the mark once for each picture, where it belongs",
        )
    messages: list[Message] = []
    for role, value in turns:
        count = value.count(MARK)
        messages.append(Message(role, _content(value, pictures[:count])))
        pictures = pictures[count:]
    return tuple(messages)


def _turn(at: int, turn: Any) -> tuple[Role, str]:
    match turn:
        case {"from": str(speaker), "value": str(value)} if speaker in SPEAKERS:
            if not value.strip():
                raise InputError(f"turn {at} is empty", todo="give it a text")
            return SPEAKERS[speaker], value
        case {"from": speaker, "value": str()}:
            raise InputError(f"turn {at} is from {speaker!r}", todo=f"turns are from {', '.join(SPEAKERS)}")
    raise InputError(f"turn {at} cannot be read", todo='a turn has "from" and "value", both texts')


def _content(value: str, pictures: Sequence[ImagePart]) -> tuple[Part, ...]:
    """A turn's parts. A single picture comes first wherever its mark stands, which is how LLaVA reads its own data; of
    several, each stands at its mark. White space around a mark goes: the prompt template writes its own."""
    texts = [text.strip() for text in value.split(MARK)]
    if len(pictures) == 1:
        texts = ["", "\n".join(filter(None, texts))]
    parts: list[Part] = []
    for at, text in enumerate(texts):
        if text:
            parts.append(TextPart(text))
        if at < len(pictures):
            parts.append(pictures[at])
    return tuple(parts)


def _file_and_number(place: str) -> tuple[Path, int | None]:
    numbered = re.fullmatch(r"(.+):(\d+)", place)
    if Path(place).is_file() or not numbered:
        return Path(place), None
    return Path(numbered[1]), int(numbered[2])


def _record(path: Path, number: int | None) -> Any:
    """The record of that number, counted from 1 (in a .jsonl file: of that line); None for the only one."""
    records = _records(path)
    if number is None:
        if len(records) != 1:
            raise InputError(f"{path} holds {len(records)} records", todo=f"name one of them, as in {path}:1")
        return _loaded(path, 1, records[0])
    if not 1 <= number <= len(records):
        raise InputError(f"{path} has no record {number}", why=f"it holds {len(records)}", todo="count from 1")
    return _loaded(path, number, records[number - 1])


def _records(path: Path) -> list[Any]:
    """All records; of a .jsonl file its lines, unread, of which blank ones at the end count for nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", todo="name a .json or .jsonl file, or FILE:3") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read", why=str(error)) from None
    if path.suffix == ".jsonl":
        return text.rstrip().split("\n")  # not splitlines: a JSON text may hold U+2028 as it is
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is not JSON", why=str(error)) from None
    turns = isinstance(value, list) and bool(value) and all(isinstance(each, dict) and "role" in each for each in value)
    return value if isinstance(value, list) and not turns else [value]


def _loaded(path: Path, number: int, record: Any) -> Any:
    if path.suffix != ".jsonl":
        return record
    try:
        return json.loads(record)
    except ValueError as error:
        raise InputError(f"{path}, record {number} is not JSON", why=str(error)) from None
