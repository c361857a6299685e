import numpy as np
import pytest
import torch

from isthmus.labs.patch_ids import Vocabulary
from isthmus.labs.patch_reader import CHANGES, PatchTable, Reader, Settings, likeness, pictures, score
from isthmus.labs.patches import CODEBOOK, EXACT, LINEAR, PLACED, ROUNDED, Measured, judge, measure, unseen_by_growth
from isthmus.labs.result import Figure, verdict

from .figures import steady, unsure

TINY = Settings(
    test_digits=1600, copies=1, codes=16, width=16, layers=1, batch=8, steps=2, likeness_patches=320, growth=(10, 50),
    growth_test=30,
)  # fmt: skip
CONDITIONS = ("clean", *CHANGES)


NONE, FULL = steady(0), steady(1)


def made_up(
    accuracy: dict[str, Figure] | None = None, unseen: Figure = FULL, exact_likeness: Figure = NONE
) -> Measured:
    """Everything as the textbook has it, but for what is given."""
    accuracies = {LINEAR: steady(0.9)} | {name: steady(0.1) for name in (EXACT, ROUNDED, CODEBOOK, PLACED)}
    near = {LINEAR: steady(0.9), EXACT: exact_likeness}
    return Measured(
        unseen={EXACT: dict.fromkeys(CONDITIONS, unseen)},
        accuracy={name: dict.fromkeys(CONDITIONS, figure) for name, figure in (accuracies | (accuracy or {})).items()},
        likeness={name: dict.fromkeys(CHANGES, figure) | {"random": steady(0)} for name, figure in near.items()},
        growth={},
    )


def test_all_as_the_textbook_says_holds() -> None:
    assert [finding.outcome for finding in judge(made_up())] == ["yes"] * 4
    assert verdict(judge(made_up())) == "holds"


@pytest.mark.parametrize(
    "measured",
    [
        made_up(unseen=steady(0.1)),
        made_up(exact_likeness=steady(0.6)),
        made_up({EXACT: steady(0.8)}),
        made_up({LINEAR: steady(0.3), EXACT: steady(0.1)}),
    ],
)
def test_a_core_part_refuted_fails(measured: Measured) -> None:
    assert verdict(judge(measured)) == "fails"


@pytest.mark.parametrize(
    "measured",
    [
        made_up({PLACED: steady(0.89)}),
        made_up({PLACED: unsure(0.7, 0.9)}),
        made_up(unseen=unsure(0.3, 0.9)),
    ],
)
def test_an_id_that_works_or_may_work_depends(measured: Measured) -> None:
    assert verdict(judge(measured)) == "depends"


def test_an_id_must_work_on_changed_pictures_too() -> None:
    measured = made_up()
    measured.accuracy[CODEBOOK]["clean"] = steady(0.9)  # type: ignore[index]
    assert verdict(judge(measured)) == "holds"


def test_pictures_of_training_and_test_are_apart_and_changed_as_said() -> None:
    data = pictures(TINY, 0)
    assert data.training["clean"].shape == (197, 16, 16)
    assert data.test["clean"].shape == (1600, 16, 16)
    clean = data.test["clean"].astype(int)
    np.testing.assert_array_equal(data.test["brightness"], (clean + TINY.brightness).clip(0, 255))
    difference = data.test["noise"].astype(int) - clean
    assert difference.std() == pytest.approx(TINY.noise, rel=0.05)
    # patches are rows of 4 pixels; shifted by one, each row but its last pixel is the clean one from its second on
    np.testing.assert_array_equal(
        data.test["shift"].reshape(-1, 16, 4, 4)[..., :3], data.test["clean"].reshape(-1, 16, 4, 4)[..., 1:]
    )


def test_training_pictures_keep_their_label() -> None:
    settings = Settings(test_digits=1600, copies=3)
    labels = pictures(settings, 0).training_labels.view(-1, 3)
    assert (labels == labels[:, :1]).all()
    assert len(labels) == 197


def test_readers_differ_in_their_embedding_only() -> None:
    data = pictures(TINY, 0)
    scheme = Vocabulary(data.training["clean"].reshape(-1, 16), 256)
    readers = []
    for each in (None, scheme):
        torch.manual_seed(0)
        readers.append(Reader(TINY, each))
    linear, table = (
        {name: p for name, p in reader.named_parameters() if not name.startswith("tower.patch_embed")}
        for reader in readers
    )
    assert list(linear) == list(table)
    assert all(torch.equal(linear[name], table[name]) for name in linear)
    assert isinstance(readers[1].embedding, PatchTable)
    assert readers[1].embedding.weight.shape == (scheme.size, 16)


def test_likeness_of_the_same_is_one_and_of_opposites_minus_one() -> None:
    clean = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    middle = clean.mean(0)
    found = likeness({"clean": clean, "noise": clean, "brightness": 2 * middle - clean, "shift": clean + 0.0}, seed=0)
    assert found["noise"] == pytest.approx(1)
    assert found["brightness"] == pytest.approx(-1)
    assert found["random"] == pytest.approx(0, abs=0.1)


def test_unseen_is_scored_for_vocabularies_only() -> None:
    data = pictures(TINY, 0)
    scheme = Vocabulary(data.training["clean"].reshape(-1, 16), 256)
    found = score(scheme, data, TINY, 0, _Silent())
    assert found.unseen["clean"] == scheme.unseen(data.test["clean"].reshape(-1, 16))
    assert score(None, data, TINY, 0, _Silent()).unseen == {}


def test_more_training_patches_leave_fewer_unseen() -> None:
    for row in unseen_by_growth(TINY, 0).values():
        assert 0 <= row["50"] <= row["10"] <= 1


def test_measure_runs_every_scheme_and_repeats_itself() -> None:
    torch.manual_seed(5)
    first = measure(TINY, range(2), quiet=True)
    second = measure(TINY, range(2), quiet=True)
    assert first == second
    assert list(first.accuracy) == [LINEAR, EXACT, ROUNDED, CODEBOOK, PLACED]
    assert all(list(row) == list(CONDITIONS) for row in first.accuracy.values())
    assert list(first.unseen) == [EXACT, ROUNDED]
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))  # the caller's random state is left alone


class _Silent:
    def advance(self, n: int = 1, note: str = "") -> None:
        pass
