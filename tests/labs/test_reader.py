import pytest
import torch

from isthmus.connectors import LinearConnector
from isthmus.labs.asked import Asked
from isthmus.labs.reader import Reader, Schedule, answers, learn, right
from isthmus.progress import progress

KINDS = ("colour", "colour", "count")
QUESTIONS = torch.tensor([[0, 1, 2]]).expand(64, -1)


def toy() -> tuple[torch.Tensor, Asked]:
    """Two cells of which each holds a number: questions ask for the first, the second, and whether they are equal."""
    first, second = torch.randint(0, 3, (2, 64), generator=torch.Generator().manual_seed(0))
    features = torch.stack([torch.eye(8)[first], torch.eye(8)[second + 3]], dim=1)
    said = torch.stack([first, second, 3 + (first == second).long()], dim=1)
    return features, Asked(QUESTIONS, said, KINDS, 3, 5)


def reader(asked: Asked, seen: int = 16, slots: int = 2) -> Reader:
    torch.manual_seed(0)
    return Reader(asked, seen, slots=slots, width=16, layers=1).eval()


def test_a_question_is_not_helped_by_another() -> None:
    _, asked = toy()
    read, seen = reader(asked), torch.randn(64, 2, 16)
    torch.testing.assert_close(read(seen, QUESTIONS)[:, 1:2], read(seen, QUESTIONS[:, 1:2]))


def test_the_picture_is_seen() -> None:
    _, asked = toy()
    one, other = torch.randn(2, 64, 2, 16)
    assert not torch.allclose(reader(asked)(one, QUESTIONS), reader(asked)(other, QUESTIONS), atol=1e-3)


def test_slots_tell_tokens_apart() -> None:
    _, asked = toy()
    tokens = torch.randn(64, 2, 16)
    turned = tokens.flip(1)
    blind, placed = reader(asked, slots=0), reader(asked)
    torch.testing.assert_close(blind(tokens, QUESTIONS), blind(turned, QUESTIONS))
    assert not torch.allclose(placed(tokens, QUESTIONS), placed(turned, QUESTIONS), atol=1e-4)


@pytest.mark.parametrize("connected", [True, False])
def test_both_learn_from_training_pictures_and_repeat_it(connected: bool) -> None:
    features, asked = toy()
    found = []
    for _ in range(2):
        torch.manual_seed(1)
        connector = LinearConnector(8, 16) if connected else None
        read = reader(asked, seen=16 if connected else 8)
        with progress("", 1, "", quiet=True) as bar:
            learn(connector, read, features, asked, torch.arange(48), Schedule(150, 16, 1e-2), 0, bar)
        assert not read.training
        found.append(answers(connector, read, features, QUESTIONS))
        assert asked.by_kind(right(connector, read, features, asked, torch.arange(48, 64)))["colour"] > 0.9
    assert torch.equal(*found)
