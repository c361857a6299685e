"""A sample of a webdataset shard: the members of a tar that share a key, as an Example.

`a/0001.jpg`, `a/0001.txt` and `a/0001.json` are the sample "a/0001": a name's key ends at the first dot of its last
part. Source: the WebDataset format (Aizman et al., 2019; github.com/webdataset/webdataset).
"""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from isthmus.data.example import Example, named
from isthmus.data.picture_files import SUFFIXES
from isthmus.data.rows import PICTURE, USUAL, Columns, example_of
from isthmus.errors import InputError
from isthmus.messages import ImagePart

TEXTS = ("txt", "caption", "text", "cap")


def key_and_suffix(member: str) -> tuple[str, str] | None:
    """Of a member's name, the suffix in lower case; None for what belongs to no sample (hidden files, notes)."""
    path = PurePosixPath(member)
    stem, dot, suffix = path.name.partition(".")
    if not stem or not dot or member.startswith("__"):
        return None
    return str(path.parent / stem), suffix.lower()


def example_of_sample(members: Mapping[str, bytes], place: str, columns: Columns = USUAL) -> Example:
    """`members`: content by suffix. Pictures come in the order of their suffixes; captions are the lines of the text
    member, or, where there is none, what the JSON member says (see `rows`). Raises InputError."""
    pictures = [content for suffix, content in sorted(members.items()) if f".{suffix.split('.')[-1]}" in SUFFIXES]
    try:
        row, own = _row(members, columns)
    except InputError as error:
        raise named(place, error) from None
    return example_of({**row, "image": pictures} if pictures else row, place, _part, own)


def _row(members: Mapping[str, bytes], columns: Columns) -> tuple[dict[str, Any], Columns]:
    """What the sample says, without its pictures, and how to read it."""
    text = next((members[name] for name in TEXTS if name in members), None)
    if text is not None:
        return {"text": [line for line in _decoded(text).split("\n") if line.strip()]}, USUAL
    if "json" not in members:
        raise InputError("there is no caption", why=f"its members are {', '.join(sorted(members)) or 'none'}")
    try:
        record = json.loads(_decoded(members["json"]))
    except (ValueError, RecursionError) as error:
        raise InputError("its json is not JSON", why=str(error)) from None
    if not isinstance(record, dict):
        return {"messages": record}, columns
    # What the JSON says of picture files is where they once were: the pictures are the members.
    return {name: value for name, value in record.items() if name.casefold() not in PICTURE}, columns


def _part(content: bytes) -> ImagePart:
    if not content:
        raise InputError("a picture is empty")
    return ImagePart(content)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("a text is not UTF-8", why=str(error)) from None
