"""A student learns what a teacher gave: only that, only where it was given, and as every other task of the loop."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.training.distilling import (
    NO_LABEL,
    Distillation,
    DistillTask,
    FeatureMap,
    Said,
    SoftAnswers,
    Taught,
    soft_loss,
)
from isthmus.training.loop import LoopSettings, train
from isthmus.training.policy import Learns
from isthmus.training.row_batches import RowBatches, RowPool
from isthmus.vision.features import Features

from .test_loop import assert_equal_bit_for_bit

ROWS, TOKENS, WIDTH, THEIRS, ANSWERS = 64, 3, 6, 10, 4


class Small(nn.Module):
    """[B, N, 5] -> tokens, their mean, answers."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.answer = nn.Linear(5, WIDTH), nn.Linear(WIDTH, ANSWERS)

    def forward(self, shown: Tensor) -> Said:
        tokens = torch.tanh(self.see(shown))
        pooled = tokens.mean(1)
        return Said(tokens, pooled, self.answer(pooled))


class Blind(nn.Module):
    def forward(self, shown: Tensor) -> Said:  # noqa: ARG002
        return Said()


class Table:
    """Examples and what a teacher, a wider network, made of them; the last token of every other one is padding."""

    def __init__(self) -> None:
        chances = torch.Generator().manual_seed(3)
        self.shown = torch.randn(ROWS, TOKENS, 5, generator=chances)
        tokens = torch.tanh(self.shown @ torch.randn(5, THEIRS, generator=chances)) + 5
        self.mask = torch.ones(ROWS, TOKENS, dtype=torch.bool)
        self.mask[::2, -1] = False
        self.tokens = tokens.masked_fill(~self.mask[..., None], 0)
        self.pooled = tokens.mean(1)
        self.answers = 4 * (self.pooled - self.pooled.mean(0)) @ torch.randn(THEIRS, ANSWERS, generator=chances)
        self.choices = torch.rand(ROWS, ANSWERS, generator=chances) < 0.8
        self.choices[:, 0] = True
        self.labels = torch.randint(1, generator=chances, size=(ROWS,))
        self.labels[::3] = NO_LABEL

    def __call__(self, rows: list[int] | range, turn: int = 0) -> Taught[Tensor]:  # noqa: ARG002
        some = torch.as_tensor(list(rows))
        tokens = self.tokens[some].half()
        return Taught(
            self.shown[some],
            places=tuple(f"row {row}" for row in rows),
            features=Features(tokens, self.mask[some], tokens.new_zeros(*tokens.shape[:2], 4), self.pooled[some]),
            answers=self.answers[some],
            choices=self.choices[some],
            labels=self.labels[some],
        )


@pytest.fixture(scope="module")
def table() -> Table:
    return Table()


def everything(table: Table) -> Distillation:
    torch.manual_seed(1)
    return Distillation(
        Small(),
        labels=0.5,
        answers=SoftAnswers(2.0, temperature=3.0),
        tokens=FeatureMap(WIDTH, table.tokens[table.mask]),
        pooled=FeatureMap(WIDTH, table.pooled, apart="mse"),
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_soft_answers_pull_the_softened_probabilities_together(temperature: float) -> None:
    chances = torch.Generator().manual_seed(0)
    mine, theirs = torch.randn(2, 5, 7, generator=chances).unbind()
    mine.requires_grad_()
    lost = soft_loss(mine, theirs, temperature)
    assert lost.shape == (5,) and (lost > 0).all()
    lost.sum().backward()
    p, q = ((logits / temperature).softmax(-1) for logits in (theirs, mine.detach()))
    torch.testing.assert_close(lost.detach(), temperature**2 * (p * (p.log() - q.log())).sum(-1))
    torch.testing.assert_close(mine.grad, temperature * (q - p))
    torch.testing.assert_close(soft_loss(theirs + 3, theirs, temperature), torch.zeros(5))


def test_a_teacher_that_is_certain_is_a_label() -> None:
    mine, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 1, 1, 2])
    certain = F.one_hot(labels, 4).log()
    torch.testing.assert_close(soft_loss(mine, certain, 1.0), F.cross_entropy(mine, labels, reduction="none"))


def test_what_cannot_be_chosen_does_not_count_and_no_choice_is_silence() -> None:
    mine, theirs = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).unbind()
    mine.requires_grad_()
    choices = torch.tensor([[True, True, True, True], [True, False, True, False], [False] * 4])
    lost = soft_loss(mine, theirs, 2.0, choices)
    lost.sum().backward()
    alone = soft_loss(mine[1:2, [0, 2]], theirs[1:2, [0, 2]], 2.0)
    torch.testing.assert_close(lost[1:2], alone)
    assert lost[2] == 0 and not mine.grad[2].any() and not mine.grad[1, [1, 3]].any()
    assert mine.grad[0].all() and mine.grad.isfinite().all()


@pytest.mark.parametrize("apart", ["cosine", "mse"])
def test_features_that_a_linear_map_gives_are_no_way_apart(apart) -> None:
    chances = torch.Generator().manual_seed(0)
    mine = torch.randn(50, WIDTH, generator=chances)
    theirs = mine @ torch.randn(WIDTH, THEIRS, generator=chances) + 100
    lesson = FeatureMap(WIDTH, theirs, apart=apart)
    assert lesson(mine, theirs).mean() > 0.5
    aim = (theirs - theirs.mean(0)) / theirs.std(0)
    with torch.no_grad():
        solved = torch.linalg.lstsq(torch.cat([mine, torch.ones(50, 1)], dim=1), aim).solution
        lesson.project.weight.copy_(solved[:-1].T)
        lesson.project.bias.copy_(solved[-1])
    assert lesson(mine, theirs).shape == (50,)
    assert lesson(mine, theirs).max() < 1e-4


def test_parts_of_a_batch_give_the_gradient_of_the_whole(table: Table) -> None:
    """What a step learns does not hang on accumulation or the number of ranks."""
    module = everything(table)
    losses = module(table(range(10)), 10)
    losses["loss"].backward()
    whole = {name: p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    parts = [module(table(rows), 10) for rows in (range(3), range(3, 10))]
    for each in parts:
        each["loss"].backward()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.grad, whole[name])
    for name, value in losses.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], value)
    expected = 0.5 * losses["labels"] + 2 * losses["answers"] + losses["tokens"] + losses["pooled"]
    torch.testing.assert_close(losses["loss"].detach(), expected)


def test_no_label_and_padding_teach_nothing(table: Table) -> None:
    unlabelled = table([0, 3, 6])
    assert Distillation(Small(), labels=1.0)(unlabelled, 3)["loss"] == 0
    module = everything(table)
    before = module(table([0, 1]), 2)["tokens"]
    other = table([0, 1])
    other.features.tokens[0, -1] = 77
    assert module(other, 2)["tokens"] == before
    other.features.tokens[1, -1] = 77
    assert module(other, 2)["tokens"] != before


def test_a_student_takes_on_answers_that_nobody_labelled(table: Table, tmp_path) -> None:
    torch.manual_seed(0)
    student = Small()
    module = Distillation(student, answers=SoftAnswers())

    def agreement() -> float:
        answers = student(table.shown).answers.masked_fill(~table.choices, -math.inf)
        theirs = table.answers.masked_fill(~table.choices, -math.inf)
        return (answers.argmax(1) == theirs.argmax(1)).float().mean().item()

    before = agreement()
    batches = RowBatches([RowPool(range(ROWS), 16)], table, seed=0)
    train(DistillTask(module, Learns(0.02)), batches, LoopSettings(150, precision="float32"), tmp_path, quiet=True)
    assert agreement() > before + 0.4


def test_going_on_is_exact(table: Table, tmp_path) -> None:
    def run(folder: str, steps: int, *, resume: bool = False, stop: int | None = None) -> None:
        def make(rows, turn):
            if turn == stop:
                raise KeyboardInterrupt
            return table(rows)

        batches = RowBatches([RowPool(range(8), 2), RowPool(range(8, ROWS), 6)], make, seed=4)
        settings = LoopSettings(steps, precision="float32", average=0.9, checkpoint_every=5)
        task = DistillTask(everything(table), Learns(0.01, 0.1))
        train(task, batches, settings, tmp_path / folder, resume=resume, quiet=True)

    run("whole", 20)
    with pytest.raises(KeyboardInterrupt):
        run("broken", 20, stop=13)
    run("broken", 20, resume=True)
    assert_equal_bit_for_bit(tmp_path / "whole", tmp_path / "broken")


def test_what_is_frozen_of_a_student_stays(table: Table) -> None:
    module = everything(table)
    module.student.see.requires_grad_(False)
    learning = [p for group in DistillTask(module, Learns(0.01)).groups() for p in group.parameters if p.requires_grad]
    assert len(learning) == 2 + 4


def test_a_lesson_without_what_it_needs_says_so(table: Table) -> None:
    with pytest.raises(ValueError, match="without a lesson"):
        Distillation(Small())
    batch = table(range(3))
    with pytest.raises(InputError, match="the student gives no answers"):
        Distillation(Blind(), answers=SoftAnswers())(batch, 3)
    with pytest.raises(InputError, match="a batch has no labels"):
        Distillation(Small(), labels=1.0)(Taught(batch.shown, batch.places), 3)
    fewer = Taught(batch.shown[:, :2], batch.places, batch.features)
    with pytest.raises(InputError, match="the student has 2 tokens and its teacher 3"):
        Distillation(Small(), tokens=FeatureMap(WIDTH, table.pooled))(fewer, 3)
