"""How Idefics3 and SmolVLM are spoken to: turns by name, and pictures whose tiles are announced in the text."""

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.messages import ImagePart, Message, Role
from isthmus.vlm.prompt_tokenizer import Run
from isthmus.vlm.sequence import Extent, Laid
from isthmus.vlm.template import ControlPiece, PicturePiece, Piece, TextPiece, check_messages


@dataclass(frozen=True)
class Idefics3:
    """ "User: ...<end_of_utterance>", then "Assistant:". Behind the colon stands a blank, unless a picture comes first.

    `bos` stands once in front: SmolVLM's is "<|im_start|>", Idefics3's "<|begin_of_text|>".
    Sources: Idefics3 (Laurençon et al., 2024); SmolVLM (Marafioti et al., 2025), their chat templates.
    """

    bos: str = "<|im_start|>"
    end: str = "<end_of_utterance>"
    lead: str = " "

    @property
    def ends(self) -> tuple[str, ...]:
        return (self.end,)

    def pieces(self, messages: Sequence[Message], *, prompt: bool) -> tuple[Piece, ...]:
        check_messages(messages, prompt, roles=("system", "user", "assistant"), name="Idefics3")
        out: list[Piece] = [ControlPiece(self.bos, messages[0].role)]
        for message in messages:
            role, trained = message.role, message.role == "assistant"
            pictured = bool(message.content) and isinstance(message.content[0], ImagePart)
            out.append(TextPiece(f"{role.capitalize()}:", role))
            blank = "" if pictured else " "
            if trained:
                out.append(TextPiece(blank + message.text.strip(), role, trained=True))
            else:
                out.append(TextPiece(blank, role))
                for part in message.content:
                    if isinstance(part, ImagePart):
                        out.append(PicturePiece(part.source, role))
                    else:
                        out.append(TextPiece(part.text, role))
            out += [ControlPiece(self.end, role, trained=trained), TextPiece("\n", role)]
        if prompt:
            out.append(TextPiece("Assistant:", "assistant"))
        return tuple(out)


@dataclass(frozen=True)
class AnnouncedTiles:
    """Layout of a picture's tokens: each tile behind its row and column, each row ended by a line break, the overview
    last and fenced in. `controls`: the tokenizer's special tokens; a mark it has no token for is written as text, as
    Idefics3-8B was trained.

    The overview's tokens come last from the connector, too: see images.split.Split.
    """

    controls: frozenset[str]

    def __call__(self, extent: Extent, role: Role) -> Sequence[Laid]:
        rows, columns = extent.grid or (0, 0)
        count = extent.tokens // (rows * columns + 1)
        out: list[Laid] = []
        for row in range(1, rows + 1):
            for column in range(1, columns + 1):
                out += [self._mark(FENCE, role), self._mark(f"<row_{row}_col_{column}>", role), Run(count)]
            out.append(TextPiece("\n", role))
        if out:
            out.append(TextPiece("\n", role))
        return [*out, self._mark(FENCE, role), self._mark(OVERVIEW, role), Run(count), self._mark(FENCE, role)]

    def _mark(self, text: str, role: Role) -> Laid:
        return ControlPiece(text, role) if text in self.controls else TextPiece(text, role)


FENCE, OVERVIEW = "<fake_token_around_image>", "<global-img>"
