from dataclasses import replace
from pathlib import Path

import pytest
import torch

from isthmus.errors import MissingPart
from isthmus.labs import adapting
from isthmus.labs import clothes as domain
from isthmus.labs.adapting import Stage, Way, Work, answered, begin, teach
from isthmus.labs.clothes import CAPTIONS, QUESTION, clothes
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.policy import Learns, LoraLearns, Policy
from isthmus.training.rehearsal import Rehearse
from isthmus.vlm.seal import seal

from .adapted import OF_EACH, tiny_clothes, tiny_start

LORA = Way(
    "LoRA",
    (
        Stage(Policy(connector=Learns(0.01))),
        Stage(Policy(connector=Learns(0.01), lora=LoraLearns(0.02, rank=4)), Rehearse(texts=4, tokens=8, batch=2)),
    ),
)
FULL = Way("full", (Stage(Policy(connector=Learns(0.01), language_model=Learns(0.005))),))


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clothes(tmp_path, monkeypatch)
    tiny_start(monkeypatch, tmp_path / "cache")


def test_all_kinds_come_in_turn_and_a_seed_draws_which() -> None:
    found, same, other = (clothes("train", 20, seed=seed) for seed in (0, 0, 1))
    assert found.kinds == tuple(range(10)) * 2
    assert found.pictures == same.pictures
    assert found.pictures != other.pictures
    assert len(set(clothes("train", 10 * OF_EACH).pictures)) == 10 * OF_EACH
    assert clothes("train", 10, start=10).pictures == found.pictures[10:]
    assert found[3].messages[-1].text == CAPTIONS[3]
    assert found[3].messages[0].text == QUESTION


def test_without_the_data_set_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "HERE", tmp_path / "nowhere")
    with pytest.raises(MissingPart, match="apt-get install dataset-fashion-mnist"):
        clothes("test", 1)


def test_what_is_taught_is_answered_and_only_when_the_picture_is_seen() -> None:
    model, examples = begin(FULL, 0), clothes("train", 3)
    before, encode = seal(model.encoder.net), FeatureCache.open(None, model.encoder).encode
    assert answered(model, examples, encode) == 0
    teach(model, FULL, examples, Work(steps=90, batch=3), 0, encode)
    # Whoever does not look gets one of the three, and as many of them shifted. That all three are learned in so few
    # steps hangs on how a processor rounds.
    assert answered(model, examples, encode) > 0.5
    assert answered(model, examples, encode, shifted=1) == 0
    assert seal(model.encoder.net) == before


@pytest.mark.parametrize("steps", [1, 7, 80, 81])
def test_stages_have_their_shares_of_all_steps(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(adapting, "train", lambda _task, _batches, settings, *_a, **_k: taken.append(settings.steps))
    way = Way("two", (replace(LORA.stages[0], share=20), replace(LORA.stages[1], share=60)))
    model = begin(way, 0)
    teach(model, way, clothes("train", 3), Work(steps, batch=3), 0, FeatureCache.open(None, model.encoder).encode)
    assert sum(taken) == steps
    assert taken[0] == pytest.approx(steps / 4, abs=0.5)


def test_the_same_seed_teaches_the_same() -> None:
    def taught(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(99 + seed)  # whatever was drawn before
        model = begin(LORA, seed)
        encode = FeatureCache.open(None, model.encoder).encode
        teach(model, LORA, clothes("train", 10), Work(steps=4, batch=3), 0, encode)
        return model.state_dict()

    first, second = taught(0), taught(1)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_from_scratch_nothing_of_what_was_learned_is_left() -> None:
    way = Way("scratch", FULL.stages, scratch=True)
    fresh, old = begin(way, 0), begin(FULL, 0)
    ours, theirs = (each.language_model.get_input_embeddings().weight for each in (fresh, old))
    assert ours.shape == theirs.shape
    assert not torch.equal(ours, theirs)
    assert seal(fresh.encoder.net) == seal(old.encoder.net)
    assert not torch.equal(begin(way, 1).language_model.get_input_embeddings().weight, ours)
