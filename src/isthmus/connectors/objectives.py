"""BLIP-2's first stage: a Q-Former learns to read pictures against their captions, before any language model.

Notation: B pairs in the joint batch, b on this rank, R ranks, M queries, T text tokens, D inner width, E width of
the common space, V vocabulary.

Under torch.distributed every rank brings its own b pairs (b, N and T may differ). Each loss is the joint batch's,
equal on every rank, and the *mean* over ranks of the gradients, which DistributedDataParallel takes, is the joint
loss's gradient. Without a process group the same code is the plain loss of one process.
"""

import math
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.connectors.connector import Text
from isthmus.connectors.masks import bidirectional, multimodal_causal, unimodal
from isthmus.connectors.negatives import draw, noise, twins
from isthmus.connectors.qformer import Memory, QFormer, start
from isthmus.errors import InputError
from isthmus.gathering import Ranks, gather_padded, gather_rows, mean_value, meet, summed
from isthmus.vision.features import Features


@dataclass(frozen=True)
class Losses:
    """itc, itm, itg: scalars; similarity [b, B] float32, without gradient: this rank's pictures against all texts,
    each the cosine of the best query."""

    itc: Tensor
    itm: Tensor
    itg: Tensor
    similarity: Tensor

    @property
    def total(self) -> Tensor:
        """Their plain sum, as BLIP-2 trains on."""
        return self.itc + self.itm + self.itg


class Stage1(nn.Module):
    """A Q-Former with BLIP-2's three objectives, all on the same pictures and captions.

    - **ITC**, contrast: picture and text, neither seeing the other, in one space; a pair's similarity is the best
      query's. Every other pair of the joint batch is a negative, but for equal captions, which are left out.
    - **ITM**, matching: does this text belong to this picture? Queries see the text; for each pair the true one, a
      hard wrong text and a hard wrong picture, drawn by ITC's similarities.
    - **ITG**, generation: the caption, token by token, from the queries.

    Trained parameters at BLIP-2's size (12 layers, 768 wide, 32 queries, ViT-g, 30,523 words): Q-Former with both
    sides 185,684,736 (the 105,162,240 of its query side, see QFormerConnector; 12 feed-forwards of the text of
    4,723,968; words 23,441,664; positions 393,216), two maps to E = 256 of 196,864, ITM head 1,538, temperature 1, ITG
    head 622,651 (its matrix is the word table). In all 186,702,654; the paper says 188 M.
    Sources: BLIP-2 (Li et al., 2023), section 3.2; hard negatives: ALBEF (Li et al., 2021), section 3.2.
    """

    def __init__(
        self,
        qformer: QFormer,
        dim: int = 256,
        *,
        start_token: int,
        temperature: float = 0.07,
        smoothing: float = 0.1,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        """`dim` is E; `start_token` stands first in ITG's captions, where ITC's and ITM's have [CLS]; `smoothing`: the
        part of each target that ITC and ITG spread over all choices.

        Raises InputError where the Q-Former has no text side or its vocabulary no such token.
        """
        super().__init__()
        config = qformer.config
        if not 0 <= start_token < config.vocabulary:
            raise InputError(
                f"stage 1 needs a start token, and {start_token} is none of the {config.vocabulary} words",
                why="a Q-Former without text side has no words" if not config.vocabulary else "",
                todo="give the id of [DEC], or add a word for it when the Q-Former is made",
            )
        self.qformer, self.start_token, self.smoothing, self.group = qformer, start_token, smoothing, group
        self.picture_map = nn.Linear(config.width, dim)
        self.text_map = nn.Linear(config.width, dim)
        self.log_temperature = nn.Parameter(torch.tensor([math.log(temperature)]))  # [1]: FSDP2 shards no scalars
        self.itm_head = nn.Linear(config.width, 2)
        self.itg_head = WordHead(config.width, config.vocabulary, config.epsilon)
        if not self.itm_head.weight.is_meta:
            for head in (self.picture_map, self.text_map, self.itm_head, self.itg_head):
                head.apply(start)

    def forward(
        self, features: Features, text: Text, same: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Losses:
        """features of b pictures and their captions, text [b, T] right-padded, [CLS] first.

        same [b] int64: pairs with equal ids have equal captions and are no negatives of each other. `generator`
        draws ITM's negatives; in the same state on every rank it draws what one process with the joint batch would.
        Raises InputError, on every rank alike, where the joint batch has no two different captions or no caption has
        a word.
        """
        if len(features.tokens) != len(text.ids):
            raise ValueError(f"{len(features.tokens)} pictures and {len(text.ids)} captions are no pairs")
        ranks = meet(len(text.ids), features.tokens.shape[-1], same is not None, text.ids.device, self.group)
        twin = twins(same, ranks, text.ids.device)
        memory = self.qformer.read(features.tokens, features.mask)
        of_pictures, of_texts = self._similarities(*self.apart(memory, text), ranks)
        scale = self._scale()
        own = torch.arange(ranks.start, ranks.start + len(twin), device=twin.device)
        itc = self._contrast(scale * of_pictures, twin, own) + self._contrast(scale * of_texts, twin, own)
        itc = mean_value(itc * (ranks.count / (2 * ranks.total)), ranks)
        with torch.no_grad():
            excluded = twin | (own[:, None] == torch.arange(ranks.total, device=own.device))
            wrong_texts, wrong_pictures = (
                draw(scale * each, excluded, noise(ranks, generator, each.device)) for each in (of_pictures, of_texts)
            )
        itm = self._match(features, memory, text, wrong_texts, wrong_pictures, ranks)
        return Losses(itc, itm, self._generate(memory, text, ranks), of_pictures.detach())

    def apart(self, memory: Memory, text: Text) -> tuple[Tensor, Tensor]:
        """ITC's unit vectors: pictures [b, M, E], one a query, and texts [b, E]."""
        states = self.qformer(memory, text, unimodal(self.qformer.config.queries, text.mask))
        return _unit(self.picture_map(states.queries)), _unit(self.text_map(states.text[:, 0]))

    def of_pictures(self, memory: Memory) -> Tensor:
        """As the first of `apart`, without texts beside them."""
        return _unit(self.picture_map(self.qformer(memory).queries))

    def of_texts(self, text: Text) -> Tensor:
        """As the second of `apart`, without pictures beside them."""
        return _unit(self.text_map(self.qformer(None, text).text[:, 0]))

    def match(self, memory: Memory, text: Text) -> Tensor:
        """ITM's logits [b, 2] (no, yes): the mean of all queries' answers."""
        states = self.qformer(memory, text, bidirectional(self.qformer.config.queries, text.mask))
        logits: Tensor = self.itm_head(states.queries).mean(1)
        return logits

    def caption(self, memory: Memory, text: Text) -> Tensor:
        """ITG's states [b, T, D]: place t speaks for the caption's token t + 1, knowing those before it. The first
        token is replaced by the start token. `itg_head(states, qformer.words.weight)` makes logits of them."""
        ids = torch.cat([torch.full_like(text.ids[:, :1], self.start_token), text.ids[:, 1:]], dim=1)
        mask = multimodal_causal(self.qformer.config.queries, text.mask)
        states: Tensor = self.qformer(memory, Text(ids, text.mask), mask).text
        return states

    def _scale(self) -> Tensor:
        with torch.no_grad():
            self.log_temperature.clamp_(min=math.log(0.01))  # as CLIP's limit of 100 on the scale
        return torch.exp(-_wide(self.log_temperature))[0]

    def _similarities(self, pictures: Tensor, texts: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor]:
        """[b, B] twice: own pictures against all texts, own texts against all pictures."""
        with torch.autocast(texts.device.type, enabled=False):
            every_picture, every_text = gather_rows(pictures, ranks), gather_rows(texts, ranks)
            of_pictures = torch.einsum("bme,ce->bcm", pictures, every_text).amax(-1)
            of_texts = torch.einsum("be,cme->bcm", texts, every_picture).amax(-1)
            return of_pictures, of_texts

    def _contrast(self, logits: Tensor, twin: Tensor, own: Tensor) -> Tensor:
        """The sum over rows of the smoothed cross entropy; equal captions are no choice. logits [b, B] -> scalar."""
        chances = logits.masked_fill(twin, -math.inf).log_softmax(1)
        picked = chances.gather(1, own[:, None])[:, 0]
        spread = chances.masked_fill(twin, 0).sum(1) / (~twin).sum(1)
        return -((1 - self.smoothing) * picked + self.smoothing * spread).sum()

    def _match(
        self, features: Features, memory: Memory, text: Text, texts: Tensor, pictures: Tensor, ranks: Ranks
    ) -> Tensor:
        """The mean over 3 B pairs, one in three true. texts, pictures [b]: the negatives' places in the joint batch."""
        wrong_text = Text(gather_padded(text.ids, ranks)[texts], gather_padded(text.mask, ranks)[texts])
        tokens, seen = gather_padded(features.tokens, ranks), gather_padded(features.mask, ranks)
        wrong = self.qformer.read(tokens[pictures], seen[pictures])
        pairs = ((memory, text), (memory, wrong_text), (wrong, text))
        logits = _wide(torch.cat([self.match(*pair) for pair in pairs]))
        answers = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        answers[: len(texts)] = 1
        total = F.cross_entropy(logits, answers, reduction="sum")
        return mean_value(total * (ranks.count / (3 * ranks.total)), ranks)

    def _generate(self, memory: Memory, text: Text, ranks: Ranks) -> Tensor:
        """The mean over the joint batch's tokens, each caption's first one and padding apart."""
        asked = text.mask[:, 1:]
        states, labels = self.caption(memory, text)[:, :-1][asked], text.ids[:, 1:][asked]
        count = summed(len(labels), labels.device, ranks)
        if count == 0:
            raise InputError("no caption of the batch has a word", why="each ends after its first token")
        assert self.qformer.words is not None
        logits = _wide(self.itg_head(states, self.qformer.words.weight))
        total = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=self.smoothing)
        return mean_value(total * (ranks.count / count), ranks)


class WordHead(nn.Module):
    """BERT's head for words: a map, GELU, norm, then the word table as matrix, and a bias of its own.

    states [..., D], words [V, D] -> logits [..., V]. Source: BERT (Devlin et al., 2019), section 3.1.
    """

    def __init__(self, width: int, vocabulary: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        return F.linear(self.norm(F.gelu(self.dense(states))), words, self.bias)


def _unit(x: Tensor) -> Tensor:
    return F.normalize(_wide(x), dim=-1)


def _wide(x: Tensor) -> Tensor:
    """Half precision as float32: no softmax or cosine is taken in it."""
    return x if x.dtype == torch.float64 else x.float()
