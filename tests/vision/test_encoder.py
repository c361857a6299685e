"""Encoder: Views in, Features out, each token with its place in the picture."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import CorruptPart, FitMismatch, InputError
from isthmus.images.fits import Native, Squash
from isthmus.images.views import Box, View, Views
from isthmus.vision.encoder import VitEncoder, load_encoder, require_fit
from isthmus.vision.vit import VisionConfig, VisionTransformer

from . import reference
from .reference import TOLERANCE, perturbed

FIT = Squash(size=12)
CONFIG = VisionConfig(
    width=32, layers=2, heads=4, mlp_width=48, patch=4, grid=3, class_token=True, registers=1, pool="class"
)
TOWER = perturbed(VisionTransformer(CONFIG))
CLIP_FIT = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 48}, "crop_size": 48}


def encoder(**changes: Any) -> VitEncoder:
    return VitEncoder("tower", TOWER, FIT, weights="w", **changes)


def picture(*sizes: tuple[int, int], seed: int = 0) -> Views:
    """A picture of 100 x 60 with one view for each (height, width); view k covers the k-th stripe of it."""
    random = np.random.default_rng(seed)
    views = tuple(
        View(random.standard_normal((3, *size), dtype=np.float32), Box(20.0 * k, 0.0, 20.0 * k + 20, 60.0))
        for k, size in enumerate(sizes)
    )
    return Views(views, width=100, height=60)


SIZES = st.sampled_from([(12, 12), (8, 20), (20, 8), (4, 4)])
PICTURES = st.lists(st.lists(SIZES, min_size=1, max_size=3), min_size=1, max_size=4)


@given(sizes=PICTURES, drop=st.booleans())
@settings(max_examples=40)
def test_a_picture_has_the_same_features_in_any_company(sizes: list[list[tuple[int, int]]], drop: bool) -> None:
    pictures = [picture(*each, seed=seed) for seed, each in enumerate(sizes)]
    encode = encoder(drop_class_token=drop).encode
    together = encode(pictures)
    for i, each in enumerate(pictures):
        alone = encode([each])
        n = alone.tokens.shape[1]
        assert alone.mask.all()
        assert together.mask[i].tolist() == [True] * n + [False] * (together.mask.shape[1] - n)
        assert torch.equal(together.boxes[i, :n], alone.boxes[0])
        torch.testing.assert_close(together.tokens[i, :n], alone.tokens[0], atol=2e-5, rtol=0)
        torch.testing.assert_close(together.pooled[i], alone.pooled[0], atol=2e-5, rtol=0)
        assert not together.tokens[i, n:].any()


def test_tokens_stand_view_after_view_with_their_boxes() -> None:
    features = encoder().encode([picture((8, 12), (4, 4))])
    assert features.tokens.shape == (1, (2 + 6) + (2 + 1), 32)
    wanted = [
        [0, 0, 20, 60],  # class token: the whole view
        [0, 0, 20, 60],  # register
        [0, 0, 20 / 3, 30],
        [20 / 3, 0, 40 / 3, 30],
        [40 / 3, 0, 20, 30],
        [0, 30, 20 / 3, 60],
        [20 / 3, 30, 40 / 3, 60],
        [40 / 3, 30, 20, 60],
        [20, 0, 40, 60],
        [20, 0, 40, 60],
        [20, 0, 40, 60],
    ]
    torch.testing.assert_close(features.boxes[0], torch.tensor(wanted, dtype=torch.float32))


def test_boxes_leave_out_what_fills_no_patch() -> None:
    """15 x 10 pixels in patches of 4: three columns see 12 of 15, two rows 8 of 10."""
    boxes = encoder(drop_class_token=True).encode([picture((10, 15))]).boxes[0]
    assert boxes[-1].tolist() == pytest.approx([20 * 8 / 15, 60 * 4 / 10, 20 * 12 / 15, 60 * 8 / 10])


def test_pooled_is_the_first_view() -> None:
    views = picture((12, 12), (8, 20), (12, 12))
    first = Views(views.views[:1], views.width, views.height)
    encode = encoder().encode
    torch.testing.assert_close(encode([views]).pooled, encode([first]).pooled, atol=2e-5, rtol=0)


def test_drop_class_token_leaves_the_patches() -> None:
    views = [picture((12, 12))]
    kept, dropped = encoder().encode(views), encoder(drop_class_token=True).encode(views)
    assert torch.equal(dropped.tokens, kept.tokens[:, 2:])
    assert torch.equal(dropped.boxes, kept.boxes[:, 2:])
    assert torch.equal(dropped.pooled, kept.pooled)


def test_layer_is_the_towers() -> None:
    views = [picture((12, 12))]
    pixels = torch.from_numpy(views[0].views[0].pixels)[None]
    for layer in (0, 1, -1, -2):
        assert torch.equal(encoder(layer=layer).encode(views).tokens, TOWER(pixels, layer).tokens)


def test_features_can_train_what_follows() -> None:
    """Tensors of inference mode could not be kept for a backward pass."""
    tokens = encoder().encode([picture((12, 12))]).tokens
    connector = torch.nn.Linear(32, 3)
    connector(tokens).sum().backward()
    assert connector.weight.grad is not None
    assert not tokens.requires_grad


def test_bfloat16_tokens() -> None:
    tower = perturbed(VisionTransformer(CONFIG)).bfloat16()
    half = VitEncoder("tower", tower, FIT, weights="w").encode([picture((12, 12), (8, 20))])
    exact = encoder().encode([picture((12, 12), (8, 20))])
    assert half.tokens.dtype == torch.bfloat16
    assert torch.cosine_similarity(half.pooled.float(), exact.pooled).item() > 0.999


def test_nothing_to_encode_is_said() -> None:
    with pytest.raises(InputError, match="nothing to encode"):
        encoder().encode([])


def test_fingerprint_changes_with_all_that_changes_features() -> None:
    plain = VitEncoder("tower", TOWER, FIT, weights="w")
    others = [
        VitEncoder("tower", TOWER, FIT, weights="other"),
        VitEncoder("tower", TOWER, Squash(size=16), weights="w"),
        VitEncoder("tower", VisionTransformer(VisionConfig(**{**CONFIG.__dict__, "heads": 2})), FIT, weights="w"),
        VitEncoder("tower", TOWER, FIT, weights="w", layer=1),
        VitEncoder("tower", TOWER, FIT, weights="w", drop_class_token=True),
    ]
    assert len({plain.fingerprint, *(other.fingerprint for other in others)}) == 6
    assert VitEncoder("another name", TOWER, FIT, weights="w").fingerprint == plain.fingerprint


@pytest.mark.parametrize("whole", [False, True])
def test_load_encoder_from_a_folder(whole: bool, tmp_path: Path) -> None:
    """The Fit stands in preprocessor_config.json, or inside a processor saved whole."""
    model = reference.small_clip()
    name = reference.save(model, tmp_path)
    file, content = ("processor_config.json", {"image_processor": CLIP_FIT}) if whole else (None, CLIP_FIT)
    (tmp_path / (file or "preprocessor_config.json")).write_text(json.dumps(content))
    loaded = load_encoder(name, layer=-2, drop_class_token=True)
    assert loaded.name == name
    assert loaded.width == 64
    pixels = reference.pictures(2, 3, 48, 48)
    views = [Views((View(p.numpy(), Box(0, 0, 48, 48)),), 48, 48) for p in pixels]
    features, theirs = loaded.encode(views), reference.run(model, pixels)
    assert (features.tokens - theirs.states[-2][:, 1:]).abs().max() <= TOLERANCE
    assert (features.pooled - theirs.pooled).abs().max() <= TOLERANCE
    require_fit(loaded.fit.fingerprint, loaded.fit)


def test_load_encoder_packs_native_views(tmp_path: Path) -> None:
    model = reference.small_siglip2()
    name = reference.save(model, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 24})
    )
    loaded = load_encoder(name)
    assert loaded.fit == Native(patch=8, max_tokens=24)
    pixels = [reference.pictures(3, *size, seed=seed) for seed, size in enumerate([(32, 48), (16, 72), (40, 32)])]
    features = loaded.encode([Views((View(p.numpy(), Box(0, 0, 1, 1)),), 1, 1) for p in pixels])
    theirs, mask = reference.run_naflex(model, pixels)
    assert torch.equal(features.mask, mask)
    assert (features.tokens - theirs.tokens)[mask].abs().max() <= TOLERANCE
    assert (features.pooled - theirs.pooled).abs().max() <= TOLERANCE


def test_a_checkpoint_without_a_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptPart, match="no preprocessor_config"):
        load_encoder(reference.save(reference.small_clip(), tmp_path))


@pytest.mark.parametrize("choice", [{"layer": -2}, {"drop_class_token": True}])
def test_a_convolutional_encoder_has_no_layers_to_choose(choice: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no layers or class token"):
        load_encoder("default/efficientnet-lite0", **choice)


def test_another_fit_is_refused() -> None:
    require_fit(FIT.fingerprint, FIT)
    with pytest.raises(FitMismatch, match="made with the Fit") as raised:
        require_fit(FIT.fingerprint, Squash(size=16))
    assert "\n" not in str(raised.value)
