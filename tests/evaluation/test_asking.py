"""Asking many questions: together as one by one, going on after a kill, whatever one of them is like."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.backends.backend import Options, complete
from isthmus.backends.native import NativeBackend
from isthmus.data.example import Example
from isthmus.errors import IsthmusError, MissingPart
from isthmus.evaluation.asking import AnswerLog, Failed, ask, unanswered
from isthmus.evaluation.controls import shown
from isthmus.evaluation.questions import Prompt, survey
from isthmus.messages import assistant, user
from tests.backends.scripted import Scripted
from tests.evaluation.sources import Counted, InMemory, question
from tests.vlm import models

OPTIONS = Options(max_tokens=6)


def prompts(count: int) -> list[Prompt]:
    source = InMemory([question(at) for at in range(count)])
    return [shown(source, each) for each in survey(source).questions]


@pytest.fixture(scope="module")
def native() -> NativeBackend:
    return NativeBackend(models.model())


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_together_as_one_by_one(native: NativeBackend, tmp_path: Path, batch: int) -> None:
    asked = prompts(5)
    found = ask(native, asked, OPTIONS, AnswerLog(tmp_path / "log", "m"), batch=batch)
    assert found == [complete(native, each.messages(), OPTIONS).text for each in asked]
    assert len(set(found)) > 1


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    backend, counted = Scripted(), Counted()
    asked = prompts(3)
    path = tmp_path / "deep" / "log.jsonl"
    first = ask(backend, asked, OPTIONS, AnswerLog(path, "m"))
    made = len(backend.work)
    log = AnswerLog(path, "m")
    assert unanswered(asked, OPTIONS, log) == 0
    with counted("asking", 0, "answers") as reporter:
        assert ask(backend, asked, OPTIONS, log, reporter=reporter) == first
    assert (len(backend.work), counted.done) == (made, {})
    assert len(path.read_bytes().splitlines()) == 3


def test_another_model_options_or_question_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ask(Scripted(), prompts(2), OPTIONS, AnswerLog(path, "m"))
    assert unanswered(prompts(3), OPTIONS, AnswerLog(path, "m")) == 1
    assert unanswered(prompts(2), OPTIONS, AnswerLog(path, "other")) == 2
    assert unanswered(prompts(2), Options(max_tokens=7), AnswerLog(path, "m")) == 2
    assert unanswered(prompts(2), replace(OPTIONS, seed=1), AnswerLog(path, "m")) == 0, "greedy answers draw nothing"
    drawn = replace(OPTIONS, temperature=1.0, seed=1)
    ask(Scripted(), prompts(2), drawn, AnswerLog(path, "m"))
    assert unanswered(prompts(2), replace(drawn, seed=2), AnswerLog(path, "m")) == 2


@pytest.mark.parametrize("fault", [1, 2])
def test_a_killed_run_goes_on_to_the_same_answers(
    native: NativeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    asked = prompts(7)
    whole = ask(native, asked, OPTIONS, AnswerLog(tmp_path / "whole", "m"), batch=2)
    answers, calls = native.model.answers, iter(range(100))

    def killed(*args: object) -> object:
        if next(calls) == fault:
            raise KeyboardInterrupt
        return answers(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(native.model, "answers", killed)
    with pytest.raises(KeyboardInterrupt):
        ask(native, asked, OPTIONS, AnswerLog(tmp_path / "log", "m"), batch=2)
    log = AnswerLog(tmp_path / "log", "m")
    assert unanswered(asked, OPTIONS, log) == 7 - 2 * fault
    assert ask(native, asked, OPTIONS, log, batch=2) == whole


@given(st.integers(0, 400))
def test_a_log_cut_anywhere_loses_only_what_was_cut(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("logs") / "log"
    answers = [(f"place {at}", f"hash {at}", text) for at, text in enumerate(["猫", "a\nb", "\ud83d", ""])]
    AnswerLog(path, "m").add(answers)
    content = path.read_bytes()
    path.write_bytes(content[: min(cut, len(content))])
    log = AnswerLog(path, "m")
    kept = [log.get(place, hash_) for place, hash_, _ in answers]
    assert all(found in (None, text) for found, (_, _, text) in zip(kept, answers, strict=True))
    log.add([("place 9", "hash 9", "more")])
    again = AnswerLog(path, "m")
    assert [again.get(place, hash_) for place, hash_, _ in answers] == kept
    assert again.get("place 9", "hash 9") == "more"


def test_lines_that_are_something_else_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"model": "m"}\n[1]\n\xff\n"x"\nnull\n')
    log = AnswerLog(path, "m")
    log.add([("a", "b", "c")])
    assert json.loads(path.read_bytes().splitlines()[-1])["answer"] == "c"


def test_a_log_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingPart, match="choose another --out folder"):
        AnswerLog(tmp_path / "file" / "log", "m")
    (tmp_path / "log").mkdir()
    with pytest.raises(MissingPart, match="cannot be used"):
        AnswerLog(tmp_path / "log", "m")


@pytest.mark.parametrize("make", [lambda: NativeBackend(models.model()), Scripted])
def test_a_question_that_cannot_be_asked_costs_no_other(
    make: Callable[[], NativeBackend | Scripted], tmp_path: Path
) -> None:
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    source = InMemory(
        [
            question(1),
            Example((user(tmp_path / "damaged.jpg", "what?"), assistant("a cat")), "record 2"),
            question(3),
        ]
    )
    asked = [shown(source, each) for each in survey(source).questions]
    log = AnswerLog(tmp_path / "log", "m")
    first, second, third = ask(make(), asked, OPTIONS, log)
    assert isinstance(first, str)
    assert isinstance(third, str)
    assert isinstance(second, Failed)
    assert "damaged.jpg" in str(second.error)
    assert unanswered(asked, OPTIONS, log) == 1, "it may be mended: it is asked again"


def test_a_question_too_long_for_the_model_costs_no_other(native: NativeBackend, tmp_path: Path) -> None:
    source = InMemory([question(1), question(2, text="so " * 300), question(3)])
    asked = [shown(source, each) for each in survey(source).questions]
    first, second, third = ask(native, asked, OPTIONS, AnswerLog(tmp_path / "log", "m"))
    assert isinstance(second, Failed)
    assert "the language model reads at most 256" in str(second.error)
    assert [first, third] == [complete(native, asked[at].messages(), OPTIONS).text for at in (0, 2)]


def test_a_backend_that_fails_stops_the_run(tmp_path: Path) -> None:
    class Down(Scripted):
        def stream(self, *_: object, **__: object):  # type: ignore[no-untyped-def, override]
            raise IsthmusError("the server is down")
            yield

    with pytest.raises(IsthmusError, match="down"):
        ask(Down(), prompts(1), OPTIONS, AnswerLog(tmp_path / "log", "m"))
