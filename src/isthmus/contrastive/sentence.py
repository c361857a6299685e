"""A sentence encoder: texts to vectors by a BERT tower and a masked mean (all-MiniLM-L6-v2 and its kin)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.checkpoints import Checkpoint
from isthmus.contrastive.text import Pool, TextTransformer
from isthmus.contrastive.text_checkpoint import bert_text, build_text, text_prefix
from isthmus.contrastive.tokenizer import Tokenizer, load_tokenizer
from isthmus.errors import InputError


@dataclass(frozen=True)
class SentenceEncoder:
    """Source: Sentence-BERT (Reimers and Gurevych, 2019), section 3."""

    tower: TextTransformer
    tokenizer: Tokenizer

    @property
    def width(self) -> int:
        return self.tower.config.width_out

    def encode(self, texts: Sequence[str], *, normalize: bool = True, batch: int = 64) -> Tensor:
        """[B, width] float32 on the tower's device, in the order of `texts`; unit length where
        `normalize`."""
        vectors = pooled_texts(self.tower, self.tokenizer, texts, batch=batch).float()
        return F.normalize(vectors, dim=-1) if normalize else vectors


@torch.no_grad()
def pooled_texts(tower: TextTransformer, tokenizer: Tokenizer, texts: Sequence[str], *, batch: int = 64) -> Tensor:
    """[B, D_out] in the tower's dtype and on its device, in the order of `texts`.

    `batch` at a time, longest together, so that little padding is computed. Not under inference_mode: heads
    are trained on these vectors.
    """
    return traced_texts(tower, tokenizer, texts, batch=batch)


def traced_texts(tower: TextTransformer, tokenizer: Tokenizer, texts: Sequence[str], *, batch: int = 64) -> Tensor:
    """As `pooled_texts`, with gradients to whatever of the tower was thawed."""
    weight = tower.tokens.weight
    vectors = torch.empty(len(texts), tower.config.width_out, dtype=weight.dtype, device=weight.device)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        tokens = tokenizer([texts[i] for i in part])
        # A tower trained on padding to a fixed length reads it: nothing is masked there.
        whole = tokenizer.fixed or bool(tokens.mask.all())
        mask = None if whole else tokens.mask.to(weight.device)
        places = torch.tensor(part, device=weight.device)
        pooled = tower(tokens.ids.to(weight.device), mask).pooled
        vectors[places] = pooled.to(vectors.dtype)  # autocast's are narrower
    return vectors


def load_minilm(
    checkpoint: Checkpoint, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> SentenceEncoder:
    """A sentence-transformers checkpoint on a BERT or XLM-R tower. `dtype` None: float32.

    Raises CorruptPart for damaged files, InputError where the folder is of another kind or pools otherwise
    than by mean or first token.
    """
    config = checkpoint.config
    if config.get("model_type") not in ("bert", "xlm-roberta", "roberta"):
        raise InputError(
            f"{checkpoint.name} is no sentence encoder",
            why=f"its model_type is {config.get('model_type')}",
            todo="name a BERT or XLM-R checkpoint of sentence-transformers",
        )
    pooling = checkpoint.json("1_Pooling/config.json") or {}
    tower = build_text(
        bert_text(config, _pool(checkpoint.name, pooling)),
        checkpoint.tensors(text_prefix(checkpoint)),
        device=device,
        dtype=dtype or torch.float32,
    )
    limit = (checkpoint.json("sentence_bert_config.json") or {}).get("max_seq_length")
    most = tower.config.max_tokens
    tokenizer = load_tokenizer(checkpoint, max_tokens=min(most, limit or most), padding=config.get("pad_token_id"))
    return SentenceEncoder(tower, tokenizer)


def _pool(name: str, settings: dict[str, Any]) -> Pool:
    modes = [key for key, on in settings.items() if key.startswith("pooling_mode_") and on is True]
    match modes:
        case [] | ["pooling_mode_mean_tokens"]:
            return "mean"
        case ["pooling_mode_cls_token"]:
            return "first"
    raise InputError(f"{name} pools by {' and '.join(modes)}", why="only mean and first token are supported")
