from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from isthmus.labs import compress
from isthmus.labs.asked import COUNT, KINDS, TEXT
from isthmus.labs.compress import AVERAGED, FEW, MANY, QUERIES, TWICE_AS_FEW, Measured, Settings, growth, judge, measure
from isthmus.labs.reader import Schedule
from isthmus.labs.result import Figure, verdict
from isthmus.labs.scenes import MEAN

from .figures import steady, unsure

TINY = Settings(
    pictures=40, test=12, side=96, queries=(1, 2), factors=(3, 1), judged=1, width=16, layers=1,
    answering=Schedule(steps=2, batch=4), lengths=(1, FEW, TWICE_AS_FEW, MANY), repeats=1,
)  # fmt: skip


def tiny_language_model(name: str, *, dtype: torch.dtype) -> SimpleNamespace:  # noqa: ARG001  the real one takes it
    """In place of SmolLM2, which takes seconds."""
    assert name == "default/smollm2"
    config = LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    return SimpleNamespace(model=LlamaForCausalLM(config).eval())


def made_up(
    few: dict[str, Figure] | None = None,
    averaged: float = 0.7,
    cost: Figure = steady(0.1),  # noqa: B008
    exponent: float = 2,
) -> Measured:
    """Everything as the textbook has it, but for what is given."""
    everything = dict.fromkeys((*KINDS, MEAN), steady(0.9))
    return Measured(
        answers={
            QUERIES: {4: dict.fromkeys((*KINDS, MEAN), steady(0.88)) | (few or {})},
            AVERAGED: {4: {MEAN: steady(averaged)}, 36: everything},
        },
        cost={FEW: cost, MANY: steady(1)},
        exponent=steady(exponent),
    )


def outcome(measured: Measured) -> str:
    return verdict(judge(measured, Settings()))


def test_all_as_the_textbook_says_holds() -> None:
    assert [finding.outcome for finding in judge(made_up(), Settings())] == ["yes"] * 5
    assert outcome(made_up()) == "holds"


@pytest.mark.parametrize("measured", [made_up({MEAN: steady(0.8)}), made_up(cost=steady(0.5))])
def test_a_core_part_refuted_fails(measured: Measured) -> None:
    assert outcome(measured) == "fails"


@pytest.mark.parametrize(
    "measured",
    [
        made_up({TEXT: steady(0.5)}),
        made_up({COUNT: steady(0.5)}),
        made_up({MEAN: unsure(0.7, 0.9)}),
        made_up(averaged=0.89),
        made_up(exponent=1.1),
    ],
)
def test_a_part_open_or_bounded_depends(measured: Measured) -> None:
    assert outcome(measured) == "depends"


@pytest.mark.parametrize("power", [1, 2])
def test_growth_is_the_exponent(power: int) -> None:
    times = {n: (n + 32.0) ** power for n in (TWICE_AS_FEW, MANY)}
    assert growth(times, prompt=32) == pytest.approx(power)


def test_measure_runs_every_count_and_repeats_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "load_language_model", tiny_language_model)
    torch.manual_seed(5)
    first = measure(TINY, range(2), quiet=True)
    torch.manual_seed(6)
    assert first.answers == measure(TINY, range(2), quiet=True).answers
    assert {way: tuple(rows) for way, rows in first.answers.items()} == {QUERIES: (1, 2), AVERAGED: (1, 9)}
    assert first.all_tokens == 9
    assert first.cost[MANY].values == (1, 1)
