"""Checkpoints as they are found: partial configs, older names, halves, shards, towers inside larger models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    Blip2VisionConfig,
    ChineseCLIPConfig,
    ChineseCLIPModel,
    ChineseCLIPVisionConfig,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2WithRegistersConfig,
    InstructBlipVisionConfig,
    Siglip2Config,
    Siglip2Model,
    Siglip2VisionConfig,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
)
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

from isthmus.checkpoints import resolve
from isthmus.errors import CorruptPart
from isthmus.vision.families import read_vision_config
from isthmus.vision.importers import export_tower, load_vision_tower
from isthmus.vision.vit import VisionTransformer

from . import reference
from .reference import SMALL, TOLERANCE

VISION = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 8,
    "image_size": 24,
}  # fmt: skip
NAFLEX = {**{k: v for k, v in VISION.items() if k != "image_size"}, "num_patches": 9}
DINO = {k: v for k, v in VISION.items() if k != "intermediate_size"}
TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 40,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
WHOLE: dict[str, Callable[[], Any]] = {
    "CLIP": lambda: CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION)),
    "Chinese-CLIP": lambda: ChineseCLIPModel(ChineseCLIPConfig(text_config=TEXT, vision_config=VISION)),
    "SigLIP": lambda: SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION)),
    "SigLIP 2": lambda: Siglip2Model(Siglip2Config(text_config=TEXT, vision_config=NAFLEX)),
    "CLIP with projection": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)),
    "DINOv2 classifier": lambda: Dinov2ForImageClassification(Dinov2Config(**DINO)),
}


@pytest.fixture
def clip(tmp_path: Path) -> tuple[Any, Path]:
    model = reference.small_clip()
    reference.save(model, tmp_path)
    return model, tmp_path


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    file = folder / "model.safetensors"
    tensors = {key: tensor.clone() for key, tensor in load_file(file).items()}
    save_file(change(tensors), file, metadata={"format": "pt"})


def set_config(folder: Path, config: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(config))


@torch.no_grad()
def assert_parity(tower: VisionTransformer, model: Any) -> None:
    pixels = reference.pictures(2, 3, 48, 32)
    theirs, ours = reference.run(model, pixels), tower(pixels)
    assert (ours.tokens - theirs.tokens).abs().max() <= TOLERANCE
    assert (ours.pooled - theirs.pooled).abs().max() <= TOLERANCE


@pytest.mark.parametrize("name", list(WHOLE))
def test_a_tower_inside_a_whole_model(name: str, tmp_path: Path) -> None:
    model = reference.perturbed(WHOLE[name]())
    reference.save(model, tmp_path)
    inner = model.dinov2 if name == "DINOv2 classifier" else model.vision_model
    assert_parity(load_vision_tower(resolve(str(tmp_path))), inner)


def test_a_tower_under_another_prefix(clip: tuple[Any, Path]) -> None:
    """As in a LLaVA checkpoint: the tower's config is nested, the language model's names stand beside."""
    model, folder = clip
    prefix = "model.vision_tower.vision_model."
    rewrite(folder, lambda old: {prefix + k: v for k, v in old.items()} | {"language_model.norm.weight": torch.ones(3)})
    inner = json.loads((folder / "config.json").read_text())
    set_config(folder, {"model_type": "llava", "vision_config": inner, "text_config": {"model_type": "llama"}})
    assert_parity(load_vision_tower(resolve(str(folder))), model)
    assert_parity(load_vision_tower(resolve(str(folder)), prefix=prefix), model)


def test_older_names_and_buffers(clip: tuple[Any, Path]) -> None:
    """Before transformers 5 a lone tower kept its `vision_model.`, and position_ids were saved."""
    model, folder = clip
    ids = {"vision_model.embeddings.position_ids": torch.arange(37)[None]}
    rewrite(folder, lambda old: {f"vision_model.{k}": v for k, v in old.items()} | ids)
    assert_parity(load_vision_tower(resolve(str(folder))), model)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_halves_become_the_dtype_asked_for(clip: tuple[Any, Path], stored: torch.dtype) -> None:
    model, folder = clip
    rewrite(folder, lambda old: {k: v.to(stored) for k, v in old.items()})
    assert_parity(load_vision_tower(resolve(str(folder))), model.to(stored).float())
    tower = load_vision_tower(resolve(str(folder)), dtype=torch.bfloat16)
    assert {p.dtype for p in tower.parameters()} == {torch.bfloat16}


def test_shards(tmp_path: Path) -> None:
    model = reference.small_siglip()
    model.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert_parity(load_vision_tower(resolve(str(tmp_path))), model)


@pytest.mark.parametrize(
    ("model_type", "theirs"),
    [
        ("clip", CLIPVisionConfig()),
        ("chinese_clip", ChineseCLIPVisionConfig()),
        ("siglip", SiglipVisionConfig()),
        ("siglip2", Siglip2VisionConfig()),
        ("dinov2", Dinov2Config()),
        ("dinov2_with_registers", Dinov2WithRegistersConfig()),
        ("blip_2", Blip2VisionConfig()),
        ("instructblip", InstructBlipVisionConfig()),
        ("idefics3", Idefics3VisionConfig()),
        ("smolvlm", SmolVLMVisionConfig()),
    ],
)
def test_what_a_config_leaves_out_is_the_reference_default(model_type: str, theirs: Any) -> None:
    full = read_vision_config(theirs.to_dict())
    assert read_vision_config({"model_type": model_type}) == full
    assert read_vision_config({"model_type": model_type, "vision_config": {}}) == full
    assert read_vision_config({"model_type": model_type, "vision_config": None}) == full


@pytest.mark.parametrize("older", [None, {}, {"hidden_size": 1024, "num_attention_heads": 16, "patch_size": 14}])
def test_the_older_dict_of_clip_wins_as_in_the_reference(older: dict[str, int] | None) -> None:
    config = {"vision_config": {"hidden_size": 512, "num_attention_heads": 8, "num_hidden_layers": 3}}
    config["vision_config_dict"] = older  # type: ignore[assignment]
    theirs = CLIPConfig(**json.loads(json.dumps(config))).vision_config.to_dict()
    assert read_vision_config({"model_type": "clip", **config}) == read_vision_config(theirs)


def test_a_sparse_config_loads_the_same_tower(tmp_path: Path) -> None:
    model = reference.perturbed(reference.CLIPVisionModel(CLIPVisionConfig(num_hidden_layers=1)))
    reference.save(model, tmp_path)
    set_config(tmp_path, {"model_type": "clip_vision_model", "num_hidden_layers": 1})
    assert_parity(load_vision_tower(resolve(str(tmp_path))), model)


def test_siglip_without_its_head_pools_by_the_mean(tmp_path: Path) -> None:
    model = reference.small_siglip(vision_use_head=False)
    tower = load_vision_tower(resolve(reference.save(model, tmp_path)))
    pixels = reference.pictures(1, 3, 48, 48)
    with torch.no_grad():
        out, theirs = tower(pixels), model(pixels).last_hidden_state
    assert (out.tokens - theirs).abs().max() <= TOLERANCE
    torch.testing.assert_close(out.pooled, out.tokens.mean(1))


@pytest.mark.parametrize(("family", "layout"), [("CLIP", "clip"), ("BLIP-2", "blip2")])
def test_a_tower_is_written_as_it_was_read(family: str, layout: Any, tmp_path: Path) -> None:
    model = SMALL[family]()
    written = export_tower(load_vision_tower(resolve(reference.save(model, tmp_path))), layout)
    theirs = {key: each for key, each in model.state_dict().items() if not key.endswith("position_ids")}
    assert {key: each.shape for key, each in written.items()} == {key: each.shape for key, each in theirs.items()}
    assert all(torch.equal(each, theirs[key]) for key, each in written.items())


@pytest.mark.parametrize("family", list(SMALL))
def test_every_tensor_is_needed(family: str, tmp_path: Path) -> None:
    """Any one taken away is named."""
    folder = reference.save(SMALL[family](), tmp_path)
    whole = load_file(tmp_path / "model.safetensors")
    for key in whole:
        if key == "embeddings.mask_token":
            continue
        rest = {k: v for k, v in whole.items() if k != key}
        save_file(rest, tmp_path / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(CorruptPart) as raised:
            load_vision_tower(resolve(folder))
        assert key in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_tensor_too_many_is_named(clip: tuple[Any, Path]) -> None:
    _, folder = clip
    rewrite(folder, lambda old: old | {"encoder.layers.3.mlp.fc1.bias": torch.zeros(128)})
    with pytest.raises(CorruptPart, match=r"encoder\.layers\.3\.mlp\.fc1\.bias, for which its config has no place"):
        load_vision_tower(resolve(str(folder)))


def test_a_misshapen_tensor_is_named(clip: tuple[Any, Path]) -> None:
    _, folder = clip
    rewrite(folder, lambda old: old | {"embeddings.position_embedding.weight": torch.zeros(50, 64)})
    with pytest.raises(CorruptPart, match=r"position_embedding\.weight of shape \(50, 64\).*\(37, 64\)"):
        load_vision_tower(resolve(str(folder)))


def test_a_turned_matrix_is_misshapen(clip: tuple[Any, Path]) -> None:
    """As many numbers, in another order: reshaping would hide it."""
    _, folder = clip
    key = "encoder.layers.0.mlp.fc1.weight"
    rewrite(folder, lambda old: old | {key: old[key].T.contiguous()})
    with pytest.raises(CorruptPart, match=r"mlp\.fc1\.weight of shape"):
        load_vision_tower(resolve(str(folder)))


def test_a_config_of_other_weights_is_refused(clip: tuple[Any, Path]) -> None:
    _, folder = clip
    set_config(folder, {"model_type": "dinov2"})
    with pytest.raises(CorruptPart, match="no single vision tower: no tensor is named"):
        load_vision_tower(resolve(str(folder)))


def test_two_towers_need_a_prefix(clip: tuple[Any, Path]) -> None:
    model, folder = clip
    rewrite(folder, lambda old: {f"{side}.{k}": v.clone() for side in ("left", "right") for k, v in old.items()})
    with pytest.raises(CorruptPart, match=r"left\., right\. could be it"):
        load_vision_tower(resolve(str(folder)))
    assert_parity(load_vision_tower(resolve(str(folder)), prefix="right."), model)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "resnet"}, "model_type is resnet, and known are blip-2, blip_2, chinese_clip, clip"),
        ({"model_type": "llava", "vision_config": {"model_type": "pixtral"}}, "model_type is pixtral"),
        ({"model_type": "clip_vision_model", "hidden_act": "relu"}, "hidden_act is relu"),
        ({"model_type": "clip_vision_model", "num_attention_heads": 5}, "5 attention heads"),
        ({"model_type": "clip_vision_model", "patch_size": 0}, "makes no tower"),
        ({"model_type": "dinov2", "image_size": [224, 196]}, "not square"),
        ({"model_type": "siglip2_vision_model", "num_patches": None}, "makes no tower"),
    ],
)
def test_a_config_that_cannot_be_used_is_said(config: dict[str, Any], words: str) -> None:
    with pytest.raises(CorruptPart, match=words) as raised:
        read_vision_config(config)
    assert "\n" not in str(raised.value)


def test_sides_given_as_a_pair() -> None:
    pair = {"model_type": "clip_vision_model", "image_size": [224, 224], "patch_size": [32, 32]}
    assert read_vision_config(pair) == read_vision_config({"model_type": "clip_vision_model"})
