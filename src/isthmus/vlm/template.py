"""Prompt templates: messages become pieces of text, control tokens and pictures, in the order in which they are read.

Each piece says whose turn it belongs to and whether the model is trained to write it: an assistant's words and what
ends its turn are, all else is not. `sequence` turns pieces into ids and labels in one pass.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from isthmus.errors import InputError
from isthmus.messages import ImagePart, Message, Role

VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
"""What Vicuna v1 was trained with, and LLaVA-1.5 after it."""


@dataclass(frozen=True)
class TextPiece:
    """Plain text: whatever it says, it never becomes a control token."""

    text: str
    role: Role
    trained: bool = False


@dataclass(frozen=True)
class ControlPiece:
    """A special token by its spelling in the vocabulary ("<|im_end|>"). `opens`: the original model's tokenizer puts it
    in front by itself, so that what follows is tokenized as the beginning of a text."""

    token: str
    role: Role
    trained: bool = False
    opens: bool = False


@dataclass(frozen=True)
class PicturePiece:
    """The place of a picture; `source` is its ImagePart's."""

    source: Any
    role: Role


Piece: TypeAlias = TextPiece | ControlPiece | PicturePiece


class Template(Protocol):
    """How a model's conversations are written."""

    @property
    def ends(self) -> tuple[str, ...]:
        """What ends an answer: control tokens by their spelling, or plain strings."""

    @property
    def lead(self) -> str:
        """What an answer may begin with that is not part of it: the space behind "Answer:"."""

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        """The conversation in reading order; with `prompt`, up to where the assistant's answer begins.

        Raises InputError for messages the format has no place for.
        """


@dataclass(frozen=True)
class Blip2:
    """ "Question: ... Answer:" behind the pictures, or nothing at all behind them: then the answer is a caption.

    `bos` and `end` are OPT's; FLAN-T5 is asked by Blip2T5. Source: BLIP-2 (Li et al., 2023), section 4.
    """

    bos: str | None = "</s>"
    end: str = "\n"
    lead: str = " "

    @property
    def ends(self) -> tuple[str, ...]:
        return (self.end,)

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        check_messages(messages, prompt, roles=("user", "assistant"), name="BLIP-2")
        pictures = [PicturePiece(part.source, "user") for message in messages for part in message.pictures]
        if not pictures:
            raise InputError("BLIP-2 was asked without a picture", todo="give one: it answers about pictures only")
        out: list[Piece] = [*pictures]
        if self.bos is not None:
            out.append(ControlPiece(self.bos, "user", opens=True))
        asked = False
        for message in messages:
            text = message.text.strip()
            if message.role == "assistant":
                out.append(TextPiece(self.lead + text if asked else text, "assistant", trained=True))
                out.append(self._end())
            elif text:
                out.append(TextPiece(f"Question: {text} Answer:", "user"))
                asked = True
        return tuple(out)

    def _end(self) -> Piece:
        if self.end.isspace():
            return TextPiece(self.end, "assistant", trained=True)
        return ControlPiece(self.end, "assistant", trained=True)


@dataclass(frozen=True)
class Vicuna:
    """ "USER: ... ASSISTANT:", after a sentence that sets the scene: Vicuna v1.1, LLaVA-1.5.

    `system` None leaves the sentence out; a system message takes its place. Each picture is followed by a line break.
    Source: LLaVA-1.5 (Liu et al., 2023), the released code's conversation "v1".
    """

    system: str | None = VICUNA_SYSTEM
    bos: str = "<s>"
    end: str = "</s>"
    lead: str = " "

    @property
    def ends(self) -> tuple[str, ...]:
        return (self.end,)

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        check_messages(messages, prompt, roles=("system", "user", "assistant"), name="Vicuna")
        out: list[Piece] = [ControlPiece(self.bos, "system", opens=True)]
        first = messages[0].text if messages[0].role == "system" else self.system
        if first:
            out.append(TextPiece(f"{first} ", "system"))
        for message in messages:
            if message.role == "user":
                out += [TextPiece("USER: ", "user"), *content(message), TextPiece(" ", "user")]
            elif message.role == "assistant":
                out.append(TextPiece("ASSISTANT:", "assistant"))
                out.append(TextPiece(self.lead + message.text.strip(), "assistant", trained=True))
                out.append(ControlPiece(self.end, "assistant", trained=True))
        if prompt:
            out.append(TextPiece("ASSISTANT:", "assistant"))
        return tuple(out)


@dataclass(frozen=True)
class Mistral:
    """ "[INST] ... [/INST] answer": LLaVA-NeXT with Mistral. Each picture is followed by a line break."""

    bos: str = "<s>"
    end: str = "</s>"
    lead: str = " "

    @property
    def ends(self) -> tuple[str, ...]:
        return (self.end,)

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        check_messages(messages, prompt, roles=("user", "assistant"), name="Mistral")
        out: list[Piece] = [ControlPiece(self.bos, "user", opens=True)]
        for message in messages:
            if message.role == "user":
                out += [TextPiece("[INST] ", "user"), *content(message), TextPiece(" [/INST]", "user")]
            else:
                out.append(TextPiece(self.lead + message.text.strip(), "assistant", trained=True))
                out.append(ControlPiece(self.end, "assistant", trained=True))
        return tuple(out)


@dataclass(frozen=True)
class ChatML:
    """ "<|im_start|>role ... <|im_end|>": SmolLM2, Qwen. `system`: what stands first where no system message does.

    Each picture is followed by a line break.
    """

    system: str | None = None
    lead: str = ""

    @property
    def ends(self) -> tuple[str, ...]:
        return ("<|im_end|>",)

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        check_messages(messages, prompt, roles=("system", "user", "assistant", "tool"), name="ChatML")
        out: list[Piece] = []
        if self.system is not None and messages[0].role != "system":
            out += self._turn("system", [TextPiece(self.system, "system")])
        for message in messages:
            out += self._turn(message.role, content(message))
        if prompt:
            out += self._open("assistant")
        return tuple(out)

    def _open(self, role: Role) -> list[Piece]:
        return [ControlPiece("<|im_start|>", role), TextPiece(f"{role}\n", role)]

    def _turn(self, role: Role, said: Iterable[Piece]) -> list[Piece]:
        end = ControlPiece("<|im_end|>", role, trained=role == "assistant")
        return [*self._open(role), *said, end, TextPiece("\n", role)]


def content(message: Message) -> list[Piece]:
    """A message's parts in their order, a line break behind each picture; an assistant's text is trained on."""
    out: list[Piece] = []
    for part in message.content:
        if isinstance(part, ImagePart):
            out += [PicturePiece(part.source, message.role), TextPiece("\n", message.role)]
        else:
            out.append(TextPiece(part.text, message.role, trained=message.role == "assistant"))
    return out


def check_messages(messages: Sequence[Message], prompt: bool, *, roles: tuple[Role, ...], name: str) -> None:
    """Raises InputError for messages that the format `name`, which knows these `roles`, has no place for."""
    if not messages:
        raise InputError("the conversation is empty", todo="ask something")
    for at, message in enumerate(messages):
        if message.role not in roles or (message.role == "system" and at):
            where = "a system message after the first" if message.role in roles else f"a {message.role} message"
            raise InputError(f"message {at} is {where}", why=f"{name}'s prompt has no place for it")
        if message.role == "assistant" and message.pictures:
            raise InputError(f"message {at} is the assistant's and holds a picture", why="it answers in words")
    if prompt and messages[-1].role in ("assistant", "system"):
        raise InputError(f"there is nothing to answer: the last message is of role {messages[-1].role}")
