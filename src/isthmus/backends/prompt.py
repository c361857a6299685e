"""Messages to what a transformers model reads: its own chat template, its own processor, pictures opened by us."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from jinja2.exceptions import TemplateError
from PIL import Image
from transformers import BatchFeature

from isthmus import stopwatch
from isthmus.errors import InputError
from isthmus.images.open import picture_of
from isthmus.messages import ImagePart, Message


class PicturePrompt:
    """For a model with a processor: pictures and text.

    Each picture must find exactly one mark in the prompt the template makes. So a template that leaves pictures out, or
    a text that contains the mark, is an error and never a picture in another one's place.
    """

    def __init__(self, name: str, processor: Any) -> None:
        self._name, self._processor = name, processor
        self._mark = str(getattr(processor, "image_token", None) or "")
        # a processor's own template speaks of pictures; the tokenizer's is the only one in older checkpoints
        self._template = _template(name, processor.chat_template or processor.tokenizer.chat_template)

    def __call__(self, messages: Sequence[Message]) -> BatchFeature:
        """Tensors on the CPU as the model's forward names them. Raises InputError, PictureError."""
        with stopwatch.part("decode"):
            pictures = [rgb(part) for message in messages for part in message.pictures]
        with stopwatch.part("prompt"):
            turns = [{"role": each.role, "content": [_part(part) for part in each.content]} for each in messages]
            text = _render(self._name, self._processor, turns, self._template)
        marks = text.count(self._mark) if self._mark else len(pictures)
        if marks != len(pictures):
            raise InputError(
                f"the prompt has {marks} of the mark {self._mark} for {len(pictures)} pictures",
                why=f"a text contains the mark, or the template of {self._name} leaves pictures out",
                todo="take the mark out of the text, or ask about fewer pictures at once",
            )
        # templates that write the beginning token themselves must not get another
        begins = self._processor.tokenizer.bos_token
        settings = {"add_special_tokens": False} if begins and text.startswith(begins) else {}
        try:
            with stopwatch.part("preprocess"):  # and the text's tokens, which its processor makes in one go
                inputs: BatchFeature = self._processor(
                    text=[text], images=[pictures] if pictures else None, return_tensors="pt", **settings
                )
        except ValueError as error:  # such as a picture 200 times as wide as high
            raise InputError(f"{self._name} cannot read these pictures", why=shorten(str(error), 300)) from None
        return inputs


class TextPrompt:
    """For a model with a tokenizer alone."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        self._name, self._tokenizer = name, tokenizer
        self._template = _template(name, tokenizer.chat_template)

    def __call__(self, messages: Sequence[Message]) -> BatchFeature:
        """input_ids and attention_mask [1, T] int64 on the CPU. Raises InputError, also where there are pictures."""
        if any(message.pictures for message in messages):
            raise InputError(f"{self._name} takes no pictures", todo="ask a vision-language model")
        with stopwatch.part("prompt"):
            turns = [{"role": message.role, "content": message.text} for message in messages]
            text = _render(self._name, self._tokenizer, turns, self._template)
            # its template has written every special token already
            read = self._tokenizer([text], add_special_tokens=False, return_tensors="pt")
        return BatchFeature({name: read[name] for name in ("input_ids", "attention_mask")})


def rgb(part: ImagePart) -> Image.Image:
    """The picture upright, in RGB, on white. Raises as picture_of."""
    return picture_of(part.source).image


def _part(part: Any) -> dict[str, str]:
    return {"type": "image"} if isinstance(part, ImagePart) else {"type": "text", "text": part.text}


def _template(name: str, found: Any) -> str:
    template = found.get("default") if isinstance(found, dict) else found
    if not template:
        raise InputError(f"{name} has no chat template", todo="use a model made for conversations")
    return str(template)


def _render(name: str, speaker: Any, turns: list[dict[str, Any]], template: str) -> str:
    try:
        text: str = speaker.apply_chat_template(
            turns, chat_template=template, tokenize=False, add_generation_prompt=True
        )
    except TemplateError as error:
        raise InputError(f"the template of {name} refuses these messages", why=str(error)) from None
    return text
