import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from isthmus.labs.patch_ids import UNKNOWN, Codebook, Patches, PatchTable, PlacedCodebook, Vocabulary
from isthmus.vision.vit import VisionConfig, VisionTransformer

few_patches = arrays.arrays(np.uint8, st.tuples(st.integers(1, 30), st.just(4)), elements=st.integers(0, 5))


def some(seed: int, n: int) -> Patches:
    return np.random.default_rng(seed).integers(0, 256, (n, 16)).astype(np.uint8)


@given(few_patches)
def test_equal_pixels_and_only_they_share_an_id(patches: Patches) -> None:
    vocabulary = Vocabulary(patches, 256)
    ids = vocabulary.ids(patches)
    equal = (patches[:, None] == patches[None]).all(-1)
    np.testing.assert_array_equal(ids[:, None] == ids, equal)
    assert UNKNOWN not in ids
    assert vocabulary.size == len(set(ids)) + 1
    assert ids.max() < vocabulary.size


@given(few_patches, few_patches)
def test_unseen_is_the_share_not_in_training(training: Patches, test: Patches) -> None:
    known = {tuple(patch) for patch in training}
    expected = sum(tuple(patch) not in known for patch in test) / len(test)
    assert Vocabulary(training, 256).unseen(test) == pytest.approx(expected)


def test_one_step_of_brightness_is_another_patch() -> None:
    patches = some(0, 50).clip(0, 254)
    vocabulary = Vocabulary(patches, 256)
    assert vocabulary.unseen(patches) == 0
    assert vocabulary.unseen(patches + 1) == 1


def test_rounding_joins_what_falls_into_one_level() -> None:
    patches = np.array([[0, 63], [63, 0], [64, 0], [255, 192], [191, 255]], np.uint8)
    assert list(Vocabulary(patches, 4).ids(patches)) == [1, 1, 2, 3, 4]
    assert Vocabulary(patches[:1], 4).unseen(patches) == pytest.approx(3 / 5)


@pytest.mark.parametrize("levels", [1, 257])
def test_levels_of_a_byte(levels: int) -> None:
    with pytest.raises(ValueError, match="levels"):
        Vocabulary(some(0, 3), levels)


def test_codebook_takes_the_nearest_centre() -> None:
    codebook = Codebook(some(0, 500), 20, seed=0)
    new = some(1, 100)
    distance = ((new[:, None].astype(float) - codebook.centres[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(codebook.ids(new), distance.argmin(1))
    assert codebook.centres.shape == (20, 16)


@torch.no_grad()
def test_a_table_in_a_tower_is_a_linear_embedding_of_one_hot_ids() -> None:
    config = VisionConfig(width=16, layers=2, heads=2, mlp_width=24, patch=4, grid=2, channels=1)
    torch.manual_seed(0)
    tower, reference = VisionTransformer(config), VisionTransformer(config)
    reference.load_state_dict(tower.state_dict())
    table = PatchTable(9, 16, deviation=1.0, hide=0.5).eval()
    tower.patch_embed = table  # type: ignore[assignment]
    reference.patch_embed = torch.nn.Linear(9, 16, bias=False)
    reference.patch_embed.weight.copy_(table.weight.T)
    ids = torch.randint(9, (12, 1), generator=torch.Generator().manual_seed(0))
    one_hot = torch.nn.functional.one_hot(ids[:, 0], 9).float()
    grids = [(2, 2)] * 3
    ours, theirs = tower.packed(ids.float(), grids), reference.packed(one_hot, grids)
    torch.testing.assert_close(ours.tokens, theirs.tokens)
    torch.testing.assert_close(ours.pooled, theirs.pooled)


def test_hidden_ids_become_the_unknown_in_training_only() -> None:
    torch.manual_seed(0)
    table = PatchTable(9, 4, deviation=1.0, hide=0.25)
    ids = torch.full((4000, 1), 5.0)
    unknown = (table(ids) == table.weight[UNKNOWN]).all(1).float().mean().item()
    assert unknown == pytest.approx(0.25, abs=0.03)
    assert (table.eval()(ids) == table.weight[5]).all()


def test_a_step_touches_only_the_rows_it_read() -> None:
    table = PatchTable(1000, 4, deviation=1.0, hide=0)
    table(torch.tensor([[3.0], [7.0], [3.0]])).sum().backward()
    assert table.weight.grad is not None
    assert table.weight.grad.coalesce().indices().tolist() == [[3, 7]]


def test_placed_vectors_are_an_affine_map_of_centres() -> None:
    codebook = Codebook(some(0, 500), 20, seed=0)
    placed = PlacedCodebook(codebook)
    new = some(1, 50)
    np.testing.assert_array_equal(placed.ids(new), codebook.ids(new))
    table = placed.embedding(32, deviation=0.08)
    rows = table(torch.arange(20.0)[:, None]).detach()
    assert rows.std().item() == pytest.approx(0.08, rel=0.3)
    # an affine map keeps midpoints: the row of a mean of centres is the mean of their rows
    centres = torch.from_numpy(codebook.centres)
    fitted = torch.linalg.lstsq(torch.cat([centres, torch.ones(20, 1)], 1).double(), rows.double()).solution
    torch.testing.assert_close(
        torch.cat([centres, torch.ones(20, 1)], 1).double() @ fitted, rows.double(), atol=1e-5, rtol=1e-4
    )
