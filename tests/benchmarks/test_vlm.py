"""benchmarks/vlm.py times equal work or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from benchmarks.random_vlms import FAMILIES, Both, Family

from benchmarks import vlm


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    family: Family = request.param
    folder = tmp_path_factory.mktemp("tiny")
    family.write("tiny", folder)
    return family.load(folder, torch.float32)


def encoded(both: Both, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call of our encoder gets."""
    seen: list[int] = []
    encode = both.ours.encoder.encode
    monkeypatch.setattr(both.ours.encoder, "encode", lambda views: seen.append(len(views)) or encode(views))
    return seen


def test_both_sides_do_the_same_work(both: Both) -> None:
    timed = vlm.compare(both, pairs=2)
    assert (timed.asked, timed.parted) == (9, 0)  # three questions in each pair and in that which warms up
    assert {what: len(figure.ours) for what, figure in timed.figures.items()} == dict.fromkeys(vlm.GOALS, 2)
    assert len(timed.encoding) == 2
    assert all(0 < share < 1 for share in timed.encoding)


def test_answers_are_the_same_tokens_and_depend_on_the_picture(both: Both) -> None:
    answers = []
    for shown in (vlm.photo(0), vlm.photo(1)):
        for ours, theirs in zip(vlm.ask_ours(both, shown, 17), vlm.ask_theirs(both, shown, 17), strict=True):
            assert (ours.ids, ours.text, ours.prompt) == (theirs.ids, theirs.text, theirs.prompt)
            assert len(ours.ids) == 17
            assert theirs.prompt.count(both.image) == both.ours.connector.num_tokens(16)  # 4 x 4 patches
            answers.append([logits.tolist() for logits in ours.logits])
    assert answers[0] != answers[2]  # another picture in the same pair
    assert answers[0] != answers[3]  # and in the next one


def test_a_picture_is_encoded_once_for_both_questions_and_again_in_the_next_repeat(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = encoded(both, monkeypatch)
    vlm.ask_ours(both, vlm.photo(0), 2)
    assert seen == [1, 1]  # the one that two questions are asked about, and the other
    vlm.ask_ours(both, vlm.photo(0), 2)
    assert seen == [1, 1, 1, 1]


def test_a_step_on_features_encodes_nothing(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = vlm.training_batch(both, [vlm.photo(at) for at in range(len(vlm.CAPTIONS))], vlm.captioned())
    seen = encoded(both, monkeypatch)
    vlm.assert_equal_steps(both, batch)
    assert not seen


@contextmanager
def doubled(parameter: Any) -> Iterator[None]:
    with torch.no_grad():
        parameter.mul_(2)
    yield
    with torch.no_grad():
        parameter.div_(2)


def last_weight(both: Both) -> Any:
    """Of our connector."""
    return [each for each in both.ours.connector.parameters() if each.ndim == 2][-1]


def assert_equal(both: Both) -> None:
    shown = vlm.photo(0)
    for ours, theirs in zip(vlm.ask_ours(both, shown, 17), vlm.ask_theirs(both, shown, 17), strict=True):
        vlm.assert_equal_answers(both, ours, theirs)


def test_other_weights_are_noticed(both: Both) -> None:
    batch = vlm.training_batch(both, [vlm.photo(at) for at in range(len(vlm.CAPTIONS))], vlm.captioned())
    with doubled(last_weight(both)):
        with pytest.raises(AssertionError, match=r"loss|gradient"):
            vlm.assert_equal_steps(both, batch)
        with pytest.raises(AssertionError, match="from a tie"):
            assert_equal(both)
    vlm.assert_equal_steps(both, batch)


def test_another_prompt_is_noticed(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_equal(both)
    template: Any = both.ours.template
    theirs = vlm.ask_theirs(both, vlm.photo(0), 2)[0]
    monkeypatch.setattr(both.ours, "template", replace(template, bos="<s>" if template.bos == "</s>" else "</s>"))
    with pytest.raises(AssertionError):
        vlm.assert_equal_answers(both, vlm.ask_ours(both, vlm.photo(0), 2)[0], theirs)


def test_other_labels_are_noticed(both: Both) -> None:
    batch = vlm.training_batch(both, [vlm.photo(at) for at in range(len(vlm.CAPTIONS))], vlm.captioned())
    labels = batch.inputs["labels"].clone()
    labels[0, -1] = labels[0, (labels[0] >= 0).nonzero()[0, 0]] = -100
    with pytest.raises(AssertionError, match="loss"):
        vlm.assert_equal_steps(both, replace(batch, inputs={**batch.inputs, "labels": labels}))


def test_the_interval_holds_the_median() -> None:
    assert vlm.interval([1.0] * 9) == (1.0, 1.0)
    low, high = vlm.interval([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1])
    assert 0.5 <= low <= 0.8 <= high <= 1.1
    assert low < high


@pytest.mark.parametrize(
    ("ratios", "said"), [([0.8, 0.9, 0.9], "met"), ([1.1, 1.2, 1.2], "missed"), ([0.9, 1.0, 1.1], "even")]
)
def test_a_verdict_is_of_the_whole_interval(ratios: list[float], said: str) -> None:
    assert vlm.verdict(ratios, 1.0) == said
