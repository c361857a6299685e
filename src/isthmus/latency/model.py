"""A vision-language model as far as its arithmetic goes: shapes, no weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from isthmus.latency.languages import Decoder, EncoderDecoder
from isthmus.latency.operations import How, Operations
from isthmus.latency.sights import Sight


class Encoder(Protocol):
    def operations(self, sight: Sight, batch: int, how: How) -> Operations:
        """Of `batch` such pictures."""


class Connector(Protocol):
    @property
    def tables(self) -> int:
        """Numbers of which only single rows are read."""

    def operations(self, sight: Sight, text: float, batch: int, how: How) -> Operations:
        """Of `batch` such pictures, each asked about in `text` tokens."""


@dataclass(frozen=True)
class Model:
    """`sight`: what the model sees of a picture (width, height). Raises InputError where it would refuse one."""

    name: str
    sight: Callable[[int, int], Sight]
    encoder: Encoder
    connector: Connector
    language: Decoder | EncoderDecoder

    def as_ours(self) -> "Model":
        """As Isthmus computes it, not transformers."""
        if not isinstance(self.language, Decoder):
            return self
        return replace(self, language=replace(self.language, last_alone=True))
