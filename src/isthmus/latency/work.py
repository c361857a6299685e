"""What the way to an answer's first token consists of: operations by part, for one model and one request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from isthmus.errors import InputError
from isthmus.latency.languages import Decoder
from isthmus.latency.model import Model
from isthmus.latency.operations import How, Operations, copy, look_up
from isthmus.latency.precisions import precision
from isthmus.latency.sights import Sight

Cached: TypeAlias = Literal["nothing", "picture", "prefix"]
Part: TypeAlias = Literal["encoder", "connector", "splice", "prefill", "sample"]
PARTS: tuple[Part, ...] = ("encoder", "connector", "splice", "prefill", "sample")
"""Those of the stopwatch's parts whose cost a configuration tells; the others (queue, decode, preprocess, prompt) are
work of a processor that depends on files and code."""

BF16 = How(precision("bf16"))


@dataclass(frozen=True)
class Request:
    """`batch` questions at once, each of `text` tokens, template included, about a picture of `picture` (width, height)
    pixels; None: no picture.

    `tokens`: so many of a picture's tokens reach the language model instead of the model's own number; None: all.
    `cached`: "picture": its connector tokens are there from before; "prefix": also the keys and values of all its
    tokens, which then have to stand first. `logits`: of the last position, or of all.
    """

    picture: tuple[int, int] | None = (512, 512)
    text: int = 100
    batch: int = 1
    tokens: int | None = None
    cached: Cached = "nothing"
    logits: Literal["last", "all"] = "last"
    how: How = BF16

    def __post_init__(self) -> None:
        """Raises InputError for what no request can be."""
        if self.picture is not None and not all(1 <= side <= 100_000 for side in self.picture):
            raise InputError(f"a picture of {self.picture[0]}x{self.picture[1]} is none", todo="such as 512x512")
        for name, value, least in (("text tokens", self.text, 1), ("batch", self.batch, 1), ("tokens", self.tokens, 0)):
            if value is not None and value < least:
                raise InputError(f"{name} cannot be {value}", todo=f"{least} or more")


@dataclass(frozen=True)
class Work:
    """`parts`: of the way to the first token, in order. `token`: of each later one, at this prompt's length.
    `weight_bytes`: all weights, resident; `cache_bytes`: keys and values of the prompt."""

    parts: Mapping[Part, Operations]
    token: Operations
    picture_tokens: int
    text_tokens: int
    weight_bytes: float
    cache_bytes: float

    @property
    def prompt(self) -> int:
        """Tokens of one prompt."""
        return self.picture_tokens + self.text_tokens

    @property
    def operations(self) -> Operations:
        """Of all parts."""
        return tuple(each for part in self.parts.values() for each in part)


def work_of(model: Model, request: Request) -> Work:
    """Raises InputError where the picture cannot be seen, the prompt is longer than the model reads, or is cached as it
    cannot be."""
    how, batch = request.how, request.batch
    plain = how.unquantised
    sight = model.sight(*request.picture) if request.picture else None
    own = sight.tokens if sight else 0
    if sight is None and (request.tokens or request.cached != "nothing"):
        raise InputError("tokens of a picture without a picture", todo="give --picture")
    picture = own if request.tokens is None else request.tokens
    text = request.text + (sight.announcing if sight else 0)
    _check_context(model, picture + text)
    encoder: Operations = ()
    connector: Operations = ()
    if sight is not None:
        encoder = model.encoder.operations(sight, batch, plain)
        connector = model.connector.operations(sight, request.text, batch, plain)
    kept = picture if request.cached == "prefix" else 0
    new = picture + text - kept
    # a decoder that writes apart from what it reads has one position so far
    every = request.logits == "all" and isinstance(model.language, Decoder)
    parts: dict[Part, Operations] = {
        "encoder": encoder if request.cached == "nothing" else (),
        "connector": connector if request.cached == "nothing" else (),
        "splice": _splice(batch * text, batch * (picture - kept), model.language.width, plain),
        "prefill": model.language.prefill(batch, new, how, kept=kept),
        "sample": model.language.head(batch * (new if every else 1), how),
    }
    return Work(
        parts,
        model.language.token(batch, picture + text, how),
        picture,
        text,
        _resident(model, sight, how),
        model.language.cache_bytes(batch, picture + text, how),
    )


def _resident(model: Model, sight: Sight | None, how: How) -> float:
    """Bytes of all weights: what one short question reads, and the tables of which it reads a row."""
    plain, language = how.unquantised, model.language
    seeing: Operations = ()
    tables = language.tables
    if sight is not None:
        seeing = (*model.encoder.operations(sight, 1, plain), *model.connector.operations(sight, 1, 1, plain))
        tables += model.connector.tables
    read = (*seeing, *language.prefill(1, 1, how), *language.head(1, how))
    return sum(each.weight_bytes for each in read) + tables * how.plain.weight


def _splice(text: float, picture: float, width: int, how: How) -> Operations:
    """Embeddings of the text looked up, and put together with the picture's tokens."""
    return look_up("words", text, width, how), copy("splice", (text + picture) * width, how)


def _check_context(model: Model, prompt: int) -> None:
    context = model.language.context
    if context is not None and prompt > context:
        raise InputError(
            f"a prompt of {prompt} tokens is too long for {model.name}",
            why=f"it reads {context}",
            todo="fewer text tokens, or a smaller picture",
        )
