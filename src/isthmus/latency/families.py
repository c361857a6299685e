"""config.json to Model, for the families whose arithmetic is known. No weights, and nothing of transformers."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from isthmus.errors import InputError
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles
from isthmus.latency.blocks import Block
from isthmus.latency.connectors import Mlp, QFormer
from isthmus.latency.defaults import LANGUAGE, LLAVA_TOWER, QFORMER, VISION
from isthmus.latency.encoders import Tower
from isthmus.latency.languages import Decoder, EncoderDecoder
from isthmus.latency.model import Model
from isthmus.latency.operations import Activation
from isthmus.latency.sights import Sight, native, split, tiled

Config = Mapping[str, Any]


def read_model(name: str, config: Config, processor: Config) -> Model:
    """The model that `config` (config.json) describes. `processor`: preprocessor_config.json, where pictures are
    resized by it. Raises InputError for another family, or numbers that make no model."""
    family = config.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        raise InputError(
            f"the arithmetic of {name} is not known",
            why=f"its model_type is {family}",
            todo=f"families are {', '.join(FAMILIES)}",
        )
    try:
        return FAMILIES[family](name, config, processor)
    except KeyError as error:
        raise InputError(f"the config of {name} makes no model", why=f"it has no {error}") from None
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise InputError(f"the config of {name} makes no model", why=str(error)) from None


def read_language(config: Config, *, tied: bool = False) -> Decoder | EncoderDecoder:
    """A `text_config`. `tied`: whether the model above it shares its head with the embeddings. Raises InputError for
    one that is not known."""
    kind = config.get("model_type", "llama")
    if kind not in LANGUAGE:
        raise InputError(f"the arithmetic of {kind} is not known", todo=f"language models are {', '.join(LANGUAGE)}")
    values = {**LANGUAGE[kind], **config}
    tied = tied or bool(values["tie_word_embeddings"])
    if kind == "t5":
        return _t5(values, tied)
    heads, width = values["num_attention_heads"], values["hidden_size"]
    plain = kind == "opt"
    if plain and values.get("word_embed_proj_dim", width) != width:
        raise InputError("the arithmetic of an OPT with narrower embeddings is not known")
    block = Block(
        width=width,
        heads=heads,
        head=values.get("head_dim") or width // heads,
        hidden=values["ffn_dim"] if plain else values["intermediate_size"],
        kv_heads=values.get("num_key_value_heads") or heads,
        activation="plain" if plain else "gated",
        rms=not plain,
        rotary=not plain,
        head_norms=kind == "qwen3_vl_text",
    )
    return Decoder(block, values["num_hidden_layers"], values["vocab_size"], tied, values["max_position_embeddings"])


def _llava(name: str, config: Config, processor: Config) -> Model:  # noqa: ARG001  one picture, one size
    tower, grid, read = _llava_tower(config)
    sight = Sight(1, grid**2, grid**2 + read)
    return Model(name, lambda _w, _h: sight, tower, *_projector(config, tower))


def _llava_next(name: str, config: Config, processor: Config) -> Model:  # noqa: ARG001  the grids are the config's
    tower, grid, _ = _llava_tower(config)
    side = _vision(config, LLAVA_TOWER)["image_size"]
    pinpoints = config.get("image_grid_pinpoints") or [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
    fit = Tiles(size=side, grids=tuple((high // side, wide // side) for high, wide in pinpoints))
    return Model(name, partial(tiled, fit=fit, side=grid), tower, *_projector(config, tower))


def _blip2(name: str, config: Config, processor: Config) -> Model:  # noqa: ARG001  one picture, one size
    family = config["model_type"]
    reads = family == "instructblip"
    seen = _vision(config, {"model_type": "instructblip_vision_model" if reads else "blip_2_vision_model"})
    tower, grid = _tower(seen, prefix=1, norms=1)
    asked = {**QFORMER["instructblip_qformer" if reads else "blip_2_qformer"], **(config.get("qformer_config") or {})}
    language = read_language({"model_type": "opt", **config["text_config"]}, tied=_tied(config))
    width, heads = asked["hidden_size"], asked["num_attention_heads"]
    queries = config.get("num_query_tokens", 32)
    qformer = QFormer(
        block=Block(width, heads, width // heads, asked["intermediate_size"], heads),
        layers=asked["num_hidden_layers"],
        queries=queries,
        seen=tower.block.width,
        width_out=language.width,
        prefix=1,
        cross_every=asked["cross_attention_frequency"],
        reads=reads,
        tables=(asked["vocab_size"] + asked["max_position_embeddings"]) * width if reads else 0,
    )
    sight = Sight(1, grid**2, queries)
    return Model(name, lambda _w, _h: sight, tower, qformer, language)


def _qwen_vl(name: str, config: Config, processor: Config) -> Model:
    family = config["model_type"]
    seen = {**VISION[f"{family}_vision"], **config["vision_config"]}
    second, third = family == "qwen2_5_vl", family == "qwen3_vl"
    width = seen["embed_dim"] if family == "qwen2_vl" else seen["hidden_size"]
    hidden = width * seen["mlp_ratio"] if family == "qwen2_vl" else seen["intermediate_size"]
    heads, patch, merge = seen["num_heads"], seen["patch_size"], seen["spatial_merge_size"]
    # a config of the hub may say what is the language model's beside it
    text = {"model_type": f"{family}_text", **(config.get("text_config") or config)}
    language = read_language({**text, "model_type": f"{family}_text"}, tied=_tied(config))
    tower = Tower(
        Block(
            width, heads, width // heads, hidden, heads,
            activation="gated" if second else _activation(seen["hidden_act"]), rms=second, rotary=True,
        ),
        layers=seen["depth"],
        patch_values=3 * seen["temporal_patch_size"] * patch**2,
        positions=third,
        norms=0,
        windowed=seen["depth"] - len(seen["fullatt_block_indexes"]) if second else 0,
    )  # fmt: skip
    connector = Mlp(
        (width * merge**2, width * merge**2, language.width),
        merge=merge,
        normed=True,
        rms=second,
        times=1 + len(seen["deepstack_visual_indexes"]) if third else 1,
    )
    size = processor.get("size") or {}
    unit = (patch * merge) ** 2
    sight = partial(
        native,
        patch=patch,
        merge=merge,
        least=processor.get("min_pixels") or size.get("shortest_edge") or 4 * unit,
        most=processor.get("max_pixels") or size.get("longest_edge") or 16384 * unit,
        window=seen["window_size"] if second else None,
    )
    return Model(name, sight, tower, connector, language)


def _idefics3(name: str, config: Config, processor: Config) -> Model:
    seen = _vision(config, {"model_type": f"{config['model_type']}_vision"})
    tower, grid = _tower(seen, prefix=0, norms=1)
    factor = config.get("scale_factor", 2)
    language = read_language(config["text_config"], tied=_tied(config))
    connector = Mlp((tower.block.width * factor**2, language.width), merge=factor)
    tile = (processor.get("max_image_size") or {}).get("longest_edge") or seen["image_size"]
    longest = (processor.get("size") or {}).get("longest_edge") or 4 * tile
    fit = Split(size=tile, longest=longest, tiles=processor.get("do_image_splitting", True))
    sight = partial(split, fit=fit, patches=grid**2, tokens=grid**2 // factor**2)
    return Model(name, sight, tower, connector, language)


def _own(name: str, config: Config, processor: Config) -> Model:  # noqa: ARG001  one picture, one size
    from isthmus.latency.own import read_own  # its encoder's shape is in the encoder's own file, beside torch

    return read_own(name, config)


FAMILIES: Mapping[str, Callable[[str, Config, Config], Model]] = {
    "llava": _llava,
    "llava_next": _llava_next,
    "blip-2": _blip2,
    "instructblip": _blip2,
    "qwen2_vl": _qwen_vl,
    "qwen2_5_vl": _qwen_vl,
    "qwen3_vl": _qwen_vl,
    "idefics3": _idefics3,
    "smolvlm": _idefics3,
    "isthmus-vlm": _own,
}
"""By config.json's model_type."""


def _vision(config: Config, kind: Config) -> Config:
    """The `vision_config` with what it leaves out. `kind`: its model_type where it does not say it, and all there is
    where there is none at all. Raises InputError for a tower that is not known."""
    given = kind if config.get("vision_config") is None else config["vision_config"]
    said = str(given.get("model_type") or kind["model_type"])
    known = [each for each in (said, f"{said}_model", f"{said}_vision_model", f"{said}_vision") if each in VISION]
    if not known:
        raise InputError(f"the arithmetic of the tower {said} is not known", todo=f"known are {', '.join(VISION)}")
    return {**VISION[known[0]], **given, "model_type": known[0]}


def _tower(seen: Config, *, prefix: int, norms: int) -> tuple[Tower, int]:
    """A tower for squares, and its patches on a side."""
    width, heads, patch = seen["hidden_size"], seen["num_attention_heads"], seen["patch_size"]
    block = Block(
        width, heads, width // heads, seen["intermediate_size"], heads, activation=_activation(seen["hidden_act"])
    )
    tower = Tower(block, seen["num_hidden_layers"], patch_values=3 * patch**2, prefix=prefix, norms=norms)
    return tower, seen["image_size"] // patch


def _llava_tower(config: Config) -> tuple[Tower, int, int]:
    """Also how many tokens that are no patch the language model reads."""
    seen = _vision(config, LLAVA_TOWER)
    clip = seen["model_type"] == "clip_vision_model"
    tower, grid = _tower(seen, prefix=int(clip), norms=1)  # CLIP's is before the blocks, SigLIP's behind them
    kept = config.get("vision_feature_select_strategy", "default") == "full"
    return tower, grid, int(clip and kept)


def _projector(config: Config, tower: Tower) -> tuple[Mlp, Decoder | EncoderDecoder]:
    """LLaVA's two maps; several layers of the tower may be read side by side."""
    language = read_language(config["text_config"], tied=_tied(config))
    read = config.get("vision_feature_layer", -2)
    width = tower.block.width * (len(read) if isinstance(read, list) else 1)
    return Mlp((width, language.width, language.width)), language


def _t5(values: Config, tied: bool) -> EncoderDecoder:
    gated = str(values["feed_forward_proj"]).startswith("gated")
    heads = values["num_heads"]
    block = Block(
        values["d_model"], heads, values["d_kv"], values["d_ff"], heads,
        activation="gated" if gated else "plain", rms=True,
    )  # fmt: skip
    layers = values["num_layers"]
    return EncoderDecoder(block, layers, values.get("num_decoder_layers") or layers, values["vocab_size"], tied)


def _tied(config: Config) -> bool:
    return bool(config.get("tie_word_embeddings", False))


def _activation(name: str) -> Activation:
    return "quick_gelu" if name == "quick_gelu" else "plain"
