"""Train the default models: features of a frozen encoder, a connector, a frozen language model.

BLIP-2's way: a Q-Former learns to read pictures (stage 1), then to speak to the language model (stage 2). LLaVA's way:
an MLP learns to say words, to caption (align), then to answer (instruct). In both, only the connector changes.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.hint import HintConnector
from isthmus.connectors.names import NamesConnector
from isthmus.connectors.objectives import Stage1
from isthmus.connectors.soft_prompt import SoftPromptConnector
from isthmus.contrastive.tokenizer import Tokenizer
from isthmus.precision import fast_autocast
from isthmus.progress import progress
from isthmus.training.batches import Asked, Drawn, Source, draw, features_of_drawn, names_of
from isthmus.training.data.forms import form_of_scene
from isthmus.training.data.questions import Question, as_typed, questions
from isthmus.training.data.scenes import told_scene
from isthmus.training.recipe import Stage
from isthmus.training.words import Words
from isthmus.vision.depths import DepthsEncoder
from isthmus.vlm.branches import forward_branches
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.questions import text_of

PLAIN, SHOWN = 0.35, 0.55
"""Shares of the steps on hints, see `train_hints`."""
POOL = 80_000
"""Overviews kept to learn names from: 700 MB."""


def train_stage1(
    stage1: Stage1,
    tokenizer: Tokenizer,
    encoder: DepthsEncoder,
    sources: Sequence[Source],
    stage: Stage,
    seed: int,
    *,
    every: Callable[[int], None] | None = None,
    quiet: bool = False,
) -> None:
    """ITC, ITM and ITG on pictures and their captions: each picture's "describe" question holds one."""
    rng = random.Random(f"stage 1 {seed}")
    torch.manual_seed(seed)
    captions: dict[str, int] = {}
    optimiser, schedule = optimiser_of(stage1, stage)
    stage1.train()
    means = _Means()
    with progress("stage 1", stage.steps, "steps", quiet=quiet) as reporter:
        for step in range(stage.steps):
            drawn, told = [], []
            for each in draw(rng, sources, stage.batch):
                caption = next((q.answer for q in each.asked if q.kind == "describe"), None)
                if caption is not None:
                    drawn.append(each)
                    told.append(caption)
            ids = tokenizer(told)
            same = torch.tensor([captions.setdefault(caption, len(captions)) for caption in told])
            features = features_of_drawn(encoder, drawn, stage.feature_dropout)
            with fast_autocast(encoder.classes.device):
                losses = stage1(features, Text(ids.ids, ids.mask), same)
            update(losses.total, stage1, optimiser, schedule)
            reporter.advance(note=means({name: getattr(losses, name) for name in ("itc", "itm", "itg")}))
            if every is not None:
                every(step + 1)


def train_words(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    sources: Sequence[Source],
    stage: Stage,
    seed: int,
    *,
    words: Words,
    every: Callable[[int], None] | None = None,
    quiet: bool = False,
) -> None:
    """Trains the connector so that its tokens say what the picture shows."""
    rng = random.Random(f"words {seed}")
    torch.manual_seed(seed)
    optimiser, schedule = optimiser_of(model.connector, stage)
    model.train()
    means = _Means()
    with progress("words", stage.steps, "steps", quiet=quiet) as reporter:
        for step in range(stage.steps):
            drawn = [each for each in draw(rng, sources, stage.batch) if each.form]
            features = features_of_drawn(encoder, drawn, stage.feature_dropout)
            with fast_autocast(encoder.classes.device):
                scores = model.connect(features).scores
            assert scores is not None, "only a connector that speaks in words can learn them"
            loss = words.loss(scores, [each.form for each in drawn])
            update(loss, model.connector, optimiser, schedule)
            reporter.advance(note=means({"loss": loss}))
            if every is not None:
                every(step + 1)


def train_names(
    connector: NamesConnector,
    encoder: DepthsEncoder,
    sources: Sequence[Source],
    stage: Stage,
    seed: int,
    *,
    names: Sequence[str],
    quiet: bool = False,
) -> None:
    """The linear map from overviews to names learns what single things are called; nothing else of the connector does.

    Overviews are small: they are made once, POOL pictures at most, and seen many times. `names`: as `names_of`.
    """
    rng = random.Random(f"names {seed}")
    torch.manual_seed(seed)
    place = {name: at for at, name in enumerate(names)}
    seen, called = [], []
    count = min(POOL, stage.steps * stage.batch)
    with progress("overviews", count, "pictures", quiet=quiet) as reporter:
        for at in range(0, count, stage.batch):
            drawn = [each for each in draw(rng, sources, min(stage.batch, count - at)) if len(each.form) == 1]
            if not drawn:  # a small batch of scenes alone
                continue
            stored = torch.stack([each.stored for each in drawn]).to(encoder.classes.device)
            imagined = torch.tensor([each.imagined for each in drawn])
            seen.append(encoder.overview(stored, imagined).half())
            called += [place[each.form[0].name] for each in drawn]
            reporter.advance(min(stage.batch, count - at))
    overviews, targets = torch.cat(seen), torch.tensor(called, device=encoder.classes.device)
    with _frozen(connector.inner), progress("names", stage.steps, "steps", quiet=quiet) as reporter:
        optimiser, schedule = optimiser_of(connector, stage)
        means = _Means()
        for _ in range(stage.steps):
            batch = torch.randint(len(overviews), (stage.batch,)).to(targets.device)
            shown = F.dropout(overviews[batch].float(), stage.feature_dropout)
            loss = F.nll_loss(connector.opinion(shown), targets[batch])
            update(loss, connector, optimiser, schedule)
            reporter.advance(note=means({"loss": loss}))


def train_hints(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    sources: Sequence[Source],
    stage: Stage,
    seed: int,
    *,
    words: Words,
    every: Callable[[int], None] | None = None,
    quiet: bool = False,
) -> None:
    """The connector learns to hint at the answers; nothing else of it changes, and the language model is not run.

    `stage.told` true accounts a step are of scenes that nobody has drawn, of which there is no end. With them alone it
    learns first what questions mean (until PLAIN, what compares two things is asked in one wording: to tell which is
    meant and how they lie at once is learned much later); from SHOWN on, also with what the connector sees in pictures.
    """
    connector = model.connector
    assert isinstance(connector, HintConnector)
    rng = random.Random(f"hints {seed}")
    torch.manual_seed(seed)
    asked = Asked(model, encoder.num_tokens)
    names = names_of(sources)[1:]
    optimiser, schedule = optimiser_of(connector.reader, stage)
    model.train()
    means = _Means()
    with progress("hints", stage.steps, "steps", quiet=quiet) as reporter:
        for step in range(stage.steps):
            done = step / stage.steps
            forms, chosen = [], []
            for _ in range(stage.told):
                number = rng.randrange(1 << 30)
                scene = told_scene(names, number)
                forms.append(form_of_scene(scene))
                chosen.append([as_typed(q, rng) for q in questions(scene, names, number, plain=done < PLAIN)])
            tokens = words.told(forms, connector.inner.num_tokens(encoder.num_tokens))
            if done >= SHOWN:
                drawn = draw(rng, sources, stage.batch)
                chosen += [_chosen(rng, each.asked, stage) for each in drawn]
                features = features_of_drawn(encoder, drawn, stage.feature_dropout)
                with torch.no_grad(), fast_autocast(encoder.classes.device):
                    seen = model.look(features).tokens
                tokens = torch.cat([tokens, seen.to(tokens)])
            owner = torch.tensor([at for at, each in enumerate(chosen) for _ in each], device=tokens.device)
            mask = torch.ones(len(owner), tokens.shape[1], dtype=torch.bool, device=tokens.device)
            text = text_of([asked(q).questions[0] for each in chosen for q in each], tokens.device)
            with fast_autocast(encoder.classes.device):
                scores = connector.hint(Tokens(tokens[owner], mask), text).scores
            assert scores is not None
            answers = words.answers([q.answer for each in chosen for q in each], connector.hints)
            loss = F.cross_entropy(scores.flatten(0, 1), answers.flatten().to(scores.device))
            update(loss, connector.reader, optimiser, schedule)
            reporter.advance(note=means({"loss": loss}))
            if every is not None:
                every(step + 1)


def _chosen(rng: random.Random, asked: Sequence[Question], stage: Stage) -> list[Question]:
    """Those of a picture's questions that the stage asks now, as people type them."""
    fitting = [q for q in asked if not stage.kinds or q.kind in stage.kinds]
    return [as_typed(q, rng) for q in rng.sample(fitting, min(stage.questions, len(fitting)))]


def train_answers(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    sources: Sequence[Source],
    stage: Stage,
    seed: int,
    *,
    words: Words | None = None,
    steering: bool = False,
    every: Callable[[int], None] | None = None,
    quiet: bool = False,
) -> None:
    """The connector learns from the language model's loss on the answers.

    `words`: it is held to its words on the way, by `stage.words` of their loss. `steering`: nothing of the soft
    prompt's connector learns but its own (SoftPromptConnector.steering).
    """
    rng = random.Random(f"answers {seed}")
    torch.manual_seed(seed)
    asked = Asked(model, encoder.num_tokens)
    means = _Means()
    with (
        _frozen(model.connector.inner) if steering else nullcontext(),
        progress("answers", stage.steps, "steps", quiet=quiet) as reporter,
    ):
        optimiser, schedule = optimiser_of(model.connector, stage)
        model.train()
        for step in range(stage.steps):
            drawn, groups = [], []
            for each in draw(rng, sources, stage.batch):
                if chosen := _chosen(rng, each.asked, stage):
                    drawn.append(each)
                    groups.append([asked(question) for question in chosen])
            features = features_of_drawn(encoder, drawn, stage.feature_dropout)
            with fast_autocast(encoder.classes.device):
                tokens = model.look(features)
                losses = {"answers": forward_branches(model, groups, tokens).loss}
            loss = losses["answers"]
            if words is not None and stage.words and tokens.scores is not None:
                losses["words"] = _words_loss(words, tokens.scores, drawn)
                loss = loss + stage.words * losses["words"]
            update(loss, model.connector, optimiser, schedule)
            reporter.advance(note=means(losses))
            if every is not None:
                every(step + 1)


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """None of its parameters learns in here."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _words_loss(words: Words, scores: Tensor, drawn: Sequence[Drawn]) -> Tensor:
    """Of those pictures of which it is known what they show."""
    known = torch.tensor([bool(each.form) for each in drawn], device=scores.device)
    return words.loss(scores[known], [each.form for each in drawn if each.form])


class _Means:
    """Running means of losses, as progress shows them."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def __call__(self, losses: Mapping[str, Tensor]) -> str:
        for name, loss in losses.items():
            before = self._means.setdefault(name, loss.item())
            self._means[name] += 0.05 * (loss.item() - before)
        return ", ".join(f"{name} {mean:.3f}" for name, mean in self._means.items())


def optimiser_of(module: nn.Module, stage: Stage) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    steering = module.steering if isinstance(module, SoftPromptConnector) else []
    others = [p for p in trained if not any(p is each for each in steering)]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": stage.weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        {"params": steering, "weight_decay": 0.0, "lr": stage.prompt_rate or stage.rate},
    ]
    groups = [group for group in groups if group["params"]]
    optimiser = torch.optim.AdamW(groups, lr=stage.rate, betas=(0.9, 0.98), fused=True)
    rates = [float(group["lr"]) for group in optimiser.param_groups]
    # a warm-up of exactly one step would have it divide by nothing
    warmup = stage.warmup if stage.warmup * stage.steps > 1.5 else 0.5 / stage.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rates, stage.steps, pct_start=warmup, cycle_momentum=False
    )
    return optimiser, schedule


def update(
    loss: Tensor,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for p in module.parameters() if p.grad is not None], 1.0)
    optimiser.step()
    schedule.step()
