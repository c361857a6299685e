"""The default encoder read at all depths: where its tokens look, and that kept features are all it needs."""

import numpy as np
import pytest
import torch
from PIL import Image

from isthmus.checkpoints import resolve
from isthmus.errors import InputError
from isthmus.images.tiles import Tiles
from isthmus.images.views import Picture, Views
from isthmus.vision.depths import OVERVIEWS, PLACE, DepthsEncoder
from isthmus.vision.efficientnet import WIDTH, load_efficientnet


@pytest.fixture(scope="module")
def encoder() -> DepthsEncoder:
    classes = torch.nn.functional.normalize(torch.randn(1000, 24, generator=torch.Generator().manual_seed(0)), dim=-1)
    return DepthsEncoder(load_efficientnet(resolve("default/efficientnet-lite0")), classes)


def noise(encoder: DepthsEncoder, seed: int, size: tuple[int, int] = (300, 200)) -> tuple[Views, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return encoder.fit(Picture(Image.fromarray(pixels), *size)), pixels


def test_tokens_of_kept_features_are_those_of_encoding(encoder: DepthsEncoder) -> None:
    views = [noise(encoder, seed)[0] for seed in range(3)]
    features = encoder.encode(views)
    assert features.tokens.shape == (3, encoder.num_tokens, encoder.width)
    assert torch.equal(features.tokens, encoder.tokens(encoder.stored(views)))
    assert features.mask.all()
    alone = encoder.encode(views[1:2])
    torch.testing.assert_close(alone.tokens[0], features.tokens[1], atol=2e-2, rtol=0)


def test_a_cell_knows_its_own_part_of_the_picture_best(encoder: DepthsEncoder) -> None:
    _, pixels = noise(encoder, 0, (224, 224))
    changed = pixels.copy()
    changed[:40, :40] = 0
    before, after = (
        encoder.encode([encoder.fit(Picture(Image.fromarray(each), 224, 224))]).tokens[0] for each in (pixels, changed)
    )
    moved = (before - after)[OVERVIEWS:].square().sum(1).view(7, 7)
    assert moved.argmax() == 0
    assert moved[0, 0] > 4 * moved[4:, 4:].max()


def test_boxes_lead_back_to_the_picture(encoder: DepthsEncoder) -> None:
    features = encoder.encode([noise(encoder, 0, (300, 200))[0]])
    boxes = features.boxes[0]
    assert torch.equal(boxes[0], boxes[1])
    assert boxes[0].tolist() == [0, -50, 300, 250]  # a letterbox: the square reaches beyond a wide picture
    assert boxes[OVERVIEWS].tolist() == pytest.approx([0, -50, 300 / 7, -50 + 300 / 7], abs=1e-3)


def test_every_cell_says_where_it_lies(encoder: DepthsEncoder) -> None:
    places = encoder.encode([noise(encoder, 0)[0]]).tokens[0, :, -PLACE:]
    assert places[:OVERVIEWS].abs().max() == 0
    distances = torch.cdist(places[OVERVIEWS:], places[OVERVIEWS:])
    assert distances.fill_diagonal_(1).min() > 0.1


def test_what_is_imagined_is_what_the_classifier_then_sees(encoder: DepthsEncoder) -> None:
    stored = encoder.stored([noise(encoder, seed)[0] for seed in range(6)])
    classes = torch.tensor([3, 281, -1, 967, 500, -1])
    torch.manual_seed(0)
    plain, imagined = encoder.tokens(stored), encoder.tokens(stored, classes)
    before, after = (
        torch.nn.functional.normalize(each[:, 0, -PLACE - 24 : -PLACE], dim=-1) @ encoder.classes.T
        for each in (plain, imagined)
    )
    for row, wanted in enumerate(classes.tolist()):
        if wanted < 0:
            assert torch.equal(plain[row], imagined[row])
        else:
            assert (after - before)[row].argmax() == wanted
            assert not torch.equal(plain[row, :, :WIDTH], imagined[row, :, :WIDTH])
            assert torch.equal(plain[row, :, WIDTH : WIDTH + 100], imagined[row, :, WIDTH : WIDTH + 100])


def test_a_larger_size_sees_more_cells_and_is_another_encoder(encoder: DepthsEncoder) -> None:
    larger = DepthsEncoder(load_efficientnet(resolve("default/efficientnet-lite0"), size=288), encoder.classes)
    assert larger.encode([noise(larger, 0)[0]]).tokens.shape == (1, OVERVIEWS + 81, encoder.width)
    assert larger.num_tokens == OVERVIEWS + 81
    assert larger.fingerprint != encoder.fingerprint


def test_other_class_vectors_are_another_encoder(encoder: DepthsEncoder) -> None:
    assert DepthsEncoder(encoder.base, encoder.classes).fingerprint == encoder.fingerprint
    assert DepthsEncoder(encoder.base, -encoder.classes).fingerprint != encoder.fingerprint


def test_more_views_than_one_are_refused(encoder: DepthsEncoder) -> None:
    picture = Picture(Image.new("RGB", (900, 300)), 900, 300)
    with pytest.raises(InputError, match="one view"):
        encoder.encode([Tiles(size=224, grids=((1, 2),))(picture)])


def test_the_overview_is_the_first_tokens(encoder: DepthsEncoder) -> None:
    stored = torch.rand(3, 49, sum(encoder.split)).half()
    imagined = torch.tensor([-1, 7, -1])
    torch.manual_seed(0)
    tokens = encoder.tokens(stored, imagined)
    torch.manual_seed(0)
    torch.testing.assert_close(encoder.overview(stored, imagined), tokens[:, :OVERVIEWS])
