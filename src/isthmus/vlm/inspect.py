"""What a sample looks like to the model: each token with its text, role, label and picture region."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from isthmus.messages import Message, Role
from isthmus.vlm.conversation import numbered
from isthmus.vlm.decoding import UNFINISHED
from isthmus.vlm.pictures import picture_of
from isthmus.vlm.sequence import IGNORE, Sample

if TYPE_CHECKING:
    from isthmus.vlm.model import VisionLanguageModel

Region = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the original picture."""


@dataclass(frozen=True)
class Row:
    """One token. `id` and `text` are of a word's token, `picture` and `region` of a picture's; `label`: trained on."""

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

    Where the connector keeps one token a patch, a token's region is its patch's; else each token saw the whole picture.
    Raises InputError and PictureError as `model.sample` and opening do.
    """
    sources = [part.source for message in messages for part in message.pictures]
    if not sources:
        return Inspection(tuple(_rows(model, model.sample(messages), [])))
    encoded = model.encode([picture_of(source, model.encoder.fit) for source in sources])
    extents = model.extents(encoded.features, encoded.grids)
    sample = model.sample(messages, extents)
    masks = encoded.features.mask.to(encoded.features.boxes.device)
    boxes = [each[mask] for each, mask in zip(encoded.features.boxes, masks, strict=True)]
    regions = [_regions(each, extent.tokens) for each, extent in zip(boxes, extents, strict=True)]
    return Inspection(tuple(_rows(model, sample, regions)))


def _rows(model: "VisionLanguageModel", sample: Sample, regions: Sequence[Sequence[Region]]) -> list[Row]:
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


def _regions(boxes: Tensor, tokens: int) -> list[Region]:
    """boxes [N, 4] -> one region for each of the connector's tokens."""
    listed: list[list[float]] = boxes.tolist()
    if len(listed) == tokens:
        return [(left, top, right, bottom) for left, top, right, bottom in listed]
    lefts, tops, rights, bottoms = zip(*listed, strict=True)
    return [(min(lefts), min(tops), max(rights), max(bottoms))] * tokens


def _text(tokenizer: Any, id_: int) -> str:
    """What a token says, alone: its bytes as text where they are whole characters, else its name in the vocabulary."""
    name: str = tokenizer.convert_ids_to_tokens(id_)
    text: str = tokenizer.decode([id_], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if UNFINISHED in text:
        return name
    # SentencePiece leaves out the blank in front of a first word.
    return f" {text}" if name.startswith("▁") and not text.startswith(" ") else text


def _shown(row: Row) -> str:
    if row.region is None:
        return repr(row.text)
    left, top, right, bottom = row.region
    return f"picture {row.picture}: {left:.0f},{top:.0f} to {right:.0f},{bottom:.0f}"
