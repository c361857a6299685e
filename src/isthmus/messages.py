"""Message: one turn of a conversation, in the shape of the OpenAI chat API, everywhere in Isthmus.

A message's content is text, pictures, or both in their order. `parse` reads the API's JSON; no picture is opened here.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from isthmus.errors import InputError

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class TextPart:
    text: str


@dataclass(frozen=True)
class ImagePart:
    """A picture: a path, the bytes of a picture file, or an already opened image (PIL.Image, images.Picture)."""

    source: Any


Part: TypeAlias = TextPart | ImagePart


@dataclass(frozen=True)
class Message:
    role: Role
    content: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All its text, without the pictures."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def pictures(self) -> tuple[ImagePart, ...]:
        return tuple(part for part in self.content if isinstance(part, ImagePart))


def user(*content: str | Path | bytes | ImagePart | Any) -> Message:
    """A user's message: every str is text, anything else a picture (Path, bytes, opened image)."""
    parts: list[Part] = []
    for each in content:
        match each:
            case str():
                parts.append(TextPart(each))
            case ImagePart():
                parts.append(each)
            case _:
                parts.append(ImagePart(each))
    return Message("user", tuple(parts))


def assistant(text: str) -> Message:
    return Message("assistant", (TextPart(text),))


def system(text: str) -> Message:
    return Message("system", (TextPart(text),))


def parse(messages: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """The API's JSON -> Messages: content is a string, or parts of type text and image_url (a data URI).

    Raises InputError naming the message at fault.
    """
    return tuple(_message(i, each) for i, each in enumerate(messages))


def _message(at: int, read: Mapping[str, Any]) -> Message:
    role, content = read.get("role"), read.get("content")
    if role not in ROLES:
        raise InputError(f"message {at} has the role {role!r}", todo=f"roles are {', '.join(ROLES)}")
    if isinstance(content, str):
        return Message(role, (TextPart(content),))
    if not isinstance(content, Sequence):
        raise InputError(f"message {at} has no content", todo="give a text or a list of parts")
    return Message(role, tuple(_part(at, part) for part in content))


def _part(at: int, read: Any) -> Part:
    match read:
        case {"type": "text", "text": str(text)}:
            return TextPart(text)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return ImagePart(_data_uri(at, url))
    raise InputError(f"message {at} has a part that cannot be read", todo="parts are text and image_url")


def _data_uri(at: int, url: str) -> bytes:
    head, _, body = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64") and body):
        raise InputError(f"message {at} names a picture by {url[:40]!r}", todo="send it as data:image/...;base64,...")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise InputError(f"message {at} has a picture that is not base64", why=str(error)) from None
