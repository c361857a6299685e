"""What a sample looks like to the model: each token with its text, role, label and picture region."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from isthmus.connectors.align import AlignConnector
from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.reduce import shuffle
from isthmus.connectors.soft_prompt import SoftPromptConnector
from isthmus.connectors.tiles import LINE_END, TilesConnector
from isthmus.images.open import picture_of
from isthmus.messages import Message, Role
from isthmus.text_stream import UNFINISHED
from isthmus.vision.features import Frame
from isthmus.vlm.conversation import numbered
from isthmus.vlm.sequence import IGNORE, Sample

if TYPE_CHECKING:
    from isthmus.vlm.model import VisionLanguageModel

Region = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the original picture."""


@dataclass(frozen=True)
class Row:
    """One token. `id` and `text` are of a word's token, `picture` and `region` of a picture's; `label`: trained on.

    A picture's token without a region was learned: the end of a row, a soft prompt.
    """

    index: int
    role: Role
    label: bool
    id: int | None
    text: str
    picture: int | None = None
    region: Region | None = None


@dataclass(frozen=True)
class Inspection:
    rows: tuple[Row, ...]

    @property
    def all_masked(self) -> bool:
        """Whether nothing would be learned from the sample."""
        return not any(row.label for row in self.rows)

    def table(self) -> str:
        """For people: a line a token, and a last line that counts."""
        lines = [f"{'index':>5}  {'label':5}  {'role':9}  token"]
        for row in self.rows:
            label = "yes" if row.label else "-"
            lines.append(f"{row.index:5}  {label:5}  {row.role:9}  {_shown(row)}")
        trained = sum(row.label for row in self.rows)
        pictured = sum(row.picture is not None for row in self.rows)
        verdict = "ALL LABELS ARE MASKED: nothing is learned from it" if self.all_masked else f"{trained} with a label"
        return "\n".join([*lines, f"{len(self.rows)} tokens, {pictured} of pictures; {verdict}"])

    def json(self) -> str:
        """For programs: {"all_masked": bool, "tokens": [Row, ...]}."""
        return json.dumps({"all_masked": self.all_masked, "tokens": [asdict(row) for row in self.rows]})


def inspect(model: "VisionLanguageModel", messages: Sequence[Message]) -> Inspection:
    """The conversation as a training sample of this model.

    Where the connector keeps one token a patch, in their order or in the tiles', a token's region is its patch's (the
    learned end of a row and a soft prompt have none); where it makes one of several neighbours, theirs; else the whole
    picture's.
    Raises InputError and PictureError as `model.sample` and opening do.
    """
    sources = [part.source for message in messages for part in message.pictures]
    if not sources:
        return Inspection(tuple(_rows(model, model.sample(messages), [])))
    features = model.encode([picture_of(source, at_least=model.encoder.fit.at_least) for source in sources])
    sample = model.sample(messages, model.extents(features))
    masks = features.mask.to(features.boxes.device)
    frames = features.frames or (None,) * len(masks)
    regions = [
        _regions(model.connector, boxes[mask], frame)
        for boxes, mask, frame in zip(features.boxes, masks, frames, strict=True)
    ]
    return Inspection(tuple(_rows(model, sample, regions)))


def _rows(model: "VisionLanguageModel", sample: Sample, regions: Sequence[Sequence[Region | None]]) -> list[Row]:
    of_slots = {
        slot.start + at: (slot.picture, regions[slot.picture][first + at])
        for slot, first in numbered(sample)
        for at in range(slot.stop - slot.start)
    }
    rows = []
    for index, (id_, label, role) in enumerate(zip(sample.ids, sample.labels, sample.roles, strict=True)):
        # Nothing predicts the first token, so no label there is ever trained on.
        trained = label != IGNORE and index > 0
        if index in of_slots:
            picture, region = of_slots[index]
            rows.append(Row(index, role, trained, None, "", picture, region))
        else:
            rows.append(Row(index, role, trained, id_, _text(model.tokenizer, id_)))
    return rows


def _regions(connector: Any, boxes: Tensor, frame: Frame | None) -> list[Region | None]:
    """boxes [N, 4] -> the region of each of the connector's tokens, None for what saw nothing."""
    listed: list[Region] = [(left, top, right, bottom) for left, top, right, bottom in boxes.tolist()]
    if isinstance(connector, TilesConnector):
        return [None if at == LINE_END else listed[at] for at in connector.order(len(listed), frame)]
    if isinstance(connector, SoftPromptConnector) and connector.inner is not None:
        seen = _regions(connector.inner, boxes, frame)
        return [None] * len(connector.prompt) + seen + [None] * len(connector.cue)
    if isinstance(connector, AlignConnector):
        return _regions(connector.inner, boxes, frame)
    tokens: int = connector.num_tokens(len(listed), frame)
    if len(listed) == tokens:
        return list(listed)
    if isinstance(connector, MlpConnector):
        first, grid = connector.leading, boxes[None, connector.leading :]
        everyone = torch.ones(grid.shape[:2], dtype=torch.bool, device=boxes.device)
        blocks = shuffle(grid, everyone, connector.reduction)[0].view(tokens - first, -1, 4)
        return [*listed[:first], *(_around(block.tolist()) for block in blocks)]
    return [_around(listed)] * tokens


def _around(boxes: Sequence[Sequence[float]]) -> Region:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _text(tokenizer: Any, id_: int) -> str:
    """What a token says, alone: its bytes as text where they are whole characters, else its name in the vocabulary."""
    name: str = tokenizer.convert_ids_to_tokens(id_)
    text: str = tokenizer.decode([id_], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if UNFINISHED in text:
        return name
    # SentencePiece leaves out the blank in front of a first word.
    return f" {text}" if name.startswith("▁") and not text.startswith(" ") else text


def _shown(row: Row) -> str:
    if row.picture is None:
        return repr(row.text)
    if row.region is None:
        return f"picture {row.picture}: a learned token"
    left, top, right, bottom = row.region
    return f"picture {row.picture}: {left:.0f},{top:.0f} to {right:.0f},{bottom:.0f}"
