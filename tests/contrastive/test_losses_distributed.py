"""Both losses over real gloo processes: value and gradients are those of one process with the joint batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .ranks import LOSSES, PAIRS, SPLITS, WIDTH, Model, joint_batch

pytestmark = pytest.mark.xdist_group("losses of ranks")  # the ranks are started once
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the ranks of both runs found: {world: [rank 0's, rank 1's, ...]}."""
    folder = tmp_path_factory.mktemp("ranks")
    script = str(Path(__file__).parent / "ranks.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    running = [subprocess.Popen([sys.executable, script, str(rank), str(folder)], env=environment) for rank in range(3)]
    try:
        assert [process.wait(timeout=180) for process in running] == [0, 0, 0]
    finally:
        for process in running:
            process.kill()
    return {
        world: [torch.load(folder / f"{world}-{rank}.pt", weights_only=True) for rank in range(world)]
        for world in SPLITS
    }


@pytest.fixture(params=SPLITS)
def ranks(request, found):
    return found[request.param]


def one_process(name, labelled):
    images, texts, ids = joint_batch()
    same = ids if labelled else None
    x, y = images.clone().requires_grad_(), texts.clone().requires_grad_()
    loss = LOSSES[name]().double()
    value = loss(x, y, same)
    value.backward()
    model = Model(LOSSES[name]())
    model(images, texts, same).backward()
    own = {key: parameter.grad for key, parameter in loss.named_parameters()}
    return value.detach(), x.grad, y.grad, own, {key: p.grad for key, p in model.named_parameters()}


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradients_are_those_of_one_process(ranks, name, labelled):
    value, to_images, to_texts, own, whole = one_process(name, labelled)
    world = len(ranks)
    for split in SPLITS[world]:
        seen = [rank[f"{name} {split} {labelled}"] for rank in ranks]
        for rank in seen:
            torch.testing.assert_close(rank[0], value, **EXACT)
        # A rank sees R times the joint gradient at its embeddings: the mean over ranks then is the joint one.
        torch.testing.assert_close(torch.cat([rank[1] for rank in seen]) / world, to_images, **EXACT)
        torch.testing.assert_close(torch.cat([rank[2] for rank in seen]) / world, to_texts, **EXACT)
        for key, gradient in own.items():
            mean = torch.stack([rank[3][key] for rank in seen]).mean(0)
            torch.testing.assert_close(mean, gradient, **EXACT)
            assert gradient.abs() > 1e-4
        for key, gradient in whole.items():  # towers and loss under DistributedDataParallel itself
            for rank in seen:
                torch.testing.assert_close(rank[4][key], gradient, **EXACT)


@pytest.mark.parametrize("name", LOSSES)
def test_ranks_that_do_not_fit_together_are_told_on_every_rank(ranks, name):
    for rank in ranks:
        assert "differ in their use of `same`" in rank[f"{name} half labelled"]
        assert "differ in their embedding widths" in rank[f"{name} widths"]
        assert "empty on every rank" in rank[f"{name} empty"]


def test_the_batch_has_duplicates_and_negatives():
    images, _, ids = joint_batch()
    assert images.shape == (PAIRS, WIDTH)
    assert 1 < len(ids.unique()) < PAIRS
