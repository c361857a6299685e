"""The other side: the true architectures of transformers on the meta device, their FLOPs counted by torch.

Each part is run by itself, on inputs of the shapes that the arithmetic says it gets.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForImageTextToText

from isthmus.latency.named import CONFIGS
from isthmus.latency.sights import Sight

META = torch.device("meta")


def config_of(name: str, layers: int | None = None) -> dict[str, Any]:
    """A shipped config; with `layers`, so many in tower, Q-Former and language model."""
    config: dict[str, Any] = json.loads((CONFIGS / f"{name}.json").read_text())
    if layers is None:
        return config
    for part in ("vision_config", "text_config", "qformer_config"):
        for key in ("num_hidden_layers", "depth", "num_layers", "num_decoder_layers"):
            if key in config.get(part, {}):
                config[part][key] = layers
    vision = config["vision_config"]
    for key in ("fullatt_block_indexes", "deepstack_visual_indexes"):
        if key in vision:
            vision[key] = [1]
    return config


def transformers_model(config: dict[str, Any]) -> Any:
    known = {key: value for key, value in copy.deepcopy(config).items() if key not in ("hub", "processor")}
    with META:
        return AutoModelForImageTextToText.from_config(AutoConfig.for_model(known.pop("model_type"), **known)).eval()


def weights_of(model: Any) -> int:
    return sum(each.numel() for each in model.parameters())


def counted(model: Any, sight: Sight, text: int, batch: int = 1) -> dict[str, float]:
    """FLOPs by part, of a prompt of the picture's tokens and `text` more."""
    parts = _PARTS[model.config.model_type](model, sight, text, batch)
    return {name: _flops(run) for name, run in parts.items()}


def count(run: Callable[[], Any]) -> float:
    return _flops(run)


def _flops(run: Callable[[], Any]) -> float:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        run()
    return counter.get_total_flops()


def _empty(*shape: int) -> Tensor:
    return torch.empty(*shape, device=META)


def _language(model: Any, prompt: int, batch: int) -> dict[str, Callable[[], Any]]:
    language = getattr(model, "language_model", None) or model.model.language_model
    embeds = _empty(batch, prompt, _width(model))
    match model.config.get_text_config().model_type:
        case "t5":
            ids = torch.zeros(batch, 1, dtype=torch.long, device=META)
            return {"prefill": lambda: _t5(language, embeds, ids), "sample": lambda: language.lm_head(embeds[:, -1])}
        case "opt":  # as a whole it asks a mask for its values, which meta tensors do not have
            blocks, head = language.model.decoder.layers, language.lm_head
            return {"prefill": lambda: [block(embeds) for block in blocks], "sample": lambda: head(embeds[:, -1])}
    body, head = getattr(language, "model", language), model.get_output_embeddings()
    return {"prefill": lambda: body(inputs_embeds=embeds), "sample": lambda: head(embeds[:, -1])}


def _t5(language: Any, embeds: Tensor, ids: Tensor) -> None:
    seen = language.encoder(inputs_embeds=embeds).last_hidden_state
    language.decoder(input_ids=ids, encoder_hidden_states=seen)


def _llava(model: Any, sight: Sight, text: int, batch: int) -> dict[str, Callable[[], Any]]:
    vision = model.config.vision_config
    pixels = _empty(batch * sight.views, 3, vision.image_size, vision.image_size)
    features = _empty(batch * sight.views, sight.patches, vision.hidden_size)
    return {
        "encoder": lambda: model.model.vision_tower(pixels),
        "connector": lambda: model.model.multi_modal_projector(features),
        **_language(model, sight.tokens + text, batch),
    }


def _blip2(model: Any, sight: Sight, text: int, batch: int) -> dict[str, Callable[[], Any]]:
    vision = model.config.vision_config
    pixels = _empty(batch, 3, vision.image_size, vision.image_size)
    seen = _empty(batch, sight.patches + 1, vision.hidden_size)
    queries = _empty(batch, sight.tokens, model.config.qformer_config.hidden_size)
    ids = torch.zeros(batch, text, dtype=torch.long, device=META)
    asked = {"input_ids": ids} if model.config.model_type == "instructblip" else {}
    core = getattr(model, "model", model)

    def connect() -> None:
        core.qformer(query_embeds=queries, encoder_hidden_states=seen, **asked)
        core.language_projection(queries)

    return {
        "encoder": lambda: core.vision_model(pixels),
        "connector": connect,
        **_language(model, sight.tokens + text, batch),
    }


def _idefics3(model: Any, sight: Sight, text: int, batch: int) -> dict[str, Callable[[], Any]]:
    vision = model.config.vision_config
    pixels = _empty(batch * sight.views, 3, vision.image_size, vision.image_size)
    features = _empty(batch * sight.views, sight.patches, vision.hidden_size)
    return {
        "encoder": lambda: (
            [block(features, None) for block in model.model.vision_model.encoder.layers]
            + [model.model.vision_model.embeddings.patch_embedding(pixels)]
        ),
        "connector": lambda: model.model.connector(features),
        "prefill": lambda: model.model.text_model(inputs_embeds=_empty(batch, sight.tokens + text, _width(model))),
        "sample": lambda: model.lm_head(_empty(batch, _width(model))),
    }


def _qwen(model: Any, sight: Sight, text: int, batch: int) -> dict[str, Callable[[], Any]]:
    """The visual part's blocks one by one, for as a whole it computes with sizes that meta tensors do not have."""
    visual, config = model.model.visual, model.config.vision_config
    width = getattr(config, "embed_dim", config.hidden_size)
    patches = batch * sight.patches
    values = config.in_channels * config.temporal_patch_size * config.patch_size**2
    x = _empty(patches, width)
    turned = _empty(patches, width // config.num_heads), _empty(patches, width // config.num_heads)

    def edges(sizes: tuple[int, ...]) -> Tensor:
        return torch.tensor([0, *sizes] * 1).cumsum(0)

    whole, parts = edges((sight.patches,) * batch), edges(sight.windows * batch)
    full = getattr(config, "fullatt_block_indexes", None)

    def encode() -> None:
        visual.patch_embed(_empty(patches, values))
        for i, block in enumerate(visual.blocks):
            block(x, cu_seqlens=whole if full is None or i in full else parts, position_embeddings=turned)

    mergers = [visual.merger, *getattr(visual, "deepstack_merger_list", [])]
    return {
        "encoder": encode,
        "connector": lambda: [merger(x) for merger in mergers],
        "prefill": lambda: model.model.language_model(inputs_embeds=_empty(batch, sight.tokens + text, _width(model))),
        "sample": lambda: model.lm_head(_empty(batch, _width(model))),
    }


def _width(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[1])


_PARTS: dict[str, Callable[[Any, Sight, int, int], dict[str, Callable[[], Any]]]] = {
    "llava": _llava,
    "llava_next": _llava,
    "blip-2": _blip2,
    "instructblip": _blip2,
    "idefics3": _idefics3,
    "qwen2_vl": _qwen,
    "qwen2_5_vl": _qwen,
    "qwen3_vl": _qwen,
}
