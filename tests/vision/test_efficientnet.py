"""The default encoder: the published network's arithmetic, honest tokens, names for real photographs."""

import math
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torch.nn import functional as F

from isthmus.checkpoints import resolve
from isthmus.checkpoints.parts import part
from isthmus.errors import InputError
from isthmus.images.fits import Squash
from isthmus.images.open import open_picture
from isthmus.images.tiles import Tiles
from isthmus.images.views import Picture
from isthmus.vision.efficientnet import LITE, EfficientNetEncoder, EfficientNetLite, LiteConfig, load_efficientnet
from isthmus.vision.imagenet import imagenet_classes

PHOTOS = Path(skimage.__file__).parent / "data"


@pytest.fixture(scope="module")
def encoder() -> EfficientNetEncoder:
    return load_efficientnet(resolve("default/efficientnet-lite0"))


def published(pixels: torch.Tensor) -> torch.Tensor:
    """The network as its weights were published, written down once more: unfolded norms, explicit padding.

    The published code cannot be a test's dependency (it pins torchvision); the layer names of its file and
    TensorFlow's rules for padding and epsilon are all this needs.
    """
    weights = torch.load(part("default/efficientnet-lite0").verify(), map_location="cpu", weights_only=True)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, gain, bias = (weights[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, gain, bias, eps=1e-3)

    def conv(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = weights[f"{name}.weight"]
        kernel = weight.shape[-1]
        pads: list[int] = []
        for side in (x.shape[3], x.shape[2]):
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=x.shape[1] // weight.shape[1])

    x = F.relu6(norm(conv(pixels, "_conv_stem", 2), "_bn0"))
    firsts = {0: 1, 1: 2, 3: 2, 5: 2, 8: 1, 11: 2, 15: 1}  # strides of each stage's first block
    for i in range(16):
        block, before, stride = f"_blocks.{i}.", x, firsts.get(i, 1)
        if f"{block}_expand_conv.weight" in weights:
            x = F.relu6(norm(conv(x, f"{block}_expand_conv"), f"{block}_bn0"))
        x = F.relu6(norm(conv(x, f"{block}_depthwise_conv", stride), f"{block}_bn1"))
        x = norm(conv(x, f"{block}_project_conv"), f"{block}_bn2")
        if stride == 1 and x.shape == before.shape:
            x = x + before
    return F.relu6(norm(conv(x, "_conv_head"), "_bn1"))


@pytest.mark.parametrize("size", [(224, 224), (97, 160)])
@torch.no_grad()
def test_folded_weights_compute_what_the_published_ones_do(encoder: EfficientNetEncoder, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, *size)
    theirs, ours = published(pixels), encoder.net(pixels)
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


@pytest.mark.parametrize(("name", "parameters"), [("efficientnet-lite0", 4.65e6), ("efficientnet-lite2", 6.09e6)])
def test_parameter_counts_are_the_published_ones(name: str, parameters: float) -> None:
    with torch.device("meta"):
        net = EfficientNetLite(LITE[name])
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(parameters, rel=0.02)


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("chelsea.png", {"Egyptian cat", "tabby", "tiger cat"}),
        ("coffee.png", {"espresso", "cup", "coffee mug"}),
    ],
)
def test_real_photographs_get_their_names(encoder: EfficientNetEncoder, file: str, names: set[str]) -> None:
    features = encoder.encode([encoder.fit(open_picture(PHOTOS / file))])
    best = int(encoder.classify(features.pooled).argmax())
    assert imagenet_classes()[best].names[0] in names


def test_there_are_a_thousand_classes_each_with_a_name_and_a_gloss() -> None:
    classes = imagenet_classes()
    assert len(classes) == 1000
    assert all(c.names[0] and c.gloss for c in classes)
    assert [c.wordnet_id for c in classes] == sorted({c.wordnet_id for c in classes})


def tiny() -> EfficientNetEncoder:
    torch.manual_seed(0)
    net = EfficientNetLite(LiteConfig(width=0.25, depth=0.3, size=64), classes=10)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            nn.init.normal_(module.bias, std=0.1)
    return EfficientNetEncoder("tiny", net, Squash(size=64), "random")


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(20, 300), st.integers(20, 300)), min_size=1, max_size=4), st.booleans())
def test_a_batch_of_any_pictures_equals_one_by_one(sizes: list[tuple[int, int]], tiled: bool) -> None:
    encoder = tiny()
    fit = Tiles(size=64, grids=((1, 2), (2, 1), (2, 2))) if tiled else encoder.fit
    rng = np.random.default_rng(0)
    views = [fit(Picture(Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8)), w, h)) for w, h in sizes]
    together = encoder.encode(views)
    for i, one in enumerate(views):
        alone = encoder.encode([one])
        count = alone.tokens.shape[1]
        assert together.mask[i].sum() == count
        torch.testing.assert_close(together.tokens[i, :count], alone.tokens[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.boxes[i, :count], alone.boxes[0])
        torch.testing.assert_close(together.pooled[i], alone.pooled[0], atol=1e-4, rtol=1e-4)


def test_nothing_to_encode_is_said() -> None:
    with pytest.raises(InputError, match="nothing to encode"):
        tiny().encode([])


def test_the_fingerprint_changes_with_weights_and_fit() -> None:
    net = tiny().net
    one = EfficientNetEncoder("a", net, Squash(size=64), "w")
    assert one.fingerprint == EfficientNetEncoder("b", net, Squash(size=64), "w").fingerprint
    assert one.fingerprint != EfficientNetEncoder("a", net, Squash(size=65), "w").fingerprint
    assert one.fingerprint != EfficientNetEncoder("a", net, Squash(size=64), "x").fingerprint
