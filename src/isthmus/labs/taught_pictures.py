"""Lab `distill`'s pictures, and its teacher: the default encoder under a linear head that a few labels have taught.

Notation: n pictures, N tokens of width D, S pixels a side, K kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checkpoints import resolve
from isthmus.images.fits import HALF, Squash
from isthmus.images.views import Views
from isthmus.labs import drawn
from isthmus.labs.drawn import COLOURS, DOT, SHAPES, TEXT, Drawing, Thing
from isthmus.precision import fast_dtype
from isthmus.progress import Progress
from isthmus.vision.efficientnet import EfficientNetEncoder, load_efficientnet

BATCH = 32
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of logistic regression: scikit-learn's C."""
FOLDS = 5


@dataclass(frozen=True)
class Looked:
    """What is kept of n pictures. pixels [n, 3, S, S] float16: as the student sees them. tokens [n, N, D] float16 and
    pooled [n, D] float32: as the teacher did. kinds [n] int64: what is on them."""

    pixels: Tensor
    tokens: Tensor
    pooled: Tensor
    kinds: Tensor

    def __len__(self) -> int:
        return len(self.kinds)


def teacher() -> EfficientNetEncoder:
    """Seeing at its own size, in what is fast here. Raises MissingPart without its package."""
    return load_efficientnet(resolve("default/efficientnet-lite0"), dtype=fast_dtype("cpu"))


def students_fit(side: int) -> Squash:
    return Squash(size=side, mean=HALF, std=HALF)


def drawing(random: np.random.Generator, side: int) -> Drawing:
    """One thing of any kind, colour and proportions, beside a number and dots, on plain or noisy ground."""
    while True:
        kind, colour = str(random.choice(SHAPES)), str(random.choice(list(COLOURS)))
        width = int(random.integers(side // 4, side // 2))
        size = width, int(width * random.uniform(0.7, 1.4))
        number = "".join(str(digit) for digit in random.integers(0, 10, 3))
        written = drawn.text_size(number, int(random.integers(side // 12, side // 8)))
        dots = [(side // 20,) * 2] * int(random.integers(1, 7))
        ground = (drawn.noisy_ground if random.integers(2) else drawn.plain_ground)(random, side, side)
        try:
            thing, text, *rest = drawn.scatter(random, side, side, [size, written, *dots])
        except ValueError:
            continue  # there was no room for all of it
        things = [Thing(kind, thing, colour), Thing(TEXT, text, text=number), *(Thing(DOT, box) for box in rest)]
        return drawn.draw(ground, things)


def looked(encoder: EfficientNetEncoder, drawings: Sequence[Drawing], side: int, bar: Progress) -> Looked:
    """Seen by the teacher, and reduced to `side` pixels for the student."""
    fit = students_fit(side)
    pixels, tokens, pooled = [], [], []
    for start in range(0, len(drawings), BATCH):
        few = [drawing.picture for drawing in drawings[start : start + BATCH]]
        pixels += [pixels_of(fit(picture)).half() for picture in few]
        features = encoder.encode([encoder.fit(picture) for picture in few])
        tokens.append(features.tokens.half())
        pooled.append(features.pooled)
        bar.advance(len(few))
    kinds = torch.tensor([SHAPES.index(drawing.shapes[0].what) for drawing in drawings])
    return Looked(torch.cat(pixels), torch.cat(tokens), torch.cat(pooled), kinds)


def pixels_of(views: Views) -> Tensor:
    """[1, 3, S, S] of the one view."""
    return torch.from_numpy(views.views[0].pixels)[None]


def few_of_each(kinds: Tensor, each: int, random: np.random.Generator) -> Tensor:
    """Rows of `each` pictures of every kind."""
    order = torch.from_numpy(random.permutation(len(kinds)))
    return torch.cat([order[kinds[order] == kind][:each] for kind in range(len(SHAPES))])


class Head(nn.Module):
    """features [..., D] -> logits [..., K]: logistic regression on features standardised over all pictures.

    Its strength is the one with the best likelihood in cross-validation among the few that have a label.
    """

    def __init__(self, features: Tensor, few: Tensor, kinds: Tensor) -> None:
        """features [n, D] of all pictures; kinds [len(few)] of the rows `few`."""
        from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
        from sklearn.model_selection import cross_val_score  # type: ignore[import-untyped]

        super().__init__()
        self.mean, self.deviation = features.mean(0), features.std(0).clamp(min=1e-3)
        x, y = self._standardised(features[few]).numpy(), kinds.numpy()
        regressions = [LogisticRegression(C=strength, max_iter=500) for strength in STRENGTHS]
        folds = min(FOLDS, int(kinds.bincount().min()))
        best = max(
            regressions, key=lambda each: cross_val_score(each, x, y, cv=folds, scoring="neg_log_loss").mean()
        ).fit(x, y)
        self.linear = nn.Linear(x.shape[1], len(best.classes_)).requires_grad_(False)
        self.linear.weight.copy_(torch.from_numpy(best.coef_))
        self.linear.bias.copy_(torch.from_numpy(best.intercept_))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(self._standardised(features.float()))
        return logits

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.deviation
