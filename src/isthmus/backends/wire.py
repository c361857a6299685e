"""Requests as the OpenAI chat API writes them, for backends at the other end of a wire or of llama.cpp."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from isthmus.backends.backend import Tool
from isthmus.images.open import picture_of
from isthmus.images.sniff import HEAD, Kind, sniff
from isthmus.messages import ImagePart, Message, as_json, data_uri
from isthmus.options import Options

LOSSY: frozenset[Kind] = frozenset({"JPEG", "HEIF", "AVIF", "RAW"})


def request(model: str, messages: Sequence[Message], tools: Sequence[Tool] | None, options: Options) -> dict[str, Any]:
    """The body of a streamed `/v1/chat/completions`, with usage asked for. Raises PictureError for a picture."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [as_json(message, picture_uri) for message in messages],
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if options.stop:
        body["stop"] = list(options.stop)
    if options.seed is not None:
        body["seed"] = options.seed
    if tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": each.name, "description": each.description, "parameters": dict(each.parameters)},
            }
            for each in tools
        ]
    if isinstance(options.json, Mapping):
        schema = {"name": "answer", "schema": dict(options.json), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif options.json:
        body["response_format"] = {"type": "json_object"}
    return body


def picture_uri(part: ImagePart) -> str:
    """The picture as a data URI: upright, sRGB, and without what its file says of place, time and camera, which is
    nobody's at the other end. JPEG for what was stored lossily, else PNG. Raises as picture_of."""
    image = picture_of(part.source).image
    stream = BytesIO()
    if _lossy(part.source):
        image.convert("RGB").save(stream, "JPEG", quality=95, subsampling=0)
        return data_uri(stream.getvalue(), "image/jpeg")
    image.save(stream, "PNG", compress_level=1)
    return data_uri(stream.getvalue(), "image/png")


def _lossy(source: Any) -> bool:
    if isinstance(source, Path | str):
        with Path(source).open("rb") as file:
            head = file.read(HEAD)
    elif isinstance(source, bytes):
        head = source[:HEAD]
    else:
        return False
    return sniff(head, "the picture") in LOSSY
