import pytest
import torch

from isthmus.checkpoints import resolve
from isthmus.labs import frozen_course
from isthmus.labs.asked_shapes import Shapes, shapes, without_looking
from isthmus.labs.frozen import ALL, CONNECTOR, Measured, draw, judge, published, read
from isthmus.labs.frozen_course import Course, Settings, follow
from isthmus.labs.frozen_or_full import Rates, Trainee, batches, perplexity, trainees
from isthmus.labs.result import Figure, verdict
from isthmus.precision import fast_dtype
from isthmus.training.batches import Asked
from isthmus.training.data.questions import Question
from isthmus.vision.depths import OVERVIEWS, DepthsEncoder
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vlm.language_model import LanguageModel
from isthmus.vlm.seal import seal
from tests.vlm import models

from .figures import steady, unsure

TINY = Settings(pictures=4, test=3, batch=2, looks=(1, 2), large=3, large_steps=1)


def tiny_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The true encoder, without the classes' vectors from MiniLM; a language model of two layers."""
    language = models.llama().to(fast_dtype("cpu")).eval().requires_grad_(False)
    small = LanguageModel("tiny", language, models.byte_bpe(), "none")
    monkeypatch.setattr(frozen_course, "load_language_model", lambda *_, **__: small)
    monkeypatch.setattr(frozen_course, "default_encoder", lambda _: eyes(fast_dtype("cpu")))


def eyes(dtype: torch.dtype) -> DepthsEncoder:
    classes = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
    return DepthsEncoder(load_efficientnet(resolve("default/efficientnet-lite0"), dtype=dtype), classes)


def made_up(**changes: Figure) -> Measured:
    """Everything as the textbook has it, but for what is given."""
    of = {
        "memory": steady(10), "small": steady(0.4), "large": steady(0.4), "equal_steps": steady(0.8),
        "equal_time": steady(0.8), "after": steady(20), "after_full": steady(30),
    } | changes  # fmt: skip

    def row(equal_steps: Figure, equal_time: Figure, after: Figure) -> dict[str, Figure]:
        return {
            "equal steps": equal_steps,
            "equal time": equal_time,
            "perplexity before": steady(20),
            "perplexity after": after,
        }

    return Measured(
        cost={
            CONNECTOR: {"gradients, MB": of["memory"], "optimiser, MB": of["memory"]},
            ALL: {"gradients, MB": steady(500), "optimiser, MB": steady(1000)},
        },
        seconds={
            CONNECTOR: {"small": of["small"], "large": of["large"]},
            ALL: {"small": steady(1), "large": steady(1)},
        },
        quality={
            CONNECTOR: row(of["equal_steps"], of["equal_time"], of["after"]),
            ALL: row(steady(0.8), steady(0.8), of["after_full"]),
        },
        course={},
        at={},
        without_looking=0.25,
    )


def test_all_as_the_textbook_says_holds() -> None:
    assert [finding.outcome for finding in judge(made_up())] == ["yes"] * 8
    assert verdict(judge(made_up())) == "holds"


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": steady(200)},
        {"small": steady(0.6)},
        {"equal_time": steady(0.3)},
        {"equal_time": steady(0.7)},
        {"after": steady(20.1)},
    ],
)
def test_a_core_part_refuted_fails(changes: dict[str, Figure]) -> None:
    assert verdict(judge(made_up(**changes))) == "fails"


@pytest.mark.parametrize(
    "changes",
    [
        {"large": steady(0.6)},
        {"equal_steps": steady(0.6)},
        {"after_full": steady(20)},
        {"equal_time": unsure(0.6, 0.9)},
    ],
)
def test_what_bounds_the_claim_or_is_unsure_depends(changes: dict[str, Figure]) -> None:
    assert verdict(judge(made_up(**changes))) == "depends"


def test_blip2_trains_what_its_docs_say() -> None:
    counts = published(3)["BLIP-2"]
    assert counts["stage 1"].mean == pytest.approx(186.702654)
    assert counts["stage 2, OPT-2.7B"].mean == pytest.approx(107.130880)


def test_only_colours_and_kinds_are_asked_and_parts_are_apart() -> None:
    encoder = eyes(fast_dtype("cpu"))
    training, test = shapes(encoder, "train", 3), shapes(encoder, "test", 3)
    for part in (training, test):
        assert len(part) == 3
        assert part.questions >= 3
        assert not {q.answer for each in part.asked for q in each} & {"yes", "no"}
    assert shapes(encoder, "train", 2, start=1).asked == training.asked[1:]
    assert (training.views[0].views[0].pixels != test.views[0].views[0].pixels).any()


def test_without_looking_is_the_commonest_answer_to_the_question() -> None:
    def asked(*pairs: tuple[str, str]) -> Shapes:
        return Shapes((), (tuple(Question("", *pair) for pair in pairs),))

    training = asked(("which?", "red"), ("which?", "blue"), ("which?", "blue"), ("what?", "square"))
    test = asked(("which?", "blue"), ("which?", "red"), ("what?", "square"), ("never asked?", "blue"))
    assert without_looking(training, test) == 0.75


def test_batches_show_all_before_any_again() -> None:
    rows = batches(5, 2, seed=0)
    seen = [row for _ in range(5) for row in next(rows)]
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))
    assert next(batches(5, 2, seed=0)) == seen[:2]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> tuple[Shapes, Trainee, Trainee]:
    tiny_parts(monkeypatch)
    encoder = frozen_course.default_encoder("")
    seen = shapes(encoder, "train", 2)
    language = frozen_course.load_language_model("")
    stored = encoder.stored(seen.views)
    return (seen, *trainees(encoder, eyes(torch.float32), language, stored, Rates(1e-3, 1e-3, 1e-3, warmup=1), 0))


def test_both_ways_start_equal(both: tuple[Shapes, Trainee, Trainee]) -> None:
    seen, connector, whole = both
    for one, other in zip(connector.model.connector.parameters(), whole.model.connector.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one is not other
    kept, fresh = connector.features(seen, [0, 1]).tokens, whole.features(seen, [0, 1]).tokens
    assert kept.shape == (2, OVERVIEWS, connector.encoder.width)
    # one in bf16, one in float32
    assert torch.nn.functional.cosine_similarity(kept, fresh.detach(), dim=-1).min() > 0.995


def test_full_training_reaches_every_part_and_the_other_none_but_the_connector(
    both: tuple[Shapes, Trainee, Trainee],
) -> None:
    seen, connector, whole = both
    asked = Asked(connector.model, OVERVIEWS)

    def seals(trainee: Trainee) -> tuple[str, ...]:
        net = trainee.encoder.base.net
        return tuple(seal(part) for part in (net, trainee.model.language_model, trainee.model.connector))

    before = seals(connector), seals(whole)
    for trainee in (connector, whole):
        spent = trainee.step(seen, [0, 1], asked)
        assert spent.total > 0
        assert all(p.grad is not None and p.grad.any() for p in trainee.trained if p.ndim > 1)
    after = seals(connector), seals(whole)
    assert [a == b for a, b in zip(before[0], after[0], strict=True)] == [True, True, False]
    assert not any(a == b for a, b in zip(before[1], after[1], strict=True))


def test_bytes_are_those_of_the_tensors(both: tuple[Shapes, Trainee, Trainee]) -> None:
    seen, connector, whole = both
    asked = Asked(connector.model, OVERVIEWS)
    for trainee in (connector, whole):
        trainee.step(seen, [0], asked)
        weights, gradients, states = trainee.bytes()
        assert gradients == 4 * trainee.parameters
        assert 8 * trainee.parameters <= states < 8.01 * trainee.parameters + 4 * len(trainee.trained)
        assert weights >= 2 * trainee.parameters
    assert connector.parameters < whole.parameters


def test_perplexity_of_a_model_that_knows_nothing_is_the_vocabulary() -> None:
    model = models.model("chatml-llama")
    with torch.no_grad():
        for parameter in model.language_model.parameters():
            parameter.zero_()
    assert perplexity(model, "a cat on a table") == pytest.approx(600, rel=0.01)


def test_a_course_looks_at_equal_steps_and_at_equal_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_parts(monkeypatch)
    (course,) = follow(TINY, range(1), quiet=True)
    assert isinstance(course, Course)
    assert [look.step for look in course.all.looks] == [1, 2]
    assert [look.step for look in course.connector.looks[:2]] == [1, 2]
    assert course.connector.looks[-1].seconds >= course.all.looks[-1].seconds
    assert course.connector.perplexity[0] == course.connector.perplexity[1]
    assert course.all.perplexity[0] != course.all.perplexity[1]
    assert len(course.connector.large) == len(course.all.large) == 1
    measured = read([course, course])
    assert measured.quality[CONNECTOR]["steps"].mean >= 2
    assert draw(measured).axes[0].lines
