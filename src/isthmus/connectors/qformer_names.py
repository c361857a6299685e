"""How checkpoints name a Q-Former's tensors: BERT, BLIP-2 and InstructBLIP in Hugging Face layout; and export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from isthmus.checkpoints import Checkpoint
from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.errors import CorruptPart

Family = Literal["blip-2", "instructblip"]
"""`model_type` in config.json."""
Names = Mapping[str, tuple[str, ...]]
"""Our parameter -> theirs, which joined along the first axis make it."""


def qformer_names(config: QFormerConfig, family: Family) -> Names:
    """Parameters of a QFormerConnector -> names in a Hugging Face folder, in the order of a state dict."""
    body = _table(_LAYOUTS[family], config, range(config.layers))
    return {
        "qformer.queries": ("query_tokens",),
        **{f"qformer.{ours}": theirs for ours, theirs in body.items()},
        "project.weight": ("language_projection.weight",),
        "project.bias": ("language_projection.bias",),
    }


def bert_names(config: QFormerConfig, layers: Sequence[int]) -> Names:
    """Parameters of a QFormer -> names in a BERT without its prefix; block i is BERT's layer layers[i]. Queries and
    cross-attention have none."""
    return _table(_BERT, config, layers)


def word_tables(family: Family) -> str:
    """What stands before `word_embeddings` and `position_embeddings`."""
    return _LAYOUTS[family].tables


def export_qformer(connector: QFormerConnector, family: Family) -> dict[str, Tensor]:
    """The tensors under the names that Hugging Face's classes have for them; nothing is shared with the connector.

    A BLIP-2 with text side has the names of Blip2ForImageTextRetrieval.
    """
    state = connector.state_dict()
    found: dict[str, Tensor] = {}
    for ours, theirs in qformer_names(connector.config, family).items():
        for name, part in zip(theirs, state[ours].chunk(len(theirs)), strict=True):
            found[name] = part.detach().clone()
    return found


def export_config(config: QFormerConfig, family: Family) -> dict[str, Any]:
    """`qformer_config` of config.json; `num_query_tokens` stands beside it there, and is config.queries."""
    text = {"use_qformer_text_input": config.vocabulary > 0} if family == "blip-2" else {}
    words = {"vocab_size": config.vocabulary} if config.vocabulary else {}
    return {
        "model_type": "blip_2_qformer" if family == "blip-2" else "instructblip_qformer",
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.width_ffn,
        "max_position_embeddings": config.max_text,
        "cross_attention_frequency": config.cross_every,
        "encoder_hidden_size": config.width_in,
        "layer_norm_eps": config.epsilon,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        **words,
        **text,
    }


def find_prefix(checkpoint: Checkpoint, name: str) -> str:
    """What stands before `name`, which every checkpoint of the kind has once."""
    keys = checkpoint.keys()
    found = sorted(key.removesuffix(name) for key in keys if key == name or key.endswith(f".{name}"))
    if len(found) != 1:
        why = f"{', '.join(found)} could be before it" if found else "no tensor has that name"
        raise CorruptPart(f"{checkpoint.name} has no single {name}", why=why, todo="check what model it is")
    return found[0]


def joined(tensors: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    return {ours: torch.cat([pick(tensors, name) for name in theirs]) for ours, theirs in names.items()}


def pick(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in tensors:
        raise CorruptPart(f"the checkpoint has no tensor {name}", todo="fetch the model again")
    return tensors[name]


def current_name(key: str) -> str:
    """bert-base's files have TensorFlow's names of a norm's parameters."""
    return key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


@dataclass(frozen=True)
class _Layout:
    """How a checkpoint names a Q-Former's modules: the word and position tables, the norm after them, a layer, its
    self-attention's projections, the queries' feed-forward, cross-attention."""

    tables: str
    norm: str
    layer: str
    projections: str
    ffn_queries: tuple[str, str]
    crosses: bool = True


LAYER = "qformer.encoder.layer."
_BLIP2 = _Layout("embeddings.", "qformer.layernorm", LAYER, "attention", ("intermediate_query", "output_query"))
_INSTRUCTBLIP = _Layout(
    "qformer.embeddings.", "qformer.embeddings.layernorm", LAYER, "attention", ("intermediate_query", "output_query")
)
_BERT = _Layout(
    "embeddings.", "embeddings.LayerNorm", "encoder.layer.", "self", ("intermediate", "output"), crosses=False
)
_LAYOUTS: Mapping[Family, _Layout] = {"blip-2": _BLIP2, "instructblip": _INSTRUCTBLIP}


def _table(layout: _Layout, config: QFormerConfig, layers: Sequence[int]) -> Names:
    """Parameters of a QFormer -> theirs; block i is their layer layers[i]."""
    modules: dict[str, tuple[str, ...]] = {"norm": (layout.norm,)}
    for i, theirs in enumerate(layers):
        block, layer = f"blocks.{i}.", f"{layout.layer}{theirs}."
        own = f"{layer}attention.{layout.projections}."
        modules[f"{block}attention.qkv"] = (f"{own}query", f"{own}key", f"{own}value")
        modules[f"{block}attention.out"] = (f"{layer}attention.output.dense",)
        modules[f"{block}attention.norm"] = (f"{layer}attention.output.LayerNorm",)
        if layout.crosses and i % config.cross_every == 0:
            picture = f"{layer}crossattention."
            modules[f"{block}cross.q"] = (f"{picture}attention.query",)
            modules[f"{block}cross.kv"] = (f"{picture}attention.key", f"{picture}attention.value")
            modules[f"{block}cross.out"] = (f"{picture}output.dense",)
            modules[f"{block}cross.norm"] = (f"{picture}output.LayerNorm",)
        ffns = {
            "ffn_queries": layout.ffn_queries,
            **({"ffn_text": ("intermediate", "output")} if config.vocabulary else {}),
        }
        for ffn, (up, down) in ffns.items():
            modules[f"{block}{ffn}.up"] = (f"{layer}{up}.dense",)
            modules[f"{block}{ffn}.down"] = (f"{layer}{down}.dense",)
            modules[f"{block}{ffn}.norm"] = (f"{layer}{down}.LayerNorm",)
    tables = {"words": "word_embeddings", "positions": "position_embeddings"} if config.vocabulary else {}
    return {f"{ours}.weight": (f"{layout.tables}{theirs}.weight",) for ours, theirs in tables.items()} | {
        f"{ours}.{part}": tuple(f"{name}.{part}" for name in theirs)
        for ours, theirs in modules.items()
        for part in ("weight", "bias")
    }
