"""A model judged beside its controls, and against itself before."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from isthmus.backends.backend import Delta, Finish, Options, Usage
from isthmus.backends.native import NativeBackend
from isthmus.data.example import Example
from isthmus.errors import InputError
from isthmus.evaluation.asking import AnswerLog
from isthmus.evaluation.fingerprints import model_fingerprint, versions
from isthmus.evaluation.judging import Judged, judge, learned, to_json
from isthmus.evaluation.metrics import Figure
from isthmus.evaluation.questions import survey
from isthmus.messages import assistant, user
from tests.backends.scripted import Scripted
from tests.evaluation.sources import Counted, InMemory, question
from tests.vlm import models

OPTIONS = Options(max_tokens=5)


class Sighted(Scripted):
    """Answers with the name of the picture it sees, and "nothing" where it sees none."""

    names: dict[bytes, str]

    def stream(self, messages: Any, *, tools: Any = None, options: Any) -> Any:  # noqa: ARG002
        seen = [part.source.tobytes() for message in messages for part in message.pictures]
        yield Delta(self.names.get(seen[0], "grey") if seen else "nothing")
        yield Delta(finish=Finish("stop", Usage(1, 0, 1)))


def sighted(count: int) -> Sighted:
    backend = Sighted()
    backend.names = {models.picture(at).tobytes(): f"thing {at}" for at in range(count)}
    return backend


def judged(backend: Any, source: InMemory, folder: Path, **settings: Any) -> Judged:
    given = {"controls": ("blind", "shuffled"), "options": OPTIONS, "meter": Counted(), **settings}
    log = AnswerLog(folder / "answers.jsonl", model_fingerprint(backend))
    return judge(backend, source, survey(source), log, **given)


def test_who_sees_is_above_both_controls(tmp_path: Path) -> None:
    source = InMemory([question(at, answer=f"thing {at}", kind="even" if at % 2 == 0 else "odd") for at in range(10)])
    found = judged(sighted(10), source, tmp_path, seeds=(0, 1, 2))
    everything = found.scores[0]
    assert (str(everything.figure), everything.kind, everything.questions) == ("exact match", "all", 10)
    assert everything.value.value == 1
    assert {way: each.value for way, each in everything.controls.items()} == {"blind": 0, "shuffled": 0}
    assert vars(everything.above["shuffled"]) == {"value": 1, "low": 1, "high": 1}
    assert [each.kind for each in found.scores] == ["all", "even", "odd"]
    assert found.controls == {
        "blind": "pictures removed",
        "shuffled": "another question's pictures, mean over 3 seeds",
    }


def test_who_does_not_look_is_above_neither(tmp_path: Path) -> None:
    source = InMemory([question(at, answer="grey") for at in range(6)])
    backend = sighted(0)
    score = judged(backend, source, tmp_path, controls=("shuffled",)).scores[0]
    assert (score.value.value, score.above["shuffled"].value) == (1, 0)


def test_a_seed_more_asks_only_what_it_shuffles_anew(tmp_path: Path) -> None:
    source = InMemory([question(at) for at in range(5)])
    counted = Counted()
    judged(Scripted(), source, tmp_path, seeds=(0,), meter=counted)
    assert counted.totals == {"asking": 15}
    assert counted.done == counted.totals
    again = Counted()
    judged(Scripted(), source, tmp_path, seeds=(0, 1), meter=again)
    assert 0 < again.totals["asking"] <= 5


def test_a_failed_question_counts_in_no_way_of_asking(tmp_path: Path) -> None:
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    broken = Example((user(tmp_path / "damaged.png", "what?"), assistant("a cat")), "record 9")
    source = InMemory([question(1), broken, question(3)])
    found = judged(NativeBackend(models.model()), source, tmp_path, controls=("blind",))
    assert [each.place for each in found.asked] == ["memory, record 1", "memory, record 3"]
    assert found.scores[0].questions == 2
    assert [each.place for each in found.failed] == ["record 9"]
    with pytest.raises(InputError, match="no question of memory could be asked"):
        judged(NativeBackend(models.model()), InMemory([broken]), tmp_path, controls=())


@pytest.mark.parametrize("metric", ["exact", "captions", "vqa", None])
def test_every_metric_gives_json_with_intervals(tmp_path: Path, metric: Any) -> None:
    people = ("a cat on a wooden table", "the cat", "a cat", "a black cat")
    examples = []
    for at in range(4):
        made = question(at, answer=people[0])
        examples.append(Example(made.messages, made.place, people))
    source = InMemory(examples)
    found = judged(NativeBackend(models.model()), source, tmp_path, metric=metric)
    value = json.loads(json.dumps(to_json(found, survey(source))))
    assert value["metric"] == (metric or "exact"), "of people's answers, most are short"
    for score in value["scores"]:
        assert score["low"] <= score["value"] <= score["high"]
        assert set(score["controls"]) == set(score["above"]) == {"blind", "shuffled"}
    assert value["data"]["questions"] == 4


def test_a_model_has_learned_exactly_nothing_of_itself(tmp_path: Path) -> None:
    source = InMemory([question(at, answer="thing 1") for at in range(6)])
    one = judged(sighted(3), source, tmp_path / "a", controls=())
    same = judged(sighted(3), source, tmp_path / "b", controls=())
    assert vars(learned(one, same, seed=0)[Figure("exact match")]) == {"value": 0, "low": 0, "high": 0}
    blind = judged(sighted(0), source, tmp_path / "c", controls=())
    assert learned(blind, one, seed=0)[Figure("exact match")].value == pytest.approx(1 / 6)
    other = judged(sighted(3), InMemory([question(9)]), tmp_path / "d", controls=())
    with pytest.raises(InputError, match="not judged by the same questions"):
        learned(one, other, seed=0)


def test_a_models_fingerprint_is_of_its_weights() -> None:
    one, same, other = models.model(), models.model(name="another name"), models.model()
    with torch.no_grad():
        next(other.language_model.parameters())[0, 0] += 1
    prints = [model_fingerprint(NativeBackend(each)) for each in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]
    assert model_fingerprint(NativeBackend(models.model("blip2-opt"))) != prints[0]
    assert model_fingerprint(Scripted()) == "name scripted"
    assert {"python", "torch", "transformers"} <= set(versions())
