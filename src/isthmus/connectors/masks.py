"""Who may see whom in a Q-Former's self-attention: one mask for each objective of BLIP-2's first stage.

Notation: B pictures, M queries, T text tokens; the sequence is queries, then text: S = M + T. Rows look at columns.

| | queries -> queries | queries -> text | text -> queries | text -> text |
|---|---|---|---|---|
| unimodal (ITC) | yes | no | no | yes |
| bidirectional (ITM) | yes | yes | yes | yes |
| multimodal causal (ITG) | yes | no | yes | this token and earlier ones |

Padding of the text is seen by nobody but itself: a row that sees nothing at all has no softmax.
Source: BLIP-2 (Li et al., 2023), section 3.2 and figure 2.
"""

import torch
from torch import Tensor


def unimodal(queries: int, text: Tensor) -> Tensor:
    """text [B, T] bool, True where there is a token -> [B, S, S] bool: neither side sees the other."""
    mask = bidirectional(queries, text)
    mask[:, :queries, queries:] = False
    mask[:, queries:, :queries] = False
    return mask


def bidirectional(queries: int, text: Tensor) -> Tensor:
    """text [B, T] bool -> [B, S, S] bool: everybody sees everybody."""
    b, t = text.shape
    seen = torch.cat([text.new_ones(b, queries), text], dim=1)
    itself = torch.eye(queries + t, dtype=torch.bool, device=text.device)
    return seen[:, None, :] | itself


def multimodal_causal(queries: int, text: Tensor) -> Tensor:
    """text [B, T] bool -> [B, S, S] bool: text token t sees all queries and the text up to t; queries see no text."""
    mask = bidirectional(queries, text)
    mask[:, :queries, queries:] = False
    mask[:, queries:, queries:] = mask[:, queries:, queries:].tril()
    return mask
