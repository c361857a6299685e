"""Lab `ttft`: what few layers tell of many, and how the claim is judged."""

import pytest

from isthmus.labs.result import verdict
from isthmus.labs.ttft import (
    MEASURED,
    Measured,
    Settings,
    elsewhere,
    flop_share,
    judge,
    measure,
    predicted,
    whole,
    workloads,
)

TINY = Settings(
    image=28,
    patch=14,
    vision=(16, 32, 2, 4),
    language=(16, 32, 2, 4),
    vocabulary=40,
    sampled=((1, 2), (1, 2)),
    repeats=1,
)


def test_a_layer_more_tells_of_all() -> None:
    assert whole({2: 5.0, 6: 13.0}, 24) == pytest.approx(1 + 2 * 24)


def test_what_is_predicted_is_the_known_arithmetic() -> None:
    here = predicted()
    assert here.parts["prefill"].flops == pytest.approx(8.995e12, rel=1e-3)
    assert here.parts["encoder"].flops == pytest.approx(0.382e12, rel=1e-3)
    assert here.parts["connector"].flops == pytest.approx(0.0242e12, rel=1e-2)
    assert sum(flop_share(part) for part in MEASURED) == pytest.approx(1, abs=1e-6)
    assert elsewhere()["H100 SXM, bf16"].seconds < here.seconds < elsewhere()["A100 40 GB, fp32"].seconds
    assert workloads()["32 picture tokens"].share("encoder") > here.share("encoder")


def measured(**shares: float) -> Measured:
    return Measured({part: (shares[part], shares[part], shares[part]) for part in MEASURED})


def test_the_claimed_split_would_be_found_if_it_were_there() -> None:
    found = judge(measured(encoder=0.2, connector=0.03, prefill=0.75, sample=0.02))
    assert [each.outcome for each in found[1:4]] == ["yes", "yes", "yes"]
    assert found[-1].outcome == "no"  # and it is not what the FLOPs say


def test_what_the_flops_say_refutes_it() -> None:
    found = judge(measured(**{part: flop_share(part) for part in MEASURED}))
    assert [each.outcome for each in found] == ["no", "no", "yes", "no", "yes", "yes", "yes"]
    assert verdict(found) == "fails"


def test_every_part_is_timed() -> None:
    found = measure(TINY, range(3), quiet=True)
    assert all(len(found.seconds[part]) == 3 for part in MEASURED)
    assert all(seconds > 0 for part in ("connector", "sample") for seconds in found.seconds[part])
