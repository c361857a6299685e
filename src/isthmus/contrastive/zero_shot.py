"""Zero-shot classification: a class is the mean of its name in several sentences. For any Embedder.

Notation: B pictures, C classes, K templates, D the embedder's dim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.contrastive.embedder import Embedder
from isthmus.errors import InputError
from isthmus.images.views import Views

TEMPLATES = (
    "a photo of {}.",
    "a picture showing {}.",
    "a close-up of {}.",
    "{} in the background.",
    "a drawing of {}.",
)
"""Enough to average out the wording; more specific ones ("a satellite photo of {}.") help where they are
true."""


@runtime_checkable
class Calibrated(Protocol):
    """An embedder that learned how sharp its similarities are: logit = scale · cosine + bias."""

    @property
    def scale(self) -> float: ...

    @property
    def bias(self) -> float | None:
        """None for a model trained with a softmax (CLIP), where a bias would cancel."""


@dataclass(frozen=True)
class ZeroShotClassifier:
    """names of C classes; vectors [C, D] unit; logit = scale · cosine + bias.

    `by` "softmax": exactly one class is right, probabilities sum to one. "sigmoid": each class for itself,
    none or several may be right; only meaningful for models trained so (SigLIP).
    """

    embedder: Embedder
    names: tuple[str, ...]
    vectors: Tensor
    scale: float
    bias: float
    by: Literal["softmax", "sigmoid"]

    @torch.no_grad()
    def __call__(self, views: Sequence[Views]) -> Tensor:
        """Probabilities [B, C] float32."""
        return self.of_vectors(self.embedder.images(views))

    def of_vectors(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of pictures that are already embedded, [B, D] unit."""
        logits = self.scale * images @ self.vectors.T + self.bias
        return logits.softmax(-1) if self.by == "softmax" else logits.sigmoid()


def zero_shot(
    embedder: Embedder,
    names: Sequence[str],
    templates: Sequence[str] = TEMPLATES,
    *,
    scale: float | None = None,
    by: Literal["softmax", "sigmoid"] | None = None,
) -> ZeroShotClassifier:
    """A classifier over `names`; every template has one place "{}" for the name.

    `scale` None: the one the model learned. `by` None: as the model was trained, softmax where that is
    unknown. Raises InputError for no names, a name twice, a template without its place, or no scale to be
    had. Source: CLIP (Radford et al., 2021), section 3.1.4, ensembling over prompts in embedding space.
    """
    if not names:
        raise InputError("no classes to choose from", todo="give at least one name")
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise InputError(f"class {twice[0]} is given twice")
    astray = [template for template in templates if template.count("{}") != 1]
    if astray or not templates:
        raise InputError(
            f"template {astray[0]!r} cannot be filled" if astray else "no templates", todo="put {} where the name goes"
        )
    calibrated = embedder if isinstance(embedder, Calibrated) else None
    if scale is None:
        if calibrated is None:
            raise InputError(f"{embedder.name} has no learned temperature", todo="give a scale, such as 100")
        scale = calibrated.scale
    bias = calibrated.bias if calibrated is not None else None
    return ZeroShotClassifier(
        embedder=embedder,
        names=tuple(names),
        vectors=class_vectors(embedder, names, templates),
        scale=scale,
        bias=bias or 0.0,
        by=by or ("softmax" if bias is None else "sigmoid"),
    )


@torch.no_grad()
def class_vectors(embedder: Embedder, names: Sequence[str], templates: Sequence[str]) -> Tensor:
    """[C, D] unit: the mean over templates of each name's unit vectors, brought back to length one."""
    # replace, not format: a class name may hold braces
    sentences = [template.replace("{}", name) for name in names for template in templates]
    vectors = embedder.texts(sentences).view(len(names), len(templates), -1)
    return F.normalize(vectors.mean(1), dim=-1)
