from dataclasses import replace

import numpy as np
import pytest
import torch

from isthmus.labs.asked_things import HUES, QUESTIONS, Answerer, Data, Settings, picture, score
from isthmus.labs.drawn import SHAPES, Thing
from isthmus.labs.question import BLIND_TO_IT, MISLED, SEEING, Measured, draw, judge, measure
from isthmus.labs.result import Figure, verdict
from isthmus.labs.words import Words

from .figures import steady, unsure

TINY = Settings(pictures=12, test=6, queries=(1, 2), width=16, heads=2, batch=4, steps=2)


def made_up(few: Figure, many: Figure, without: Figure, many_without: Figure, misled: Figure) -> Measured:
    return Measured(
        {
            SEEING: {"1": few, "8": many},
            BLIND_TO_IT: {"1": without, "8": many_without},
            MISLED: {"1": misled, "8": misled},
        },
        steady(0.2),
    )


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (made_up(steady(0.9), steady(0.9), steady(0.5), steady(0.8), steady(0.2)), "holds"),
        (made_up(steady(0.9), steady(0.9), steady(0.5), steady(0.9), steady(0.2)), "depends"),
        (made_up(unsure(0.6, 0.9), steady(0.9), steady(0.5), steady(0.8), steady(0.2)), "depends"),
        (made_up(steady(0.9), steady(0.9), steady(0.85), steady(0.8), steady(0.2)), "fails"),
        (made_up(steady(0.4), steady(0.9), steady(0.2), steady(0.8), steady(0.1)), "fails"),
        (made_up(steady(0.9), steady(0.9), steady(0.5), steady(0.8), steady(0.8)), "fails"),
    ],
)
def test_verdict(measured: Measured, expected: str) -> None:
    assert verdict(judge(measured)) == expected


def test_kinds_and_colours_differ_so_a_question_has_one_answer() -> None:
    random = np.random.default_rng(0)
    for _ in range(10):
        things = picture(Settings(), random).things
        assert len({thing.what for thing in things}) == len({thing.colour for thing in things}) == 4


def data(settings: Settings) -> Data:
    """Numbers for pictures: each thing is a cell that says kind and colour."""
    random = np.random.default_rng(0)
    drawn = [picture(settings, random).things for _ in range(settings.pictures + settings.test)]
    cells = torch.zeros(len(drawn), settings.things, len(SHAPES) + len(HUES))
    for i, things in enumerate(drawn):
        for at, thing in enumerate(things):
            cells[i, at, SHAPES.index(thing.what)] = 3
            cells[i, at, len(SHAPES) + HUES.index(thing.colour)] = 3
    return Data(cells.half(), tuple(drawn), Words(list(QUESTIONS.values())))


def answerer(found: Data, *, seeing: bool) -> Answerer:
    torch.manual_seed(0)
    return Answerer(2, found.cells.shape[-1], len(found.words), TINY, seeing=seeing).eval()


def tokens(model: Answerer, found: Data, thing: Thing) -> torch.Tensor:
    """What the queries fetched from picture 0 when they were asked about `thing`, as the reader gets it."""
    fetched = []
    hook = model.kv.register_forward_pre_hook(lambda _, given: fetched.append(given[0]))
    model(found.features([0]), found.words.text([QUESTIONS[thing.what]]))
    hook.remove()
    return fetched[0]


def test_only_queries_that_see_the_question_depend_on_it() -> None:
    found = data(TINY)
    one, other = found.things[0][:2]
    blind, seeing = (answerer(found, seeing=each) for each in (False, True))
    torch.testing.assert_close(tokens(blind, found, one), tokens(blind, found, other))
    assert not torch.allclose(tokens(seeing, found, one), tokens(seeing, found, other))


def test_both_start_from_the_same_weights() -> None:
    found = data(TINY)
    one, other = (answerer(found, seeing=each).state_dict() for each in (False, True))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_queries_can_be_shown_another_question_than_the_reader() -> None:
    found = data(TINY)
    model = answerer(found, seeing=True)
    one, other = (found.words.text([QUESTIONS[thing.what]]) for thing in found.things[0][:2])
    misled = model(found.features([0]), one, other)
    assert not torch.allclose(misled, model(found.features([0]), one))
    assert not torch.allclose(misled, model(found.features([0]), other))  # the reader's own question counts too


def test_a_single_query_that_sees_the_question_learns_to_answer_it() -> None:
    settings = replace(TINY, pictures=300, test=100, width=32, batch=64, steps=200, rate=3e-3)
    found = score(1, True, data(settings), settings, 0, _Silent())
    assert found.right > 0.6
    assert found.elsewhere < 0.4
    assert found.misled < found.right


def test_measure_repeats_itself() -> None:
    first = measure(TINY, range(2), quiet=True)
    assert first == measure(TINY, range(2), quiet=True)
    assert list(first.accuracy) == [SEEING, BLIND_TO_IT, MISLED]
    assert list(first.accuracy[SEEING]) == ["1", "2"]
    assert draw(first).axes[0].lines


class _Silent:
    def advance(self, n: int = 1, note: str = "") -> None:
        pass
