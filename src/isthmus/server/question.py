"""The body of a request -> a Question for a backend; or, in one line, why it is none. For any thread: a large body
takes a while to read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from isthmus.backends.backend import Tool
from isthmus.errors import InputError, PictureError
from isthmus.images.open import size_of
from isthmus.messages import Message, parse
from isthmus.options import Options
from isthmus.server.asked import NOT_HONOURED, ChatAsked, FormatAsked
from isthmus.server.problems import Refused, invalid, of_input
from isthmus.server.settings import Limits

FIELD = re.compile(r"[a-z_]+")
SLACK = 100_000
"""Commas and brackets of a body that are not in its texts."""

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Question:
    """What a backend is asked, and how its answer is to be told."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] | None
    options: Options
    stream: bool
    usage: bool
    """In a chunk of its own, behind a stream."""
    receipt: bool


def read_question(body: bytes, limits: Limits) -> Question:
    """Raises Refused."""
    asked = read_body(ChatAsked, body, limits)
    try:
        messages = parse(asked.messages)
    except InputError as error:
        raise of_input(error, "messages") from None
    tools = _tools(asked)
    check_text(
        sum(len(message.text) + sum(len(call.arguments) for call in message.tool_calls) for message in messages)
        + sum(len(tool.description) + len(dumps(tool.parameters)) for tool in tools or ()),
        "messages",
        limits,
    )
    check_pictures([part.source for message in messages for part in message.pictures], "messages", limits)
    options = Options(
        max_tokens=asked.max_completion_tokens or asked.max_tokens or limits.max_tokens,
        temperature=asked.temperature or 0.0,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        stop=tuple(asked.stop or ()),
        seed=asked.seed,
        json=_format(asked.response_format),
    )
    usage = asked.stream_options is not None and asked.stream_options.include_usage is True
    receipt = asked.isthmus is not None and asked.isthmus.receipt
    return Question(asked.model, messages, tools, options, asked.stream is True, usage, receipt)


def read_body(shape: type[T], body: bytes, limits: Limits) -> T:
    """JSON of that shape. Raises Refused, with the first field at fault."""
    # A value of JSON takes twenty times its byte in memory. Base64 has none of these, so they are as many as values.
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > limits.text + SLACK:
        raise invalid("the body has too many values", None, "too_many_values")
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error.errors(include_url=False, include_context=False, include_input=False)[0]) from None


def check_text(length: int, param: str, limits: Limits) -> None:
    """Raises Refused for more characters than are allowed: nobody counts their tokens first."""
    if length > limits.text:
        raise invalid(f"{length} characters of text: at most {limits.text} are read", param, "string_above_max_length")


def check_pictures(files: list[bytes], param: str, limits: Limits) -> None:
    """Raises Refused for too many, for one that is none, and for too many pixels; none is decoded for that."""
    if len(files) > limits.pictures:
        raise invalid(f"{len(files)} pictures: at most {limits.pictures} are looked at", param, "too_many_images")
    for file in files:
        try:
            size_of(file, max_pixels=limits.pixels)
        except PictureError as error:
            if error.reason == "too large":  # what to do about it is not the operator's affair but the client's
                error = PictureError(error.reason, error.what, why=error.why, todo="make a smaller copy")
            raise of_input(error, param) from None


def _tools(asked: ChatAsked) -> tuple[Tool, ...] | None:
    if not asked.tools or asked.tool_choice == "none":
        return None
    functions = [each.function for each in asked.tools]
    return tuple(Tool(each.name, each.description or "", each.parameters or {}) for each in functions)


def _format(asked: FormatAsked | None) -> bool | Mapping[str, object]:
    if asked is None or asked.type == "text":
        return False
    if asked.type == "json_object":
        return True
    if asked.json_schema is None:
        raise invalid("response_format has no json_schema", "response_format.json_schema", "missing_required_parameter")
    return asked.json_schema.schema_


def _invalid(error: ErrorDetails) -> Refused:
    place = [str(part) for part in error["loc"] if isinstance(part, int) or FIELD.fullmatch(part)]
    param = ".".join(place) or None
    if param is None:
        return invalid(f"the body is not JSON of the right shape: {error['msg']}", None, "invalid_json")
    if place[0] in NOT_HONOURED:
        return invalid(f"{place[0]} cannot be honoured here: leave it out", place[0], "unsupported_value")
    match error["type"]:
        case "extra_forbidden":
            return invalid(f"there is no parameter {param}", param, "unknown_parameter")
        case "missing":
            return invalid(f"{param} is missing", param, "missing_required_parameter")
    return invalid(f"{param} is not as it should be: {error['msg']}", param)
