"""The default embedder: a frozen EfficientNet-Lite, a frozen MiniLM, two trained linear heads, and a prior.

A picture's vector has two parts. The first, `learned`, is a linear head on what the encoder saw at all its depths. The
second, `prior`, needs no training: the encoder's own thousand class probabilities, each times MiniLM's vector of that
class's name and definition. A text's vector has the same two parts: a linear head on MiniLM's vector, and that vector
itself. The prior finds photographs of what ImageNet knows, by paraphrase; the heads add drawings and everything the
classes have no name for. Both parts are unit vectors, so that similarity is their cosines' weighted mean.

Notation: B pictures or texts, D learned dimensions (384 MiniLM's), C classes.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.contrastive.heads import HeadsConfig, fingerprint_of
from isthmus.contrastive.sentence import SentenceEncoder, load_minilm
from isthmus.errors import CorruptPart
from isthmus.images.views import Views
from isthmus.vision.efficientnet import EfficientNetEncoder, load_efficientnet


class Heads(nn.Module):
    """The trained part, about 3 MB. Everything it reads comes frozen from the two encoders."""

    mean: Tensor
    std: Tensor
    centre: Tensor
    classes: Tensor

    def __init__(self, config: HeadsConfig, classes: int = 1000) -> None:
        super().__init__()
        self.config = config
        self.image = nn.Linear(config.width_image, config.dim, bias=False)
        self.text = nn.Linear(config.width_text, config.dim, bias=False)
        self.register_buffer("mean", torch.zeros(config.width_image))
        self.register_buffer("std", torch.ones(config.width_image))
        self.register_buffer("centre", torch.zeros(config.width_text))
        self.register_buffer("classes", torch.zeros(classes, config.width_text))

    @property
    def dim(self) -> int:
        return self.config.dim + self.config.width_text

    def images(self, described: Tensor, prior: Tensor, dropout: float = 0.0) -> Tensor:
        """described [B, width_image] from the encoder, prior [B, 384] (see `prior`) -> [B, dim] unit."""
        # Beyond six deviations it is an odd picture, not a strong sign: maxima have long tails.
        x = ((described - self.mean) / self.std).clamp(-6, 6)
        x = F.dropout(x, dropout, self.training)
        return self._join(self.image(x), prior)

    def texts(self, sentences: Tensor) -> Tensor:
        """sentences [B, 384], unit, from the sentence encoder -> [B, dim] unit."""
        x = F.normalize(sentences - self.centre, dim=-1)
        return self._join(self.text(x), x)

    def prior(self, logits: Tensor) -> Tensor:
        """Class logits [B, C] -> [B, 384] unit: the classes' vectors, weighted by the likeliest probabilities."""
        probabilities = (logits / self.config.temperature).softmax(-1)
        best = probabilities.topk(min(self.config.top, probabilities.shape[-1]))
        weights = torch.zeros_like(probabilities).scatter(1, best.indices, best.values)
        return F.normalize(weights @ self.classes, dim=-1)

    def _join(self, learned: Tensor, prior: Tensor) -> Tensor:
        share = self.config.prior_weight
        parts = [F.normalize(learned, dim=-1), prior * math.sqrt(share)]
        return torch.cat(parts, dim=-1) / math.sqrt(1 + share)


class DefaultEmbedder:
    """Embedder from the default parts. `load_default_embedder` makes one."""

    def __init__(
        self, name: str, pictures: EfficientNetEncoder, sentences: SentenceEncoder, heads: Heads, *, weights: str
    ) -> None:
        """`name` is what loads it again; `weights`: the fingerprints of all three parts."""
        self.name, self.dim, self.fit = name, heads.dim, pictures.fit
        self.languages: frozenset[str] | None = frozenset({"en"})
        self.pictures, self.sentences = pictures, sentences
        self.heads = heads.eval().requires_grad_(False)
        self._weights = weights

    @property
    def fingerprint(self) -> str:
        """Over weights, head settings and Fit; not over dtype and device, which only round."""
        return fingerprint_of(self._weights, self.heads.config, self.fit.fingerprint)

    @torch.no_grad()
    def images(self, views: Sequence[Views]) -> Tensor:
        """[B, dim] float32, unit length, on the embedder's device. Raises InputError where there are none."""
        described = self.pictures.describe(views)
        logits = self.pictures.classify(described[:, : self.pictures.width])
        return self.heads.images(described, self.heads.prior(logits))

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """[B, dim] float32, unit length, on the embedder's device."""
        return self.heads.texts(self.sentences.encode(texts))


def load_default_embedder(
    checkpoint: Checkpoint, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> DefaultEmbedder:
    """The default embedder, or one of its kind trained anew: the checkpoint is what `isthmus train` wrote.

    `dtype` is that of the two encoders (None: float32); the heads stay in float32.
    Raises MissingPart where a part is not installed, CorruptPart where one is not the one the heads were trained on.
    """
    config = checkpoint.config
    encoder, texts = (_frozen(checkpoint, config, side) for side in ("encoder", "text_encoder"))
    pictures = load_efficientnet(encoder, device=device, dtype=dtype)
    sentences = load_minilm(texts, device=device, dtype=dtype)
    heads = load_heads(checkpoint).to(device)
    if pictures.fit.fingerprint != config.get("fit"):
        raise CorruptPart(
            f"{checkpoint.name} was trained with another Fit",
            why=f"{config.get('fit')} instead of {pictures.fit.fingerprint}",
            todo="train it again: isthmus train recipes/embedder.yaml",
        )
    weights = ":".join((encoder.fingerprint, texts.fingerprint, checkpoint.fingerprint))
    return DefaultEmbedder(checkpoint.name, pictures, sentences, heads, weights=weights)


def load_heads(checkpoint: Checkpoint) -> Heads:
    """The heads of a checkpoint, float32. Raises CorruptPart."""
    try:
        heads = Heads(HeadsConfig(**checkpoint.config["heads"]))
        heads.load_state_dict({key: value.float() for key, value in checkpoint.tensors().items()})
    except (KeyError, TypeError, RuntimeError) as error:
        raise CorruptPart(f"{checkpoint.folder} holds no embedder heads", why=str(error)) from None
    return heads


def _frozen(checkpoint: Checkpoint, config: dict[str, object], side: str) -> Checkpoint:
    """The encoder the heads were trained on, checked by its fingerprint."""
    named = config.get(side)
    if not isinstance(named, dict):
        raise CorruptPart(f"{checkpoint.folder} does not name its {side}", todo="train it again")
    part = resolve(str(named.get("name")))
    if part.fingerprint != named.get("fingerprint"):
        raise CorruptPart(
            f"{part.name} is not the {side} that {checkpoint.name} was trained on", todo="train the heads again"
        )
    return part
