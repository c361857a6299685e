"""Prompts that show the picture, none, or another one: their difference is what an answer owes to seeing.

Blind: the pictures are taken out of the messages. Where that leaves nothing to answer (a caption), or the model's
template needs a picture (BLIP-2), each is a plain grey one of the same size instead, for all questions alike.
Shuffled: each question comes with the pictures of another question, none of which shows the same.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from PIL import Image

from isthmus.backends.backend import Backend
from isthmus.backends.native import NativeBackend
from isthmus.data.example import Examples
from isthmus.errors import InputError
from isthmus.evaluation.questions import Prompt, Question, asked, prompt_hash, with_pictures
from isthmus.images.open import picture_of
from isthmus.messages import ImagePart, Message

Blind: TypeAlias = Literal["pictures removed", "grey pictures"]
GREY = (128, 128, 128)


def shown(examples: Examples, question: Question) -> Prompt:
    """The question as it is."""
    return Prompt(question.place, question.hash, lambda: asked(examples[question.at]))


def blind(examples: Examples, question: Question, by: Blind) -> Prompt:
    """The question without seeing."""
    if by == "grey pictures":
        hidden = [f"grey {each}" for each in question.pictures]
        hash_ = prompt_hash(asked(examples[question.at]), hidden)
        return Prompt(question.place, hash_, lambda: with_pictures(asked(examples[question.at]), _grey))
    bare = without_pictures(asked(examples[question.at]))
    return Prompt(question.place, prompt_hash(bare, ()), lambda: without_pictures(asked(examples[question.at])))


def blind_by(backend: Backend, examples: Examples, questions: Sequence[Question]) -> Blind:
    """How this backend can be asked these questions without seeing."""
    if any(question.wordless for question in questions):
        return "grey pictures"
    if isinstance(backend, NativeBackend):
        try:
            backend.model.template.pieces(without_pictures(asked(examples[questions[0].at])), prompt=True)
        except InputError:
            return "grey pictures"
    return "pictures removed"


def shuffled(examples: Examples, question: Question, donor: Question) -> Prompt:
    """The question about `donor`'s pictures; one that has more pictures than `donor` sees some of these twice."""
    if not question.pictures:
        return shown(examples, question)

    def messages() -> tuple[Message, ...]:
        theirs = [part for message in asked(examples[donor.at]) for part in message.pictures]
        return with_pictures(asked(examples[question.at]), lambda number, _: theirs[number % len(theirs)])

    pictures = [donor.pictures[number % len(donor.pictures)] for number in range(len(question.pictures))]
    return Prompt(question.place, prompt_hash(asked(examples[question.at]), pictures), messages)


def donors(questions: Sequence[Question], seed: int) -> list[Question]:
    """For each question one whose pictures show something else: a derangement of the questions with pictures, unless
    more than half of these show the same. A question without a picture is its own.

    Raises InputError where all show the same.
    """
    seen: dict[tuple[str, ...], list[int]] = {}
    for at, question in enumerate(questions):
        if question.pictures:
            seen.setdefault(question.pictures, []).append(at)
    if len(seen) == 1:
        raise InputError(
            "the pictures cannot be shuffled", why="all questions show the same", todo="leave out --controls shuffled"
        )
    rng = random.Random(f"shuffled {seed}")
    groups = list(seen.values())
    rng.shuffle(groups)
    for group in groups:
        rng.shuffle(group)
    largest = max(groups, key=len, default=[])
    rest = [at for group in groups if group is not largest for at in group]
    found = list(questions)
    if len(largest) > len(rest):  # then they share the others' pictures
        for group in groups:
            theirs = rest if group is largest else largest
            for number, at in enumerate(group):
                found[at] = questions[theirs[number % len(theirs)]]
        return found
    # As many places on as the largest group is wide, nobody meets their own group: none is wider than half the circle.
    order = largest + rest
    for place, at in enumerate(order):
        found[at] = questions[order[(place + len(largest)) % len(order)]]
    return found


def without_pictures(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(
        Message(each.role, tuple(part for part in each.content if not isinstance(part, ImagePart))) for each in messages
    )


def _grey(_: int, part: ImagePart) -> ImagePart:
    picture = picture_of(part.source, at_least=64)
    return ImagePart(replace(picture, image=Image.new("RGB", picture.image.size, GREY)))
