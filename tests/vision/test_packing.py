"""Pictures of any sizes in one sequence: each is encoded as if it were alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from isthmus.errors import InputError
from isthmus.vision.packing import Grid, Packing, patchify
from isthmus.vision.vit import VisionConfig, VisionTransformer

from .reference import perturbed

P = 4
GRIDS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=7)
PLAIN = VisionConfig(width=32, layers=2, heads=4, mlp_width=48, patch=P, grid=3)
CONFIGS = {
    "class token": VisionConfig(
        **{**PLAIN.__dict__, "class_token": True, "registers": 2, "pre_norm": True, "norm": "pooled", "pool": "class"}
    ),
    "attention pool": VisionConfig(**{**PLAIN.__dict__, "pool": "attention", "interpolation": "bilinear_antialias"}),
    "rotary, mean": VisionConfig(**{**PLAIN.__dict__, "positions": "rotary", "class_token": True}),
}
TOWERS = {name: perturbed(VisionTransformer(config)) for name, config in CONFIGS.items()}


def patches_of(grids: list[Grid], seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(rows * columns, 3 * P * P, generator=random) for rows, columns in grids]


def pieces(tower: VisionTransformer, tokens: Tensor, grids: list[Grid]) -> tuple[Tensor, ...]:
    return torch.split(tokens, [rows * columns + tower.config.prefix for rows, columns in grids])


@pytest.mark.parametrize("name", list(TOWERS))
@given(grids=GRIDS)
@settings(max_examples=40)
@torch.no_grad()
def test_packed_equals_one_by_one(name: str, grids: list[Grid]) -> None:
    tower, patches = TOWERS[name], patches_of(grids)
    together = tower.packed(torch.cat(patches), grids)
    for i, (each, grid) in enumerate(zip(patches, grids, strict=True)):
        alone = tower.packed(each, [grid])
        torch.testing.assert_close(pieces(tower, together.tokens, grids)[i], alone.tokens, atol=2e-5, rtol=0)
        torch.testing.assert_close(together.pooled[i], alone.pooled[0], atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", list(TOWERS))
@given(grids=GRIDS.filter(lambda g: len(g) > 1), data=st.data())
@settings(max_examples=40)
@torch.no_grad()
def test_no_picture_touches_another_by_a_bit(name: str, grids: list[Grid], data: st.DataObject) -> None:
    """One picture becomes NaN. A mask that only weakens attention would spread it: 0 x NaN is NaN."""
    tower, patches = TOWERS[name], patches_of(grids)
    before = tower.packed(torch.cat(patches), grids)
    victim = data.draw(st.integers(0, len(grids) - 1))
    patches[victim] = torch.full_like(patches[victim], float("nan"))
    after = tower.packed(torch.cat(patches), grids)
    for i, (was, now) in enumerate(
        zip(pieces(tower, before.tokens, grids), pieces(tower, after.tokens, grids), strict=True)
    ):
        assert torch.equal(was, now) == (i != victim)
        assert torch.equal(before.pooled[i], after.pooled[i]) == (i != victim)


@pytest.mark.parametrize("name", list(TOWERS))
@given(grids=GRIDS, seed=st.integers(0, 99))
@settings(max_examples=20)
@torch.no_grad()
def test_order_of_pictures_does_not_matter(name: str, grids: list[Grid], seed: int) -> None:
    tower, patches = TOWERS[name], patches_of(grids)
    order = torch.randperm(len(grids), generator=torch.Generator().manual_seed(seed)).tolist()
    straight = tower.packed(torch.cat(patches), grids)
    shuffled = tower.packed(torch.cat([patches[i] for i in order]), [grids[i] for i in order])
    torch.testing.assert_close(shuffled.pooled, straight.pooled[order], atol=2e-5, rtol=0)
    wanted = torch.cat([pieces(tower, straight.tokens, grids)[i] for i in order])
    torch.testing.assert_close(shuffled.tokens, wanted, atol=2e-5, rtol=0)


@given(grids=GRIDS, prefix=st.integers(0, 3))
def test_packing_is_a_permutation_with_equal_runs_together(grids: list[Grid], prefix: int) -> None:
    packing = Packing.of(grids, prefix)
    assert sorted(packing.order) == list(range(len(grids)))
    lengths = [length for length, _ in packing.lengths]
    assert lengths == sorted(set(lengths))
    assert sum(length * count for length, count in packing.lengths) == packing.patches + prefix * len(grids)
    assert [grid for grid, count in packing.grids for _ in range(count)] == [grids[i] for i in packing.order]
    assert len({grid for grid, _ in packing.grids}) == len(packing.grids)
    rows = torch.arange(len(grids))
    assert torch.equal(packing.unsort_pictures(rows[list(packing.order)]), rows)


@torch.no_grad()
def test_a_stack_is_the_packed_case_of_one_size() -> None:
    tower = TOWERS["class token"]
    pixels = torch.randn(3, 3, 12, 20, generator=torch.Generator().manual_seed(0))
    stacked = tower(pixels)
    patches, grid = patchify(pixels, P)
    packed = tower.packed(patches.flatten(0, 1), [grid] * 3)
    assert grid == (3, 5)
    assert torch.equal(stacked.tokens.flatten(0, 1), packed.tokens)
    assert torch.equal(stacked.pooled, packed.pooled)


def test_patches_are_read_row_by_row_as_a_convolution_reads_them() -> None:
    pixels = torch.randn(2, 3, 3 * P + 1, 2 * P + 3, generator=torch.Generator().manual_seed(0))
    kernel = torch.randn(5, 3, P, P, generator=torch.Generator().manual_seed(1))
    patches, grid = patchify(pixels, P)
    convolved = torch.nn.functional.conv2d(pixels, kernel, stride=P)
    assert grid == tuple(convolved.shape[2:]) == (3, 2)
    torch.testing.assert_close(patches @ kernel.flatten(1).T, convolved.flatten(2).transpose(1, 2))


@pytest.mark.parametrize(
    ("patches", "grids", "words"),
    [
        (torch.zeros(3, 48), [(2, 2)], "patches do not fit"),
        (torch.zeros(4, 47), [(2, 2)], "patches do not fit"),
        (torch.zeros(0, 48), [], "nothing to encode"),
        (torch.zeros(0, 48), [(0, 2)], "nothing to encode"),
    ],
)
def test_what_does_not_add_up_is_refused(patches: Tensor, grids: list[Grid], words: str) -> None:
    with pytest.raises(InputError, match=words):
        TOWERS["class token"].packed(patches, grids)


def test_a_picture_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(InputError, match="smaller than a patch"):
        TOWERS["class token"](torch.zeros(1, 3, P - 1, 20))
