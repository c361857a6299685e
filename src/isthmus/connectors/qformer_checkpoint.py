"""Q-Formers out of checkpoints by name: BERT's to start from, BLIP-2's and InstructBLIP's as they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checkpoints import Checkpoint
from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.connectors.qformer_names import (
    LAYER,
    Family,
    bert_names,
    current_name,
    find_prefix,
    joined,
    pick,
    qformer_names,
    word_tables,
)
from isthmus.errors import CorruptPart, InputError


def qformer_from_bert(
    checkpoint: Checkpoint,
    *,
    width_in: int,
    width_out: int,
    queries: int = 32,
    layers: Sequence[int] | None = None,
    cross_every: int = 2,
    new_words: int = 1,
    dropout: float = 0.1,
    trainable: bool = True,
) -> QFormerConnector:
    """A new Q-Former with a text side, started from a BERT (bert-base, MiniLM) as BLIP-2's is.

    Self-attention, norms, tables and the text's feed-forward are BERT's; the queries' feed-forward starts as a copy
    of it; queries, cross-attention and the last map are fresh, from torch's global random numbers. `layers`: which of
    BERT's to take, in this order (None: all). `new_words`: fresh rows behind the word table, such as BLIP-2's [DEC].
    BERT's vector of the first segment is added to the positions, so that text alone comes out as from BERT itself.
    Raises CorruptPart where the checkpoint is no BERT, InputError where it has no such layer.
    Source: BLIP-2 (Li et al., 2023), section 3.1.
    """
    config = checkpoint.config
    prefix = find_prefix(checkpoint, "embeddings.word_embeddings.weight")
    tensors = {current_name(key): tensor.float() for key, tensor in checkpoint.tensors(prefix).items()}
    _require_gelu(checkpoint.name, config)
    had = _layers(tensors, "encoder.layer.")
    layers = range(had) if layers is None else layers
    if not layers or not all(0 <= i < had for i in layers):
        raise InputError(f"{checkpoint.name} has no layers {list(layers)}", todo=f"choose from 0 to {had - 1}")
    words = pick(tensors, "embeddings.word_embeddings.weight")
    tensors["embeddings.position_embeddings.weight"] = (
        pick(tensors, "embeddings.position_embeddings.weight")
        + pick(tensors, "embeddings.token_type_embeddings.weight")[0]
    )
    made = QFormerConnector(
        QFormerConfig(
            width_in=width_in,
            width_out=width_out,
            width=words.shape[1],
            layers=len(layers),
            heads=_number(config, "num_attention_heads", 12),
            width_ffn=len(pick(tensors, "encoder.layer.0.intermediate.dense.weight")),
            queries=queries,
            cross_every=cross_every,
            vocabulary=len(words) + new_words,
            max_text=len(pick(tensors, "embeddings.position_embeddings.weight")),
            epsilon=config.get("layer_norm_eps", 1e-12),
            dropout=dropout,
        ),
        trainable=trainable,
    )
    assert made.qformer.words is not None
    fresh = made.qformer.words.weight.detach()[len(words) :]
    tensors["embeddings.word_embeddings.weight"] = torch.cat([words, fresh])
    state = joined(tensors, bert_names(made.config, layers))
    for name, tensor in made.qformer.state_dict().items():
        _require_shape(name, state.setdefault(name, tensor), tensor)
    made.qformer.load_state_dict(state)
    return made


def load_qformer(
    checkpoint: Checkpoint,
    *,
    width_out: int | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    dropout: float | None = None,
    trainable: bool = True,
) -> QFormerConnector:
    """The Q-Former of a BLIP-2 or InstructBLIP in Hugging Face layout, with its map to the language model.

    The text side is there where the checkpoint has one (InstructBLIP, BLIP-2 for retrieval). `width_out`: a fresh map
    to another language model; needed for BLIP-2 for retrieval, which has none. `dropout` None: the checkpoint's.
    Weights stored in another dtype are converted to `dtype`.
    Raises InputError for another model, CorruptPart for a tensor that is missing, left over or of another shape.
    """
    family = read_family(checkpoint)
    prefix = find_prefix(checkpoint, "query_tokens")
    tensors = checkpoint.tensors(prefix)
    if width_out is None and "language_projection.weight" not in tensors:
        raise InputError(
            f"{checkpoint.name} has no map to a language model",
            why="it was made for retrieval",
            todo="give width_out, the language model's width",
        )
    config = _read_config(checkpoint, tensors, family, width_out, dropout)
    names = qformer_names(config, family)
    if width_out is not None:
        names = {ours: theirs for ours, theirs in names.items() if not ours.startswith("project.")}
    used = {name for each in names.values() for name in each} | {f"{word_tables(family)}position_ids"}
    left = sorted(key for key in tensors if key.startswith(("qformer.", "embeddings.")) and key not in used)
    if left:
        raise CorruptPart(
            f"{checkpoint.name} holds {left[0]}, for which its config has no place",
            todo="check that config.json belongs to these weights",
        )
    state = joined(tensors, names)
    with torch.device("meta"):
        made = QFormerConnector(config, trainable=trainable)
    if width_out is not None:
        fresh = nn.Linear(config.width, width_out)
        state |= {"project.weight": fresh.weight.detach(), "project.bias": fresh.bias.detach()}
    want = made.state_dict()
    for name, tensor in state.items():
        _require_shape(name, tensor, want[name])
    made.load_state_dict({name: tensor.to(device, dtype) for name, tensor in state.items()}, assign=True)
    made.built()
    return made


def read_family(checkpoint: Checkpoint) -> Family:
    """Raises InputError where the checkpoint is neither BLIP-2 nor InstructBLIP."""
    kind = str(checkpoint.config.get("model_type"))
    match kind:
        case "blip-2" | "instructblip":
            return kind
    raise InputError(f"{checkpoint.name} has no Q-Former", why=f"it is a {kind}", todo="give a BLIP-2 or InstructBLIP")


def _read_config(
    checkpoint: Checkpoint, tensors: Mapping[str, Tensor], family: Family, width_out: int | None, dropout: float | None
) -> QFormerConfig:
    """Sizes as the weights have them; what weights do not tell from config.json, whose omissions are BLIP-2's."""
    settings = checkpoint.config.get("qformer_config") or {}
    _require_gelu(checkpoint.name, settings)
    _, queries, width = pick(tensors, "query_tokens").shape
    layers = _layers(tensors, LAYER)
    heads = _number(settings, "num_attention_heads", 12)
    if layers != _number(settings, "num_hidden_layers", 12) or width % heads:
        raise CorruptPart(
            f"{checkpoint.name} has a Q-Former of {layers} layers, {width} wide",
            why="its config.json says otherwise",
            todo="check that config.json belongs to these weights",
        )
    tables = word_tables(family)
    words = tensors.get(f"{tables}word_embeddings.weight")
    return QFormerConfig(
        width_in=pick(tensors, f"{LAYER}0.crossattention.attention.key.weight").shape[1],
        width_out=len(pick(tensors, "language_projection.weight")) if width_out is None else width_out,
        width=width,
        layers=layers,
        heads=heads,
        width_ffn=len(pick(tensors, f"{LAYER}0.intermediate_query.dense.weight")),
        queries=queries,
        cross_every=_number(settings, "cross_attention_frequency", 2),
        vocabulary=0 if words is None else len(words),
        max_text=512 if words is None else len(pick(tensors, f"{tables}position_embeddings.weight")),
        epsilon=settings.get("layer_norm_eps", 1e-12),
        dropout=settings.get("hidden_dropout_prob", 0.1) if dropout is None else dropout,
    )


def _require_shape(name: str, tensor: Tensor, want: Tensor) -> None:
    if tensor.shape != want.shape:
        raise CorruptPart(
            f"tensor {name} has shape {tuple(tensor.shape)}",
            why=f"the config says {tuple(want.shape)}",
            todo="fetch the model again",
        )


def _require_gelu(name: str, settings: Mapping[str, Any]) -> None:
    kind, positions = settings.get("hidden_act", "gelu"), settings.get("position_embedding_type", "absolute")
    if kind != "gelu" or positions != "absolute":
        raise InputError(
            f"{name} has a Q-Former or BERT with {kind} and {positions} positions",
            why="only gelu and absolute positions are supported",
        )


def _layers(tensors: Mapping[str, Tensor], prefix: str) -> int:
    numbers = {int(key.removeprefix(prefix).split(".")[0]) for key in tensors if key.startswith(prefix)}
    return max(numbers, default=-1) + 1


def _number(settings: Mapping[str, Any], key: str, default: int) -> int:
    return int(settings.get(key, default))
