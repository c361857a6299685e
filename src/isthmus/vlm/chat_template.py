"""The tokenizer's own chat template (jinja) as a Template.

The template is rendered with marks in place of what was said, so that it is always clear what is the template's and
what is the user's. The marks hold U+FDD0 and U+FDD1, which are no characters, and stand between two em spaces: where
the template trims what was said, the em spaces are gone, and the text is trimmed in the same way.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from isthmus.errors import InputError
from isthmus.messages import Message, Role, assistant, user
from isthmus.vlm.template import ControlPiece, Piece, TextPiece, content

_BLANK = "\u2003"
_MARK = re.compile("(\u2003?)\ufdd0(\\d+)\ufdd1(\u2003?)")


class ChatTemplate:
    """`tokenizer`: one of `transformers` with a chat_template over messages whose content is a string.

    Pictures stand where they are in the message, each followed by a line break. The model is trained on an assistant's
    words and on the control token right behind them. Raises InputError where the tokenizer has no template.
    """

    lead = ""

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise InputError("the tokenizer has no chat template", todo="use ChatML, Vicuna or another Template")
        self._tokenizer = tokenizer
        added = (token.content for token in tokenizer.added_tokens_decoder.values())
        controls = sorted((token for token in added if token.strip()), key=len, reverse=True)
        self._controls = re.compile(f"({'|'.join(map(re.escape, controls))})" if controls else "($^)")

    @cached_property
    def ends(self) -> tuple[str, ...]:
        pieces = self.pieces([user("?"), assistant("!")], prompt=False)
        trained = [piece.token for piece in pieces if isinstance(piece, ControlPiece) and piece.trained]
        eos = self._tokenizer.eos_token
        return tuple(trained) or ((eos,) if eos else ())

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        if not messages:
            raise InputError("the conversation is empty", todo="ask something")
        if prompt and messages[-1].role == "assistant":
            raise InputError("there is nothing to answer: the last message is of role assistant")
        said = [content(message) for message in messages]
        rendered = self._render(messages, prompt)
        found = list(_MARK.finditer(rendered))
        if [int(each[2]) for each in found] != list(range(len(messages))):
            raise InputError(
                "the tokenizer's chat template does not show each message once and in order",
                todo="use ChatML, Vicuna or another Template",
            )
        out: list[Piece] = self._own(rendered[: found[0].start()], None, messages[0].role)
        for at, mark in enumerate(found):
            out += _trimmed(said[at], left=not mark[1], right=not mark[3])
            behind = rendered[mark.end() : found[at + 1].start() if at + 1 < len(found) else len(rendered)]
            following: Role = messages[at + 1].role if at + 1 < len(found) else "assistant"
            out += self._own(behind, messages[at].role, following)
        return tuple(out)

    def _render(self, messages: Sequence[Message], prompt: bool) -> str:
        chat = [
            {"role": message.role, "content": f"{_BLANK}\ufdd0{at}\ufdd1{_BLANK}"}
            for at, message in enumerate(messages)
        ]
        try:
            text: str = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt)
        except TemplateError as error:
            raise InputError("the tokenizer's chat template refuses the conversation", why=str(error)) from None
        return text

    def _own(self, text: str, before: Role | None, after: Role) -> list[Piece]:
        """The template's own text between two messages. Up to its first control token it ends the turn `before`."""
        out: list[Piece] = []
        ended = before is None
        for part in filter(None, self._controls.split(text)):
            role: Role = after if ended or before is None else before
            if not self._controls.fullmatch(part):
                out.append(TextPiece(part, role))
                continue
            # Only what follows the words at once is the model's to write.
            out.append(ControlPiece(part, role, trained=role == "assistant" and not ended and not out))
            ended = True
        return out


def _trimmed(said: list[Piece], *, left: bool, right: bool) -> list[Piece]:
    """What was said, its outer white space removed where the template does so."""
    out = list(said)
    if out and left and isinstance(out[0], TextPiece):
        out[0] = TextPiece(out[0].text.lstrip(), out[0].role, out[0].trained)
    if out and right and isinstance(out[-1], TextPiece):
        out[-1] = TextPiece(out[-1].text.rstrip(), out[-1].role, out[-1].trained)
    return out
