"""What a conversation costs in the language model, in tokens, before any picture of it is decoded."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from isthmus.data.example import Example
from isthmus.errors import InputError
from isthmus.images.fits import Crop, Letterbox, Native, Squash, native_grid
from isthmus.images.open import size_of
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles
from isthmus.images.views import Picture
from isthmus.messages import Message
from isthmus.training.ahead import sources_of
from isthmus.vision.features import Frame
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Extent, Sample

TYPICAL = (1024, 768)
"""Width and height of a picture where they do not matter, or nothing better is known."""
SMALL = 256
"""Pixels along the longest side of what stands for a picture."""


class Lengths:
    """Tokens of conversations: the texts' are counted, a picture's follow from its size.

    How many tokens an encoder makes hangs on the shape of what the Fit shows it, so each shape is encoded once, empty.
    `exact`: what is said is what it turns out to be. It is an estimate where a Fit decides by what a picture shows
    (Focus), and where pictures are augmented whose size matters.
    """

    def __init__(self, model: VisionLanguageModel, *, varied: bool) -> None:
        """`varied`: pictures are augmented."""
        self._model = model
        self._known: dict[object, tuple[int, Frame | None]] = {}
        sizes_alike = isinstance(model.encoder.fit, Crop | Squash | Letterbox)
        self.exact = sizes_alike or (isinstance(model.encoder.fit, Tiles | Split | Native) and not varied)

    def of(self, example: Example) -> int:
        """Raises InputError where it cannot be learned from; PictureError where a picture's size must be known and its
        file does not tell."""
        extents = [self._extent(source) for source in sources_of(example)]
        try:
            return len(learnable(self._model, example.messages, extents).ids)
        except InputError:
            if self.exact or not extents:
                raise
            return self._model.context or 0  # by an estimate it is too long: seen when it is opened

    def _extent(self, source: Any) -> Extent:
        shape, (width, height) = self._shape(source)
        if shape not in self._known:
            self._known[shape] = self._encoded(width, height)
        count, frame = self._known[shape]
        frame = None if frame is None else Frame(width, height, frame.grid)
        return Extent(self._model.connector.num_tokens(count, frame), frame.grid if frame else None)

    def _shape(self, source: Any) -> tuple[object, tuple[int, int]]:
        """What the number of its encoder tokens hangs on, and its width and height."""
        match self._model.encoder.fit:
            case Tiles() | Split() as fit:
                size = size_of(source)
                return fit.grid(*size), size
            case Native() as fit:
                size = size_of(source)
                return native_grid(*size, fit.patch, fit.max_tokens), size
        return None, TYPICAL

    def _encoded(self, width: int, height: int) -> tuple[int, Frame | None]:
        """How many encoder tokens an empty picture of that size has, and its frame."""
        reduced = max(1, max(width, height) // SMALL)
        image = Image.new("RGB", (-(-width // reduced), -(-height // reduced)))
        features = self._model.encode([Picture(image, width, height, reduced)])
        return int(features.mask.sum()), features.frames[0] if features.frames else None


def learnable(model: VisionLanguageModel, messages: Sequence[Message], extents: Sequence[Extent]) -> Sample:
    """Raises InputError as `model.sample`, and where nothing is trained on."""
    sample = model.sample(messages, extents)
    if not sample.trained:
        raise InputError("all its tokens are masked", why="nothing in it is an assistant's answer")
    return sample
