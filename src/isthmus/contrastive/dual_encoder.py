"""A dual encoder as an Embedder: one tower for pictures, one for texts, a common space, a learned
temperature."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.contrastive.sentence import traced_texts
from isthmus.contrastive.text import TextTransformer
from isthmus.contrastive.tokenizer import Tokenizer
from isthmus.errors import CorruptPart
from isthmus.images.views import Views
from isthmus.vision.encoder import VitEncoder


class DualEncoder:
    """CLIP, SigLIP and their kin, loaded frozen. `load_dual_encoder` makes one from a checkpoint.

    B pictures or texts, D the dimension of the common space. `image_head` and `text_head` take a tower's
    pooled vector to [B, D]. logit = scale · cosine + bias; `bias` is None for models trained with a softmax.
    """

    def __init__(
        self,
        *,
        pictures: VitEncoder,
        image_head: nn.Module,
        text_tower: TextTransformer,
        tokenizer: Tokenizer,
        text_head: nn.Module,
        scale: float,
        bias: float | None,
        weights: str,
        languages: frozenset[str] | None = None,
    ) -> None:
        """`weights`: the fingerprint of the checkpoint the towers came from. Raises CorruptPart where the two
        sides do not meet in one space."""
        self.name, self.fit, self.languages = pictures.name, pictures.fit, languages
        self.dim = _width_out(text_head, text_tower.config.width_out)
        width = _width_out(image_head, pictures.width)
        if width != self.dim:
            raise CorruptPart(
                f"the two sides of {self.name} do not meet", why=f"pictures have {width} dimensions, texts {self.dim}"
            )
        self.pictures, self.image_head = pictures, image_head
        self.text_tower, self.tokenizer, self.text_head = text_tower, tokenizer, text_head
        self.scale, self.bias = scale, bias
        self._weights = weights

    @property
    def fingerprint(self) -> str:
        """Over weights, both architectures, tokenization and Fit; not over dtype and device, which only
        round."""
        tokenizer = self.tokenizer
        parts = [
            self._weights,
            self.pictures.fingerprint,
            asdict(self.text_tower.config),
            [tokenizer.max_tokens, tokenizer.padding, tokenizer.fixed, tokenizer.cleaning, tokenizer.source],
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @torch.no_grad()
    def images(self, views: Sequence[Views]) -> Tensor:
        """[B, D] float32, unit length, on the towers' device. Of several views the first, the overview,
        counts.

        Raises InputError where there are none.
        """
        return self.traced_images(views)

    @torch.no_grad()
    def texts(self, texts: Sequence[str], *, batch: int = 64) -> Tensor:
        """[B, D] float32, unit length, on the towers' device; computed `batch` at a time."""
        return self.traced_texts(texts, batch=batch)

    def traced_images(self, views: Sequence[Views]) -> Tensor:
        """As `images`, with gradients to whatever was thawed."""
        return self.of_pooled(self.pictures.traced(views).pooled)

    def traced_texts(self, texts: Sequence[str], *, batch: int = 64) -> Tensor:
        """As `texts`, with gradients to whatever was thawed."""
        pooled = traced_texts(self.text_tower, self.tokenizer, texts, batch=batch)
        return F.normalize(self.text_head(pooled).float(), dim=-1)

    def of_pooled(self, pooled: Tensor) -> Tensor:
        """The picture tower's summaries (Features.pooled) -> [B, D] float32, unit length."""
        return F.normalize(self.image_head(pooled).float(), dim=-1)

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """Unit vectors [B, D] and [T, D] -> [B, T], as the model was trained: softmax or sigmoid gives
        probabilities."""
        return self.scale * images @ texts.T + (self.bias or 0.0)


def _width_out(head: nn.Module, width: int) -> int:
    """What a head of linear maps makes of `width`."""
    linear = [module for module in head.modules() if isinstance(module, nn.Linear)]
    return linear[-1].out_features if linear else width
