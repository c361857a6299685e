"""One rank of the gloo runs of test_objectives_distributed.py: `python -m tests.connectors.ranks RANK FOLDER`.

Every rank builds the same joint batch from a seed and takes its own rows, padded only to its own longest. Results go
to FOLDER/RANK.pt.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from isthmus.connectors import QFormer, Stage1, Text
from isthmus.errors import InputError
from isthmus.vision.features import Features

from .samples import SMALL, WORDS, disturb, features, texts

PAIRS = 6
SPLITS = [(3, 3), (4, 2), (1, 5), (6, 0)]
PATCHES, LENGTHS = (4, 2, 3, 7, 5, 6), (3, 2, 4, 7, 5, 1)
"""Rank 1's pictures and texts are longer, and have more tokens, than rank 0's."""
PARTS = ("itc", "itm", "itg")


def joint_batch() -> tuple[Features, Text, Tensor]:
    """Float64 features, texts, and ids in which one caption occurs twice."""
    batch = features(*PATCHES, dtype=torch.float64)
    return replace(batch, tokens=batch.tokens.requires_grad_()), texts(*LENGTHS), torch.tensor([0, 1, 2, 0, 3, 4])


def share(mine: slice) -> tuple[Features, Text, Tensor]:
    batch, text, same = joint_batch()
    n = int(batch.mask[mine].sum(1).max()) if batch.mask[mine].any() else 1
    t = int(text.mask[mine].sum(1).max()) if text.mask[mine].any() else 1
    own = Features(
        batch.tokens.detach()[mine, :n].clone().requires_grad_(),
        batch.mask[mine, :n],
        batch.boxes[mine, :n],
        batch.pooled[mine],
    )
    return own, Text(text.ids[mine, :t], text.mask[mine, :t]), same[mine]


def stage() -> Stage1:
    """Equal weights on every rank."""
    torch.manual_seed(2)
    made = Stage1(QFormer(replace(SMALL, layers=2)), 6, start_token=WORDS - 1)
    return disturb(made).double()


def measure(batch: Features, text: Text, same: Tensor | None) -> dict[str, object]:
    """Each loss, its gradients for every parameter and the features, and the similarities."""
    found: dict[str, object] = {}
    for part in PARTS:
        model = stage()
        losses = model(batch, text, same, torch.Generator().manual_seed(7))
        loss = getattr(losses, part)
        leaves = {**dict(model.named_parameters()), "features": batch.tokens}
        grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        zeros = [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves.values(), grads, strict=True)]
        found[part] = (loss.detach(), dict(zip(leaves, zeros, strict=True)))
        found["similarity"] = losses.similarity
    return found


def run(rank: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for split in SPLITS:
        start = sum(split[:rank])
        batch, text, ids = share(slice(start, start + split[rank]))
        for labelled in (False, True):
            same = ids if labelled else None
            result = measure(batch, text, same)
            wrapped = DistributedDataParallel(stage())
            wrapped(batch, text, same, torch.Generator().manual_seed(7)).total.backward()
            result["ddp"] = {key: parameter.grad for key, parameter in wrapped.module.named_parameters()}
            found[f"{split} {labelled}"] = result
    batch, text, ids = share(slice(3 * rank, 3 * rank + 3))
    found["one caption"] = _error(batch, text, torch.zeros_like(ids))
    found["half labelled"] = _error(batch, text, ids if rank == 0 else None)
    first = Text(text.ids[:, :1], text.mask[:, :1])
    found["no words"] = _error(batch, first, None)
    return found


def _error(batch: Features, text: Text, same: Tensor | None) -> str:
    try:
        stage()(batch, text, same)
    except (InputError, ValueError) as error:
        return str(error)
    return "no error"


if __name__ == "__main__":
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(run(rank), folder / f"{rank}.pt")
    dist.destroy_process_group()
