import numpy as np
import pytest
import torch

from isthmus.labs.objectives import HEADS, TOGETHER, VARIANTS, Measured, draw, judge, measure
from isthmus.labs.pairs_of_things import Change, Couple, couples, picture, split
from isthmus.labs.result import Figure, verdict
from isthmus.labs.small_stage1 import Data, Settings, captions, fitness
from isthmus.labs.small_stage1 import _stage1 as new_stage1
from isthmus.labs.words import END, FIRST, START, Words

from .figures import steady, unsure

TINY = Settings(pictures=40, test=6, width=16, heads=2, queries=2, space=8, batch=8, steps=2)
RED_CIRCLE = Couple(("red", "circle"), ("blue", "square"))
ITM, ITC, ITG = HEADS


def made_up(changes: dict[str, dict[str, Figure]] | None = None) -> Measured:
    """Everything as the textbook has it, but for what is given."""
    quality = {}
    for name, losses in VARIANTS.items():
        quality[name] = {
            "R@1": steady(0.5 if "itc" in losses else 0.01),
            "captions true": steady(0.8 if "itg" in losses else 0.0),
            ITM: steady(0.9 if "itm" in losses else 0.5),
            ITC: steady(0.6),
            ITG: steady(0.6),
        } | (changes or {}).get(name, {})
    return Measured(quality, {}, steady(0.01))


def test_all_as_the_textbook_says_holds() -> None:
    assert [finding.outcome for finding in judge(made_up())] == ["yes"] * 5
    assert verdict(judge(made_up())) == "holds"


@pytest.mark.parametrize(
    "changes",
    [
        {TOGETHER: {"R@1": steady(0.05)}},
        {"without ITC": {"R@1": steady(0.3)}},
        {TOGETHER: {ITM: steady(0.7)}},
        {TOGETHER: {ITC: steady(0.85)}},
        {TOGETHER: {"captions true": steady(0.3)}},
        {"without ITG": {"captions true": steady(0.3)}},
    ],
)
def test_a_core_part_refuted_fails(changes: dict[str, dict[str, Figure]]) -> None:
    assert verdict(judge(made_up(changes))) == "fails"


@pytest.mark.parametrize(
    "changes",
    [
        {TOGETHER: {ITG: steady(0.95)}},
        {"ITG alone": {"captions true": steady(1.0)}},
        {TOGETHER: {ITM: unsure(0.6, 0.9)}},
    ],
)
def test_what_bounds_the_claim_or_is_unsure_depends(changes: dict[str, dict[str, Figure]]) -> None:
    assert verdict(judge(made_up(changes))) == "depends"


def test_the_sentence_goes_from_left_to_right() -> None:
    assert RED_CIRCLE.sentence == "a red circle left of a blue square"


@pytest.mark.parametrize(
    ("change", "words"), [("colour", 1), ("kind", 1), ("colours swapped", 2), ("sides swapped", 4)]
)
def test_a_nearly_true_sentence_is_false_by_few_words(change: Change, words: int) -> None:
    random = np.random.default_rng(0)
    for couple in couples()[::7]:
        changed = couple.changed(change, random)
        assert changed in couples()
        pairs = zip(changed.sentence.split(), couple.sentence.split(), strict=True)
        assert sum(one != other for one, other in pairs) == words


def test_no_couple_nor_its_mirror_is_in_both_parts() -> None:
    training, held = split(0.2, np.random.default_rng(0))
    assert len(training) + len(held) == len(couples()) == 240
    assert len(held) == pytest.approx(48, abs=2)
    mirrored = {Couple(each.right, each.left) for each in held}
    assert mirrored == set(held)
    assert not set(training) & set(held)


def test_each_thing_stands_on_its_side() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        left, right = picture(RED_CIRCLE, random, 160).shapes
        assert (left.colour, left.what, right.colour, right.what) == ("red", "circle", "blue", "square")
        assert left.box.right <= 80 <= right.box.left


def test_words_come_back_as_they_went_in() -> None:
    words = Words(["a red circle", "a cross"])
    text = words.text(["a red circle", "a cross"])
    assert text.ids[:, 0].tolist() == [words[FIRST]] * 2
    assert text.mask.sum(1).tolist() == [5, 4]
    assert text.ids[1, 3] == words[END]
    assert words.sentences(text.ids) == ["a red circle", "a cross"]
    with pytest.raises(KeyError):
        words.text(["a green circle"])


def data(settings: Settings = TINY) -> Data:
    """Numbers for pictures: each thing's words as features of two cells."""
    random = np.random.default_rng(0)
    every = couples()
    drawn = tuple(every[i] for i in random.integers(len(every), size=settings.pictures))
    words = Words([each.sentence for each in every])
    cells = torch.zeros(len(drawn), 2, len(words) + 1)
    for i, each in enumerate(drawn):
        for at, thing in enumerate((each.left, each.right)):
            cells[i, at, [words[word] for word in thing]] = 3
            cells[i, at, -1] = at * 3
    return Data(cells.half(), drawn, words)


def test_captions_end_and_fitness_prefers_no_padding() -> None:
    found = data()
    torch.manual_seed(0)
    stage1 = new_stage1(found, TINY).eval()
    features = found.features([0, 1])
    memory = stage1.qformer.read(features.tokens, features.mask)
    said = captions(stage1, memory, found.words)
    assert len(said) == 2
    assert not any(START in each for each in said)
    short = found.words.text(["a red circle"] * 2)
    longer = found.words.text(["a red circle left of a blue square", "a red circle"])
    for head in HEADS:
        # padding that another sentence of the batch needs changes nothing
        torch.testing.assert_close(fitness(stage1, memory, short)[head][1], fitness(stage1, memory, longer)[head][1])


def test_measure_runs_every_variant_and_repeats_itself() -> None:
    first = measure(TINY, range(2), quiet=True)
    assert first == measure(TINY, range(2), quiet=True)
    assert list(first.quality) == list(VARIANTS)
    assert set(first.fine) == set(HEADS)
    assert draw(first).axes[0].patches


class _Silent:
    def advance(self, n: int = 1, note: str = "") -> None:
        pass
