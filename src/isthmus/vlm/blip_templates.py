"""The prompts of BLIP-2's relatives: InstructBLIP, and FLAN-T5, whose encoder reads what its decoder answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import InputError
from isthmus.messages import Message
from isthmus.vlm.template import ControlPiece, PicturePiece, Piece, TextPiece, check_messages


@dataclass(frozen=True)
class InstructBlip:
    """The question alone, behind the pictures: whatever InstructBLIP is asked, its Q-Former reads too.

    One question, and its answer: the model was not trained on more. `bos` and `end` are those of InstructBLIP's Vicuna;
    for FLAN-T5 `bos` is None, `lead` empty, and `closes` "</s>", which T5's tokenizer puts behind each text.
    Source: InstructBLIP (Dai et al., 2023), section 2.
    """

    bos: str | None = "</s>"
    end: str = "</s>"
    lead: str = " "
    closes: str | None = None

    @property
    def ends(self) -> tuple[str, ...]:
        return (self.end,)

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        check_messages(messages, prompt, roles=("user", "assistant"), name="InstructBLIP")
        if [message.role for message in messages] not in (["user"], ["user", "assistant"]):
            raise InputError(
                "InstructBLIP was asked more than once", why="its prompt has place for one question and its answer"
            )
        out = _pictures(messages, "InstructBLIP")
        if self.bos is not None:
            out.append(ControlPiece(self.bos, "user", opens=True))
        out.append(TextPiece(messages[0].text.strip(), "user"))
        if self.closes is not None:
            out.append(ControlPiece(self.closes, "user"))
        if len(messages) > 1:
            out.append(TextPiece(self.lead + messages[1].text.strip(), "assistant", trained=True))
            out.append(ControlPiece(self.end, "assistant", trained=True))
        return tuple(out)


@dataclass(frozen=True)
class Blip2T5:
    """ "Question: ... Answer:" behind the pictures and "</s>" behind all that the encoder reads; then the answer, which
    the decoder writes. Nothing is asked where a caption is wanted.

    Earlier turns stand in the prompt as "Question: ... Answer: ... ." and are not trained on: a decoder writes one
    answer.
    Source: BLIP-2 (Li et al., 2023), section 4 and the released code's prompts for several turns.
    """

    end: str = "</s>"
    lead: str = ""

    @property
    def ends(self) -> tuple[str, ...]:
        return (self.end,)

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        check_messages(messages, prompt, roles=("user", "assistant"), name="BLIP-2")
        out = _pictures(messages, "BLIP-2")
        last = messages[-1] if messages[-1].role == "assistant" else None
        turns = messages[:-1] if last else messages
        parts = []
        for message in turns:
            text = message.text.strip()
            if message.role == "assistant":
                parts.append(f"{text}.")
            elif text:
                parts.append(f"Question: {text} Answer:")
        out += [TextPiece(" ".join(parts), "user"), ControlPiece(self.end, "user")]
        if last:
            out.append(TextPiece(last.text.strip(), "assistant", trained=True))
            out.append(ControlPiece(self.end, "assistant", trained=True))
        return tuple(out)


def _pictures(messages: Sequence[Message], name: str) -> list[Piece]:
    pictures: list[Piece] = [PicturePiece(part.source, "user") for message in messages for part in message.pictures]
    if not pictures:
        raise InputError(f"{name} was asked without a picture", todo="give one: it answers about pictures only")
    return pictures
