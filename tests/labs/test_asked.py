import numpy as np
import torch

from isthmus.labs.asked import CLASS, COLOUR, COUNT, DIGITS, KINDS, POSITION, TEXT, ask
from isthmus.labs.drawn import COLOURS, SHAPES, scene

SCENES = [scene(np.random.default_rng(seed)) for seed in range(40)]


def test_every_question_has_its_truth() -> None:
    found = ask(SCENES)
    starts = dict(zip(KINDS, (0, 8, 24, 32, 42), strict=True))  # 8 shapes, 16 places, 8 colours, 10 digits before
    colours = list(COLOURS)
    for row, drawing in enumerate(SCENES):
        for kind in KINDS:
            places = found.places(kind)
            asked = found.questions[row, places].tolist()
            said = [answer - starts[kind] for answer in found.answers[row, places].tolist()]
            match kind:
                case "class":
                    assert {colours[q]: SHAPES[a] for q, a in zip(asked, said, strict=True)} == {
                        thing.colour: thing.what for thing in drawing.shapes
                    }
                case "position":
                    truth = {thing.colour: thing.cell(192, 192, 4, 4) for thing in drawing.shapes}
                    assert {colours[q - 8]: a for q, a in zip(asked, said, strict=True)} == truth
                case "colour":
                    assert {SHAPES[q - 16]: colours[a] for q, a in zip(asked, said, strict=True)} == {
                        thing.what: thing.colour for thing in drawing.shapes
                    }
                case "text":
                    assert (asked, "".join(map(str, said))) == ([24, 25, 26], drawing.written)
                case "count":
                    assert (asked, said) == ([27], [drawing.dots - 1])


def test_ids_are_within_their_numbers() -> None:
    found = ask(SCENES)
    assert found.questions.max() == found.num_questions - 1 == 27
    assert found.answers.max() <= found.num_answers - 1 == 47
    assert found.kinds == (CLASS,) * 3 + (POSITION,) * 3 + (COLOUR,) * 3 + (TEXT,) * DIGITS + (COUNT,)


def test_kinds_are_averaged_apart() -> None:
    found = ask(SCENES[:2])
    values = torch.tensor([[kind in (TEXT, COUNT) for kind in found.kinds], [kind == TEXT for kind in found.kinds]])
    assert found.by_kind(values) == {CLASS: 0, POSITION: 0, COLOUR: 0, TEXT: 1, COUNT: 0.5}


def test_rows_are_taken_of_questions_and_answers() -> None:
    found, rows = ask(SCENES), torch.tensor([3, 1])
    assert torch.equal(found[rows].answers, ask([SCENES[3], SCENES[1]]).answers)
    assert torch.equal(found[rows].questions, ask([SCENES[3], SCENES[1]]).questions)
