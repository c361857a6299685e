"""Pairs are drawn like conversations: the epoch's caption, nothing lost, nothing twice, bad records replaced."""

import json
from pathlib import Path

import pytest
import torch

from isthmus.data.mixture import Mixture
from isthmus.data.open import open_data
from isthmus.data.report import Report
from isthmus.errors import InputError
from isthmus.images.fits import Crop
from isthmus.images.views import Views
from isthmus.training.augment import vary
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.held_pairs import held_pairs, share
from isthmus.training.own_recipe import Augmentation
from isthmus.training.pairs import PairBatches
from isthmus.training.stages import Source
from tests.vlm import models

from .patches import Patches

FIT = Crop(size=16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine pictures with two captions each; one of them damaged, one without captions."""
    place = tmp_path / "pairs"
    place.mkdir()
    for at in range(9):
        models.picture(at, 40, 30).save(place / f"{at}.png")
        (place / f"{at}.txt").write_text(f"first of {at}\nsecond of {at}\n")
    (place / "4.png").write_bytes(b"\x89PNG nothing")
    (place / "7.txt").unlink()
    return place


def batches(folder: Path, report: Report | None = None, **how) -> PairBatches:
    return PairBatches(Mixture([open_data(str(folder))], seed=3, report=report), 4, FIT, **how)


def test_each_epoch_says_each_picture_once_and_in_two_epochs_both_ways(folder: Path) -> None:
    report = Report()
    drawn = batches(folder, report)
    told = [caption for _ in range(9) for caption in next(drawn).captions]  # 36: four epochs
    usable = {f"{which} of {at}" for at in range(9) if at not in (4, 7) for which in ("first", "second")}
    assert set(told[:18]) == usable
    assert {caption.split()[-1] for caption in told[:9]} == set("0123568")
    assert report.total == 2


def test_a_conversation_is_no_pair(tmp_path: Path) -> None:
    models.picture(1, 20, 20).save(tmp_path / "a.png")
    talk = {
        "image": "a.png",
        "conversations": [{"from": "human", "value": "<image>\nwhat?"}, {"from": "gpt", "value": "a"}],
    }
    (tmp_path / "talk.json").write_text(json.dumps([talk, talk]))
    with pytest.raises(InputError, match=r"no usable record"):
        next(PairBatches(Mixture([open_data(str(tmp_path / "talk.json"))], seed=0), 2, FIT))


def test_what_was_given_out_is_not_given_again(folder: Path) -> None:
    drawn = batches(folder)
    next(drawn)
    state = json.loads(json.dumps(drawn.state()))
    expected = [next(drawn) for _ in range(3)]
    again = batches(folder)
    again.resume(state)
    for each in expected:
        found = next(again)
        assert (found.captions, found.places, found.turn) == (each.captions, each.places, each.turn)
        assert all((a.views[0].pixels == b.views[0].pixels).all() for a, b in zip(found.shown, each.shown, strict=True))


def test_ranks_share_the_sequence_and_agree_on_where_it_stands(folder: Path) -> None:
    source = open_data(str(folder))
    one = PairBatches(Mixture([source], seed=3), 4, FIT)
    both = [PairBatches(Mixture([source], seed=3, rank=rank, world=2), 2, FIT) for rank in range(2)]
    for _ in range(3):
        joint, parts = next(one), [next(each) for each in both]
        assert {part.turn for part in parts} == {joint.turn}
        assert sorted(parts[0].captions + parts[1].captions) == sorted(joint.captions)


def test_kept_features_are_those_of_the_encoder_and_damaged_pictures_are_replaced(folder: Path, tmp_path: Path) -> None:
    encoder = Patches()
    cached = FeatureCache.open(tmp_path / "cache", encoder, leave_free=0).encode
    source = open_data(str(folder))
    kept = PairBatches(Mixture([source], seed=3), 4, encoder.fit, cached=cached)
    seen = PairBatches(Mixture([source], seed=3), 4, encoder.fit, look=encoder.encode)
    for _ in range(5):
        mine, other = next(kept), next(seen)
        assert mine.captions == other.captions
        torch.testing.assert_close(mine.shown.pooled, other.shown.pooled)
        torch.testing.assert_close(mine.shown.tokens, other.shown.tokens)


def test_what_is_augmented_is_not_cached_and_looks_different_each_epoch(folder: Path) -> None:
    def never(_):
        raise AssertionError("asked for a cached picture")

    drawn = batches(folder, cached=never, vary=vary(Augmentation(crop=0.4, light=0.3)))
    seen: dict[str, list[bytes]] = {}
    for _ in range(9):
        batch = next(drawn)
        for place, views in zip(batch.places, batch.shown, strict=True):
            assert isinstance(views, Views)
            seen.setdefault(place, []).append(views.views[0].pixels.tobytes())
    assert all(len(set(each)) > 1 for each in seen.values())


def test_held_out_pairs_are_the_usable_ones_with_all_their_captions(folder: Path) -> None:
    source = open_data(str(folder))
    examples = [source[at] for at in range(9) if at != 7]
    held = held_pairs({"pairs": Source("pairs", source, examples)}, FIT, seed=0)
    assert len(held) == 7 and len(held.captions) == 14
    assert [held.captions[at] for at in held.first] == [f"first of {at}" for at in (0, 1, 2, 3, 5, 6, 8)]
    assert [held.owner[at] for at in held.first] == list(range(7))
    assert sum(len(views) for views in held.views()) == 7


def test_one_process_has_all_rows() -> None:
    assert list(share(range(5))) == [0, 1, 2, 3, 4]
