"""Batches of the default models' training: pictures drawn from weighted sources, their features, what is asked."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from isthmus.messages import assistant, user
from isthmus.training.data.forms import ANY_SCENE, Form, form_of_one
from isthmus.training.data.questions import CAPTIONS, Question, questions_of_one
from isthmus.training.pictures import Pictures
from isthmus.training.words import Words
from isthmus.vision.depths import DepthsEncoder
from isthmus.vision.features import Features, unboxed
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Extent, Sample


@dataclass(frozen=True)
class Source:
    """`share` of each batch, relative to the others. With `imagined`, names of the classifier's classes: one of them,
    drawn anew each time, is imagined in the picture and asked for instead (DepthsEncoder.tokens)."""

    pictures: Pictures
    share: float
    imagined: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """One picture of a batch: stored [N, C], the class imagined in it or -1, what is asked, what it shows."""

    stored: Tensor
    imagined: int
    asked: tuple[Question, ...]
    form: Form


def features_of(encoder: DepthsEncoder, stored: Tensor, imagined: Tensor | None = None) -> Features:
    """stored [B, N, C] -> Features as `encode` gives them, without boxes, which no connector reads."""
    tokens = encoder.tokens(stored, imagined)
    return unboxed(tokens)


def names_of(sources: Sequence[Source]) -> list[str]:
    """All that the sources' pictures, and those that are imagined, are called; first of all "", for nothing."""
    drawn = {line.name for source in sources for form in source.pictures.forms for line in form}
    return ["", *sorted(drawn.union(*(source.imagined for source in sources)) - {""})]


def words_of(tokenizer: Any, rows: Tensor, sources: Sequence[Source], *, on_grid: bool = False) -> Words:
    """The words of all that the sources, and any scene, show and answer, as `Words` takes them."""
    forms = {form for source in sources for form in source.pictures.forms if form}
    imagined = {form_of_one(name) for source in sources for name in source.imagined}
    answers = {
        q.answer for source in sources for asked in source.pictures.asked for q in asked if q.kind not in CAPTIONS
    }
    return Words(tokenizer, rows, {*forms, *imagined, *ANY_SCENE}, answers | {"yes", "no"}, on_grid=on_grid)


def draw(rng: random.Random, sources: Sequence[Source], count: int) -> list[Drawn]:
    drawn = []
    for source in rng.choices(sources, [source.share for source in sources], k=count):
        at = rng.randrange(len(source.pictures.stored))
        stored = source.pictures.stored[at]
        if source.imagined:
            number = rng.randrange(len(source.imagined))
            asked = questions_of_one(source.imagined[number], source.imagined, rng.randrange(1 << 30))
            drawn.append(Drawn(stored, number, tuple(asked), form_of_one(source.imagined[number])))
        else:
            drawn.append(Drawn(stored, -1, source.pictures.asked[at], source.pictures.forms[at]))
    return drawn


def features_of_drawn(encoder: DepthsEncoder, drawn: Sequence[Drawn], dropout: float) -> Features:
    """`dropout`: share of the channels that are zero in all of a picture's tokens, the others raised to make up."""
    stored = torch.stack([each.stored for each in drawn]).to(encoder.classes.device)
    features = features_of(encoder, stored, torch.tensor([each.imagined for each in drawn]))
    if not dropout:
        return features
    kept = torch.empty_like(features.tokens[:, :1]).bernoulli_(1 - dropout) / (1 - dropout)
    return replace(features, tokens=features.tokens * kept)


class Asked:
    """Questions about pictures of n encoder tokens as Samples, each built once."""

    def __init__(self, model: VisionLanguageModel, n: int) -> None:
        self._model = model
        self._extent = Extent(model.connector.num_tokens(n))
        self._kept: dict[tuple[str, str], Sample] = {}

    def __call__(self, question: Question) -> Sample:
        key = question.text, question.answer
        if key not in self._kept:
            messages = (user(b"", question.text), assistant(question.answer))
            self._kept[key] = self._model.sample(messages, [self._extent])
        return self._kept[key]

    def prompt(self, question: Question) -> Sample:
        """Up to where the answer begins."""
        return self._model.sample((user(b"", question.text),), [self._extent], prompt=True)
