"""The heads of BLIP-2's first stage out of checkpoints: a BLIP-2 for retrieval's, and BERT's head for words."""

import torch

from isthmus.checkpoints import Checkpoint
from isthmus.connectors.objectives import Stage1, WordHead
from isthmus.connectors.qformer import QFormer
from isthmus.connectors.qformer_names import current_name, find_prefix, pick
from isthmus.errors import CorruptPart


def load_stage1(checkpoint: Checkpoint, qformer: QFormer, *, start_token: int) -> Stage1:
    """Stage 1 around the Q-Former that load_qformer read from the same BLIP-2 for retrieval
    (Blip2ForImageTextRetrieval): its ITC maps and ITM head, on the Q-Former's device and in its dtype.

    Such checkpoints have neither ITG head nor temperature: these start fresh. Raises CorruptPart where a tensor is
    missing or has another shape, InputError as Stage1.
    """
    prefix = find_prefix(checkpoint, "itm_head.weight")
    tensors = checkpoint.tensors(prefix)
    made = Stage1(qformer, len(pick(tensors, "text_projection.weight")), start_token=start_token)
    made.to(qformer.queries.device, qformer.queries.dtype)
    heads = {"picture_map": "vision_projection", "text_map": "text_projection", "itm_head": "itm_head"}
    with torch.no_grad():
        for ours, theirs in heads.items():
            for part in ("weight", "bias"):
                _copy(made.get_parameter(f"{ours}.{part}"), pick(tensors, f"{theirs}.{part}"), f"{theirs}.{part}")
    return made


def start_word_head(head: WordHead, checkpoint: Checkpoint) -> None:
    """Give ITG's head the values that BERT's masked language model ended with, as BLIP-2 does.

    Words behind BERT's own keep their bias. Raises CorruptPart where the checkpoint has no such head (sentence
    encoders have none) or one of another shape.
    """
    prefix = find_prefix(checkpoint, "cls.predictions.bias")
    tensors = {current_name(key): tensor for key, tensor in checkpoint.tensors(f"{prefix}cls.predictions.").items()}
    with torch.no_grad():
        for ours, theirs in (("dense", "transform.dense"), ("norm", "transform.LayerNorm")):
            for part in ("weight", "bias"):
                _copy(head.get_parameter(f"{ours}.{part}"), pick(tensors, f"{theirs}.{part}"), f"{theirs}.{part}")
        words = pick(tensors, "bias")
        _copy(head.bias[: len(words)], words, "bias")


def _copy(to: torch.Tensor, tensor: torch.Tensor, name: str) -> None:
    if to.shape != tensor.shape:
        raise CorruptPart(
            f"tensor {name} has shape {tuple(tensor.shape)}",
            why=f"the Q-Former needs {tuple(to.shape)}",
            todo="use heads and Q-Former of one checkpoint",
        )
    to.copy_(tensor)
