"""How embeddings lie on the sphere: pairs near each other, everything else spread, or all in one point.

Notation: B embeddings, D width, unit vectors.
"""

import torch
from torch import Tensor

POINT = 0.0
"""Uniformity of a single point, the worst there is. Spread evenly over a sphere of many dimensions it nears -4."""


def alignment(images: Tensor, texts: Tensor) -> float:
    """Mean squared distance of partners, [B, D] each: 0 is perfect, 2 is chance.

    Source: Wang and Isola, 2020, section 4.1.1, with exponent 2.
    """
    return (images - texts).square().sum(1).mean().item()


def uniformity(embeddings: Tensor) -> float:
    """log of the mean of exp(-2 d²) over all pairs of [B, D]: the lower, the more evenly spread.

    Source: Wang and Isola, 2020, section 4.1.2, with t = 2.
    """
    return torch.exp(-2 * torch.pdist(embeddings.float()).square()).mean().log().item()


def effective_rank(embeddings: Tensor) -> float:
    """exp of the entropy of the singular values of [B, D], normalised to sum 1: from 1 (one direction) to D.

    The mean is left in, so that one point has rank 1. Source: Roy and Vetterli, 2007.
    """
    values = torch.linalg.svdvals(embeddings.float())
    shares = values / values.sum()
    rank: float = torch.special.entr(shares).sum().exp().item()
    return rank
