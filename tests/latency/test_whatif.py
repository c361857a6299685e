"""Changes, the ridge and sweeps."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.latency.devices import DEVICES, device_named
from isthmus.latency.named import model_named, names
from isthmus.latency.operations import How
from isthmus.latency.ridge import computing, crossing, reading, ridge
from isthmus.latency.roofline import Efficiency, predict
from isthmus.latency.whatif import AXES, changed, parse_size, sweep, what_if
from isthmus.latency.work import Request

LLAVA = model_named("llava-1.5-7b")
A100 = device_named("a100-80g")
SHARE = st.floats(0.1, 1)


@settings(max_examples=25)
@given(st.sampled_from(names()), st.sampled_from(sorted(DEVICES)))
def test_no_change_changes_nothing(name: str, device: str) -> None:
    on = DEVICES[device]
    request = Request(how=How(on.precision(on.base)))
    found = what_if(model_named(name), request, on, "")
    assert found.before == found.after
    assert found.saved == 0
    same = f"dtype={on.base} sdpa=on fuse=on cache=nothing batch=1 text=100 picture=512x512 logits=last gpu={device}"
    assert what_if(model_named(name), request, on, same).after.parts == found.before.parts


def test_all_that_may_be_changed() -> None:
    words = "tokens=64, text=7 picture=300x200 batch=8 dtype=int8 sdpa=off fuse=off cache=prefix logits=all gpu=t4"
    request, device = changed(Request(), A100, words)
    assert device.name == "T4"
    assert (request.tokens, request.text, request.picture, request.batch) == (64, 7, (300, 200), 8)
    assert (request.cached, request.logits) == ("prefix", "all")
    assert (request.how.fused_attention, request.how.fused_elementwise) == (False, False)
    assert request.how.precision == device.precision("int8")
    assert request.how.precision.plain.math == "fp16"


def test_a_model_in_bf16_is_one_in_fp16_where_there_is_no_bf16() -> None:
    request, _ = changed(Request(), A100, "gpu=t4")
    assert request.how.precision.name == "fp16"


@pytest.mark.parametrize(
    "words",
    ["speed=9", "tokens", "tokens=", "tokens=-3", "tokens=1.5", "dtype=int3", "sdpa=maybe", "cache=all", "gpu=abacus",
     "picture=12", "batch=0", "text=0", "picture=0x7", "logits=none"],
)  # fmt: skip
def test_what_changes_nothing_that_is_known(words: str) -> None:
    with pytest.raises(InputError):
        changed(Request(), A100, words)


@settings(max_examples=25)
@given(st.sampled_from(names()), st.sampled_from(sorted(DEVICES)), st.integers(1, 8), SHARE, SHARE)
def test_the_ridge_is_where_the_two_times_cross(
    name: str, device: str, batch: int, compute: float, bandwidth: float
) -> None:
    language, on, efficiency = model_named(name).language, DEVICES[device], Efficiency(compute, bandwidth)
    how = How(on.precision(on.base))
    tokens = crossing(language, batch, how, on, efficiency)
    wait = reading(language, batch, how, on, efficiency)
    assert computing(language, batch, tokens, how, on, efficiency) == pytest.approx(wait, rel=1e-4)
    assert computing(language, batch, 0.9 * tokens, how, on, efficiency) < wait
    assert computing(language, batch, 1.1 * tokens, how, on, efficiency) > wait


def test_llavas_ridge_on_an_a100_is_at_about_131_tokens_and_lower_with_smaller_weights() -> None:
    found = ridge(LLAVA, Request(), A100, ("int8", "int4", "fp8"))
    assert found.tokens["bf16"] == pytest.approx(131, rel=0.01)
    assert found.tokens["int8"] == pytest.approx(131 / 2, rel=0.01)
    assert set(found.seconds) == {"bf16", "int8", "int4"}  # an A100 has no fp8
    assert max(found.lengths) == 4096
    short, long = found.lengths.index(16), found.lengths.index(2048)
    assert found.seconds["int4"][short] < 0.5 * found.seconds["bf16"][short]
    assert found.seconds["int4"][long] == pytest.approx(found.seconds["bf16"][long], rel=0.01)


def test_a_batch_reaches_the_ridge_with_shorter_prompts() -> None:
    one, eight = (ridge(LLAVA, Request(batch=n), A100).tokens["bf16"] for n in (1, 8))
    assert eight == pytest.approx(one / 8, rel=0.02)


@pytest.mark.parametrize("over", AXES)
def test_a_sweep_is_its_predictions(over: str) -> None:
    found = sweep(model_named("qwen2-vl-2b"), Request(), A100, over)  # type: ignore[arg-type]
    assert [value for value, _ in found] == list(AXES[over])  # type: ignore[index]
    seconds = [each.seconds for _, each in found]
    assert seconds == sorted(seconds)


def test_a_sweep_at_given_values() -> None:
    found = sweep(LLAVA, Request(), A100, "tokens", [64, 576])
    assert found[1][1] == replace(predict(LLAVA, Request(), A100), request=Request(tokens=576))


def test_a_sweep_stops_where_the_model_does_but_not_at_what_was_asked_for() -> None:
    small = model_named("blip2-opt-2.7b")
    assert len(sweep(small, Request(text=1500), A100, "tokens")) < len(AXES["tokens"])
    with pytest.raises(InputError, match="too long"):
        sweep(small, Request(), A100, "text", [5000])


def test_sizes() -> None:
    assert parse_size("640x480") == parse_size("640X480") == parse_size("640×480") == (640, 480)
    for text in ("", "640", "640x", "axb", "-1x5", "1.5x2", "3x4x5"):
        with pytest.raises(InputError, match="no size"):
            parse_size(text)
