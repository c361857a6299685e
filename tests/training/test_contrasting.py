"""A dual encoder learns from pairs: by the joint batch, whatever ranks there are; what is frozen is not touched."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from isthmus.contrastive.losses import InfoNCE
from isthmus.errors import InputError
from isthmus.training.checkpoint import WEIGHTS
from isthmus.training.contrast_recipe import ContrastPolicy, ContrastStage
from isthmus.training.contrasting import Contrast, ContrastTask
from isthmus.training.dual_tuning import load_dual
from isthmus.training.loop import LoopSettings, train
from isthmus.training.pairs import Pairs, ids_of
from isthmus.training.policy import Learns
from tests.contrastive import models

from .pairs_toy import ALL, CAPTIONS, KINDS, NO_HEADS, Joint, train_all
from .test_loop import run
from .toy import losses

pytestmark = pytest.mark.xdist_group("contrasting")  # the ranks are started once
STEPS = 20


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starts")
    for family in ("clip", "siglip", "bert"):
        models.save(family, folder / family)
    return folder


@pytest.fixture(scope="module")
def learned(starts: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """What one rank learned, and what two did: the joint batch is the same, six pairs, or four and two."""
    out = tmp_path_factory.mktemp("learned")
    train_all(out / "1", STEPS, starts)
    told = run(out / "2", str(starts), ranks=2, module="tests.training.pairs_toy")
    assert told == [{"kind": kind, "why": "done"} for kind in KINDS]
    return {1: out / "1", 2: out / "2"}


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_learn_what_one_does(learned, kind: str) -> None:
    one, two = (losses(learned[ranks] / kind) for ranks in (1, 2))
    assert len(one) == STEPS and one[-1] < one[0] - 0.01
    assert two == pytest.approx(one, rel=1e-5)
    lines = [json.loads(line) for line in (learned[2] / kind / "log.jsonl").read_text().splitlines()]
    assert {line["count"] for line in lines} == {6}
    alone = [json.loads(line) for line in (learned[1] / kind / "log.jsonl").read_text().splitlines()]
    assert [line["norm"] for line in lines] == pytest.approx([line["norm"] for line in alone], rel=1e-3)
    checkpoint = Path("checkpoints") / f"step-{STEPS:06d}" / WEIGHTS
    mine, other = (load_file(learned[ranks] / kind / checkpoint) for ranks in (1, 2))
    assert mine.keys() == other.keys()
    for key, value in mine.items():
        if not key.endswith(("qkv.bias", "kv.bias")):  # a bias of keys has no gradient but rounding, which AdamW widens
            torch.testing.assert_close(other[key], value, rtol=1e-3, atol=2e-5)


def test_parts_of_the_loss_are_logged_and_sum_up(learned) -> None:
    for ranks in (1, 2):
        line = json.loads((learned[ranks] / "stage1" / "log.jsonl").read_text().splitlines()[0])
        assert line["itc"] + line["itm"] + line["itg"] == pytest.approx(line["loss"], rel=1e-5)


@pytest.mark.parametrize("family", ["clip", "siglip", "bert"])
def test_a_step_has_the_gradient_of_the_loss_on_vectors_as_anyone_reads_them(starts, family: str) -> None:
    """Every parameter that learns gets a gradient, and the loss is that of the public vectors."""
    dual = load_dual(str(starts / family), "cpu")
    module = Contrast(dual, "softmax")
    ContrastTask(module, ALL if dual.bias is None else NO_HEADS)
    batch = next(Joint("softmax", 0, 1))
    found = module(batch, 6)["loss"]
    images, texts = dual.images(batch.shown), dual.texts(CAPTIONS)
    expected = InfoNCE(scale=dual.scale)(images, texts, ids_of(CAPTIONS))
    torch.testing.assert_close(found, expected)
    found.backward()
    assert not images.requires_grad and not texts.requires_grad
    assert not [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("family", ["clip", "siglip", "bert"])
def test_under_autocast_the_loss_is_about_the_same(starts, family: str) -> None:
    dual = load_dual(str(starts / family), "cpu")
    module = Contrast(dual, "softmax" if dual.bias is None else "sigmoid")
    ContrastTask(module, ALL if dual.bias is None else NO_HEADS)
    batch = next(Joint("softmax", 0, 1))
    exact = module(batch, 6)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        rough = module(batch, 6)["loss"]
    rough.backward()
    assert rough.dtype == torch.float32 and float(rough) == pytest.approx(float(exact), rel=0.1)
    assert not torch.equal(rough, exact)
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("part", ["image_tower", "image_head", "text_tower", "text_head", "temperature"])
def test_what_learns_changes_and_nothing_else(starts, tmp_path, part: str) -> None:
    module = Contrast(load_dual(str(starts / "clip"), "cpu"), "softmax")
    before = {key: each.clone() for key, each in module.state_dict().items()}
    task = ContrastTask(module, ContrastPolicy(**{part: Learns(0.01)}))
    train(task, Joint("softmax", 0, 1), LoopSettings(2, precision="float32"), tmp_path, quiet=True)
    changed = {key for key, each in module.state_dict().items() if not torch.equal(each, before[key])}
    assert changed and all(key.startswith(f"{part}.") for key in changed)


def test_equal_captions_are_no_negatives() -> None:
    assert len(set(ids_of(CAPTIONS).tolist())) == len(set(CAPTIONS)) == 4
    images, texts = (F.normalize(torch.randn(6, 5), dim=1) for _ in range(2))
    loss = InfoNCE(scale=5.0)
    nearer = images.clone()
    nearer[0] = texts[2]  # the same words as its own
    assert not torch.allclose(loss(nearer, texts), loss(nearer, texts, ids_of(CAPTIONS)))


def test_a_part_without_weights_cannot_learn(starts) -> None:
    module = Contrast(load_dual(str(starts / "siglip"), "cpu"), "sigmoid")
    with pytest.raises(InputError, match="image_head cannot learn"):
        ContrastTask(module, ALL)


def test_the_default_embedder_is_no_dual_encoder() -> None:
    with pytest.raises(InputError, match="default/embedder is no dual encoder of two towers"):
        load_dual("default/embedder", "cpu")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"accumulate": 4}, "stage s accumulates 4 batches: negatives are the other pairs of a batch"),
        ({"batch": 1}, "batches of one pair"),
    ],
)
def test_a_batch_that_is_parted_is_refused(given: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ContrastStage("s", ALL, steps=1, **given)


def test_scale_and_bias_begin_as_the_models_and_are_given_back(starts, tmp_path) -> None:
    dual = load_dual(str(starts / "siglip"), "cpu")
    scale, bias = dual.scale, dual.bias
    module = Contrast(dual, "sigmoid")
    module.settle()
    assert (dual.scale, dual.bias) == (pytest.approx(scale), bias)
    train(ContrastTask(module, NO_HEADS), Joint("sigmoid", 0, 1), LoopSettings(3), tmp_path, quiet=True)
    module.settle()
    assert dual.scale != pytest.approx(scale) and dual.bias != bias


def test_pairs_hold_what_the_loop_asks_for(starts) -> None:
    task = ContrastTask(Contrast(load_dual(str(starts / "clip"), "cpu"), "softmax"), ALL)
    batch: Pairs = next(Joint("softmax", 0, 1))
    assert task.weight(batch) == 6 and task.places(batch)[5] == "draw 0, pair 5"
    assert [group.name for group in task.groups()] == [
        "image_tower", "image_head", "text_tower", "text_head", "temperature",
    ]  # fmt: skip
