"""What is sent to another model says what was meant, and nothing of where a photo was taken."""

import base64
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from isthmus.backends.backend import Options, Tool, ToolCall
from isthmus.backends.wire import picture_uri, request
from isthmus.errors import PictureError
from isthmus.messages import ImagePart, Message, TextPart, parse, system, tool_result, user
from tests.backends.conformance import picture

CALL = ToolCall("call_1", "weather", '{"place": "Basel"}')


def test_a_conversation_with_tools_is_read_back_as_it_was() -> None:
    said = (
        system("be brief"),
        user(picture(0), "where is this, and how is the weather?"),
        Message("assistant", (TextPart("Basel."),), (CALL,)),
        tool_result(CALL, ""),
        user("thanks"),
    )
    read = parse(request("a model", said, None, Options())["messages"])
    assert [(each.role, each.text, each.tool_calls, each.tool_call_id) for each in read] == [
        (each.role, each.text, each.tool_calls, each.tool_call_id) for each in said
    ]
    assert len(read[1].pictures) == 1


def test_options_and_tools_are_written_in_the_words_of_the_api() -> None:
    tool = Tool("weather", "of a place", {"type": "object", "properties": {"place": {"type": "string"}}})
    options = Options(max_tokens=7, temperature=0.5, top_p=0.9, stop=("\n",), seed=3, json={"type": "object"})
    body = request("a model", [user("hello")], [tool], options)
    assert {name: body[name] for name in ("model", "max_tokens", "temperature", "top_p", "stop", "seed")} == {
        "model": "a model", "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "stop": ["\n"], "seed": 3,
    }  # fmt: skip
    assert body["tools"][0]["function"]["parameters"]["properties"] == {"place": {"type": "string"}}
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["stream_options"] == {"include_usage": True}
    assert request("m", [user("hello")], None, Options(json=True))["response_format"] == {"type": "json_object"}
    assert not {"seed", "stop", "tools", "response_format"} & set(request("m", [user("hello")], None, Options()))


@pytest.mark.parametrize("as_path", [True, False])
def test_a_photo_is_sent_upright_and_without_its_metadata(as_path: bool, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8825)[1] = "N"
    stream = BytesIO()
    Image.effect_noise((40, 20), 50).convert("RGB").save(stream, "JPEG", exif=exif)
    path = tmp_path / "photo.jpg"
    path.write_bytes(stream.getvalue())
    uri = picture_uri(ImagePart(path if as_path else stream.getvalue()))
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    sent = Image.open(BytesIO(base64.b64decode(body)))
    assert sent.size == (20, 40)
    assert not dict(sent.getexif())


def test_a_drawing_loses_nothing() -> None:
    sent = Image.open(BytesIO(base64.b64decode(picture_uri(ImagePart(picture(1))).partition(",")[2])))
    assert sent.format == "PNG"
    assert sent.tobytes() == Image.open(BytesIO(picture(1))).tobytes()


def test_what_is_no_picture_is_not_sent() -> None:
    with pytest.raises(PictureError, match="not a picture"):
        request("m", [user(b"no picture", "what?")], None, Options())
