"""The default embedder's texts without torch: its import takes longer than all else that a search waits for.

The same frozen MiniLM and the same heads, in numpy; held against torch in the tests. Pictures are left to the embedder
itself, which is loaded when the first one comes. Notation: B texts, T tokens, D width.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.contrastive.heads import HeadsConfig, fingerprint_of
from isthmus.errors import CorruptPart

if TYPE_CHECKING:  # they bring torch
    from isthmus.contrastive.embedder import Embedder
    from isthmus.contrastive.tokenizer import Tokenizer

Array = NDArray[np.float32]
Arrays = dict[str, Array]


class WordsFirst:
    """As `Embedder`, but that `texts` gives numpy; `whole` is that embedder, loaded when first needed."""

    def __init__(
        self, name: str, fingerprint: str, sentences: "Sentences", heads: "TextHeads", load: "Callable[[], Embedder]"
    ) -> None:
        self.name, self.fingerprint, self.dim = name, fingerprint, heads.dim
        self.languages: frozenset[str] | None = frozenset({"en"})
        self._sentences, self._heads, self._load = sentences, heads, load

    def texts(self, texts: Sequence[str]) -> Array:
        """[B, dim] float32, unit length."""
        return self._heads(self._sentences(texts))

    @cached_property
    def whole(self) -> "Embedder":
        return self._load()


def text_vectors(embedder: "Embedder | WordsFirst", texts: Sequence[str]) -> Array:
    """[B, dim] float32, unit length, in numpy."""
    found = embedder.texts(texts)
    return found if isinstance(found, np.ndarray) else found.detach().float().cpu().numpy()


def whole(embedder: "Embedder | WordsFirst") -> "Embedder":
    """The one that can do pictures too."""
    return embedder.whole if isinstance(embedder, WordsFirst) else embedder


def load_words_first(name: str, load: "Callable[[], Embedder]") -> WordsFirst | None:
    """The embedder of that name, if it is of the default's kind; `load` gives the whole one. None for other kinds.

    Raises MissingPart, CorruptPart.
    """
    checkpoint = resolve(name)
    config = checkpoint.json("config.json") or {}
    named = config.get("text_encoder")
    if "heads" not in config or not isinstance(named, dict):
        return None
    encoder = resolve(str(config.get("encoder", {}).get("name")))
    texts = resolve(str(named.get("name")))
    if not _is_plain(texts):
        return None
    for part, side in ((encoder, "encoder"), (texts, "text_encoder")):
        if part.fingerprint != config[side].get("fingerprint"):
            return None  # the embedder itself says what is wrong
    weights = ":".join((encoder.fingerprint, texts.fingerprint, checkpoint.fingerprint))
    try:
        settings = HeadsConfig(**config["heads"])
        heads = TextHeads(settings.prior_weight, checkpoint.arrays(("text.weight", "centre")))
    except (KeyError, TypeError) as error:
        raise CorruptPart(f"{checkpoint.folder} holds no embedder heads", why=str(error)) from None
    return WordsFirst(
        checkpoint.name, fingerprint_of(weights, settings, config.get("fit", "")), Sentences(texts), heads, load
    )


class TextHeads:
    """sentences [B, 384], unit -> [B, dim], unit: as `Heads.texts`."""

    def __init__(self, prior_weight: float, tensors: Arrays) -> None:
        self._linear, self._centre, self._share = tensors["text.weight"], tensors["centre"], prior_weight

    @property
    def dim(self) -> int:
        return sum(self._linear.shape)

    def __call__(self, sentences: Array) -> Array:
        x = _unit(sentences - self._centre)
        parts = [_unit(x @ self._linear.T), x * np.float32(math.sqrt(self._share))]
        joined: Array = np.concatenate(parts, axis=-1)
        return joined / np.float32(math.sqrt(1 + self._share))


class Sentences:
    """texts -> [B, D] float32, unit: a BERT tower and a masked mean, as `SentenceEncoder`."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        from isthmus.contrastive.tokenizer import load_tokenizer

        config = checkpoint.config
        self._heads, self._epsilon = config["num_attention_heads"], config.get("layer_norm_eps", 1e-12)
        tensors = checkpoint.arrays()
        prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""
        self._tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
        self._layers = [self._layer(at) for at in range(config["num_hidden_layers"])]
        most = config["max_position_embeddings"]
        limit = (checkpoint.json("sentence_bert_config.json") or {}).get("max_seq_length")
        self._tokenizer: Tokenizer = load_tokenizer(
            checkpoint, max_tokens=min(most, limit or most), padding=config.get("pad_token_id")
        )

    def __call__(self, texts: Sequence[str]) -> Array:
        rows = self._tokenizer.rows(texts)
        found = np.empty((len(rows), self._tensors["embeddings.word_embeddings.weight"].shape[1]), np.float32)
        # Of one length at a time: nothing is padded, so nothing has to be masked.
        for length in {len(row) for row in rows}:
            places = [at for at, row in enumerate(rows) if len(row) == length]
            found[places] = self._states(np.array([rows[at] for at in places])).mean(1)
        return _unit(found)

    def _states(self, ids: NDArray[np.int64]) -> Array:
        """ids [B, T] -> [B, T, D]."""
        table = self._tensors
        x = table["embeddings.word_embeddings.weight"][ids] + table["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x + table["embeddings.position_embeddings.weight"][: ids.shape[1]], "embeddings.LayerNorm")
        for qkv, bias, layer in self._layers:
            x = self._norm(
                x + self._linear(self._attend(x @ qkv + bias), f"{layer}.attention.output.dense"),
                f"{layer}.attention.output.LayerNorm",
            )
            up = _gelu(self._linear(x, f"{layer}.intermediate.dense"))
            x = self._norm(x + self._linear(up, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        return x

    def _layer(self, at: int) -> tuple[Array, Array, str]:
        layer = f"encoder.layer.{at}"
        names = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._tensors[f"{name}.weight"] for name in names])
        return weight.T, np.concatenate([self._tensors[f"{name}.bias"] for name in names]), layer

    def _attend(self, qkv: Array) -> Array:
        """[B, T, 3 D] -> [B, T, D]."""
        b, t, width = qkv.shape
        q, k, v = qkv.reshape(b, t, 3, self._heads, -1).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / np.float32(math.sqrt(q.shape[-1]))
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        summed: Array = (scores / scores.sum(-1, keepdims=True)) @ v
        return summed.swapaxes(1, 2).reshape(b, t, width // 3)

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]

    def _norm(self, x: Array, name: str) -> Array:
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(self._epsilon))
        return x * self._tensors[f"{name}.weight"] + self._tensors[f"{name}.bias"]


def _is_plain(texts: Checkpoint) -> bool:
    """Of the one family that is computed here."""
    config = texts.json("config.json") or {}
    pooling: dict[str, Any] = texts.json("1_Pooling/config.json") or {}
    pools = [key for key, on in pooling.items() if key.startswith("pooling_mode_") and on is True]
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and pools in ([], ["pooling_mode_mean_tokens"])
    )


def _unit(x: Array) -> Array:
    unit: Array = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), np.float32(1e-12))
    return unit


def _gelu(x: Array) -> Array:
    return x * np.float32(0.5) * (1 + _erf(x * np.float32(math.sqrt(0.5))))


def _erf(x: Array) -> Array:
    """To 1.5e-7, which is a float32's rounding. Source: Abramowitz and Stegun, Handbook of Mathematical Functions,
    7.1.26."""
    size = np.abs(x)
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    found: Array = np.copysign(1 - series * np.exp(-size * size), x)
    return found
