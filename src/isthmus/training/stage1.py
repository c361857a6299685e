"""BLIP-2's first stage on people's own pairs: a Q-Former learns to read a frozen encoder's pictures.

As in `contrasting`, each rank gives its share of losses that are the joint batch's on every rank. Negatives are drawn
from the joint batch by a generator in the same state on all ranks, made anew for each step: going on is exact.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Text
from isthmus.connectors.objectives import Stage1
from isthmus.contrastive.metrics import Retrieval, retrieval_by
from isthmus.contrastive.tokenizer import Tokenizer
from isthmus.data.chance import chance
from isthmus.training.ahead import Encode
from isthmus.training.contrast_recipe import QFormerPolicy
from isthmus.training.contrasting import ranks
from isthmus.training.held_pairs import KS, HeldPairs, share
from isthmus.training.loop import Group
from isthmus.training.pairs import Look, Pairs, ids_of
from isthmus.vision.features import Features

HELD_BATCH = 64
"""Held-out pairs among which negatives are drawn."""
TEXTS = 64
"""Captions that are compared with all pictures at once."""


class Reading(nn.Module):
    """Stage 1 on Pairs. (Pairs, count) -> "loss" and, of it, "itc", "itm", "itg": this rank's shares."""

    def __init__(self, stage1: Stage1, tokenizer: Tokenizer, *, seed: int) -> None:
        super().__init__()
        self.stage1, self._tokenizer, self._seed = stage1, tokenizer, seed

    def forward(self, batch: Pairs, count: int) -> dict[str, Tensor]:  # noqa: ARG002  the losses know the joint batch
        assert isinstance(batch.shown, Features)
        losses = self.stage1(
            batch.shown, self.text(batch.captions), self._ids(batch.captions), drawing(self._seed, batch.turn)
        )
        parts = {"itc": losses.itc, "itm": losses.itm, "itg": losses.itg}
        return {"loss": losses.total / ranks(), **{name: each.detach() / ranks() for name, each in parts.items()}}

    def text(self, captions: Sequence[str]) -> Text:
        tokens = self._tokenizer(captions)
        return Text(tokens.ids.to(self.device), tokens.mask.to(self.device))

    def _ids(self, captions: Sequence[str]) -> Tensor:
        return ids_of(captions).to(self.device)

    @property
    def device(self) -> torch.device:
        return self.stage1.log_temperature.device


class Stage1Task:
    """Task of the loop. Counted are pairs."""

    counted = "pairs"

    def __init__(self, module: Reading, policy: QFormerPolicy) -> None:
        """Freezes and thaws as the policy says."""
        self.module: nn.Module = module
        module.requires_grad_(True)
        words = module.stage1.qformer.words
        assert words is not None
        words.requires_grad_(policy.words)
        learns = policy.qformer
        trained = tuple(parameter for parameter in module.parameters() if parameter.requires_grad)
        self._groups = [Group("qformer", trained, learns.rate, learns.weight_decay)]

    def groups(self) -> list[Group]:
        return self._groups

    def weight(self, batch: Pairs) -> int:
        return len(batch.captions)

    def places(self, batch: Pairs) -> Sequence[str]:
        return batch.places


def drawing(seed: int, turn: int) -> torch.Generator:
    """What draws the negatives of the joint batch that begins at `turn`."""
    return torch.Generator().manual_seed(chance(seed, "negatives", turn) >> 1)


@torch.no_grad()
def read_held(
    module: Reading,
    held: HeldPairs,
    look: Look,
    *,
    seed: int,
    cached: Encode | None = None,
    resamples: int = 1000,
) -> tuple[dict[str, float], Retrieval]:
    """The losses of all held-out pictures, each with its first caption and HELD_BATCH together; and what is found by
    what, by ITC's similarity (the best query's)."""
    stage1, training = module.stage1, module.training
    module.eval()
    features = [_each(each, lambda t: t.to(module.device)) for each in held.features(look, cached)]
    pictures = torch.cat([stage1.of_pictures(stage1.qformer.read(each.tokens, each.mask)) for each in features])
    scores = []
    for at in range(0, len(held.captions), TEXTS):
        texts = stage1.of_texts(module.text(held.captions[at : at + TEXTS]))
        scores.append(torch.einsum("gme,qe->qgm", pictures, texts).amax(-1))
    found = retrieval_by(torch.cat(scores).cpu(), held.owner, seed=seed, same=held.same, ks=KS, resamples=resamples)
    rows = [row for each in features for row in _rows(each)]
    parts = max(1, round(len(held) / HELD_BATCH))
    sums = {"loss": 0.0, "itc": 0.0, "itm": 0.0, "itg": 0.0}
    for part in range(parts):
        joint = range(part, len(held), parts)  # neighbours are often alike
        own = share(joint)
        captions = tuple(held.captions[held.first[at]] for at in own)
        shown = _together([rows[at] for at in own])
        values = module(Pairs(shown, captions, (), part), len(joint))
        for name, each in values.items():
            sums[name] += float(each) * ranks() * len(joint) / len(held)
    module.train(training)
    return sums, found


def _each(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """All its tensors, changed; frames are not read here."""
    tokens, mask, boxes, pooled = (
        change(tensor) for tensor in (features.tokens, features.mask, features.boxes, features.pooled)
    )
    return Features(tokens, mask, boxes, pooled)


def _rows(features: Features) -> list[Features]:
    """Each picture by itself."""

    def row(at: int) -> Features:
        return _each(features, lambda tensor: tensor[at : at + 1])

    return [row(at) for at in range(len(features.mask))]


def _together(rows: Sequence[Features]) -> Features:
    """Pictures, padded to the longest."""
    longest = max(each.mask.shape[1] for each in rows)

    def padded(tensor: Tensor) -> Tensor:
        more = longest - tensor.shape[1]
        return torch.cat([tensor, tensor.new_zeros(1, more, *tensor.shape[2:])], dim=1) if more else tensor

    return Features(
        tokens=torch.cat([padded(each.tokens) for each in rows]),
        mask=torch.cat([padded(each.mask) for each in rows]),
        boxes=torch.cat([padded(each.boxes) for each in rows]),
        pooled=torch.cat([each.pooled for each in rows]),
    )
