"""COCO captions and VQA v2 in their published formats, with pictures where people unpack them."""

import json
from pathlib import Path
from typing import Any

import pytest

from isthmus.data.coco import CocoCaptions
from isthmus.data.vqa import Vqa
from isthmus.errors import InputError
from isthmus.messages import assistant, user

from .sources import picture_bytes, write

COCO = {
    "info": {"year": 2017},
    "licenses": [{"id": 1, "name": "a"}],
    "images": [
        {"id": 9, "file_name": "000000000009.jpg", "width": 8, "height": 6, "license": 1},
        {"id": 25, "file_name": "000000000025.jpg", "width": 8, "height": 6, "license": 1},
        {"id": 30, "file_name": "000000000030.jpg", "width": 8, "height": 6, "license": 1},
    ],
    "annotations": [
        {"image_id": 25, "id": 1, "caption": "Two giraffes.\n"},
        {"image_id": 9, "id": 2, "caption": "A plate of food."},
        {"image_id": 25, "id": 3, "caption": "长颈鹿"},
        {"image_id": 77, "id": 4, "caption": "of no picture"},
        {"image_id": 9, "id": 5, "caption": " "},
    ],
}
NAMES = {
    "questions": "v2_OpenEnded_mscoco_train2014_questions.json",
    "annotations": "v2_mscoco_train2014_annotations.json",
}
TEN = ["net"] * 6 + ["netting"] * 4
SAID = [{"answer": each, "answer_confidence": "yes", "answer_id": at} for at, each in enumerate(TEN, 1)]
QUESTIONS = {
    "info": {},
    "task_type": "Open-Ended",
    "data_type": "mscoco",
    "license": {},
    "data_subtype": "train2014",
    "questions": [
        {"image_id": 9, "question": "What is behind it?", "question_id": 9000},
        {"image_id": 9, "question": "Is it day?", "question_id": 9001},
    ],
}
ANNOTATIONS = {
    "data_subtype": "train2014",
    "annotations": [
        {
            "question_type": "what is",
            "multiple_choice_answer": "net",
            "answers": [
                {"answer": each, "answer_confidence": "yes", "answer_id": at} for at, each in enumerate(TEN, 1)
            ],
            "image_id": 9,
            "answer_type": "other",
            "question_id": 9000,
        }
    ],
}


def coco(folder: Path, content: Any = COCO, name: str = "captions_val2017.json") -> Path:
    return write(folder / name, json.dumps(content, ensure_ascii=False))


def vqa(folder: Path, questions: Any = QUESTIONS, annotations: Any = ANNOTATIONS) -> Path:
    write(folder / NAMES["annotations"], json.dumps(annotations))
    return write(folder / NAMES["questions"], json.dumps(questions))


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture_bytes("JPEG"))
    return path


@pytest.mark.parametrize("place", ["val2017", "images", "images/val2017", ".", "annotations", "annotations/val2017"])
def test_a_picture_with_all_its_captions(tmp_path: Path, place: str) -> None:
    path = coco(tmp_path / "annotations")
    found = picture(tmp_path / place / "000000000025.jpg")
    data = CocoCaptions(path)
    assert len(data) == 3  # with captions: 9, 25 and 77, of which no file is known
    assert data[1].messages == (user(found), assistant("Two giraffes."))
    assert data[1].answers == ("Two giraffes.", "长颈鹿")
    assert data[0].answers == ("A plate of food.",)
    assert data[1].place == "captions_val2017.json, image 25"
    with pytest.raises(InputError, match="image 77: no file_name"):
        data[2]


def test_cocos_folder_given_need_not_hold_all(tmp_path: Path) -> None:
    data = CocoCaptions(coco(tmp_path), folder=tmp_path / "elsewhere")
    assert data[0].messages[0].pictures[0].source == tmp_path / "elsewhere" / "000000000009.jpg"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (COCO, "the pictures of captions_val2017.json are not found: no 000000000009.jpg in"),
        ({"images": [], "annotations": []}, "holds no caption"),
        (
            {"annotations": [{"image_id": 1, "bbox": [], "category_id": 3}]},
            "image_id, bbox, category_id and no caption",
        ),
        ([1], "is no JSON object"),
    ],
)
def test_files_that_are_no_coco_captions(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        CocoCaptions(coco(tmp_path, content))


@pytest.mark.parametrize(
    "place",
    ["train2014/COCO_train2014_000000000009.jpg", "images/train2014/000000000009.jpg", "images/9.png", "9.jpg"],
)
def test_a_question_with_ten_answers(tmp_path: Path, place: str) -> None:
    found = picture(tmp_path / place)
    data = Vqa(vqa(tmp_path))
    assert len(data) == 2
    assert data[0].messages == (user(found, "What is behind it?"), assistant("net"))
    assert data[0].answers == tuple(TEN)
    assert data[0].kind == "other"
    assert data[0].place == f"{NAMES['questions']}, question 9000"
    with pytest.raises(InputError, match="question 9001: the annotations have no answer"):
        data[1]
    assert Vqa(tmp_path / NAMES["questions"], kind="question_type")[0].kind == "what is"


def test_vqas_folder_given(tmp_path: Path) -> None:
    found = picture(tmp_path / "mine" / "COCO_train2014_000000000009.jpg")
    assert Vqa(vqa(tmp_path / "x"), folder=tmp_path / "mine")[0].messages[0].pictures[0].source == found


def test_files_that_are_no_vqa(tmp_path: Path) -> None:
    picture(tmp_path / "9.jpg")
    with pytest.raises(InputError, match="holds no question"):
        Vqa(vqa(tmp_path, {"questions": []}))
    with pytest.raises(InputError, match="is no file of VQA questions"):
        Vqa(vqa(tmp_path, {"questions": ["?"]}))
    with pytest.raises(InputError, match="holds no annotation"):
        Vqa(vqa(tmp_path, annotations={"annotations": []}))
    path = vqa(tmp_path)
    (tmp_path / NAMES["annotations"]).unlink()
    with pytest.raises(InputError, match=r"the answers to .* are not found: there is no v2_mscoco_train2014"):
        Vqa(path)


def test_vqa_without_its_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the pictures of .* are not found: no COCO_train2014_000000000009.jpg in"):
        Vqa(vqa(tmp_path))
