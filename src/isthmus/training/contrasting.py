"""Train a dual encoder on pictures and their captions, by CLIP's softmax or SigLIP's sigmoid.

The loop sums what ranks give, gradients and logged losses. The losses of `contrastive.losses` are the joint batch's
mean on every rank, with gradients whose mean over ranks is the joint one's: so each rank gives its share of the mean.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor, nn

from isthmus.contrastive.dual_encoder import DualEncoder
from isthmus.contrastive.losses import InfoNCE, SigmoidLoss
from isthmus.contrastive.metrics import Retrieval, retrieval
from isthmus.errors import InputError
from isthmus.training.ahead import Encode
from isthmus.training.contrast_recipe import ContrastPolicy
from isthmus.training.held_pairs import KS, HeldPairs, share
from isthmus.training.loop import Group
from isthmus.training.pairs import Pairs, ids_of
from isthmus.vision.features import Features

Loss: TypeAlias = Literal["softmax", "sigmoid"]


class Contrast(nn.Module):
    """A dual encoder's parts and the loss on it, as one module. (Pairs, count) -> {"loss": this rank's share}."""

    def __init__(self, dual: DualEncoder, loss: Loss) -> None:
        """`dual` goes on being used: what learns here learns there, but for its scale and bias, see `settle`."""
        super().__init__()
        self.dual = dual
        self.image_tower, self.image_head = dual.pictures.tower, dual.image_head
        self.text_tower, self.text_head = dual.text_tower, dual.text_head
        self.temperature = loss_of(dual, loss).to(next(dual.text_tower.parameters()).device)

    def forward(self, batch: Pairs, count: int) -> dict[str, Tensor]:  # noqa: ARG002  the losses know the joint batch
        if isinstance(batch.shown, Features):
            images = self.dual.of_pooled(batch.shown.pooled)
        else:
            images = self.dual.traced_images(batch.shown)
        texts = self.dual.traced_texts(batch.captions)
        same = ids_of(batch.captions).to(images.device)
        return {"loss": self.temperature(images, texts, same) / ranks()}

    def parts(self) -> dict[str, nn.Module]:
        return dict(self.named_children())

    @torch.no_grad()
    def settle(self) -> None:
        """Gives the dual encoder the scale and bias that were learned."""
        self.dual.scale = float(self.temperature.scale())
        self.dual.bias = float(self.temperature.bias) if isinstance(self.temperature, SigmoidLoss) else None


class ContrastTask:
    """Task of the loop. Counted are pairs."""

    counted = "pairs"

    def __init__(self, module: Contrast, policy: ContrastPolicy) -> None:
        """Freezes and thaws as the policy says. Raises InputError where a part has nothing that could learn."""
        self.module: nn.Module = module
        module.requires_grad_(False)
        self._groups = []
        for name, part in module.parts().items():
            learns = getattr(policy, name)
            if learns is None:
                continue
            part.requires_grad_(True)
            if not (parameters := tuple(part.parameters())):
                raise InputError(
                    f"{name} cannot learn", why=f"{module.dual.name} has none", todo="take it out of the recipe"
                )
            self._groups.append(Group(name, parameters, learns.rate, learns.weight_decay))

    def groups(self) -> list[Group]:
        return self._groups

    def weight(self, batch: Pairs) -> int:
        return len(batch.captions)

    def places(self, batch: Pairs) -> Sequence[str]:
        return batch.places


def loss_of(dual: DualEncoder, loss: Loss) -> InfoNCE | SigmoidLoss:
    """Begun at the model's own scale and bias; a sigmoid's that was trained with a softmax, and so has no bias, at
    SigLIP's (Zhai et al., 2023, section 3.2)."""
    if loss == "softmax":
        # a scale beyond CLIP's limit, as SigLIP's are, is left to itself
        return InfoNCE(scale=dual.scale, most=max(100.0, dual.scale))
    if dual.bias is None:
        return SigmoidLoss()
    return SigmoidLoss(scale=dual.scale, bias=dual.bias, most=max(200.0, dual.scale))


def ranks() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@torch.no_grad()
def searched(
    module: Contrast, held: HeldPairs, *, seed: int, cached: Encode | None = None, resamples: int = 1000
) -> tuple[float, Retrieval]:
    """The loss over all held-out pictures at once, each with its first caption; and what is found by what."""
    dual = module.dual
    if cached is not None:
        images = torch.cat([dual.of_pooled(each.pooled) for each in held.features(dual.pictures.encode, cached)])
    else:
        images = torch.cat([dual.images(views) for views in held.views()])
    texts = dual.texts(held.captions)
    found = retrieval(images, texts, held.owner, seed=seed, same=held.same, ks=KS, resamples=resamples)
    own = torch.tensor(share(range(len(held))), dtype=torch.int64)
    first = torch.tensor(held.first, dtype=torch.int64)[own]
    loss = module.temperature(images[own], texts[first], held.same[first].to(images.device))
    return float(loss), found
