"""Attention over several heads, as the resampler and the Q-Former use it."""

import torch
from torch import Tensor
from torch.nn import functional as F


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, heads: int, dropout: float = 0.0) -> Tensor:
    """q [B, Q, D], k and v [B, S, D] -> [B, Q, D]; mask [B, Q, S] or [B, 1, S] bool, True: q may look there.

    Every row of the mask must let something be seen. `dropout` acts on the attention weights: 0 outside training.
    Source: Vaswani et al., 2017, section 3.2.2.
    """
    q, k, v = (x.view(*x.shape[:2], heads, x.shape[2] // heads).transpose(1, 2) for x in (q, k, v))
    mask = None if mask is None else mask[:, None]
    if _slow_backwards(q):
        with torch.autocast("cpu", enabled=False):
            wide = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask, dropout_p=dropout)
        y = wide.to(q.dtype)
    else:
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    return y.transpose(1, 2).flatten(2)


def _slow_backwards(x: Tensor) -> bool:
    """On processors torch's fused attention takes three to ten times as long backwards in half precision (2.13)."""
    return x.device.type == "cpu" and x.requires_grad and x.dtype in (torch.bfloat16, torch.float16)
