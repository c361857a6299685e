"""Hugging Face names and settings of text towers -> TextConfig and the tensors of a TextTransformer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checkpoints import Checkpoint
from isthmus.contrastive.text import Activation, Pool, TextConfig, TextTransformer
from isthmus.errors import CorruptPart, InputError

Tensors = dict[str, Tensor]

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}


def clip_text(config: Mapping[str, Any]) -> TextConfig:
    """CLIP's `text_config`; what config.json omits is OpenAI's ViT-B/32."""
    eos = config.get("eos_token_id", 49407)
    legacy = eos == 2
    return TextConfig(
        vocabulary=config.get("vocab_size", 49408),
        width=config.get("hidden_size", 512),
        layers=config.get("num_hidden_layers", 12),
        heads=config.get("num_attention_heads", 8),
        hidden=config.get("intermediate_size", 2048),
        positions=config.get("max_position_embeddings", 77),
        activation=activation(config.get("hidden_act", "quick_gelu")),
        epsilon=config.get("layer_norm_eps", 1e-5),
        norm="pre",
        causal=True,
        pool="highest" if legacy else "eos",
        eos=None if legacy else eos,
    )


def siglip_text(config: Mapping[str, Any]) -> TextConfig:
    """SigLIP's and SigLIP 2's `text_config`; what config.json omits is the base size."""
    width = config.get("hidden_size", 768)
    return TextConfig(
        vocabulary=config.get("vocab_size", 32000),
        width=width,
        layers=config.get("num_hidden_layers", 12),
        heads=config.get("num_attention_heads", 12),
        hidden=config.get("intermediate_size", 3072),
        positions=config.get("max_position_embeddings", 64),
        activation=activation(config.get("hidden_act", "gelu_pytorch_tanh")),
        epsilon=config.get("layer_norm_eps", 1e-6),
        norm="pre",
        pool="last",
        head=config.get("projection_size") or width,
    )


def bert_text(config: Mapping[str, Any], pool: Pool) -> TextConfig:
    """BERT, its Chinese-CLIP copy, or XLM-R / RoBERTa by `model_type`; what config.json omits is BERT-base.

    Raises InputError for position embeddings other than absolute ones.
    """
    kind = config.get("position_embedding_type", "absolute")
    if kind != "absolute":
        raise InputError(f"a text tower with {kind} positions is not supported", todo="use one with absolute positions")
    roberta = config.get("model_type") in ("xlm-roberta", "roberta", "camembert")
    return TextConfig(
        vocabulary=config.get("vocab_size", 30522),
        width=config.get("hidden_size", 768),
        layers=config.get("num_hidden_layers", 12),
        heads=config.get("num_attention_heads", 12),
        hidden=config.get("intermediate_size", 3072),
        positions=config.get("max_position_embeddings", 512),
        activation=activation(config.get("hidden_act", "gelu")),
        epsilon=config.get("layer_norm_eps", 1e-12),
        norm="post",
        pool=pool,
        token_types=config.get("type_vocab_size", 2),
        padding=_first(config.get("pad_token_id"), 1) if roberta else None,
    )


def activation(name: str) -> Activation:
    """Hugging Face's name of an activation. Raises InputError for one no known dual encoder uses."""
    if name not in _ACTIVATIONS:
        raise InputError(f"activation {name} is not supported", why=f"known: {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


@dataclass(frozen=True)
class _Names:
    """Where a Hugging Face tower keeps each tensor; "{}" is the layer."""

    tokens: str
    positions: str
    types: str
    norm: str
    norm1: str
    qkv: tuple[str, str, str]
    out: str
    norm2: str
    up: str
    down: str
    pooler: str
    head: str


_CLIP = _Names(
    tokens="embeddings.token_embedding",
    positions="embeddings.position_embedding",
    types="",
    norm="final_layer_norm",
    norm1="encoder.layers.{}.layer_norm1",
    qkv=(
        "encoder.layers.{}.self_attn.q_proj",
        "encoder.layers.{}.self_attn.k_proj",
        "encoder.layers.{}.self_attn.v_proj",
    ),
    out="encoder.layers.{}.self_attn.out_proj",
    norm2="encoder.layers.{}.layer_norm2",
    up="encoder.layers.{}.mlp.fc1",
    down="encoder.layers.{}.mlp.fc2",
    pooler="",
    head="head",
)
_BERT = _Names(
    tokens="embeddings.word_embeddings",
    positions="embeddings.position_embeddings",
    types="embeddings.token_type_embeddings",
    norm="embeddings.LayerNorm",
    norm1="encoder.layer.{}.attention.output.LayerNorm",
    qkv=(
        "encoder.layer.{}.attention.self.query",
        "encoder.layer.{}.attention.self.key",
        "encoder.layer.{}.attention.self.value",
    ),
    out="encoder.layer.{}.attention.output.dense",
    norm2="encoder.layer.{}.output.LayerNorm",
    up="encoder.layer.{}.intermediate.dense",
    down="encoder.layer.{}.output.dense",
    pooler="pooler.dense",
    head="",
)


def build_text(
    config: TextConfig, tensors: Mapping[str, Tensor], *, device: str | torch.device, dtype: torch.dtype
) -> TextTransformer:
    """A frozen TextTransformer in eval mode from tensors under Hugging Face names, the tower's prefix cut
    off.

    Raises CorruptPart for a tensor that is missing, of another shape than `config` says, or left over in the
    embeddings or layers. Position buffers, an unused pooler and what a task put behind the tower are left
    aside.
    """
    found: Tensors = {}
    used: set[str] = set()
    for ours, sources in _theirs(config).items():
        used.update(sources)
        joined = [pick(tensors, source) for source in sources]
        found[ours] = joined[0] if len(joined) == 1 else torch.cat(joined)
    left = [name for name in tensors if name.startswith(("embeddings.", "encoder.")) and name not in used]
    left = sorted(name for name in left if name not in _BUFFERS)
    if left:
        raise CorruptPart(
            f"the checkpoint's text tower holds {left[0]}, for which its config has no place",
            todo="check that config.json belongs to these weights",
        )
    with torch.device("meta"):
        tower = TextTransformer(config)
    fill(tower, found, device=device, dtype=dtype)
    return tower


def export_text(tower: TextTransformer) -> Tensors:
    """A tower's tensors under Hugging Face names without a prefix: the way back of `build_text`."""
    out: Tensors = {}
    state = tower.state_dict()
    for ours, sources in _theirs(tower.config).items():
        parts = [state[ours]] if len(sources) == 1 else [part.clone() for part in state[ours].chunk(len(sources))]
        out.update(zip(sources, parts, strict=True))
    return out


def _theirs(config: TextConfig) -> dict[str, tuple[str, ...]]:
    """Each parameter of a TextTransformer and the names whose tensors, joined along the first axis, make it."""
    names = _CLIP if config.norm == "pre" else _BERT
    modules: dict[str, tuple[str, ...]] = {"norm": (names.norm,)}
    for i in range(config.layers):
        modules[f"blocks.{i}.norm1"] = (names.norm1.format(i),)
        modules[f"blocks.{i}.qkv"] = tuple(name.format(i) for name in names.qkv)
        modules[f"blocks.{i}.out"] = (names.out.format(i),)
        modules[f"blocks.{i}.norm2"] = (names.norm2.format(i),)
        modules[f"blocks.{i}.up"] = (names.up.format(i),)
        modules[f"blocks.{i}.down"] = (names.down.format(i),)
    if config.pool == "tanh":
        modules["pooler"] = (names.pooler,)
    if config.head is not None:
        modules["head"] = (names.head,)
    tables = {"tokens": names.tokens, "positions": names.positions}
    tables |= {"types": names.types} if config.token_types else {}
    return {f"{ours}.weight": (f"{theirs}.weight",) for ours, theirs in tables.items()} | {
        f"{ours}.{part}": tuple(f"{name}.{part}" for name in theirs)
        for ours, theirs in modules.items()
        for part in ("weight", "bias")
    }


_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
"""Counting numbers and zeros that older saves carry."""


def text_prefix(checkpoint: Checkpoint) -> str:
    """What stands before the names of the text tower's tensors ("", "text_model.", "bert.", ...).

    Raises CorruptPart where there is no text tower, or more than one.
    """
    ends = (f"{_CLIP.tokens}.weight", f"{_BERT.tokens}.weight")
    names = checkpoint.keys()
    found = {key: end for key in names for end in ends if key == end or key.endswith(f".{end}")}
    if len(found) != 1:
        why = f"{', '.join(sorted(found))} could be it" if found else f"no tensor is named {' or '.join(ends)}"
        raise CorruptPart(f"{checkpoint.name} has no single text tower", why=why)
    ((key, end),) = found.items()
    return key.removesuffix(end)


def pick(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """The tensor of that name. Raises CorruptPart."""
    if name not in tensors:
        raise CorruptPart(f"the checkpoint has no tensor {name}", todo="fetch the model again")
    return tensors[name]


def fill(module: nn.Module, tensors: Tensors, *, device: str | torch.device, dtype: torch.dtype) -> None:
    """Give a module built on "meta" its tensors; frozen, eval mode. Raises CorruptPart for another shape."""
    want = module.state_dict()
    for name, tensor in tensors.items():
        if tensor.shape != want[name].shape:
            raise CorruptPart(
                f"tensor {name} has shape {tuple(tensor.shape)}",
                why=f"the config says {tuple(want[name].shape)}",
                todo="fetch the model again",
            )
    placed = {name: tensor.to(device=device, dtype=dtype) for name, tensor in tensors.items()}
    module.load_state_dict(placed, assign=True)
    module.requires_grad_(False).eval()


def linear(weight: Tensor, device: str | torch.device, dtype: torch.dtype) -> nn.Linear:
    """A frozen linear map without bias. weight [D_out, D_in]."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    fill(made, {"weight": weight}, device=device, dtype=dtype)
    return made


def _first(value: int | None, default: int) -> int:
    return default if value is None else value
