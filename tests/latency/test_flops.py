"""FLOPs and weights of every family against the architectures of transformers, as torch counts them."""

from dataclasses import replace

import pytest

from isthmus.latency.families import read_model
from isthmus.latency.named import model_named, names
from isthmus.latency.work import BF16, PARTS, Request, Work, work_of
from tests.latency.counted import config_of, counted, transformers_model, weights_of

WIDTH, HEIGHT, TEXT = 500, 333, 100
FULL_SIZE = ("llava-1.5-7b",)


def flops(work: Work) -> dict[str, float]:
    return {part: sum(each.flops for each in work.parts[part]) for part in PARTS}


def compare(name: str, layers: int | None, batch: int) -> None:
    config = config_of(name, layers)
    model = read_model(name, config, config.get("processor", {}))
    work = work_of(model, Request((WIDTH, HEIGHT), text=TEXT, batch=batch))
    true = transformers_model(config)
    ours, theirs = flops(work), counted(true, model.sight(WIDTH, HEIGHT), work.text_tokens, batch)
    assert set(theirs) == set(PARTS) - {"splice"}
    assert {part: ours[part] for part in theirs} == pytest.approx(theirs, rel=1e-5)
    # T5's head is a matrix of its own in every checkpoint of FLAN; transformers makes room for one
    apart = model.language.tables if name == "blip2-flan-t5-xl" else 0
    assert work.weight_bytes / 2 == pytest.approx(weights_of(true) + apart, rel=0.02 if layers else 0.005)


@pytest.mark.parametrize("name", names())
def test_two_layers_of_every_family(name: str) -> None:
    compare(name, layers=2, batch=2)


@pytest.mark.parametrize("name", FULL_SIZE)
def test_all_of_it(name: str) -> None:
    compare(name, layers=None, batch=1)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(set(names()) - set(FULL_SIZE)))
def test_all_of_every_family(name: str) -> None:
    compare(name, layers=None, batch=1)


def test_the_figures_of_llava_on_576_tokens_and_100_of_text() -> None:
    work = work_of(model_named("llava-1.5-7b"), Request(text=100))
    assert work.prompt == 676
    found = flops(work)
    blocks = 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    assert blocks == pytest.approx(6.476e9, rel=1e-4)
    assert found["prefill"] == 2 * 676 * blocks + 4 * 676**2 * 4096 * 32 == pytest.approx(8.995e12, rel=1e-4)
    assert found["encoder"] == pytest.approx(0.382e12, rel=1e-3)
    assert found["connector"] == pytest.approx(0.0242e12, rel=2e-3)
    every = work_of(model_named("llava-1.5-7b"), Request(text=100, logits="all"))
    assert flops(every)["sample"] == pytest.approx(0.1776e12, rel=1e-3)


def test_a_decoder_that_writes_apart_has_one_position_to_choose_at() -> None:
    model = model_named("blip2-flan-t5-xl")
    assert work_of(model, Request(logits="all")) == work_of(model, Request())


def test_hidden_pairs_left_out_halve_attention() -> None:
    model = model_named("llava-1.5-7b")
    whole, half = (
        sum(
            each.flops
            for each in model.language.prefill(1, 676, replace(BF16, causal_skip=skip))
            if each.name == "attention"
        )
        for skip in (False, True)
    )
    assert half / whole == pytest.approx(677 / (2 * 676))
