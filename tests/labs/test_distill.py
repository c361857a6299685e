import numpy as np
import pytest
import torch

from isthmus.checkpoints import resolve
from isthmus.labs import distill
from isthmus.labs.distill import (
    AGREES,
    ALL,
    FEATURES,
    GUESSES,
    LABELS,
    MILLISECONDS,
    PARAMETERS,
    RANDOM,
    RIGHT,
    SHUFFLED,
    STUDENT,
    STUDENTS,
    TAUGHT,
    TEACHER,
    WAYS,
    Measured,
    Settings,
    draw,
    judge,
    lessons,
    measure,
)
from isthmus.labs.drawn import SHAPES
from isthmus.labs.result import Figure, verdict
from isthmus.labs.taught_pictures import Head, Looked, drawing, few_of_each, looked, teacher
from isthmus.labs.taught_students import MOVED, Course, Lesson, Variation, fresh, learned, says
from isthmus.progress import SILENT
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vision.features import Features

from .figures import steady, unsure

COURSE = Course(widths=(8, 8, 8), batch=8, labelled=4, steps=2)
TINY = Settings(pictures=60, test=6, each=2, side=64, students_side=16, timed=4, course=COURSE)
"""Teacher (see `tiny_teacher`) and student make 2 x 2 tokens of it."""


def made_up(**changes: Figure) -> Measured:
    """Everything as the claim has it, but for what is given."""
    of = {
        TEACHER: steady(0.9), TAUGHT: steady(0.9), GUESSES: steady(0.88), LABELS: steady(0.6), SHUFFLED: steady(0.3),
        ALL: steady(0.92), FEATURES: steady(0.7), RANDOM: steady(0.3), PARAMETERS: steady(0.1),
        MILLISECONDS: steady(1),
    } | changes  # fmt: skip
    return Measured(
        {way: {RIGHT: of[way], AGREES: of[way]} for way in WAYS},
        {
            TEACHER: {PARAMETERS: steady(4), MILLISECONDS: steady(10)},
            STUDENT: {PARAMETERS: of[PARAMETERS], MILLISECONDS: of[MILLISECONDS]},
        },
    )


def test_all_as_claimed_holds() -> None:
    assert verdict(judge(made_up())) == "holds"


@pytest.mark.parametrize(
    "changes",
    [
        {TAUGHT: steady(0.84)},
        {LABELS: steady(0.86)},
        {SHUFFLED: steady(0.63)},
        {PARAMETERS: steady(0.5)},
        {MILLISECONDS: steady(3)},
    ],
)
def test_a_core_part_refuted_fails(changes: dict[str, Figure]) -> None:
    assert verdict(judge(made_up(**changes))) == "fails"


@pytest.mark.parametrize(
    "changes",
    [{FEATURES: steady(0.3)}, {GUESSES: steady(0.91)}, {ALL: steady(0.99)}, {LABELS: unsure(0.6, 0.9)}],
)
def test_what_bounds_the_claim_or_is_unsure_depends(changes: dict[str, Figure]) -> None:
    assert verdict(judge(made_up(**changes))) == "depends"


def pictures(count: int) -> Looked:
    """Numbers for pictures: the teacher's first features and a corner of the pixels say the kind."""
    kinds = torch.arange(count) % len(SHAPES)
    chances = torch.Generator().manual_seed(0)
    pixels = 0.1 * torch.randn(count, 3, 16, 16, generator=chances)
    at = torch.arange(count)
    for channel, bit in enumerate((1, 2, 4)):
        pixels[at, channel, 4:12, 4:12] += 2.0 * (kinds // bit % 2)[:, None, None]
    tokens = torch.randn(count, 4, 20, generator=chances)
    tokens[:, :, :8] += 5 * torch.eye(8)[kinds][:, None]
    return Looked(pixels.half(), tokens.half(), tokens.mean(1), kinds)


def test_a_drawing_shows_one_thing_and_a_seed_is_a_drawing() -> None:
    one, again, other = (drawing(np.random.default_rng(seed), 112) for seed in (0, 0, 1))
    assert len(one.shapes) == 1 and one.shapes[0].what in SHAPES
    assert one.picture.image.tobytes() == again.picture.image.tobytes() != other.picture.image.tobytes()


def test_teacher_and_student_look_at_the_same_picture() -> None:
    random = np.random.default_rng(0)
    drawn = [drawing(random, 112) for _ in range(3)]
    seen = looked(teacher(), drawn, 56, SILENT)
    assert seen.pixels.shape == (3, 3, 56, 56)
    assert seen.tokens.shape == (3, 49, 1280) and seen.pooled.shape == (3, 1280)
    assert [SHAPES[kind] for kind in seen.kinds] == [each.shapes[0].what for each in drawn]
    tokens = says_tokens(seen)
    assert tokens.shape[:2] == seen.tokens.shape[:2]


def says_tokens(seen: Looked) -> torch.Tensor:
    with torch.no_grad():
        tokens = fresh(Course(), 0)(seen.pixels.float()).tokens
    assert tokens is not None
    return tokens


def test_few_of_each_kind_have_a_label() -> None:
    kinds = pictures(80).kinds
    few = few_of_each(kinds, 3, np.random.default_rng(0))
    assert kinds[few].bincount().tolist() == [3] * 8
    assert len(set(few.tolist())) == 24


def test_a_head_names_what_a_line_can_part() -> None:
    seen = pictures(80)
    few = few_of_each(seen.kinds, 4, np.random.default_rng(0))
    head = Head(seen.pooled, few, seen.kinds[few])
    assert (head(seen.pooled).argmax(1) == seen.kinds).float().mean() > 0.95
    assert not any(p.requires_grad for p in head.parameters())


def test_lessons_differ_in_what_teaches_alone() -> None:
    answers = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    few = torch.arange(16)
    made = lessons(answers, few, TINY, seed=0)
    assert len(made) == STUDENTS and {*made} == {*WAYS} - {TEACHER, RANDOM}
    assert not made[LABELS].shown.numel() and made[LABELS].answers is None
    assert sorted(made[SHUFFLED].answers.tolist()) == sorted(answers.tolist())
    assert not torch.equal(made[SHUFFLED].answers, answers)
    torch.testing.assert_close(made[GUESSES].answers.exp().argmax(1), answers.argmax(1))
    assert len(made[ALL].labelled) == len(answers)
    assert not made[FEATURES].labelled.numel()


def test_mirrored_pictures_have_mirrored_tokens() -> None:
    pixels, tokens = torch.rand(6, 3, 12, 12), torch.rand(6, 9, 5)
    seen = Variation(6, number=1)
    shown = seen.pixels(pixels)
    assert shown.shape == pixels.shape
    features = features_of(tokens)
    grid = seen.features(features).tokens.unflatten(1, (3, 3))
    mirrored = [not torch.equal(a, b) for a, b in zip(grid.flatten(1, 2), tokens, strict=True)]
    assert any(mirrored) and not all(mirrored)
    inner = slice(2 * MOVED, -2 * MOVED)
    for at, turned in enumerate(mirrored):
        expected = tokens[at].unflatten(0, (3, 3))
        torch.testing.assert_close(grid[at], expected.flip(1) if turned else expected)
        original = pixels[at].flip(-1) if turned else pixels[at]
        found = any(
            torch.equal(shown[at][:, inner, inner], original[:, y : y + 4, x : x + 4])
            for y in range(MOVED, 3 * MOVED + 1)
            for x in range(MOVED, 3 * MOVED + 1)
        )
        assert found
    assert torch.equal(Variation(6, number=1).pixels(pixels), shown)


def features_of(tokens: torch.Tensor) -> Features:
    return Features(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), torch.zeros(6, 9, 4), tokens.mean(1))


def test_a_student_learns_from_answers_and_not_from_shuffled_ones() -> None:
    seen = pictures(80)
    course = Course(widths=(8, 16), groups=4, batch=16, steps=60)
    answers = 8 * torch.eye(8)[seen.kinds]
    every, none = torch.arange(80), torch.arange(0)

    def right(answers: torch.Tensor) -> float:
        student = learned(seen, Lesson(none, every, 1e-2, answers), course, seed=0)
        assert not student.training
        return (says(student, seen.pixels).answers.argmax(1) == seen.kinds).float().mean().item()

    assert right(answers) > 0.8
    assert right(answers[torch.randperm(80, generator=torch.Generator().manual_seed(0))]) < 0.4


def test_measure_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_teacher(monkeypatch)
    first = measure(TINY, range(2), quiet=True)
    assert first.accuracy == measure(TINY, range(2), quiet=True).accuracy
    assert list(first.accuracy) != [] and {*first.accuracy} == {*WAYS}
    assert first.accuracy[TEACHER][AGREES].mean == 1
    assert first.cost[STUDENT][PARAMETERS].mean < first.cost[TEACHER][PARAMETERS].mean
    assert first.cost[STUDENT][MILLISECONDS].mean > 0
    assert draw(first).axes[0].patches


def tiny_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """The true encoder, looking at 64 pixels: 2 x 2 tokens, as many as the tiny student's."""
    monkeypatch.setattr(
        distill, "teacher", lambda: load_efficientnet(resolve("default/efficientnet-lite0"), size=TINY.side)
    )
