"""The answering models as shipped: what a card says is what its model does, by the path a user's question takes."""

import json
from pathlib import Path

import pytest

from isthmus.checkpoints import resolve
from isthmus.messages import user
from isthmus.options import Options
from isthmus.training.data.augmentation import WHITE, on_colour
from isthmus.training.data.names import same_thing
from isthmus.training.data.questions import questions_of_one
from isthmus.training.data.scenes import SIDE
from isthmus.training.data.sources import Sample, render
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel

pytestmark = pytest.mark.xdist_group("smollm2")


@pytest.fixture(scope="module", params=["default/vlm", "default/vlm-llava"])
def model(request: pytest.FixtureRequest) -> VisionLanguageModel:
    return load_vlm(request.param)


def test_held_out_stamps_are_named_as_often_as_the_card_says(model: VisionLanguageModel, stamps_root: Path) -> None:
    config = json.loads((resolve(model.name).folder / "config.json").read_text())
    held: dict[str, str] = config["lineage"]["held_out"]
    names = sorted(set(held.values()))
    asked = []
    for at, (path, name) in enumerate(held.items()):
        image = on_colour(render(Sample("stamps", stamps_root / path, (name,), name), SIDE), WHITE)
        (question,) = (q for q in questions_of_one(name, names, at) if q.kind == "what")
        asked.append((user(image, question.text), name))
    right = []
    for start in range(0, len(asked), 32):
        part = asked[start : start + 32]
        answers = model.answers([(message,) for message, _ in part], Options(max_tokens=8))
        right += [same_thing(answer.text, name) for answer, (_, name) in zip(answers, part, strict=True)]
    # trained and measured on bf16 features, asked on float32 ones: a few answers may differ
    assert sum(right) / len(right) == pytest.approx(config["measured"]["stamps"]["what, named"]["value"], abs=0.04)
