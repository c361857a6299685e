"""Message: one turn of a conversation, in the shape of the OpenAI chat API, everywhere in Isthmus.

A message's content is text, pictures, or both in their order. `parse` reads the API's JSON and `as_json` writes it.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
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
class ToolCall:
    """What a model asks for. `arguments` is JSON text as the model wrote it: it may be wrong."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    role: Role
    content: tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    """What an assistant asked for; its content may then be empty."""
    tool_call_id: str | None = None
    """Of a tool's message: the call it answers."""

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


def tool_result(call: ToolCall, text: str) -> Message:
    """What a tool gave back; an empty text is a result too."""
    return Message("tool", (TextPart(text),), tool_call_id=call.id)


def parse(messages: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """The API's JSON -> Messages: content is a string, or parts of type text and image_url (a data URI).

    Raises InputError naming the message at fault.
    """
    return tuple(_message(i, each) for i, each in enumerate(messages))


def as_json(message: Message, uri: Callable[[ImagePart], str]) -> dict[str, Any]:
    """The API's JSON of it; `uri` tells by which a picture is sent. Read again, it is the same message where that is a
    data URI of the picture's own bytes."""
    written: dict[str, Any] = {"role": message.role}
    if message.pictures:
        written["content"] = [
            {"type": "text", "text": part.text}
            if isinstance(part, TextPart)
            else {"type": "image_url", "image_url": {"url": uri(part)}}
            for part in message.content
        ]
    else:
        written["content"] = message.text
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        written["tool_call_id"] = message.tool_call_id
    return written


def data_uri(data: bytes, kind: str) -> str:
    """`kind` as in image/png."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _message(at: int, read: Any) -> Message:
    if not isinstance(read, Mapping):
        raise InputError(f"message {at} is no object", todo="give it a role and content")
    role, content = read.get("role"), read.get("content")
    role = "system" if role == "developer" else role  # the API's newer word
    if role not in ROLES:
        raise InputError(f"message {at} has the role {role!r}", todo=f"roles are {', '.join(ROLES)}")
    calls = read.get("tool_calls")
    if role == "assistant" and calls:
        content = content or []
    if isinstance(content, str):
        parts: tuple[Part, ...] = (TextPart(content),)
    elif isinstance(content, Sequence):
        parts = tuple(_part(at, part) for part in content)
    else:
        raise InputError(f"message {at} has no content", todo="give a text or a list of parts")
    answers = read.get("tool_call_id") if role == "tool" else None
    if not (answers is None or isinstance(answers, str)):
        raise InputError(f"message {at} has the tool_call_id {answers!r}", todo="give the id of a call")
    return Message(role, parts, _calls(at, calls) if role == "assistant" else (), answers)


def _calls(at: int, read: Any) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for each in read or ():
        match each:
            case {"id": str(id_), "function": {"name": str(name), "arguments": str(arguments)}}:
                calls.append(ToolCall(id_, name, arguments))
            case _:
                raise InputError(
                    f"message {at} has a tool call that cannot be read",
                    todo="give its id, and the function's name and arguments as texts",
                )
    return tuple(calls)


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
