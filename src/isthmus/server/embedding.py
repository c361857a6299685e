"""Texts and pictures to vectors, by an Embedder that is loaded when it is first asked for."""

import base64
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from isthmus.errors import InputError, IsthmusError
from isthmus.images.open import picture_of
from isthmus.messages import parse
from isthmus.server.asked import EmbeddingsAsked
from isthmus.server.leaving import Gone
from isthmus.server.problems import Refused, invalid, of_input
from isthmus.server.question import check_pictures, check_text, read_body
from isthmus.server.settings import Limits

if TYPE_CHECKING:
    from torch import Tensor

    from isthmus.contrastive.embedder import Embedder

BATCH = 16

T = TypeVar("T")
Vectors: TypeAlias = list[list[float] | str]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """str: a text; bytes: a picture's file."""

    model: str
    items: tuple[str | bytes, ...]
    base64: bool
    dimensions: int | None


def read_inputs(body: bytes, limits: Limits) -> Inputs:
    """Raises Refused."""
    asked = read_body(EmbeddingsAsked, body, limits)
    items = tuple(_item(at, each) for at, each in enumerate(asked.input))
    check_text(sum(len(each) for each in items if isinstance(each, str)), "input", limits)
    check_pictures([each for each in items if isinstance(each, bytes)], "input", limits)
    return Inputs(asked.model, items, asked.encoding_format == "base64", asked.dimensions)


class Embeddings:
    """`names`: what the embedder is called, the first of them in answers. For one thread at a time."""

    def __init__(self, names: tuple[str, ...], load: "Callable[[], Embedder]") -> None:
        self.names, self._load = names, load
        self._embedder: Embedder | None = None

    def of(self, inputs: Inputs, left: Callable[[], bool]) -> Vectors:
        """In the order of the inputs. Raises Refused; Gone once nobody is `left` to read them."""
        embedder = self._loaded()
        if inputs.dimensions not in (None, embedder.dim):
            raise invalid(f"this embedder's vectors have {embedder.dim} dimensions, no others", "dimensions")
        vectors: dict[int, list[float] | str] = {}
        written = _as_base64 if inputs.base64 else _as_list
        texts = {at: each for at, each in enumerate(inputs.items) if isinstance(each, str)}
        files = {at: each for at, each in enumerate(inputs.items) if isinstance(each, bytes)}
        for batch in _batches(texts, left):
            vectors |= dict(zip(batch, map(written, embedder.texts(list(batch.values())).cpu()), strict=True))
        for some in _batches(files, left):
            vectors |= dict(zip(some, map(written, _pictures(embedder, some.values()).cpu()), strict=True))
        return [vectors[at] for at in range(len(inputs.items))]

    def _loaded(self) -> "Embedder":
        if self._embedder is None:
            try:
                self._embedder = self._load()
            except IsthmusError as error:
                _log.error("the embedder cannot be loaded: %s", error)
                why = "the embedder cannot be loaded; the server's log says why"
                raise Refused(503, why, code="embedder_unavailable") from None
        return self._embedder


def _batches(items: dict[int, T], left: Callable[[], bool]) -> Iterator[dict[int, T]]:
    """By their places. Raises Gone before the first that nobody will read."""
    places = list(items)
    for first in range(0, len(places), BATCH):
        if left():
            raise Gone
        yield {at: items[at] for at in places[first : first + BATCH]}


def _pictures(embedder: "Embedder", files: Iterable[bytes]) -> "Tensor":
    fit = embedder.fit
    try:
        return embedder.images([fit(picture_of(file, at_least=fit.at_least)) for file in files])
    except InputError as error:
        raise of_input(error, "input") from None


def _item(at: int, given: Any) -> str | bytes:
    param = f"input.{at}"
    if isinstance(given, str):
        if not given:
            raise invalid("an empty text has no vector", param)
        return given
    if not isinstance(given, dict):
        raise invalid("an input is a text, or a picture as an image_url part; token ids are not read", param)
    try:
        (message,) = parse([{"role": "user", "content": [given]}])
    except InputError:
        why = 'a picture is {"type": "image_url", "image_url": {"url": "data:image/...;base64,..."}}'
        raise invalid(why, param) from None
    if not message.pictures:
        return _item(at, message.text)
    picture: bytes = message.pictures[0].source
    return picture


def _as_list(row: "Tensor") -> list[float]:
    values: list[float] = row.tolist()
    return values


def _as_base64(row: "Tensor") -> str:
    return base64.b64encode(row.float().numpy().astype("<f4").tobytes()).decode()
