"""Stage 1 over two real gloo processes: losses and gradients are those of one process with the joint batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .ranks import LENGTHS, PARTS, PATCHES, SPLITS, joint_batch, measure, stage

pytestmark = pytest.mark.xdist_group("objectives of ranks")  # the ranks are started once
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", "tests.connectors.ranks"]
    running = [subprocess.Popen([*command, str(rank), str(folder)], env=environment, cwd=root) for rank in range(2)]
    try:
        assert [process.wait(timeout=180) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "labelled"])
def case(request, ranks):
    """What one process finds on the joint batch, and both ranks' findings for each split."""
    batch, text, ids = joint_batch()
    one = measure(batch, text, ids if request.param else None)
    return one, {split: [rank[f"{split} {request.param}"] for rank in ranks] for split in SPLITS}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_loss_and_gradients_are_those_of_one_process(case, split, part):
    one, both = case
    value, gradients = one[part]
    assert value > 0.1
    for rank in both[split]:
        torch.testing.assert_close(rank[part][0], value, **EXACT)
    for key, gradient in gradients.items():
        if key == "features":  # a rank sees R times the joint one at its own features
            for rank, own in zip(both[split], gradient.split(split), strict=True):
                seen = rank[part][1][key] / 2
                torch.testing.assert_close(seen, own[:, : seen.shape[1]], **EXACT)
                assert not own[:, seen.shape[1] :].any()
            continue
        mean = torch.stack([rank[part][1][key] for rank in both[split]]).mean(0)
        torch.testing.assert_close(mean, gradient, **EXACT)


@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_the_sum_under_distributed_data_parallel_is_that_of_one_process(case, split):
    one, both = case
    for key in stage().state_dict():
        expected = sum(one[part][1][key] for part in PARTS)
        for rank in both[split]:
            torch.testing.assert_close(rank["ddp"][key], expected, **EXACT)


@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_similarities_are_rows_of_the_joint_ones(case, split):
    one, both = case
    torch.testing.assert_close(torch.cat([rank["similarity"] for rank in both[split]]), one["similarity"], **EXACT)


def test_what_does_not_fit_is_told_on_both_ranks(ranks):
    for rank in ranks:
        assert "a batch of 6 has no wrong pair" in rank["one caption"]
        assert "differ in their use of `same`" in rank["half labelled"]
        assert "no caption of the batch has a word" in rank["no words"]


def test_the_ranks_bring_different_lengths_and_token_counts():
    for first, _ in SPLITS[:3]:
        assert max(PATCHES[:first]) != max(PATCHES[first:])
        assert max(LENGTHS[:first]) != max(LENGTHS[first:])
        assert sum(LENGTHS[:first]) != sum(LENGTHS[first:])
