"""The two contrastive losses of dual encoders, exact when the batch is spread over processes.

Notation: B pairs in the joint batch, b of them on this rank, R ranks, D width; s scale, β bias.

**Convention under torch.distributed.** Every rank calls the loss with its own b pairs (b may differ). The
returned value is the joint loss, equal on every rank. Gradients are such that their *mean* over ranks, which
DistributedDataParallel and FSDP take, is the gradient of the joint loss: for the loss's own parameters
(scale, bias) and for the towers'. It follows that the gradient a rank sees at its own embeddings is R times
the joint one. All ranks must backpropagate with the same factor (loss scaling, accumulation), as they do
under DDP. Without a process group the same code is the plain loss of one process.

Embeddings are unit vectors; half precision is widened to float32 before the first product, autocast or not.
"""

import math
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.gathering import Ranks, gather_rows, mean_value, meet, padded, pass_on


class LogitScale(nn.Module):
    """A learned inverse temperature s = exp(log_scale), never above `most`.

    The parameter itself is put back onto the limit when it is next read (Radford et al., 2021, section 2.5
    clip the scale at 100), so its gradient lives on there and the scale can come down again.
    """

    def __init__(self, start: float, most: float) -> None:
        super().__init__()
        if not 0 < start <= most:
            raise ValueError(f"a scale starts above 0 and at most at its limit {most}, not at {start}")
        self.most = most
        self.log_scale = nn.Parameter(torch.tensor([math.log(start)]))  # [1]: FSDP2 shards no scalars

    def forward(self) -> Tensor:
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(self.most))
        return self.log_scale.exp()[0]


class InfoNCE(nn.Module):
    """Symmetric cross entropy over all pairs: each picture picks its text, each text its picture.

    images, texts [b, D] unit -> scalar. Pair i is row i of both. `same` [b] int64: pairs with equal ids
    (equal captions) are no negatives of each other: they are left out of both softmaxes, the own partner
    stays. Raises ValueError for shapes that do not fit and, on every rank, where only some ranks bring
    `same`. Memory: logits [b, B], twice. Source: CLIP (Radford et al., 2021), section 2.3.
    """

    def __init__(self, *, scale: float = 1 / 0.07, most: float = 100.0, group: dist.ProcessGroup | None = None) -> None:
        super().__init__()
        self.scale = LogitScale(scale, most)
        self.group = group

    def forward(self, images: Tensor, texts: Tensor, same: Tensor | None = None) -> Tensor:
        ranks = _enter(images, texts, same, self.group)
        with torch.autocast(images.device.type, enabled=False):
            images, texts = _wide(images), _wide(texts)
            scale = self.scale()
            own = torch.arange(ranks.start, ranks.start + len(images), device=images.device)
            every_image, every_text = gather_rows(images, ranks), gather_rows(texts, ranks)
            of_images = scale * images @ every_text.T
            of_texts = scale * texts @ every_image.T
            if same is not None:
                twin = _twins(same, gather_rows(same, ranks), own)
                of_images = of_images.masked_fill(twin, -math.inf)
                of_texts = of_texts.masked_fill(twin, -math.inf)
            total = F.cross_entropy(of_images, own, reduction="sum") + F.cross_entropy(of_texts, own, reduction="sum")
            return mean_value(total * (ranks.count / (2 * ranks.total)), ranks)


class SigmoidLoss(nn.Module):
    """Every picture and text alone: is it a pair? -1/B Σ_i Σ_j log σ(z_ij (s x_i·y_j + β)), z = 1 on pairs,
    else -1.

    images, texts [b, D] unit -> scalar. `same` [b] int64: entries between different pairs of equal id count
    neither as pairs nor as non-pairs. Errors as in InfoNCE.
    Texts travel round a ring of ranks and their gradients with them, so no rank holds more than one block [b,
    b] of logits, forward or backward, and the backward pass communicates nothing.
    Source: SigLIP (Zhai et al., 2023), sections 3.2 and 3.3. Its released models reach s = 117, so the limit
    is wider than CLIP's.
    """

    def __init__(
        self,
        *,
        scale: float = 10.0,
        bias: float = -10.0,
        most: float = 200.0,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        self.scale = LogitScale(scale, most)
        self.bias = nn.Parameter(torch.tensor([bias]))
        self.group = group

    def forward(self, images: Tensor, texts: Tensor, same: Tensor | None = None) -> Tensor:
        ranks = _enter(images, texts, same, self.group)
        with torch.autocast(images.device.type, enabled=False):
            images, texts = _wide(images), _wide(texts)
            ids = None if same is None else gather_rows(same, ranks)
            loss: Tensor = _Ring.apply(images, texts, self.scale(), self.bias[0], ids, ranks)  # type: ignore[no-untyped-call]
            return mean_value(loss, ranks)


class _Ring(torch.autograd.Function):
    """The loss is a sum over blocks, and each block's gradient is known at once: take it while the block is
    here."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, ids: Tensor | None, ranks: Ranks
    ) -> Tensor:
        factor = ranks.count / ranks.total
        own = torch.arange(ranks.start, ranks.start + len(images), device=images.device)
        width = texts.shape[1]
        loss = images.new_zeros(())
        to_images, to_scale, to_bias = torch.zeros_like(images), torch.zeros_like(scale), torch.zeros_like(bias)
        # A block on its way: texts in the first D columns, the gradient gathered so far in the others.
        block = padded(torch.cat([texts, torch.zeros_like(texts)], dim=1), max(ranks.sizes))
        for step in range(ranks.count):
            home = (ranks.rank - step) % ranks.count
            size, start = ranks.sizes[home], sum(ranks.sizes[:home])
            theirs, gradient = block[:size, :width], block[:size, width:]
            columns = torch.arange(start, start + size, device=images.device)
            cosine = images @ theirs.T
            pair = own[:, None] == columns
            sign = pair.to(images.dtype) * 2 - 1
            logits = sign * (cosine * scale + bias)
            slope = -sign * torch.sigmoid(-logits)
            terms = F.softplus(-logits)
            if ids is not None:
                twin = (ids[own][:, None] == ids[columns]) & ~pair
                slope, terms = slope.masked_fill(twin, 0), terms.masked_fill(twin, 0)
            loss += terms.sum()
            to_images += scale * slope @ theirs
            gradient += scale * slope.T @ images
            to_scale += (slope * cosine).sum()
            to_bias += slope.sum()
            if ranks.count > 1:  # the last step brings every block home
                block = pass_on(block, ranks)
        to_texts = block[: len(texts), width:]
        ctx.save_for_backward(*(g * factor for g in (to_images, to_texts, to_scale, to_bias)))
        return loss * factor

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return (*(grad * known for known in ctx.saved_tensors), None, None)


def _enter(images: Tensor, texts: Tensor, same: Tensor | None, group: dist.ProcessGroup | None) -> Ranks:
    if images.ndim != 2 or images.shape != texts.shape:
        raise ValueError(
            f"images {tuple(images.shape)} and texts {tuple(texts.shape)} are not two times [b, D] in pairs"
        )
    if same is not None and same.shape != images.shape[:1]:
        raise ValueError(f"`same` has shape {tuple(same.shape)}, not one id for each of {len(images)} pairs")
    ranks = meet(len(images), images.shape[1], same is not None, images.device, group)
    if ranks.total == 0:
        raise ValueError("the batch is empty on every rank")
    return ranks


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _twins(same: Tensor, every: Tensor, own: Tensor) -> Tensor:
    """[b, B] bool: another pair with the same id."""
    twin = same[:, None] == every
    twin[torch.arange(len(own), device=own.device), own] = False
    return twin
