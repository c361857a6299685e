"""What things are called is said as a whole: one of the names that are known, rather than word by word."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.connectors.align import AlignConnector
from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.trainable import Trainable, working_dtype
from isthmus.vision.features import Features, Frame

UNSURE = 0.01
"""What is left of `inner`'s own words where a name is said: a name that is not known may still be told."""


@dataclass(frozen=True)
class NamesShape:
    """`starts`: where names stand among the tokens, the first thing's first; `alone`: the token that says nothing where
    there is no second thing. `overviews`: so many of the encoder's first tokens are of the whole picture; `rank`: of
    the linear map from them to names."""

    starts: tuple[int, ...]
    alone: int
    overviews: int
    rank: int = 128


class NamesConnector(Trainable):
    """`inner`'s tokens, but for those that name a thing: these become the words of the names that are likely there.

    Two opinions are multiplied: what `inner` says, name by name (the product over a name's words), and, where there is
    one thing alone, what a linear map of the overview tokens says. Token by token, halves of different names are said
    together; and a linear map learns from few pictures of each what the Q-Former takes many more steps for.

    Shapes: features.tokens [B, N, D_in] -> tokens [B, M, D_out] and scores [B, M, W], M being inner's, whose first word
    says nothing. `spelled` [names, K]: each name in K of inner's words. Parameters: (overviews x D_in + names) x rank,
    and a bias for each name.
    """

    spelled: Tensor

    def __init__(self, inner: AlignConnector, spelled: Tensor, shape: NamesShape, *, trainable: bool = True) -> None:
        """Raises ValueError where a name stands behind the last token."""
        super().__init__(trainable)
        if max(shape.starts) + spelled.shape[1] > inner.num_tokens(1) or shape.alone >= inner.num_tokens(1):
            raise ValueError(f"a name's tokens lie behind the last of {inner.num_tokens(1)}")
        self.width_in, self.width_out, self.shape = inner.width_in, inner.width_out, shape
        self.inner = inner
        self.register_buffer("spelled", spelled.detach().clone().int())
        self.look = nn.Linear(shape.overviews * inner.width_in, shape.rank, bias=False)
        self.name = nn.Linear(shape.rank, len(spelled))
        if not trainable:
            self.requires_grad_(False).eval()

    @property
    def words(self) -> Tensor:
        return self.inner.words

    def in_words(self, near: Tensor, mask: Tensor) -> Tokens:
        return self.inner.in_words(near, mask)

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:
        return self.inner.num_tokens(n, frame)

    def forward(self, features: Features, text: Text | None = None) -> Tokens:
        said = self.inner(features, text)
        assert said.scores is not None
        k = self.spelled.shape[1]
        chances = said.scores.float().log_softmax(-1)
        at = torch.tensor(self.shape.starts, device=chances.device)[:, None] + torch.arange(k, device=chances.device)
        spoken = chances[:, at]  # [B, names in a row, K, W]
        likely = sum(spoken[:, :, i, self.spelled[:, i]] for i in range(k))  # [B, names in a row, names]
        first = likely[:, :1] + chances[:, self.shape.alone, :1, None].exp() * self.opinion(features.tokens)[:, None]
        likely = torch.cat([first, likely[:, 1:]], dim=1).softmax(-1)
        words = torch.stack(
            [torch.zeros_like(spoken[:, :, i]).index_add(-1, self.spelled[:, i], likely) for i in range(k)], dim=2
        )
        words = (1 - UNSURE) * words + UNSURE * spoken.exp()
        scores = chances.index_copy(1, at.flatten(), words.log().flatten(1, 2))
        tokens = said.tokens.index_copy(1, at.flatten(), self.inner.mixed(words).flatten(1, 2).to(said.tokens.dtype))
        return Tokens(tokens, said.mask, scores)

    def opinion(self, tokens: Tensor) -> Tensor:
        """Encoder's tokens [B, N, D_in], of which the overviews are read -> log probabilities of the names, float32."""
        seen = tokens[:, : self.shape.overviews].flatten(1).to(working_dtype(self.look.weight))
        named: Tensor = self.name(self.look(seen))
        return named.float().log_softmax(-1)
