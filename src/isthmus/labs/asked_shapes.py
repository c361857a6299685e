"""What lab `frozen` asks: easy-vqa's questions for a shape's colour or kind, whose answers are a word.

Yes-or-no questions are left out: four in five of them are answered right by who knows the question alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from isthmus.errors import MissingPart
from isthmus.images.views import Picture, Views
from isthmus.training.data.questions import Question
from isthmus.training.data.scenes import SIDE
from isthmus.vision.features import Encoder

KINDS = frozenset({"circle", "rectangle", "triangle"})
COLOURS = frozenset({"black", "blue", "brown", "gray", "green", "red", "teal", "yellow"})


@dataclass(frozen=True)
class Shapes:
    """views[v]: picture v as the encoder takes it; asked[v]: one question or several about it."""

    views: tuple[Views, ...]
    asked: tuple[tuple[Question, ...], ...]

    def __len__(self) -> int:
        return len(self.views)

    @property
    def questions(self) -> int:
        return sum(len(each) for each in self.asked)


def shapes(encoder: Encoder, part: Literal["train", "test"], count: int, *, start: int = 0) -> Shapes:
    """Pictures number `start` to `start` + `count` of easy-vqa's own training or test part. Raises MissingPart."""
    try:
        import easy_vqa as package
    except ImportError:
        raise MissingPart("easy-vqa is not installed", todo="pip install easy-vqa==1.0") from None
    training = part == "train"
    paths = package.get_train_image_paths() if training else package.get_test_image_paths()
    told = package.get_train_questions() if training else package.get_test_questions()
    asked: defaultdict[int, list[Question]] = defaultdict(list)
    for text, answer, number in zip(*told, strict=True):
        if answer not in ("yes", "no"):
            asked[number].append(Question("easy-vqa", text[0].upper() + text[1:], answer))
    chosen = sorted(asked)[start : start + count]
    views = []
    for number in chosen:
        with Image.open(paths[number]) as image:
            shown = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        views.append(encoder.fit(Picture(shown, *shown.size)))
    return Shapes(tuple(views), tuple(tuple(asked[number]) for number in chosen))


def caption(asked: Iterable[Question]) -> str | None:
    """ "a red circle", of the picture these questions are about: they and their answers name nothing that is not on it.
    None where they leave out its colour or its kind."""
    words = {word for question in asked for word in (*question.text.rstrip("?").split(), question.answer)}
    colour, kind = words & COLOURS, words & KINDS
    return f"a {min(colour)} {min(kind)}" if colour and kind else None


def without_looking(training: Shapes, test: Shapes) -> float:
    """Accuracy of giving each question's commonest answer in training: what words alone can reach."""
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    overall: Counter[str] = Counter()
    for question in (question for each in training.asked for question in each):
        answers[question.text][question.answer] += 1
        overall[question.answer] += 1
    right = sum(
        (answers[question.text] or overall).most_common(1)[0][0] == question.answer
        for each in test.asked
        for question in each
    )
    return right / test.questions
