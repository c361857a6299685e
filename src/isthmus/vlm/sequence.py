"""Pieces to one Sample: ids, labels, roles and picture slots, all appended in the same pass.

A label is written when its token is, so no mask can be out of step with the ids. Notation: T tokens of the sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from isthmus.errors import InputError
from isthmus.messages import Role
from isthmus.vlm.prompt_tokenizer import PromptTokenizer, Run
from isthmus.vlm.template import ControlPiece, PicturePiece, Piece, TextPiece

IGNORE = -100
"""A label that is not trained on, as `transformers` and torch's cross entropy have it."""


@dataclass(frozen=True)
class Extent:
    """What the text must know of a picture: how many `tokens` the connector makes of it, and the (rows, columns) of
    its tiles, where its Fit tiles."""

    tokens: int
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class Slot:
    """Positions [start, stop) hold the next stop - start tokens of picture number `picture` (in reading order)."""

    picture: int
    start: int
    stop: int


@dataclass(frozen=True)
class Sample:
    """One conversation as the language model reads it, pictures not yet looked at.

    ids, labels, roles have T entries: an id is PICTURE in a slot, a label is the id where it is trained on and IGNORE
    elsewhere (label t belongs to id t; the loss compares it with what position t - 1 predicts). What an encoder-decoder
    model reads ends where the first label begins. `pictures`: how many. `questions`: for each of them what a connector
    that reads text reads beside it, in its own tokenizer's ids; empty where it reads none.
    """

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    roles: tuple[Role, ...]
    slots: tuple[Slot, ...]
    pictures: int
    questions: tuple[tuple[int, ...], ...] = ()

    @property
    def shown(self) -> int:
        """How many tokens stand for pictures."""
        return sum(slot.stop - slot.start for slot in self.slots)

    @property
    def trained(self) -> int:
        """How many tokens carry a label that some position predicts."""
        return sum(label != IGNORE for label in self.labels[1:])


Laid: TypeAlias = TextPiece | ControlPiece | Run


class Layout(Protocol):
    """How one picture's tokens stand in the text: a plain run, or runs between tokens that announce tiles and rows.

    The runs take the connector's tokens in their order and together hold all of them.
    """

    def __call__(self, extent: Extent, role: Role) -> Sequence[Laid]: ...


def in_a_row(extent: Extent, role: Role) -> Sequence[Laid]:  # noqa: ARG001
    """All tokens of a picture side by side: BLIP-2, LLaVA."""
    return (Run(extent.tokens),)


def build(
    pieces: Sequence[Piece],
    extents: Sequence[Extent],
    tokenizer: PromptTokenizer,
    *,
    layout: Layout = in_a_row,
    limit: int | None = None,
) -> Sample:
    """The Sample of these pieces, the k-th picture of which has the k-th extent.

    Raises InputError where there are more or fewer pictures than extents, where a layout does not place each token of a
    picture once, and where the whole is longer than `limit` tokens, the language model's context.
    """
    laid, roles, trained, pictures = _lay(pieces, extents, layout)
    ids: list[int] = []
    labels: list[int] = []
    said: list[Role] = []
    slots: list[Slot] = []
    for id_, at in tokenizer.encode(laid):
        piece = laid[at]
        count = piece.count if isinstance(piece, Run) else 1
        if isinstance(piece, Run):
            slots.append(Slot(pictures[at], len(ids), len(ids) + count))
        ids += [id_] * count
        labels += [id_ if trained[at] else IGNORE] * count
        said += [roles[at]] * count
    if limit is not None and len(ids) > limit:
        shown = sum(slot.stop - slot.start for slot in slots)
        raise InputError(
            f"the prompt has {len(ids)} tokens, {shown} of them for {len(extents)} pictures",
            why=f"the language model reads at most {limit}",
            todo="shorten the text or give fewer pictures",
        )
    return Sample(tuple(ids), tuple(labels), tuple(said), tuple(slots), len(extents))


def _lay(
    pieces: Sequence[Piece], extents: Sequence[Extent], layout: Layout
) -> tuple[list[Laid], list[Role], list[bool], list[int]]:
    """The pieces with each picture laid out, and for each of them its role, whether it is trained on, its picture."""
    wanted = sum(isinstance(piece, PicturePiece) for piece in pieces)
    if wanted != len(extents):
        raise InputError(
            f"the conversation shows {wanted} pictures, but features of {len(extents)} are given",
            todo="give the features of each picture once, in reading order",
        )
    laid: list[Laid] = []
    roles: list[Role] = []
    trained: list[bool] = []
    pictures: list[int] = []
    picture = 0
    for piece in pieces:
        if isinstance(piece, PicturePiece):
            parts: Sequence[Laid] = layout(extents[picture], piece.role)
            runs = sum(part.count for part in parts if isinstance(part, Run))
            if runs != extents[picture].tokens:
                why = f"the connector makes {extents[picture].tokens} of it"
                raise InputError(f"the layout of picture {picture} has room for {runs} tokens", why=why)
            trained += [False] * len(parts)
            pictures += [picture] * len(parts)
            picture += 1
        else:
            parts = (piece,)
            trained.append(piece.trained)
            pictures.append(-1)
        laid += parts
        roles += [piece.role] * len(parts)
    return laid, roles, trained, pictures
