"""A connector learns the language model's own words, without the language model being run.

Token by token, what it makes of a picture is to be the embedding of the caption's next word: so the language model is
handed a blurred caption in words it knows, from which it learns to answer in few steps; and a step of this costs no
language model at all. All words are guessed at once, as in Gu et al., 2018.

Notation: B pictures, M connector tokens, W words, D width of the language model.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.progress import progress
from isthmus.training.data.questions import Question
from isthmus.training.recipe import Stage
from isthmus.training.vlm import Source, draw, features_of_drawn, optimiser_of, update
from isthmus.vision.depths import DepthsEncoder
from isthmus.vlm.model import VisionLanguageModel

PAUSE = "\n"
"""Stands behind the caption, up to the last token: it says nothing."""
PAUSES = 0.1
"""What a pause weighs in the loss, but for the first, where a word weighs 1."""


class Words:
    """The words of some captions: their ids in the language model's tokenizer, and their embeddings."""

    def __init__(self, model: VisionLanguageModel, captions: Iterable[str]) -> None:
        self._tokenizer = model.tokenizer
        said = sorted(set(captions))
        known = dict(zip(said, self._tokenizer([f" {caption}" for caption in said])["input_ids"], strict=True))
        pause: int = self._tokenizer(PAUSE)["input_ids"][0]
        ids = [pause, *sorted(set(chain.from_iterable(known.values())) - {pause})]
        self.ids = tuple(ids)
        place = {id_: at for at, id_ in enumerate(ids)}
        self._targets = {caption: [place[id_] for id_ in row] for caption, row in known.items()}
        rows = model.language_model.get_input_embeddings().weight.detach()
        self.table = rows[torch.tensor(ids, device=rows.device)].float()  # [W, D], the pause first

    def loss(self, tokens: Tensor, captions: Sequence[str]) -> Tensor:
        """Cross entropy of tokens [B, M, D], each over all words. Captions longer than M are cut."""
        m = tokens.shape[1]
        targets, weights = torch.zeros(len(captions), m, dtype=torch.long), torch.full((len(captions), m), PAUSES)
        for row, caption in enumerate(captions):
            said = self._targets[caption][:m]
            targets[row, : len(said)] = torch.tensor(said)
            weights[row, : len(said) + 1] = 1
        targets, weights = targets.to(tokens.device), weights.to(tokens.device)
        apart = F.cross_entropy(self.scores(tokens).flatten(0, 1), targets.flatten(), reduction="none")
        return (apart * weights.flatten()).sum() / weights.sum()

    def scores(self, tokens: Tensor) -> Tensor:
        """[B, M, D] -> [B, M, W]: minus half the squared distance to each word, but for what all words share."""
        with torch.autocast(tokens.device.type, enabled=False):
            scores: Tensor = tokens.float() @ self.table.T - self.table.square().sum(1) / 2
            return scores


def caption_of(asked: Sequence[Question]) -> str | None:
    """What is to be said of a picture: the list of what is where, or the name of the one thing there is."""
    told = {question.kind: question.answer for question in asked}
    return told.get("list") or told.get("what")


def train_words(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    sources: Sequence[Source],
    stage: Stage,
    seed: int,
    *,
    every: Callable[[int], None] | None = None,
    quiet: bool = False,
) -> None:
    """Trains the connector so that its tokens say what the picture shows."""
    rng = random.Random(f"words {seed}")
    torch.manual_seed(seed)
    spoken = [source for source in sources if any(map(caption_of, source.pictures.asked))]
    captions = {caption_of(asked) for source in spoken for asked in source.pictures.asked}
    words = Words(model, {c for c in captions if c} | {name for source in spoken for name in source.imagined})
    optimiser, schedule = optimiser_of(model.connector, stage)
    model.train()
    mean = 0.0
    with progress("words", stage.steps, "steps", quiet=quiet) as reporter:
        for step in range(stage.steps):
            drawn = [each for each in draw(rng, spoken, stage.batch) if caption_of(each.asked)]
            features = features_of_drawn(encoder, drawn, stage.feature_dropout)
            with torch.autocast(encoder.classes.device.type, torch.bfloat16):
                tokens = model.connect(features).tokens
            loss = words.loss(tokens, [caption_of(each.asked) or "" for each in drawn])
            update(loss, model.connector, optimiser, schedule)
            mean = loss.item() if not step else mean + 0.05 * (loss.item() - mean)
            reporter.advance(note=f"loss {mean:.3f}")
            if every is not None:
                every(step + 1)
