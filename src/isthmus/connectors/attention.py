"""Attention over several heads, as the resampler and the Q-Former use it."""

from torch import Tensor
from torch.nn import functional as F


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, heads: int, dropout: float = 0.0) -> Tensor:
    """q [B, Q, D], k and v [B, S, D] -> [B, Q, D]; mask [B, Q, S] or [B, 1, S] bool, True: q may look there.

    Every row of the mask must let something be seen. `dropout` acts on the attention weights: 0 outside training.
    Source: Vaswani et al., 2017, section 3.2.2.
    """
    q, k, v = (x.view(*x.shape[:2], heads, x.shape[2] // heads).transpose(1, 2) for x in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask[:, None], dropout_p=dropout)
    return y.transpose(1, 2).flatten(2)
