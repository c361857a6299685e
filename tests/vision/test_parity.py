"""Our tower equals transformers' on the same random weights. `pytest tests/vision/test_parity.py -s` prints
max |Δ|."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from isthmus.checkpoints import resolve
from isthmus.vision.importers import load_vision_tower
from isthmus.vision.packing import patchify
from isthmus.vision.vit import VisionTransformer

from . import reference
from .reference import SMALL, TOLERANCE

SIZES = {
    "native": (48, 48),
    "larger": (80, 80),
    "wide": (32, 72),
    "same count": (24, 96),
    "cut": (53, 63),
    "tall": (96, 16),
}


@pytest.fixture(scope="module", params=list(SMALL))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Any, VisionTransformer]:
    model = SMALL[request.param]()
    folder = reference.save(model, tmp_path_factory.mktemp("tower"))
    return request.param, model, load_vision_tower(resolve(folder))


def difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


@pytest.mark.parametrize("size", list(SIZES))
@torch.no_grad()
def test_tokens_and_pooled_at_any_size(pair: tuple[str, Any, VisionTransformer], size: str) -> None:
    name, model, tower = pair
    pixels = reference.pictures(2, 3, *SIZES[size])
    theirs, ours = reference.run(model, pixels), tower(pixels)
    tokens, pooled = difference(ours.tokens, theirs.tokens), difference(ours.pooled, theirs.pooled)
    print(f"\n{name}, {size} {SIZES[size]}: tokens {tokens:.1e}, pooled {pooled:.1e}")
    assert max(tokens, pooled) <= TOLERANCE


@pytest.mark.parametrize("layer", [0, 1, 2, 3, -1, -2, -4])
@torch.no_grad()
def test_every_layer(pair: tuple[str, Any, VisionTransformer], layer: int) -> None:
    _, model, tower = pair
    pixels = reference.pictures(2, 3, 40, 64)
    theirs, ours = reference.run(model, pixels), tower(pixels, layer)
    assert difference(ours.tokens, theirs.states[layer]) <= TOLERANCE
    assert difference(ours.pooled, theirs.pooled) <= TOLERANCE


@torch.no_grad()
def test_each_parameter_shows_in_the_output(pair: tuple[str, Any, VisionTransformer]) -> None:
    """The mutation test: with any one parameter lost, parity breaks; so parity proves that none is."""
    _, model, tower = pair
    pixels = reference.pictures(2, 3, 40, 64)
    theirs = reference.run(model, pixels)
    unseen = []
    for name, parameter in tower.named_parameters():
        kept = parameter.clone()
        parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        ours = tower(pixels)
        parameter.copy_(kept)
        if max(difference(ours.tokens, theirs.tokens), difference(ours.pooled, theirs.pooled)) <= 10 * TOLERANCE:
            unseen.append(name)
    assert not unseen


@torch.no_grad()
def test_naflex_batch_of_several_sizes(tmp_path: Path) -> None:
    """Ours packs; the reference pads and masks. Real tokens and pooled agree."""
    model = reference.small_siglip2()
    tower = load_vision_tower(resolve(reference.save(model, tmp_path)))
    sizes = [(48, 48), (16, 72), (72, 16), (8, 8), (48, 48), (24, 96)]
    pixels = [reference.pictures(3, *size, seed=seed) for seed, size in enumerate(sizes)]
    theirs, mask = reference.run_naflex(model, pixels)
    patches = [patchify(p[None], 8) for p in pixels]
    ours = tower.packed(torch.cat([p[0] for p, _ in patches]), [grid for _, grid in patches])
    tokens, pooled = difference(ours.tokens, theirs.tokens[mask]), difference(ours.pooled, theirs.pooled)
    print(f"\nSigLIP 2 NaFlex, {len(sizes)} sizes in one batch: tokens {tokens:.1e}, pooled {pooled:.1e}")
    assert max(tokens, pooled) <= TOLERANCE


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("CLIP", {"hidden_act": "gelu"}),  # LAION's
        ("CLIP", {"hidden_act": "gelu_pytorch_tanh"}),
        ("CLIP", {"layer_norm_eps": 0.1, "num_attention_heads": 2}),
        ("SigLIP", {"hidden_act": "quick_gelu", "layer_norm_eps": 0.1}),
        ("DINOv2", {"use_swiglu_ffn": True}),  # the giant
        ("DINOv2", {"qkv_bias": False, "mlp_ratio": 2}),
        ("DINOv2 with registers", {"num_register_tokens": 1, "layer_norm_eps": 0.1}),
        ("BLIP-2", {"qkv_bias": False, "layer_norm_eps": 0.1, "num_attention_heads": 2}),
    ],
)
@torch.no_grad()
def test_settings_are_read_from_the_config(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    model = SMALL[family](**changes)
    tower = load_vision_tower(resolve(reference.save(model, tmp_path)))
    pixels = reference.pictures(2, 3, 48, 56)
    theirs, ours = reference.run(model, pixels), tower(pixels)
    assert difference(ours.tokens, theirs.tokens) <= TOLERANCE
    assert difference(ours.pooled, theirs.pooled) <= TOLERANCE


FULL = {
    "ViT-B/32": CLIPVisionConfig(),
    "ViT-L/14": CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14
    ),
}


@pytest.fixture(params=list(FULL))
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, CLIPVisionModel, VisionTransformer]]:
    with torch.device("meta"):
        model = CLIPVisionModel(FULL[request.param])
    model = reference.perturbed(model.to_empty(device="cpu"))
    positions = model.embeddings.position_ids
    positions.copy_(torch.arange(positions.shape[-1])[None])  # a buffer that is not saved, lost with the empty memory
    folder = tmp_path / "full"
    tower = load_vision_tower(resolve(reference.save(model, folder)))
    yield request.param, model, tower
    (folder / "model.safetensors").unlink()  # up to 1.2 GB, which pytest would keep for three runs


@torch.no_grad()
def test_full_size(full: tuple[str, CLIPVisionModel, VisionTransformer]) -> None:
    name, model, tower = full
    patch = model.config.patch_size
    for height, width in [(224, 224), (4 * patch, 9 * patch)]:
        pixels = reference.pictures(1, 3, height, width)
        theirs, ours = reference.run(model, pixels), tower(pixels)
        tokens, pooled = difference(ours.tokens, theirs.tokens), difference(ours.pooled, theirs.pooled)
        print(f"\n{name}, {height} x {width}: tokens {tokens:.1e}, pooled {pooled:.1e}")
        assert max(tokens, pooled) <= TOLERANCE
