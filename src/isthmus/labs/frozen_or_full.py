"""Lab `frozen`'s two ways to train one model: the connector between frozen parts, or all of it.

Both start equal: the default encoder, an MLP, SmolLM2-135M. Where all is trained, encoder and language model are kept
in float32 (AdamW's steps at a small rate are lost in bf16) and the language model computes in bf16 by autocast; where
they are frozen they stay in bf16, as stored, and a picture is encoded once.

Notation: B pictures, N tokens of the encoder, D width.
"""

import copy
import inspect
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Tokens
from isthmus.connectors.mlp import MlpConnector
from isthmus.labs.asked_shapes import Shapes
from isthmus.precision import fast_autocast
from isthmus.training.batches import Asked
from isthmus.training.default_vlm import WORD_SCALE
from isthmus.vision.depths import OVERVIEWS, DepthsEncoder
from isthmus.vision.features import Features, unboxed
from isthmus.vlm.branches import forward_branches
from isthmus.vlm.language_model import LanguageModel
from isthmus.vlm.model import Output, VisionLanguageModel
from isthmus.vlm.sequence import Sample
from isthmus.vlm.template import Blip2

# What `encode` does, without its no_grad: features of an encoder that is trained.
_stored, _tokens = inspect.unwrap(DepthsEncoder.stored), inspect.unwrap(DepthsEncoder.tokens)

TEMPLATE = Blip2(bos=None)
"""The shortest: a step's time is its tokens'."""


@dataclass(frozen=True)
class Rates:
    """Of a connector that is trained alone; where all is trained, of the connector and of what was trained before."""

    alone: float
    connector: float
    trained_before: float
    warmup: int


@dataclass
class Seconds:
    """Of the processor, for a step: features of its pictures, loss, gradients, and what the optimiser does."""

    encode: float = 0.0
    forward: float = 0.0
    backward: float = 0.0
    update: float = 0.0

    @property
    def total(self) -> float:
        return self.encode + self.forward + self.backward + self.update


@dataclass
class Trainee:
    """A model in training. `stored`: what the encoder keeps of the training pictures [n, N, C], where it is frozen."""

    model: VisionLanguageModel
    encoder: DepthsEncoder
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    stored: Tensor | None

    @property
    def trained(self) -> list[nn.Parameter]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.trained)

    def bytes(self) -> tuple[int, int, int]:
        """Of all weights, of gradients, of the optimiser's states, as they lie in memory after a step."""
        parts: tuple[nn.Module, ...] = (self.encoder.base.net, self.model)
        gradients = [p.grad for p in self.trained if p.grad is not None]
        states = [s for state in self.optimiser.state.values() for s in state.values() if torch.is_tensor(s)]
        return _bytes([p for part in parts for p in part.parameters()]), _bytes(gradients), _bytes(states)

    def features(self, shapes: Shapes, rows: Sequence[int]) -> Features:
        """The overview tokens alone, [B, OVERVIEWS, D]: what 49 cells tell apart beyond them a picture of one shape
        does not need, and a step would take three times as long."""
        if self.stored is not None:
            tokens = self.encoder.tokens(self.stored[torch.as_tensor(rows)])
        else:
            tokens = _tokens(self.encoder, _stored(self.encoder, [shapes.views[row] for row in rows]))
        return unboxed(tokens[:, :OVERVIEWS])

    def step(self, shapes: Shapes, rows: Sequence[int], asked: Asked) -> Seconds:
        """One step on all questions about these pictures."""
        spent = Seconds()
        groups = [[asked(question) for question in shapes.asked[row]] for row in rows]
        start = time.process_time()
        self.optimiser.zero_grad()
        features = self.features(shapes, rows)
        spent.encode = (encoded := time.process_time()) - start
        with fast_autocast("cpu"):
            loss = forward_branches(self.model, groups, self.model.connect(features)).loss
        spent.forward = (known := time.process_time()) - encoded
        loss.backward()  # type: ignore[no-untyped-call]
        spent.backward = (propagated := time.process_time()) - known
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        self.schedule.step()
        spent.update = time.process_time() - propagated
        return spent


def trainees(
    encoder: DepthsEncoder,
    trained_encoder: DepthsEncoder,
    language: LanguageModel,
    stored: Tensor,
    rates: Rates,
    seed: int,
) -> tuple[Trainee, Trainee]:
    """(connector only, all): from the same start. `trained_encoder`: the same in float32; a copy is trained."""
    connector = fresh_connector(encoder, language, seed)
    whole = copy.deepcopy(language.model).float()
    eyes = copy.copy(trained_encoder)
    eyes.base = copy.copy(trained_encoder.base)
    eyes.base.net = copy.deepcopy(trained_encoder.base.net)
    # the class evidence comes from `classify`, which gives no gradients: the classifier's own matrix stays
    learned = [p for name, p in eyes.base.net.named_parameters() if not name.startswith("classifier")]
    for parameter in learned:
        parameter.requires_grad_(True)
    narrow = VisionLanguageModel(encoder, copy.deepcopy(connector), language.model, language.tokenizer, TEMPLATE)
    full = VisionLanguageModel(
        eyes, connector, whole, language.tokenizer, TEMPLATE, trainable=("connector", "language_model")
    )
    return (
        _trainee(narrow, encoder, [], rates, stored),
        _trainee(full, eyes, [*whole.parameters(), *learned], rates, None),
    )


def fresh_connector(encoder: DepthsEncoder, language: LanguageModel, seed: int) -> MlpConnector:
    """An MLP that has learned nothing, its tokens about as long as the language model's words."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        connector = MlpConnector(encoder.width, language.model.get_input_embeddings().weight.shape[1])
        with torch.no_grad():
            connector.maps[-1].weight.mul_(WORD_SCALE)  # type: ignore[operator]
    return connector


def _trainee(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    others: list[nn.Parameter],
    rates: Rates,
    stored: Tensor | None,
) -> Trainee:
    rate = rates.connector if others else rates.alone
    groups: list[dict[str, Any]] = [{"params": list(model.connector.parameters()), "lr": rate}]
    if others:
        groups.append({"params": others, "lr": rates.trained_before})
    # fused: one pass over memory, the fastest there is for many parameters
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    # constant after the warm-up, so that a run may be looked at, or go on, at any step
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / rates.warmup))
    return Trainee(model, encoder, optimiser, schedule, stored)


@torch.no_grad()
def accuracy(trainee: Trainee, shapes: Shapes, asked: Asked, *, blind: bool = False, batch: int = 25) -> float:
    """Of all questions, the share answered right, word for word; `blind`: the picture's tokens are zeros."""
    right: list[bool] = []
    kept, trainee.stored = trainee.stored, None  # these are other pictures
    for start in range(0, len(shapes), batch):
        rows = range(start, min(start + batch, len(shapes)))
        groups = [[asked(question) for question in shapes.asked[row]] for row in rows]
        features = trainee.features(shapes, rows)
        right += answered(trainee.model, groups, features, blind=blind)
    trainee.stored = kept
    return sum(right) / len(right)


@torch.no_grad()
def answered(
    model: VisionLanguageModel, groups: Sequence[Sequence[Sample]], features: Features, *, blind: bool = False
) -> list[bool]:
    """Of each question of each group, whether its answer is right. `features`: of each group's one picture."""
    with fast_autocast("cpu"):
        tokens = model.connect(features)
        if blind:
            tokens = Tokens(torch.zeros_like(tokens.tokens), tokens.mask)
        out = forward_branches(model, groups, tokens)
    return word_for_word(out, [sample for group in groups for sample in group])


def word_for_word(out: Output, samples: Sequence[Sample]) -> list[bool]:
    """Of each sample whether every token of its answer, its end included, is the likeliest behind those before it.
    Then, and only then, it is what would be generated."""
    hits = out.logits.argmax(-1).eq(out.targets).tolist()
    right: list[bool] = []
    for sample in samples:
        right.append(all(hits[: sample.trained]))
        del hits[: sample.trained]
    return right


@torch.no_grad()
def perplexity(model: VisionLanguageModel, text: str) -> float:
    """Of the language model alone, on a text it reads from the start."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with fast_autocast("cpu"):
        logits = model.language_model(input_ids=ids, use_cache=False).logits.float()
    loss = nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
    return loss.exp().item()


def batches(count: int, size: int, seed: int) -> Any:
    """Rows of `size` pictures at a time, for ever: all of them in a new order, again and again."""
    rng = random.Random(seed)
    waiting: list[int] = []
    while True:
        while len(waiting) < size:
            waiting += rng.sample(range(count), count)
        yield waiting[:size]
        del waiting[:size]


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
