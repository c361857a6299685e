"""What holds for the transformer whatever its weights: positions, layers, dtypes, gradients."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from isthmus.errors import InputError
from isthmus.vision.importers import build_tower
from isthmus.vision.packing import Packing
from isthmus.vision.positions import resize_positions, rotary_angles, rotate
from isthmus.vision.vit import VisionConfig, VisionTransformer, _activate

from .reference import TOLERANCE, perturbed

PLAIN = VisionConfig(width=32, layers=2, heads=4, mlp_width=48, patch=4, grid=3, class_token=True, pool="class")


def changed(**changes: object) -> VisionConfig:
    return VisionConfig(**{**PLAIN.__dict__, **changes})


def test_learned_positions_at_the_trained_grid_are_the_table() -> None:
    table = torch.randn(9, 5)
    assert resize_positions(table, 3, (3, 3), "bicubic") is table


@pytest.mark.parametrize("how", ["bicubic", "bicubic_antialias", "bilinear_antialias"])
@pytest.mark.parametrize("grid", [(2, 7), (7, 2), (9, 9), (1, 1)])
def test_resized_positions_keep_a_constant(how: str, grid: tuple[int, int]) -> None:
    table = torch.full((16, 3), 0.7)
    resized = resize_positions(table, 4, grid, how)  # type: ignore[arg-type]
    torch.testing.assert_close(resized, torch.full((grid[0] * grid[1], 3), 0.7))


def test_resized_positions_follow_rows_and_columns() -> None:
    rows = torch.arange(4.0)[:, None].expand(4, 4).reshape(16, 1)
    resized = resize_positions(rows, 4, (8, 2), "bicubic").view(8, 2)
    assert torch.equal(resized[:, 0], resized[:, 1])
    assert (resized[1:, 0] > resized[:-1, 0]).all()


def test_positions_of_a_bfloat16_table_are_computed_in_float32() -> None:
    table = torch.randn(16, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    for how in ("bicubic", "bilinear_antialias"):
        resized = resize_positions(table, 4, (5, 3), how)  # type: ignore[arg-type]
        assert resized.dtype == torch.bfloat16
        exact = resize_positions(table.float(), 4, (5, 3), how)  # type: ignore[arg-type]
        assert torch.equal(resized, exact.bfloat16())


@torch.no_grad()
def test_rotary_tower_equals_qwen2_vl_in_one_packed_batch() -> None:
    """The reference packs too, so one batch of three sizes holds rotary positions and packing to it at
    once."""
    theirs = perturbed(
        Qwen2VisionTransformerPretrainedModel(
            Qwen2VLVisionConfig(
                depth=2, embed_dim=32, num_heads=2, mlp_ratio=2,
                patch_size=4, temporal_patch_size=1, spatial_merge_size=1,
            )
        )
    )  # fmt: skip
    config = VisionConfig(
        width=32, layers=2, heads=2, mlp_width=64, patch=4, grid=1, activation="quick_gelu", patch_bias=False,
        positions="rotary",
    )  # fmt: skip
    names = {
        "patch_embed": ("patch_embed.proj",),
        "blocks.{}.norm1": ("blocks.{}.norm1",),
        "blocks.{}.attention.qkv": ("blocks.{}.attn.qkv",),
        "blocks.{}.attention.out": ("blocks.{}.attn.proj",),
        "blocks.{}.norm2": ("blocks.{}.norm2",),
        "blocks.{}.mlp.up": ("blocks.{}.mlp.fc1",),
        "blocks.{}.mlp.down": ("blocks.{}.mlp.fc2",),
        "norm": ("norm",),
    }
    tensors = {name: tensor for name, tensor in theirs.state_dict().items() if not name.startswith("merger.")}
    tensors["patch_embed.proj.weight"] = tensors["patch_embed.proj.weight"].squeeze(2)  # one frame
    tensors |= {"norm.weight": torch.ones(32), "norm.bias": torch.zeros(32)}  # it has none
    ours = build_tower(config, tensors, names, where="Qwen2-VL")
    grids = [(3, 5), (6, 2), (2, 2)]
    patches = torch.randn(15 + 12 + 4, 48, generator=torch.Generator().manual_seed(0))
    wanted = theirs(patches, grid_thw=torch.tensor([(1, *grid) for grid in grids])).last_hidden_state
    assert (ours.packed(patches, grids, layer=-1).tokens - wanted).abs().max() <= TOLERANCE


@given(down=st.integers(0, 3), across=st.integers(0, 3))
@settings(max_examples=20)
def test_rotary_scores_depend_on_distance_alone(down: int, across: int) -> None:
    head, side = 16, 6
    angles = rotary_angles((side, side), head, 100.0, torch.device("cpu")).view(side, side, 1, head)
    random = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, head, generator=random)

    def score(a: tuple[int, int], b: tuple[int, int]) -> torch.Tensor:
        turned = [rotate(x, angles[at].cos(), angles[at].sin()) for x, at in ((q, a), (k, b))]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score((0, 1), (2, 0)), score((down, 1 + across), (2 + down, across)), atol=1e-5, rtol=0)


@torch.no_grad()
def test_rotary_tower_tells_places_apart_and_fits_any_size() -> None:
    tower = perturbed(VisionTransformer(changed(positions="rotary")))
    assert tower.positions is None
    pixels = torch.randn(1, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    moved = torch.cat([pixels[..., 4:], pixels[..., :4]], dim=-1)  # the same patches, the first column last
    assert (tower(pixels).pooled - tower(moved).pooled).abs().max() > 1e-3


@torch.no_grad()
def test_rotary_leaves_the_prefix_unturned() -> None:
    tower = VisionTransformer(changed(positions="rotary", registers=2))
    cos, sin = tower._rotary(Packing.of([(2, 3), (3, 2), (1, 1)], prefix=3), torch.zeros(()))
    runs = torch.split(torch.cat([cos, sin], dim=1), [4, 9, 9])
    for run, grid in zip(runs, [(1, 1), (2, 3), (3, 2)], strict=True):
        angles = rotary_angles(grid, 8, 10_000.0, cos.device)
        assert torch.equal(run[:3, 0], torch.ones(3, 8)) and torch.equal(run[:3, 1], torch.zeros(3, 8))
        assert torch.equal(run[3:, 0], angles.cos()) and torch.equal(run[3:, 1], angles.sin())


def test_quick_gelu_has_the_right_gradient_though_it_works_in_place() -> None:
    x = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (ours,) = torch.autograd.grad(_activate(x * 1, "quick_gelu").sum(), x)
    (wanted,) = torch.autograd.grad((x * torch.sigmoid(1.702 * x)).sum(), x)
    torch.testing.assert_close(ours, wanted)


@torch.no_grad()
def test_registers_have_no_position_and_stand_behind_the_class_token() -> None:
    tower = perturbed(VisionTransformer(changed(registers=3)))
    tokens = tower(torch.randn(2, 3, 12, 12), layer=0).tokens
    assert tokens.shape == (2, 1 + 3 + 9, 32)
    assert torch.equal(tokens[0, 1:4], tower.registers)
    assert torch.equal(tokens[1, 0], tower.class_token + tower.positions[0])


@torch.no_grad()
def test_mean_pool_leaves_out_the_prefix() -> None:
    tower = perturbed(VisionTransformer(changed(registers=3, pool="mean")))
    out = tower(torch.randn(2, 3, 12, 12))
    torch.testing.assert_close(out.pooled, out.tokens[:, 4:].mean(1))


@torch.no_grad()
def test_bfloat16_stays_close_and_stays_bfloat16() -> None:
    tower = perturbed(VisionTransformer(changed(positions="rotary", activation="swiglu", layer_scale=True)))
    for config in (tower.config, changed(pool="attention", interpolation="bilinear_antialias")):
        tower = perturbed(VisionTransformer(config))
        pixels = torch.randn(2, 3, 12, 20, generator=torch.Generator().manual_seed(0))
        exact, half = tower(pixels), tower.bfloat16()(pixels)
        assert half.tokens.dtype == half.pooled.dtype == torch.bfloat16
        assert F.cosine_similarity(exact.pooled, half.pooled.float()).min() > 0.999


def test_every_parameter_gets_a_gradient() -> None:
    for changes in (
        {"registers": 2, "layer_scale": True, "activation": "quick_gelu"},
        {"pool": "attention", "class_token": False},
    ):
        tower = VisionTransformer(changed(**changes))
        patches = torch.randn(6 + 4 + 6, 48)
        out = tower.packed(patches, [(2, 3), (4, 1), (3, 2)])
        (out.pooled.square().sum() + out.tokens.sum()).backward()
        missing = [name for name, p in tower.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not missing


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there_is_refused(layer: int) -> None:
    with pytest.raises(InputError, match="layers 0 to 2"):
        VisionTransformer(PLAIN)(torch.zeros(1, 3, 12, 12), layer)


@pytest.mark.parametrize(
    "changes", [{"heads": 5}, {"positions": "rotary", "heads": 16}, {"pool": "class", "class_token": False}]
)
def test_a_config_that_makes_no_tower_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        changed(**changes)
