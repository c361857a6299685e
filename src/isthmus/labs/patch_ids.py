"""Patches as words: each gets a discrete ID, and the ID a row of a learned table, as text tokens do.

Notation: n patches of V = P² bytes each, D width. IDs are int64, from 0.
"""

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Patches = NDArray[np.uint8]
UNKNOWN = 0
"""The ID of every patch a vocabulary has no word for."""
HIDDEN = 0.1
"""The share of a vocabulary's IDs shown as UNKNOWN in training, so that its row is learned too."""


class Scheme(Protocol):
    """From patches to IDs, and from IDs to vectors."""

    def ids(self, patches: Patches) -> NDArray[np.int64]:
        """[n, V] uint8 -> [n]."""

    def embedding(self, width: int, deviation: float) -> nn.Module:
        """A fresh module for a ViT's `patch_embed`: IDs [n, 1] -> [n, D], numbers of about `deviation`.

        IDs come as patches would, in floating point, so the rest of the transformer is the same code.
        """


class Vocabulary:
    """One ID for each distinct patch of the training set, after rounding bytes down to `levels` values.

    256 levels: equal pixels, equal ID, and no two patches share one. That is kinder than a hash into a table of fixed
    size, where unknown patches would borrow the vectors of others.
    """

    def __init__(self, training: Patches, levels: int) -> None:
        """Raises ValueError where `levels` is not 2 to 256."""
        if not 2 <= levels <= 256:
            raise ValueError(f"a byte cannot be rounded to {levels} levels")
        self.levels = levels
        words = dict.fromkeys(self._words(training))
        self._id = {word: i for i, word in enumerate(words, start=UNKNOWN + 1)}
        self.size = 1 + len(self._id)

    def ids(self, patches: Patches) -> NDArray[np.int64]:
        return np.array([self._id.get(word, UNKNOWN) for word in self._words(patches)], np.int64)

    def embedding(self, width: int, deviation: float) -> nn.Module:
        return PatchTable(self.size, width, deviation, hide=HIDDEN)

    def unseen(self, patches: Patches) -> float:
        """The share of [n, V] that has no ID."""
        return float((self.ids(patches) == UNKNOWN).mean())

    def _words(self, patches: Patches) -> list[bytes]:
        coarse = (patches.astype(np.uint16) * self.levels // 256).astype(np.uint8)
        return [patch.tobytes() for patch in coarse]


class Codebook:
    """The ID is the nearest of `size` centres that k-means found among the training patches: vector quantisation.

    Every patch has a nearest centre, so none is unknown. In VQ-VAE (van den Oord et al., 2017) the codebook is learned
    with an encoder; here on bare pixels.
    """

    def __init__(self, training: Patches, size: int, seed: int) -> None:
        from sklearn.cluster import MiniBatchKMeans  # type: ignore[import-untyped]

        self.size = size
        self._means = MiniBatchKMeans(size, random_state=seed, batch_size=4096, n_init=1, max_iter=10)
        self._means.fit(training.astype(np.float32))

    @property
    def centres(self) -> NDArray[np.float32]:
        """[size, V] in 0..255; row i is what ID i stands for."""
        found: NDArray[np.float32] = self._means.cluster_centers_
        return found

    def ids(self, patches: Patches) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self._means.predict(patches.astype(np.float32)).astype(np.int64)
        return found

    def embedding(self, width: int, deviation: float) -> nn.Module:
        return PatchTable(self.size, width, deviation, hide=0)


class PlacedCodebook:
    """The same IDs, but an ID's vector is a projection of its centre: like centres, like vectors, from the start.

    A model still learns of a patch nothing but its ID. So does the decoder of a VQ-VAE, which reads codebook vectors.
    """

    def __init__(self, codebook: Codebook) -> None:
        self.codebook = codebook

    def ids(self, patches: Patches) -> NDArray[np.int64]:
        return self.codebook.ids(patches)

    def embedding(self, width: int, deviation: float) -> nn.Module:
        return PlacedTable(torch.from_numpy(self.codebook.centres), width, deviation)


class PatchTable(nn.Module):
    """A free row of D numbers for each ID. Gradients are sparse: a step touches only the rows it read."""

    in_features = 1

    def __init__(self, size: int, width: int, deviation: float, *, hide: float) -> None:
        """`hide`: the share of IDs replaced by UNKNOWN in training."""
        super().__init__()
        if size >= 2**24:
            raise ValueError(f"{size} IDs are more than float32 can count")
        self.hide = hide
        self.weight = nn.Parameter(torch.randn(size, width) * deviation)

    def forward(self, ids: Tensor) -> Tensor:
        rows = ids[:, 0].long()
        if self.training and self.hide:
            rows = rows.masked_fill(torch.rand(rows.shape, device=rows.device) < self.hide, UNKNOWN)
        return F.embedding(rows, self.weight, sparse=True)


class PlacedTable(nn.Module):
    """A row for each ID that is one learned affine map of its standardised centre."""

    in_features = 1
    centres: Tensor

    def __init__(self, centres: Tensor, width: int, deviation: float) -> None:
        """centres [size, V]."""
        super().__init__()
        self.register_buffer("centres", (centres - centres.mean()) / centres.std())
        self.project = nn.Linear(centres.shape[1], width)
        nn.init.normal_(self.project.weight, std=deviation / centres.shape[1] ** 0.5)
        nn.init.zeros_(self.project.bias)

    @property
    def weight(self) -> Tensor:
        """What a tower asks for its dtype."""
        return self.project.weight

    def forward(self, ids: Tensor) -> Tensor:
        rows: Tensor = self.project(self.centres[ids[:, 0].long()])
        return rows
