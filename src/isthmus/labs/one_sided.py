"""Objectives with half of the contrast missing, or less of it, and two with something else in negatives' place.

All take embeddings *before* normalisation, images and texts [B, D] in pairs, and give a scalar.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class OnSphere(nn.Module):
    """A loss of unit vectors, as a loss of any."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        loss: Tensor = self.loss(F.normalize(images, dim=1), F.normalize(texts, dim=1))
        return loss


class InGroups(nn.Module):
    """A contrastive loss over groups of `size` pairs of the batch: as many pairs, fewer negatives."""

    def __init__(self, loss: nn.Module, size: int) -> None:
        super().__init__()
        self.loss, self.size = loss, size

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        groups = zip(torch.split(images, self.size), torch.split(texts, self.size), strict=True)
        return torch.stack([self.loss(*group) for group in groups]).mean()


class PositivesOnly(nn.Module):
    """1 - cosine of partners: pulls, and nothing pushes."""

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(images, texts).mean()


class NegativesOnly(nn.Module):
    """InfoNCE without its numerator: pushes each from all but its partner, and nothing pulls."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        logits = self.scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
        logits = logits.masked_fill(torch.eye(len(logits), dtype=torch.bool, device=logits.device), -torch.inf)
        return (logits.logsumexp(0) + logits.logsumexp(1)).mean() / 2


class StopGradient(nn.Module):
    """Pulls only, but each side's predictor learns to hit the other side, which holds still.

    No embedding ever sees another pair's. Source: SimSiam (Chen and He, 2021), section 3, for two encoders and
    without batch normalisation (which would let pairs see each other).
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.of_images = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.of_texts = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        to_texts = F.cosine_similarity(self.of_images(images), texts.detach())
        to_images = F.cosine_similarity(self.of_texts(texts), images.detach())
        return 1 - (to_texts + to_images).mean() / 2

    def matched(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors [B, 2 D] whose product is the mean cosine the objective raises: prediction against target,
        both ways. The encoders' own outputs need not lie in one space."""
        of_images, of_texts = self.of_images(images), self.of_texts(texts)
        left = torch.cat([F.normalize(of_images, dim=1), F.normalize(images, dim=1)], dim=1)
        right = torch.cat([F.normalize(texts, dim=1), F.normalize(of_texts, dim=1)], dim=1)
        return left / 2**0.5, right / 2**0.5


class VarianceKept(nn.Module):
    """Pulls, and holds each dimension's deviation over the batch at 1 and dimensions apart from each other.

    It compares no pair with another, but its statistics are of the batch. Source: VICReg (Bardes et al., 2022),
    section 4.1, with its weights 25, 25, 1.
    """

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        loss = 25 * F.mse_loss(images, texts)
        for side in (images, texts):
            centred = side - side.mean(0)
            covariance = centred.T @ centred / (len(side) - 1)
            deviation = (covariance.diagonal() + 1e-4).sqrt()
            between = covariance - torch.diag(covariance.diagonal())
            loss = loss + 25 * F.relu(1 - deviation).mean() / 2 + between.square().sum() / side.shape[1]
        return loss
