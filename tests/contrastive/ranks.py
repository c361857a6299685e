"""One rank of the gloo runs of test_losses_distributed.py: `python ranks.py RANK FOLDER`.

Three processes meet first (two cannot tell the ring's directions apart), then the first two meet alone: importing
torch is most of the time. Every rank builds the same joint batch from a seed and takes its own rows. Results go to
FOLDER/WORLD-RANK.pt.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from isthmus.contrastive.losses import InfoNCE, SigmoidLoss

PAIRS, WIDTH = 7, 5
LOSSES = {"infonce": InfoNCE, "sigmoid": SigmoidLoss}
SPLITS = {2: [(4, 3), (7, 0), (1, 6)], 3: [(3, 2, 2), (0, 6, 1)]}


def joint_batch() -> tuple[Tensor, Tensor, Tensor]:
    """images, texts [PAIRS, WIDTH] unit float64, and ids in which some captions occur twice."""
    random = torch.Generator().manual_seed(1)
    images, texts = (torch.randn(PAIRS, WIDTH, generator=random, dtype=torch.float64) for _ in range(2))
    ids = torch.tensor([0, 1, 0, 2, 3, 1, 0])
    return nn.functional.normalize(images, dim=1), nn.functional.normalize(texts, dim=1), ids


def towers() -> nn.Module:
    """Two linear towers with equal weights on every rank."""
    torch.manual_seed(2)
    return nn.ModuleDict({"image": nn.Linear(WIDTH, 4), "text": nn.Linear(WIDTH, 4)}).double()


class Model(nn.Module):
    """Towers and loss in one module, as a training loop wraps them."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.towers, self.loss = towers(), loss.double()

    def forward(self, images: Tensor, texts: Tensor, same: Tensor | None) -> Tensor:
        images, texts = self.towers["image"](images), self.towers["text"](texts)
        return self.loss(nn.functional.normalize(images, dim=1), nn.functional.normalize(texts, dim=1), same)


def run(rank: int, world: int) -> dict[str, object]:
    images, texts, ids = joint_batch()
    found: dict[str, object] = {}
    for split in SPLITS[world]:
        start = sum(split[:rank])
        mine = slice(start, start + split[rank])
        for name, kind in LOSSES.items():
            for labelled in (False, True):
                same = ids[mine] if labelled else None
                loss = kind().double()
                x, y = images[mine].clone().requires_grad_(), texts[mine].clone().requires_grad_()
                value = loss(x, y, same)
                value.backward()
                own = {key: parameter.grad for key, parameter in loss.named_parameters()}
                model = DistributedDataParallel(Model(kind()))
                model(images[mine], texts[mine], same).backward()
                ddp = {key: parameter.grad for key, parameter in model.module.named_parameters()}
                found[f"{name} {split} {labelled}"] = (value.detach(), x.grad, y.grad, own, ddp)
    for name, kind in LOSSES.items():
        found[f"{name} half labelled"] = _error(kind(), images[:2], texts[:2], ids[:2] if rank == 0 else None)
        found[f"{name} widths"] = _error(kind(), images[:2, : 5 - rank], texts[:2, : 5 - rank], None)
        found[f"{name} empty"] = _error(kind(), images[:0], texts[:0], None)
    return found


def _error(loss: nn.Module, images: Tensor, texts: Tensor, same: Tensor | None) -> str:
    try:
        loss(images, texts, same)
    except ValueError as error:
        return str(error)
    return "no error"


if __name__ == "__main__":
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    for world in (3, 2):
        if rank < world:
            dist.init_process_group("gloo", init_method=f"file://{folder}/{world}", rank=rank, world_size=world)
            torch.save(run(rank, world), folder / f"{world}-{rank}.pt")
            dist.destroy_process_group()
