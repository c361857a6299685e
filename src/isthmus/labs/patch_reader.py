"""The small ViT of lab `patches`, its pictures, and what is measured of it under one scheme of patch IDs or none.

Notation: n pictures of N = grid² patches of V = P² bytes; D width.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from isthmus.labs.digits import Pictures, cut, grey, halves, load_digits, on_photographs, photographs, split
from isthmus.labs.patch_ids import Patches, PatchTable, Scheme, Vocabulary
from isthmus.progress import Progress
from isthmus.vision.packing import patchify
from isthmus.vision.vit import VisionConfig, VisionTransformer

CLASSES = 10
CHANGES = ("noise", "brightness", "shift")


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab.

    `copies`: photographs each training digit is pasted on; `levels`: values a rounded pixel can take; `codes`: size of
    the codebook; `noise` (standard deviation) and `brightness` in steps of 1/255.
    `growth`: numbers of training patches for which never-seen IDs are counted, on `growth_test` patches.
    """

    side: int = 16
    patch: int = 4
    test_digits: int = 500
    copies: int = 8
    levels: int = 4
    codes: int = 512
    noise: float = 8.0
    brightness: int = 16
    width: int = 64
    layers: int = 2
    batch: int = 128
    steps: int = 300
    rate: float = 3e-3
    likeness_patches: int = 5_000
    growth: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    growth_test: int = 5_000

    @property
    def grid(self) -> int:
        return self.side // self.patch


@dataclass(frozen=True)
class Data:
    """Patches [n, N, V] by condition ("clean" and CHANGES) and labels [n]. Test digits and test backgrounds are apart
    from training's."""

    training: Mapping[str, Patches]
    training_labels: Tensor
    test: Mapping[str, Patches]
    test_labels: Tensor


@dataclass(frozen=True)
class Scores:
    """By condition. `unseen` is empty for a scheme that knows every patch, or none."""

    unseen: dict[str, float]
    accuracy: dict[str, float]
    likeness: dict[str, float]


def pictures(settings: Settings, seed: int) -> Data:
    """Training and test pictures of one seed."""
    random = np.random.default_rng(seed)
    training, test = split(load_digits(), settings.test_digits, random)
    training = training[np.repeat(np.arange(len(training)), settings.copies)]
    left, right = halves(grey(photographs()))

    def conditions(canvases: Pictures) -> dict[str, Patches]:
        clean = cut(canvases).astype(np.int64)
        changed: dict[str, NDArray[np.int64]] = {
            "clean": clean,
            "noise": clean + np.round(random.normal(0, settings.noise, clean.shape)).astype(np.int64),
            "brightness": clean + settings.brightness,
            "shift": cut(canvases, right=1).astype(np.int64),
        }
        return {name: _patches(found.clip(0, 255).astype(np.uint8), settings) for name, found in changed.items()}

    return Data(
        training=conditions(on_photographs(training, left, settings.side, random)),
        training_labels=torch.from_numpy(training.labels),
        test=conditions(on_photographs(test, right, settings.side, random)),
        test_labels=torch.from_numpy(test.labels),
    )


def score(scheme: Scheme | None, data: Data, settings: Settings, seed: int, bar: Progress) -> Scores:
    """Train a ViT on the clean training pictures with the IDs of `scheme`, or for None on pixels; measure it."""
    clean = data.training["clean"]
    mean, deviation = float(clean.mean()), float(clean.std())

    def as_input(patches: Patches) -> Tensor:
        """[n, N, V] -> what the embedding takes, [n, N, 1] or [n, N, V]."""
        if scheme is None:
            return (torch.from_numpy(patches).float() - mean) / deviation
        flat = patches.reshape(-1, patches.shape[-1])
        return torch.from_numpy(scheme.ids(flat)).view(*patches.shape[:2], 1).float()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = Reader(settings, scheme)
        fit(reader, as_input(clean), data.training_labels, settings, seed, bar)
    with torch.no_grad():
        accuracy = {
            condition: (reader(as_input(patches)).argmax(1) == data.test_labels).double().mean().item()
            for condition, patches in data.test.items()
        }
        few = {
            name: patches[: settings.likeness_patches // settings.grid**2] for name, patches in data.training.items()
        }
        vectors = {name: reader.embedding(as_input(patches).flatten(0, 1)) for name, patches in few.items()}
    return Scores(
        unseen={name: scheme.unseen(patches.reshape(-1, patches.shape[-1])) for name, patches in data.test.items()}
        if isinstance(scheme, Vocabulary)
        else {},
        accuracy=accuracy,
        likeness=likeness(vectors, seed),
    )


class Reader(nn.Module):
    """A ViT over patches or their IDs, [n, N, 1 or V], to logits [n, CLASSES]."""

    def __init__(self, settings: Settings, scheme: Scheme | None) -> None:
        super().__init__()
        config = VisionConfig(
            width=settings.width,
            layers=settings.layers,
            heads=4,
            mlp_width=2 * settings.width,
            patch=settings.patch,
            grid=settings.grid,
            channels=1,
            pre_norm=True,  # whatever length a scheme's vectors have, the blocks see the same
        )
        self.grid = (settings.grid, settings.grid)
        self.tower = VisionTransformer(config)
        self.head = nn.Linear(settings.width, CLASSES)
        if scheme is not None:
            # rows start as large as projections of standardised patches, of P² numbers each
            deviation = self.tower.patch_embed.weight.detach().std().item() * settings.patch
            self.tower.patch_embed = scheme.embedding(settings.width, deviation)  # type: ignore[assignment]

    @property
    def embedding(self) -> nn.Module:
        return self.tower.patch_embed

    def forward(self, patches: Tensor) -> Tensor:
        pooled = self.tower.packed(patches.flatten(0, 1), [self.grid] * len(patches)).pooled
        logits: Tensor = self.head(pooled)
        return logits


def fit(reader: Reader, inputs: Tensor, labels: Tensor, settings: Settings, seed: int, bar: Progress) -> None:
    """Adam, one cycle of the rate, batches drawn by `seed`; the reader is left in evaluation mode."""
    random = np.random.default_rng(seed)
    table = list(reader.embedding.parameters()) if isinstance(reader.embedding, PatchTable) else []
    others = [p for p in reader.parameters() if all(p is not row for row in table)]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, settings.rate, weight_decay=0.01)]
    if table:
        optimisers.append(torch.optim.SparseAdam(table, settings.rate))
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(
            optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1, cycle_momentum=False
        )
        for optimiser in optimisers
    ]
    reader.train()
    for _ in range(settings.steps):
        rows = torch.from_numpy(random.integers(0, len(inputs), settings.batch))
        loss = F.cross_entropy(reader(inputs[rows]), labels[rows])
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()
        for schedule in schedules:
            schedule.step()
        bar.advance()
    reader.eval()


def likeness(vectors: Mapping[str, Tensor], seed: int) -> dict[str, float]:
    """Mean cosine of the clean vectors [n, D] with those of the same patches changed, and of "random" others.

    Around the mean clean vector, so that what all vectors share does not count as likeness.
    """
    clean = vectors["clean"]
    others = clean[torch.from_numpy(np.random.default_rng(seed).permutation(len(clean)))]
    compared = {name: vectors[name] for name in CHANGES} | {"random": others}
    middle = clean.mean(0)
    return {name: F.cosine_similarity(clean - middle, other - middle).mean().item() for name, other in compared.items()}


def _patches(found: Pictures, settings: Settings) -> Patches:
    """[n, side, side] -> [n, N, V]."""
    cut_up, _ = patchify(torch.from_numpy(found)[:, None], settings.patch)
    return cut_up.numpy()
