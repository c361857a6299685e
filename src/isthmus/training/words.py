"""A connector learns the language model's own words, without the language model being run.

Each of its tokens, a mixture of words (AlignConnector), is to be one word of a form that tells what the picture shows
(data/forms.py): so the language model is handed an account in words it knows, blurred where the connector is unsure,
from which it learns to answer in few steps; and a step of this costs no language model at all. All words are guessed at
once, as in Gu et al., 2018, and a form has every word where it belongs whatever the others are.

A connector that keeps the encoder's grid has no say in where a token stands. It learns to say each name, number and
colour of the form in some token where the thing is, as far as the form says where, and in an overview; and nothing
else: words of captions, found in regions (Fang et al., 2015).

Notation: B pictures, M connector tokens, W words, D width of the language model.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.connectors.names import NamesShape
from isthmus.training.data.forms import LINES, UNKNOWN, Form, Line
from isthmus.training.data.questions import NUMBERS
from isthmus.vision.depths import OVERVIEWS

PAUSE = "\n"
"""Stands wherever there is nothing to say."""
PAUSES = 0.1
"""What a pause weighs in the loss where it could be told from what stands before it; elsewhere all weigh 1."""
SURE, TINY = 1 - 1e-6, 1e-7
"""Chances nearer to 1, or sums of them nearer to 0, would have infinite logarithms or gradients."""
ROOM = (1, 1, 1, 4, 2)
"""Tokens of each field of a line; behind them stands a comma."""
ROW = sum(ROOM) + 1
TOLD = LINES * ROW
"""Tokens of a form."""
NAME = slice(sum(ROOM[:3]), sum(ROOM[:4]))
"""Where in a line its name stands."""
NAMES = NamesShape(tuple(line * ROW + NAME.start for line in range(LINES)), alone=ROW, overviews=OVERVIEWS)


class Words:
    """The words of some forms and answers: their ids in the language model's tokenizer, and their embeddings."""

    def __init__(
        self,
        tokenizer: Any,
        rows: Tensor,
        forms: Iterable[Form],
        answers: Iterable[str] = (),
        *,
        on_grid: bool = False,
    ) -> None:
        """`rows` [V, D]: the language model's embeddings, by the ids of its tokenizer. `answers`: what else is said.
        `on_grid`: tokens are a DepthsEncoder's overviews and cells, in this order, and `loss` asks for no form."""
        self._tokenizer, self._on_grid = tokenizer, on_grid
        self._pause: int = self._tokenizer(PAUSE)["input_ids"][0]
        self._comma: int = self._tokenizer(",")["input_ids"][0]
        self._known: dict[str, list[int]] = {}
        self._laid: dict[Form, tuple[list[int], list[float]]] = {}
        known = set(chain.from_iterable(self.laid_out(form)[0] for form in set(forms)))
        known |= set(chain.from_iterable(self._ids(answer) for answer in set(answers)))
        self.ids = (self._pause, *sorted(known - {self._pause}))
        self._place = {id_: at for at, id_ in enumerate(self.ids)}
        self.table = rows.detach()[torch.tensor(self.ids, device=rows.device)].float()  # [W, D], the pause first

    def laid_out(self, form: Form) -> tuple[list[int], list[float]]:
        """TOLD ids, and what each of them weighs in the loss."""
        if form not in self._laid:
            ids: list[int] = []
            weights: list[float] = []
            for line in form:
                for text, room in zip(line.fields, ROOM, strict=True):
                    said = self._ids(text)[:room]
                    rest = room - len(said)
                    ids += said + [self._pause] * rest
                    first = 0.0 if text == UNKNOWN else 1.0
                    weights += [1.0] * len(said) + ([first] + [first * PAUSES] * (rest - 1) if rest else [])
                ids.append(self._comma)
                weights.append(PAUSES)
            empty = (LINES - len(form)) * ROW
            ids += [self._pause] * empty
            weights += ([1.0] + [PAUSES] * (empty - 1)) if empty else []
            self._laid[form] = ids, weights
        return self._laid[form]

    def told(self, forms: Sequence[Form], m: int) -> Tensor:
        """[B, m, D]: the embeddings of the forms themselves, as a connector of m tokens would say them at best."""
        rows = torch.tensor([[self._place[id_] for id_ in self.laid_out(form)[0]] for form in forms])
        told: Tensor = self.table[_fitted(rows, m, 0).to(self.table.device)]
        return told

    def spelled(self, names: Sequence[str]) -> Tensor:
        """[names, 4] int64: the places in `table` of each name's words, as a line has them."""
        ids = [self.laid_out((Line("", "", "", name, ""),))[0][NAME] for name in names]
        return torch.tensor([[self._place[id_] for id_ in each] for each in ids])

    def loss(self, scores: Tensor, forms: Sequence[Form]) -> Tensor:
        """Cross entropy of scores [B, M, W], each token's over all words. What has no token is not asked for; what a
        token says behind the form hardly counts. `on_grid`: of each token that it says what is there, or, of a cell, a
        pause; and of each word that an overview says it, and one of the cells where its thing is (noisy or)."""
        if self._on_grid:
            return self._loss_on_grid(scores, forms)
        laid = [self.laid_out(form) for form in forms]
        m = scores.shape[1]
        targets = _fitted(torch.tensor([[self._place[id_] for id_ in ids] for ids, _ in laid]), m, 0)
        weights = _fitted(torch.tensor([weights for _, weights in laid]), m, PAUSES).to(scores.device)
        apart = F.cross_entropy(scores.flatten(0, 1), targets.flatten().to(scores.device), reduction="none")
        return (apart * weights.flatten()).sum() / weights.sum()

    def _loss_on_grid(self, scores: Tensor, forms: Sequence[Form]) -> Tensor:
        side = math.isqrt(scores.shape[1] - OVERVIEWS)
        named = torch.zeros(scores.shape, dtype=torch.bool)  # what each token may say
        asked: list[tuple[int, int, Tensor]] = []  # picture, word, the tokens one of which is to say it
        for at, form in enumerate(forms):
            for line in form:
                cells = _cells(line, side)
                for id_ in self._said(line):
                    named[at, cells, self._place[id_]] = True
                    asked.append((at, self._place[id_], cells))
        told = named.any(-1)
        fitting = named.clone()
        fitting[..., 0] |= ~named[:, :1].any(-1) | (torch.arange(scores.shape[1]) >= OVERVIEWS)
        chances = scores.float().log_softmax(-1)
        beside = -chances.masked_fill(~fitting.to(scores.device), -torch.inf).logsumexp(-1)
        weights = torch.where(told, 1.0, PAUSES).to(scores.device)
        loss = (beside * weights).sum() / weights.sum()
        if not asked:
            return loss
        pictures = torch.tensor([picture for picture, _, _ in asked])
        words = torch.tensor([word for _, word, _ in asked])
        here = torch.stack([cells for _, _, cells in asked]).to(scores.device)
        said = chances[pictures, :, words].exp().clamp(max=SURE)
        for tokens in (slice(0, OVERVIEWS), slice(OVERVIEWS, None)):
            # no token says it: the product of 1 - p, in logarithms
            unsaid = torch.log1p(-(said * here)[:, tokens]).sum(1)
            loss = loss - torch.log(-torch.expm1(unsaid.clamp(max=-TINY))).mean() / 2
        return loss

    def _said(self, line: Line) -> list[int]:
        """The ids of what cells may say: a number of several, a colour, a name."""
        number = "" if line.number == NUMBERS[1] else line.number
        return [
            id_
            for text, room in zip((number, line.colour, line.name), ROOM[1:4], strict=True)
            for id_ in self._ids(text)[:room]
        ]

    def answers(self, answers: Sequence[str], k: int) -> Tensor:
        """[B, k] int64: the places in `table` of these answers' words, pauses behind them; of what has more than k
        words or an unknown one, pauses alone."""
        rows = []
        for answer in answers:
            said = [self._place.get(id_, -1) for id_ in self._ids(answer)]
            rows.append(said + [0] * (k - len(said)) if len(said) <= k and -1 not in said else [0] * k)
        return torch.tensor(rows)

    def _ids(self, text: str) -> list[int]:
        if text in ("", UNKNOWN):
            return []
        if text not in self._known:
            self._known[text] = self._tokenizer(f" {text}")["input_ids"]
        return self._known[text]


def _cells(line: Line, side: int) -> Tensor:
    """[OVERVIEWS + side²] bool: the tokens that may tell of the line's thing: the overviews, and of the cells those of
    its place, or all where it is unknown or the thing is not alone."""
    down, across = torch.meshgrid(torch.arange(side) * 3 // side, torch.arange(side) * 3 // side, indexing="ij")
    inside = torch.ones(side, side, dtype=torch.bool)
    if line.place not in ("", UNKNOWN) and line.number == NUMBERS[1]:
        row = 0 if "top" in line.place else 2 if "bottom" in line.place else 1
        column = 0 if "left" in line.place else 2 if "right" in line.place else 1
        inside = (down == row) & (across == column)
    return torch.cat([torch.ones(OVERVIEWS, dtype=torch.bool), inside.flatten()])


def _fitted(rows: Tensor, m: int, filler: float) -> Tensor:
    """[B, TOLD] -> [B, m], cut or filled."""
    return F.pad(rows, (0, m - rows.shape[1]), value=filler)
