"""A connector learns the language model's own words, without the language model being run.

The tokens it makes of a picture are read as guesses at words, in the language model's embedding space; CTC asks that
some reading of them, in order and with pauses, is the caption. So the language model is handed a blurred caption in
words it knows, from which it learns to answer in few steps; and a step of this costs no language model at all.
Source of the loss: CTC (Graves et al., 2006).

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
"""The word that stands for CTC's blank: it says nothing."""


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
        """CTC of tokens [B, M, D] against the captions. A caption longer than M words counts nothing."""
        targets = [self._targets[caption] for caption in captions]
        flat = torch.tensor(list(chain.from_iterable(targets)))
        lengths = torch.tensor([len(row) for row in targets])
        chances = self.scores(tokens).log_softmax(-1).transpose(0, 1)
        spans = torch.full((len(captions),), tokens.shape[1])
        return F.ctc_loss(chances, flat.to(tokens.device), spans, lengths, zero_infinity=True)

    def scores(self, tokens: Tensor) -> Tensor:
        """[B, M, D] -> [B, M, W]: minus half the squared distance to each word, but for what all words share."""
        with torch.autocast(tokens.device.type, enabled=False):
            return tokens.float() @ self.table.T - self.table.square().sum(1) / 2


def caption_of(asked: Sequence[Question]) -> str | None:
    """What is to be said of a picture: the list of what is where, or the name of the one thing there is."""
    told = {question.kind: question.answer for question in asked}
    return told.get("list", told.get("what"))


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
    spoken = [source for source in sources if caption_of(source.pictures.asked[0]) is not None]
    captions = {caption_of(asked) for source in spoken for asked in source.pictures.asked}
    words = Words(model, {c for c in captions if c} | {name for source in spoken for name in source.imagined})
    optimiser, schedule = optimiser_of(model.connector, stage)
    model.train()
    mean = 0.0
    with progress("words", stage.steps, "steps", quiet=quiet) as reporter:
        for step in range(stage.steps):
            drawn = draw(rng, spoken, stage.batch)
            features = features_of_drawn(encoder, drawn)
            with torch.autocast(encoder.classes.device.type, torch.bfloat16):
                tokens = model.connect(features).tokens
            loss = words.loss(tokens, [caption_of(each.asked) or "" for each in drawn])
            update(loss, model.connector, optimiser, schedule)
            mean = loss.item() if not step else mean + 0.05 * (loss.item() - mean)
            reporter.advance(note=f"loss {mean:.3f}")
            if every is not None:
                every(step + 1)
