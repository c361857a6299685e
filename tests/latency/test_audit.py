"""A claim is held against the floor and the prediction."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.latency.audit import NEAR, audit, parse_duration, parse_shares
from isthmus.latency.devices import DEVICES, device_named
from isthmus.latency.named import model_named, names
from isthmus.latency.operations import How
from isthmus.latency.roofline import Efficiency, predict
from isthmus.latency.work import BF16, Request

LLAVA = model_named("llava-1.5-7b")
A100 = device_named("a100-80g")


@settings(max_examples=25)
@given(st.sampled_from(names()), st.sampled_from(sorted(DEVICES)), st.floats(0.05, 1), st.floats(0.05, 1))
def test_the_prediction_itself_is_as_predicted(name: str, device: str, compute: float, bandwidth: float) -> None:
    on, efficiency = DEVICES[device], Efficiency(compute, bandwidth)
    request = Request(how=How(on.precision(on.base)))
    model = model_named(name)
    seconds = predict(model, request, on, efficiency).seconds
    found = audit(model, request, on, seconds, efficiency=efficiency)
    assert (found.verdict, found.explanations) == ("as predicted", ())
    assert found.slower == 1


@settings(max_examples=10)
@given(st.floats(0.05, 1))
def test_utilisation_is_the_one_it_was_predicted_with(share: float) -> None:
    """Where nothing but computing takes time: an endless bandwidth, kernels that start at once."""
    device = replace(A100, bandwidth=1e30, launch=0.0)
    seconds = predict(LLAVA, Request(), device, Efficiency(share, 1)).seconds
    found = audit(LLAVA, Request(), device, seconds, efficiency=Efficiency(share, 1))
    assert found.of_peak == pytest.approx(share)
    lean = Request(how=replace(BF16, causal_skip=True))
    seconds = predict(LLAVA, lean, device, Efficiency(share, 1)).seconds
    assert audit(LLAVA, lean, device, seconds, efficiency=Efficiency(share, 1)).utilisation == pytest.approx(share)


def test_the_claim_of_300_to_600_ms() -> None:
    """Whose prefill is 250 to 500 ms: 6 to 12 % of what an A100 computes."""
    for claimed, low, high in ((0.25, 0.11, 0.12), (0.5, 0.055, 0.06)):
        prefill = predict(LLAVA, Request(), A100).parts["prefill"]
        assert low < prefill.flops / A100.peak("bf16") / claimed < high
    found = audit(LLAVA, Request(), A100, 0.45, {"encoder": 0.2, "prefill": 0.75})
    assert (found.verdict, found.possible) == ("slow", True)
    assert found.slower == pytest.approx(8.3, rel=0.02)
    assert found.of_peak == pytest.approx(0.067, rel=0.01)
    encoder, prefill = found.shares
    assert encoder.predicted == pytest.approx(0.046, rel=0.02)
    assert encoder.utilisation == pytest.approx(0.0136, rel=0.02)
    assert prefill.predicted == pytest.approx(0.95, rel=0.01)


def test_a_slow_claim_is_explained_by_a_slower_device() -> None:
    found = audit(LLAVA, Request(), A100, 0.26)
    changes = {each.change: each.seconds for each in found.explanations}
    assert {"on RTX 3090", "on T4 in fp16"} <= set(changes)
    assert all(0.26 / NEAR <= seconds <= 0.26 * NEAR for seconds in changes.values())
    text = next(each for each in changes if each.endswith("text tokens"))
    assert changes[text] == pytest.approx(0.26, rel=0.01)


def test_fp32_without_tf32_explains_most_of_a_second() -> None:
    assert "in fp32 without TF32" in {each.change for each in audit(LLAVA, Request(), A100, 0.8).explanations}


def test_a_claim_below_the_floor_is_impossible_and_what_would_make_it_possible_does() -> None:
    found = audit(LLAVA, Request(), A100, 0.020)
    assert (found.verdict, found.possible) == ("impossible", False)
    assert found.utilisation > 1
    changes = {each.change: each.seconds for each in found.explanations}
    assert {"on H100 SXM", "in w8a8", "without the picture"} <= set(changes)
    assert "on RTX 4090" not in changes
    assert max(changes.values()) <= 0.020
    (few,) = (int(each.split()[1]) for each in changes if each.endswith("tokens") and each.startswith("with "))
    assert (
        predict(LLAVA, Request(tokens=few), A100).floor <= 0.020 < predict(LLAVA, Request(tokens=few + 1), A100).floor
    )


def test_a_split_in_which_a_part_is_below_its_floor_is_impossible() -> None:
    found = audit(LLAVA, Request(), A100, 0.050, {"prefill": 0.4})
    assert found.verdict != "impossible"
    assert not found.possible
    assert found.shares[0].utilisation > 1


def test_a_claim_between_floor_and_prediction_is_ahead() -> None:
    assert audit(LLAVA, Request(), A100, 0.035).verdict == "ahead"


@pytest.mark.parametrize(
    ("text", "seconds"), [("450ms", 0.45), ("0.45s", 0.45), (".45 s", 0.45), ("900us", 9e-4), ("2 s", 2)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["450", "fast", "-3ms", "0ms", "0s", "1e3ms", "3 days", "100000s", "", "1.2.3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InputError):
        parse_duration(text)


def test_shares() -> None:
    assert parse_shares(["encoder=20", "prefill=75%"]) == {"encoder": 0.2, "prefill": 0.75}


@pytest.mark.parametrize(
    "words", [["encoder"], ["eyes=20"], ["encoder=x"], ["encoder=0"], ["encoder=60", "prefill=60"]]
)
def test_what_are_no_shares(words: list[str]) -> None:
    with pytest.raises(InputError):
        parse_shares(words)
