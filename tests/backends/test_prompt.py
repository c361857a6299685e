"""Messages become the model's own prompt; pictures are opened as everywhere in Isthmus."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tokenizers.processors import TemplateProcessing
from transformers import AutoProcessor

from isthmus.backends.backend import Options, complete
from isthmus.backends.prompt import PicturePrompt, rgb
from isthmus.backends.transformers import TransformersBackend
from isthmus.errors import InputError, PictureError
from isthmus.images.open import open_picture
from isthmus.messages import ImagePart, assistant, user
from tests.backends import tiny
from tests.backends.conformance import picture
from tests.images.samples import HEIC

Backends = Callable[[str], TransformersBackend]


def test_every_source_of_a_picture_gives_the_same_pixels(tmp_path: Path) -> None:
    data = picture(0)
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    opened = Image.open(BytesIO(data))
    sources = [data, path, str(path), opened, open_picture(data)]
    first, *others = [np.asarray(rgb(ImagePart(source))) for source in sources]
    assert first.shape == (40, 56, 3)
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("as_opened", [False, True])
def test_pictures_are_upright(as_opened: bool) -> None:
    wide = Image.open(BytesIO(picture(0)))
    exif = Image.Exif()
    exif[274] = 6  # to be turned a quarter clockwise
    stream = BytesIO()
    wide.save(stream, "PNG", exif=exif)
    shown = rgb(ImagePart(Image.open(stream) if as_opened else stream.getvalue()))
    assert np.array_equal(np.asarray(shown), np.rot90(np.asarray(wide), -1))


def test_transparency_is_shown_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert rgb(ImagePart(clear)).getpixel((3, 3)) == (255, 255, 255)


def test_heic_opens() -> None:
    shown = rgb(ImagePart(next(iter(HEIC.values()))))
    assert shown.mode == "RGB"


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError) as missing:
        rgb(ImagePart(tmp_path / "none.png"))
    assert missing.value.reason == "missing"
    with pytest.raises(InputError, match="int is no picture"):
        rgb(ImagePart(7))
    huge = Image.new("1", (20_000, 20_000))
    with pytest.raises(PictureError) as large:
        rgb(ImagePart(huge))
    assert large.value.reason == "too large"
    cut = Image.open(BytesIO(picture(0)[:2000]))
    with pytest.raises(PictureError):
        rgb(ImagePart(cut))


@pytest.mark.parametrize(("model", "mark"), [("llava", "<image>"), ("qwen2-vl", "<|image_pad|>")])
def test_a_text_cannot_pass_for_a_picture(backend: Backends, model: str, mark: str) -> None:
    for message in (user(f"what is {mark}?"), user(picture(0), f"what is {mark}?")):
        with pytest.raises(InputError, match="mark"):
            complete(backend(model), [message], Options(max_tokens=1))


def test_a_template_that_leaves_pictures_out_is_found_out(folder: Callable[[str], str], tmp_path: Path) -> None:
    changed = copied(folder("llava"), tmp_path, "chat_template.jinja", "{{ messages[-1].content[-1].text }}")
    with pytest.raises(InputError, match="0 of the mark <image> for 1 pictures"):
        complete(TransformersBackend(changed), [user(picture(0), "what?")], Options(max_tokens=1))


@pytest.mark.parametrize("template", [tiny.VICUNA, tiny.START + tiny.VICUNA])
def test_a_prompt_begins_once(folder: Callable[[str], str], template: str) -> None:
    """Whether the template writes the beginning token or the tokenizer puts it in front."""
    processor = AutoProcessor.from_pretrained(folder("llava"))
    begin = processor.tokenizer.convert_tokens_to_ids(tiny.START)
    processor.tokenizer.bos_token = tiny.START
    processor.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tiny.START} $A", special_tokens=[(tiny.START, begin)]
    )
    processor.chat_template = template
    ids = PicturePrompt("llava", processor)([user(picture(0), "what?")])["input_ids"][0].tolist()
    assert ids[0] == begin
    assert ids.count(begin) == 1


def test_a_template_may_refuse(folder: Callable[[str], str], tmp_path: Path) -> None:
    rule = "{{ raise_exception('roles must alternate') }}"
    changed = copied(folder("text only"), tmp_path, "chat_template.jinja", rule)
    with pytest.raises(InputError, match="roles must alternate"):
        complete(TransformersBackend(changed), [user("a"), user("b")], Options(max_tokens=1))


def test_a_model_without_a_template_is_refused_when_it_is_loaded(folder: Callable[[str], str], tmp_path: Path) -> None:
    for model in ("llava", "text only"):
        changed = copied(folder(model), tmp_path / model, "chat_template.jinja", None)
        with pytest.raises(InputError, match="has no chat template"):
            TransformersBackend(changed)


def test_a_model_of_texts_takes_no_pictures(backend: Backends) -> None:
    with pytest.raises(InputError, match="takes no pictures"):
        complete(backend("text only"), [user(picture(0), "what?")], Options(max_tokens=1))


def test_a_picture_of_an_impossible_shape_is_refused(backend: Backends) -> None:
    with pytest.raises(InputError, match="cannot read these pictures"):
        complete(backend("qwen2-vl"), [user(Image.new("RGB", (2000, 2)), "what?")], Options(max_tokens=1))


def test_a_prompt_longer_than_the_context_is_refused(backend: Backends) -> None:
    with pytest.raises(InputError, match="takes 512 with its answer"):
        complete(backend("llava"), [user("x" * 600)], Options(max_tokens=1))


def test_an_answer_ends_where_the_context_does(backend: Backends) -> None:
    reply = complete(backend("text only"), [user("z" * 470), assistant("y"), user("x")], Options(max_tokens=500))
    assert reply.reason == "length"
    assert reply.usage.prompt_tokens + reply.usage.completion_tokens == 512


def copied(source: str, target: Path, file: str, content: str | None) -> str:
    """A copy of a model's folder with one file changed, or left out."""
    target.mkdir(parents=True, exist_ok=True)
    for path in Path(source).iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    if content is None:
        (target / file).unlink()
    else:
        (target / file).write_text(content)
    return str(target)
