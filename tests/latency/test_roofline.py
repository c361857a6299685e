"""What predictions promise: figures that are known, and what must hold whatever is asked."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.latency.devices import DEVICES, device_named
from isthmus.latency.named import model_named, names
from isthmus.latency.operations import How
from isthmus.latency.roofline import IDEAL, Efficiency, floor, predict, time_of
from isthmus.latency.work import BF16, PARTS, Request, work_of

LLAVA = model_named("llava-1.5-7b")
A100 = device_named("a100-80g")
MODELS = {name: model_named(name) for name in names()}
MODEL = st.sampled_from(sorted(MODELS))
DEVICE = st.sampled_from(sorted(DEVICES))
PICTURE = st.tuples(st.integers(40, 1200), st.integers(40, 1200))


def of(dtype: str, device: str = "a100-80g", **kernels: bool) -> Request:
    return Request(how=How(device_named(device).precision(dtype), **kernels))


@pytest.mark.parametrize(
    ("device", "dtype", "ideal", "tuned"),
    [
        ("a100-80g", "bf16", 33, 54), ("h100", "bf16", 11.4, 18.4), ("l4", "bf16", 97, 156),
        ("rtx-3090", "bf16", 138, 229), ("t4", "fp16", 162, 265), ("a100-80g", "fp32", 488, None),
    ],
)  # fmt: skip
def test_llava_on_676_tokens(device: str, dtype: str, ideal: float, tuned: float | None) -> None:
    request, on = of(dtype, device), device_named(device)
    assert 1e3 * predict(LLAVA, request, on, IDEAL).seconds == pytest.approx(ideal, rel=0.02)
    if tuned is not None:
        assert 1e3 * predict(LLAVA, request, on).seconds == pytest.approx(tuned, rel=0.02)


def test_llava_as_transformers_computes_it() -> None:
    unfused = predict(LLAVA, of("bf16", fused_elementwise=False), A100)
    assert 1e3 * unfused.seconds == pytest.approx(60, rel=0.03)
    assert unfused.floor == predict(LLAVA, of("bf16"), A100).floor


@pytest.mark.parametrize(("tokens", "expected"), [(576, 53), (144, 19), (64, 12.7), (1, 10.2)])
def test_prefill_of_fewer_tokens(tokens: int, expected: float) -> None:
    found = predict(LLAVA, Request(tokens=tokens), A100)
    assert 1e3 * found.parts["prefill"].seconds == pytest.approx(expected, rel=0.05)


def test_four_bits_gain_nothing_on_676_tokens_and_much_on_each_later_one() -> None:
    plain, four = predict(LLAVA, of("bf16"), A100), predict(LLAVA, of("int4"), A100)
    assert four.parts["prefill"].seconds == pytest.approx(plain.parts["prefill"].seconds, rel=1e-3)
    assert four.token.seconds < 0.5 * plain.token.seconds


@settings(max_examples=25)
@given(MODEL, PICTURE, st.integers(1, 300), st.integers(2, 16))
def test_flops_and_keys_grow_as_the_batch_and_weights_do_not(
    name: str, picture: tuple[int, int], text: int, batch: int
) -> None:
    request = Request(picture, text=text)
    one, many = work_of(MODELS[name], request), work_of(MODELS[name], replace(request, batch=batch))
    for part in PARTS:
        flops = [sum(each.flops for each in work.parts[part]) for work in (one, many)]
        assert flops[1] == pytest.approx(batch * flops[0])
    assert many.cache_bytes == pytest.approx(batch * one.cache_bytes)
    assert many.weight_bytes == one.weight_bytes


@settings(max_examples=25)
@given(MODEL, DEVICE, PICTURE, st.integers(1, 200), st.integers(1, 200), st.booleans(), st.booleans())
def test_more_tokens_never_take_less(
    name: str, device: str, picture: tuple[int, int], text: int, more: int, attention: bool, elementwise: bool
) -> None:
    on = DEVICES[device]
    request = Request(picture, text=text, how=How(on.precision(on.base), attention, elementwise))
    less, longer = (predict(MODELS[name], replace(request, text=n), on) for n in (text, text + more))
    for part in PARTS:
        assert longer.parts[part].seconds >= less.parts[part].seconds
    assert longer.floor >= less.floor


@settings(max_examples=25)
@given(MODEL, DEVICE, PICTURE, st.integers(1, 200), st.integers(1, 8), st.booleans(), st.booleans())
def test_nothing_is_below_its_floor_and_efficiency_only_helps(
    name: str, device: str, picture: tuple[int, int], text: int, batch: int, attention: bool, elementwise: bool
) -> None:
    on = DEVICES[device]
    request = Request(picture, text=text, batch=batch, how=How(on.precision(on.base), attention, elementwise))
    found, ideal = predict(MODELS[name], request, on), predict(MODELS[name], request, on, IDEAL)
    for part in PARTS:
        assert found.parts[part].seconds >= ideal.parts[part].seconds >= ideal.parts[part].floor * (1 - 1e-9)
        assert sum(found.parts[part].by.values()) == pytest.approx(found.parts[part].seconds)
    assert sum(found.share(part) for part in PARTS) == pytest.approx(1)
    assert found.over_floor(found.floor) == 1


@settings(max_examples=25)
@given(MODEL, st.sampled_from(["a100-80g", "h100", "l4", "rtx-4090"]), st.integers(1, 16))
def test_smaller_weights_never_slow_what_waits_for_them(name: str, device: str, batch: int) -> None:
    on = DEVICES[device]
    times = []
    for dtype in ("bf16", "int8", "int4"):
        work = work_of(MODELS[name], Request(batch=batch, how=How(on.precision(dtype))))
        times.append(time_of(work.token, on, IDEAL).seconds)
    assert times == sorted(times, reverse=True)


@settings(max_examples=25)
@given(MODEL, PICTURE)
def test_what_is_kept_is_not_computed(name: str, picture: tuple[int, int]) -> None:
    model, request = MODELS[name], Request(picture)
    whole, kept = work_of(model, request), work_of(model, replace(request, cached="picture"))
    assert kept.parts["encoder"] == kept.parts["connector"] == ()
    assert kept.parts["prefill"] == whole.parts["prefill"]
    if model.language.keeps_prefix:
        prefix = predict(model, replace(request, cached="prefix"), A100)
        assert prefix.parts["prefill"].seconds < predict(model, request, A100).parts["prefill"].seconds
        assert prefix.work.cache_bytes == whole.cache_bytes


def test_a_prefix_in_two_steps_is_the_work_of_one_without_hidden_pairs() -> None:
    how = replace(BF16, causal_skip=True)
    steps = LLAVA.language.prefill(1, 576, how), LLAVA.language.prefill(1, 100, how, kept=576)
    whole = sum(each.flops for each in LLAVA.language.prefill(1, 676, how))
    assert sum(each.flops for step in steps for each in step) == pytest.approx(whole)


def test_what_is_too_large_says_so() -> None:
    assert predict(LLAVA, of("fp16", "t4"), device_named("t4")).fits
    assert not predict(LLAVA, of("fp32", "rtx-4090"), device_named("rtx-4090")).fits
    assert not predict(model_named("llava-1.5-13b"), of("fp16", "t4"), device_named("t4")).fits


@pytest.mark.parametrize(
    ("model", "request_", "device", "message"),
    [
        (LLAVA, Request(), "t4", "T4 does not multiply in bf16"),
        (LLAVA, Request(text=4000), "h100", "a prompt of 4576 tokens is too long for llava-1.5-7b: it reads 4096"),
        (LLAVA, Request(None, cached="picture"), "h100", "tokens of a picture without a picture"),
        (MODELS["blip2-flan-t5-xl"], Request(cached="prefix"), "h100", "keeps no prefix"),
    ],
)
def test_what_cannot_be(model, request_: Request, device: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        predict(model, request_, device_named(device))


@pytest.mark.parametrize("share", [0, -1, 1.01, float("nan")])
def test_an_efficiency_is_a_share(share: float) -> None:
    with pytest.raises(InputError, match="efficiency"):
        Efficiency(compute=share)


def test_a_question_without_a_picture_has_no_encoder() -> None:
    work = work_of(LLAVA, Request(picture=None))
    assert work.parts["encoder"] == work.parts["connector"] == ()
    assert work.prompt == 100
    assert floor(work.operations, A100) < predict(LLAVA, Request(), A100).floor
