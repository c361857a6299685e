"""The whole way: index, ask, score; and that a perfect search is scored as one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from benchmarks.photo_library.answers import write
from benchmarks.photo_library.questions import Question, questions
from benchmarks.photo_library.run import Ask, ask_all, report, todays_search
from benchmarks.photo_library.score import Answer, summary, verdicts
from benchmarks.photo_library.truth import Library

from isthmus.contrastive import Embedder
from tests.photos.fakes import ColourEmbedder


@pytest.fixture(scope="module")
def asked(parts: None) -> list[Question]:  # noqa: ARG001
    return questions()


def _omniscient(library: Library, asked: list[Question], answer: Callable[[list[str]], Answer]) -> Ask:
    rules = {question.sentence: question.rule for question in asked}

    def ask(sentence: str) -> Answer:
        judged = verdicts(library, rules[sentence])
        return answer([photo.path for photo in library.photos if judged[photo.picture]])

    return ask


def test_a_search_that_knows_all_is_perfect(library: Library, asked: list[Question]) -> None:
    ask = _omniscient(library, asked, lambda right: Answer(tuple(right), len(right)))
    scores, without = ask_all(ask, library, asked, quiet=True)
    assert len(scores) + len(without) == len(asked)
    assert all(question.answerable for question in without)  # 60 photos lack much, and have nothing they should not
    every = summary(scores)[0]
    assert every.f1 is not None and every.ndcg is not None
    assert every.rejected is not None and every.wrongly_empty is not None
    assert (every.f1.value, every.rejected.value, every.wrongly_empty.value) == (1, 1, 0)
    assert every.ndcg.value == pytest.approx(1)


def test_a_search_that_is_never_sure_rejects_all(library: Library, asked: list[Question]) -> None:
    ask = _omniscient(library, asked, lambda right: Answer(tuple(right), 0))
    every = summary(ask_all(ask, library, asked, quiet=True)[0])[0]
    assert every.f1 is not None and every.ndcg is not None
    assert every.rejected is not None and every.wrongly_empty is not None
    assert (every.f1.value, every.rejected.value, every.wrongly_empty.value) == (0, 1, 1)
    assert every.ndcg.value == pytest.approx(1)


def test_todays_search_is_asked_and_told_of(
    made: Path, library: Library, asked: list[Question], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with todays_search(made, tmp_path / "index", cast(Embedder, ColourEmbedder()), True) as ask:
        answer = ask("something red")
        scores, without = ask_all(ask, library, asked[:40], quiet=True)
    pictures = {photo.path: photo.picture for photo in library.photos}
    assert {pictures[path] for path in answer.paths} == set(pictures.values())
    assert 0 <= answer.sure <= len(answer.paths)
    capsys.readouterr()
    report(summary(scores), library, without, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["rows"][0]["questions"] == "all"
    assert 0 <= told["rows"][0]["rejected"]["value"] <= 1
    report(summary(scores), library, without, as_json=False)
    assert "nDCG@10" in capsys.readouterr().out


def test_questions_are_written_with_their_right_answers(
    library: Library, asked: list[Question], tmp_path: Path
) -> None:
    library.write(tmp_path)
    told = [json.loads(line) for line in write(tmp_path, quiet=True).read_text(encoding="utf-8").splitlines()]
    assert [each["sentence"] for each in told] == [question.sentence for question in asked]
    assert {each["side"] for each in told} == {"dev", "test"}
    paths = {photo.path for photo in library.photos}
    for each in told:
        assert set(each["right"]) | set(each["unknown"]) <= paths
        assert not set(each["right"]) & set(each["unknown"])
        assert each["answerable"] or not each["right"]
