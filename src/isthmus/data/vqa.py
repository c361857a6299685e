"""VQA v2: a file of questions and a file of annotations, ten people's answers each.

Source: Goyal et al., Making the V in VQA Matter, 2017, and the data's published format.
"""

import sys
from pathlib import Path
from typing import Any, Literal, TypeAlias

from isthmus.data.coco import usual_folders
from isthmus.data.example import Example, named
from isthmus.data.json_file import members
from isthmus.data.picture_files import existing, folder_with
from isthmus.data.rows import asked
from isthmus.errors import InputError
from isthmus.messages import ImagePart

Kind: TypeAlias = Literal["answer_type", "question_type"]


class Vqa:
    """Questions in the order of their file. What is held: a question's text and its answers, equal ones once."""

    def __init__(
        self,
        questions: Path,
        annotations: Path | None = None,
        *,
        folder: Path | None = None,
        kind: Kind = "answer_type",
    ) -> None:
        """`annotations`: None for the file beside the questions that is named as VQA names it. `folder`: of the
        pictures, None looks where they are usually unpacked. `kind`: what an Example's `kind` is taken from.

        Raises InputError where a file is missing or another, or no picture is found.
        """
        self.name = questions.name
        self._questions: list[tuple[int, int, str]] = []
        subtype = ""
        for key, each in members(questions, "questions", "data_subtype"):
            match each:
                case {"question_id": int(number), "image_id": int(image), "question": str(question)}:
                    self._questions.append((number, image, sys.intern(question)))
                case str() if key == "data_subtype":
                    subtype = each
                case _:
                    raise InputError(f"{questions.name} is no file of VQA questions", why=f"it has {str(each)[:60]}")
        if not self._questions:
            raise InputError(f"{questions.name} holds no question")
        self._answers = _answers(annotations or annotations_of(questions), kind)
        self.folder, self._pattern = _pictures(questions, folder, subtype, [image for _, image, _ in self._questions])

    def __len__(self) -> int:
        return len(self._questions)

    def __getitem__(self, at: int) -> Example:
        number, image, question = self._questions[at]
        place = f"{self.name}, question {number}"
        try:
            if number not in self._answers:
                raise InputError("the annotations have no answer to it")
            answer, every, kind = self._answers[number]
            picture = ImagePart(existing(self.folder / self._pattern.format(image)))
            return asked([picture], question, answer, every, place, kind)
        except InputError as error:
            raise named(place, error) from None


def annotations_of(questions: Path) -> Path:
    """v2_OpenEnded_mscoco_train2014_questions.json -> v2_mscoco_train2014_annotations.json, in the same folder."""
    name = questions.name.replace("_questions", "_annotations")
    names = [name.replace("OpenEnded_", ""), name]
    for each in names:
        if each != questions.name and (questions.parent / each).is_file():
            return questions.parent / each
    raise InputError(f"the answers to {questions.name} are not found", why=f"there is no {names[0]}", todo="name them")


def _answers(path: Path, kind: Kind) -> dict[int, tuple[str, tuple[str, ...], str]]:
    """By question: the commonest answer, every answer, the kind."""
    found: dict[int, tuple[str, tuple[str, ...], str]] = {}
    for _, each in members(path, "annotations"):
        match each:
            case {"question_id": int(number)}:
                said = each.get("answers")
                every = tuple(_interned(answer) for answer in said) if isinstance(said, list) else ()
                chosen = each.get("multiple_choice_answer")
                found[number] = (_interned(chosen), every, _interned(each.get(kind)))
            case _:
                raise InputError(f"{path.name} holds no VQA annotations", why=f"it has {str(each)[:60]}")
    if not found:
        raise InputError(f"{path.name} holds no annotation")
    return found


def _interned(value: Any) -> str:
    """The text, held once however often it comes: "yes" is a third of all answers."""
    match value:
        case str():
            return sys.intern(value)
        case {"answer": str(answer)}:
            return sys.intern(answer)
    return ""


def _pictures(path: Path, folder: Path | None, subtype: str, images: list[int]) -> tuple[Path, str]:
    """The folder of the pictures, and how their names are made of an image's id."""
    patterns = [f"COCO_{subtype}_{{:012d}}.jpg"] if subtype else []
    patterns += ["{:012d}.jpg", "{}.jpg", "{}.png"]
    inside = [folder] if folder else []
    roots = inside or [path.parent, path.parent.parent]
    folders = [root / sub for root in roots for sub in (subtype, f"images/{subtype}") if subtype]
    for image in images[:100]:
        for pattern in patterns:
            for each in [*inside, *folders, *(usual_folders(path) if not folder else ())]:
                if existing(each / pattern.format(image)).is_file():
                    return each, pattern
    names = [pattern.format(images[0]) for pattern in patterns]
    return folder_with(names, [*inside, *folders], path.name)
