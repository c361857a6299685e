"""Probes of what sees: an encoder by a linear classifier on its features, an embedder by the names of classes.

Notation: N pictures, D width of a picture's features, C classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from isthmus.contrastive.embedder import Embedder
from isthmus.contrastive.zero_shot import TEMPLATES, class_vectors
from isthmus.evaluation.drawn import Labelled
from isthmus.evaluation.items import fingerprint
from isthmus.evaluation.probes import Probe
from isthmus.images.views import Picture
from isthmus.progress import SILENT, Progress
from isthmus.vision.features import Encoder

BATCH = 16
STRENGTHS = tuple(10.0**power for power in range(-3, 4))
"""Of ridge regression, in units of the mean squared length of a picture's features."""
LINEAR, ZERO_SHOT = "linear probe", "zero-shot"


def linear_probe(encoder: Encoder, train: Labelled, held: Labelled, *, reporter: Progress = SILENT) -> Probe:
    """Whether a linear classifier, fitted to the encoder's pooled features of `train`, is right on each of `held`.

    Nothing of the encoder changes. Ridge regression to one-hot classes, its strength the one that leaves the fewest
    pictures of `train` wrong when each is left out. Raises ValueError where `held` has a class that `train` has not.
    """
    names = sorted(set(train.labels))
    place = {name: at for at, name in enumerate(names)}
    strange = sorted(set(held.labels) - set(names))
    if strange:
        raise ValueError(f"no training picture shows {strange[0]!r}")
    seen = _features(encoder, train.pictures, reporter)
    new = _features(encoder, held.pictures, reporter)
    said = ridge(seen, torch.tensor([place[each] for each in train.labels]), new, len(names))
    return _probe(LINEAR, [names[at] for at in said.tolist()], held, 1 / len(names))


def zero_shot_probe(
    embedder: Embedder, held: Labelled, *, templates: Sequence[str] = TEMPLATES, reporter: Progress = SILENT
) -> Probe:
    """Whether each picture is nearest to the name of its own class, of all classes in `held`."""
    names = sorted(set(held.labels))
    vectors = class_vectors(embedder, names, templates)
    said: list[str] = []
    for start in range(0, len(held.pictures), BATCH):
        views = [embedder.fit(picture) for picture in held.pictures[start : start + BATCH]]
        with torch.no_grad():
            said += [names[at] for at in (embedder.images(views) @ vectors.T).argmax(1).tolist()]
        reporter.advance(len(views))
    return _probe(ZERO_SHOT, said, held, 1 / len(names))


def ridge(seen: Tensor, labels: Tensor, new: Tensor, classes: int) -> Tensor:
    """seen [N, D] with labels [N], new [M, D] -> the classes [M] of `new`. In float64 and closed form.

    With K the pictures' inner products, each one's error when it is left out is a / diag((K + s I)^-1), where a are the
    regression's weights: no second fit. Source: Hastie, Tibshirani and Friedman, 2009, section 7.10.
    """
    seen, new = seen.double(), new.double()
    centre, spread = seen.mean(0), seen.std(0).clamp_min(1e-6)
    seen, new = (seen - centre) / spread, (new - centre) / spread
    targets = torch.nn.functional.one_hot(labels, classes).double()
    offset = targets.mean(0)
    products = seen @ seen.T
    unit = products.diagonal().mean()
    best: tuple[int, Tensor] | None = None
    for strength in STRENGTHS:
        inverse = torch.linalg.inv(products + strength * unit * torch.eye(len(seen), dtype=torch.float64))
        weights = inverse @ (targets - offset)
        left_out = targets - weights / inverse.diagonal()[:, None]
        wrong = int(left_out.argmax(1).ne(labels).sum())
        if best is None or wrong < best[0]:
            best = wrong, weights
    assert best is not None
    return (new @ seen.T @ best[1] + offset).argmax(1)


def _features(encoder: Encoder, pictures: Sequence[Picture], reporter: Progress) -> Tensor:
    """[N, D] on the CPU."""
    found = []
    for start in range(0, len(pictures), BATCH):
        part = pictures[start : start + BATCH]
        found.append(encoder.encode([encoder.fit(picture) for picture in part]).pooled.float().cpu())
        reporter.advance(len(part))
    return torch.cat(found)


def _probe(name: str, said: Sequence[str], held: Labelled, chance: float) -> Probe:
    right = np.array([[float(a == b)] for a, b in zip(said, held.labels, strict=True)])
    return Probe(name, "higher", "mean", right, tuple(held.labels), fingerprint([held.name, list(held.labels)]), chance)
