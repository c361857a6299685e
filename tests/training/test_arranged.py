"""Arranged batches: the same conversations as in plain order, exactly resumed, alike for any number of ranks."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.tiles import TilesConnector
from isthmus.data.example import Example
from isthmus.data.mixture import Mixture
from isthmus.data.report import Report
from isthmus.errors import InputError, PictureError
from isthmus.images.fits import Crop, Letterbox, Native, Squash
from isthmus.images.focus import Focus
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles
from isthmus.messages import assistant, user
from isthmus.training.answering import Conversations
from isthmus.training.arranged import Arrange, Arranged, require_arrangement
from isthmus.training.augment import vary
from isthmus.training.conversations import ConversationBatches, laid_out
from isthmus.training.lengths import Lengths
from isthmus.training.own_recipe import Augmentation
from isthmus.vision.encoder import VitEncoder
from isthmus.vlm.model import VisionLanguageModel
from tests.data.sources import Listed, Streamed
from tests.vlm import models

from .conversing import ARRANGED, BATCH, ROW, Mixed, batches

KINDS: list[Arrange] = ["length", "packed"]
MODEL = models.model()
DAMAGED = (4, 5, 13)


def said(batch: Conversations) -> tuple[Any, ...]:
    return batch.places, batch.rows, tuple(sample.ids for sample in batch.samples)


def taken(kind: Arrange, count: int, **how: Any) -> list[tuple[Any, ...]]:
    return [said(each) for each in islice(iter(batches(MODEL, kind, **how).__next__, None), count)]


@pytest.mark.parametrize("damaged", [(), DAMAGED], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_resumed_anywhere_it_goes_on_exactly(kind: Arrange, damaged: tuple[int, ...]) -> None:
    count = 14
    running = batches(MODEL, kind, damaged=damaged)
    states, whole = [], []
    for _ in range(count):
        states.append(json.loads(json.dumps(running.state())))
        whole.append(said(next(running)))
    for at in (0, 1, 6, 10, 11):
        resumed = batches(MODEL, kind, damaged=damaged)
        resumed.resume(states[at])
        assert resumed.state() == states[at]
        assert [said(next(resumed)) for _ in range(count - at)] == whole[at:]


@pytest.mark.parametrize("damaged", [(), DAMAGED], ids=str)
@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_ranks_share_what_one_would_read(kind: Arrange, world: int, damaged: tuple[int, ...]) -> None:
    """Though only the rank that opens a damaged picture knows of it."""
    alone = taken(kind, 12, damaged=damaged)
    ranks = [batches(MODEL, kind, damaged=damaged, rank=rank, world=world) for rank in range(world)]
    assert [said(next(rank)) for _ in range(12 // world) for rank in ranks] == alone
    assert len({json.dumps(rank.state()) for rank in ranks}) == 1
    further = batches(MODEL, kind, damaged=damaged)
    further.resume(ranks[0].state())
    assert [said(next(further)) for _ in range(3)] == taken(kind, 15, damaged=damaged)[12:]


@pytest.mark.parametrize("kind", KINDS)
def test_every_draw_of_the_plain_order_comes_once(kind: Arrange) -> None:
    arranged = Arranged(Mixture([Mixed(31)], seed=3), BATCH, kind, ARRANGED[kind], Lengths(MODEL, varied=False))
    turns: list[int] = []
    while not turns or max(turns) < 200:
        turns += [item.draw.turn for item in next(arranged)]
    assert len(set(turns)) == len(turns)
    # what is missing is still to come: it waits in the windows at hand
    assert set(range(100)) <= set(turns)


def test_by_length_a_batch_has_like_lengths_and_all_its_rows() -> None:
    def padding(kind: Arrange) -> float:
        filled = room = 0
        for batch in islice(iter(batches(MODEL, kind, size=90).__next__, None), 30):
            lengths = [len(sample.ids) for sample in batch.samples]
            assert len(lengths) == BATCH and batch.rows is None
            filled, room = filled + sum(lengths), room + BATCH * max(lengths)
        return 1 - filled / room

    assert padding("length") < padding("order") / 4


def test_packed_rows_are_full_and_never_over_their_budget() -> None:
    most, full = 0, []
    for batch in islice(iter(batches(MODEL, "packed", size=90).__next__, None), 12):
        assert batch.rows is not None and sum(batch.rows) == len(batch.samples) and len(batch.rows) <= BATCH
        lengths = iter([len(sample.ids) for sample in batch.samples])
        filled = [sum(next(lengths) for _ in range(count)) for count in batch.rows]
        assert max(filled) <= ROW
        most, full = max(most, *batch.rows), full + filled
    assert most >= 2 and sum(full) / len(full) > 0.8 * ROW


@pytest.mark.parametrize("kind", KINDS)
def test_bad_records_are_replaced_and_each_reported_once(kind: Arrange, tmp_path: Path) -> None:
    report = Report(tmp_path / "bad.jsonl")
    running = batches(MODEL, kind, damaged=DAMAGED, report=report)
    places = [place for _ in range(25) for place in next(running).places]
    assert not {f"mixed, record {at}" for at in DAMAGED} & set(places)
    lines = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert sorted(line["place"] for line in lines) == sorted(f"mixed, record {at}" for at in DAMAGED)
    if kind == "length":
        assert len(places) == 25 * BATCH


class Texts(Listed):
    """As long as their numbers say."""

    def __getitem__(self, at: int) -> Example:
        words = " ".join(["cat"] * (at + 1))
        return Example((user("what?"), assistant(words)), super().__getitem__(at).place)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_too_long_for_a_row_or_the_context_is_reported_before_anything_is_opened(kind: Arrange) -> None:
    report = Report()
    mixture = Mixture([Texts("texts", 12)], seed=0, report=report)
    tokens = len(MODEL.sample(Texts("texts", 12)[8].messages).ids)
    running = ConversationBatches(MODEL, mixture, 2, arrange=kind, tokens=tokens)
    seen = {place for _ in range(20) for place in next(running).places}
    assert seen == {f"texts {at}" for at in range(9)}
    assert sorted(bad.place for _, bad in report.first) == ["texts 10", "texts 11", "texts 9"]
    assert f"a row {tokens} at most" in str(report.first[0][1].error)


def test_a_place_nothing_fits_into_stays_empty() -> None:
    """The shortest conversation of all has a damaged picture."""

    class Shortest(Mixed):
        def __getitem__(self, at: int) -> Example:
            messages = super().__getitem__(at).messages
            if at == 0:
                messages = (user(b"\x89PNG nothing", "?"), assistant("a"))
            elif not messages[0].pictures:
                messages = (user(models.picture(at), "What is it?"), messages[1])
            return Example(messages, f"{at}")

    report = Report()
    mixture = Mixture([Shortest(9)], seed=0, report=report)
    running = ConversationBatches(MODEL, mixture, 3, arrange="packed", tokens=ROW)
    assert {place for _ in range(6) for place in next(running).places} == {str(at) for at in range(1, 9)}
    assert report.total == 1


def test_a_stream_is_arranged_too() -> None:
    def running() -> ConversationBatches:
        mixture = Mixture([Streamed("a", 20, {3}), Listed("b", 9)], [2, 1], seed=1)
        return ConversationBatches(MODEL, mixture, 4, arrange="length")

    whole = running()
    states, given = [], []
    for _ in range(9):
        states.append(whole.state())
        given.append(next(whole).places)
    resumed = running()
    resumed.resume(json.loads(json.dumps(states[4])))
    assert [next(resumed).places for _ in range(5)] == given[4:]


def of_fit(fit: Any, connector: Any = None) -> VisionLanguageModel:
    encoder = VitEncoder("tiny", models.encoder().tower, fit, weights="tiny")
    return models.model(encoder=encoder, connector=connector or models.connector())


GRIDS = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))
FITS = {
    "crop": lambda: of_fit(Crop(size=32)),
    "squash": lambda: of_fit(Squash(size=32)),
    "letterbox": lambda: of_fit(Letterbox(size=32)),
    "tiles": lambda: of_fit(Tiles(size=32, grids=GRIDS)),
    "tiles laid out": lambda: of_fit(Tiles(size=32, grids=GRIDS), TilesConnector(32, 48, side=4)),
    "split": lambda: of_fit(
        Split(size=32, longest=96), MlpConnector(32, 48, reduction="shuffle", factor=2, grid=(4, 4))
    ),
    "overview": lambda: of_fit(Split(size=32, longest=96, tiles=False)),
    "native": lambda: of_fit(Native(patch=8, max_tokens=16)),
}


@pytest.fixture(scope="module", params=FITS)
def fitted(request: pytest.FixtureRequest) -> tuple[VisionLanguageModel, Lengths]:
    model = FITS[request.param]()
    return model, Lengths(model, varied=False)


@settings(max_examples=15)
@given(sizes=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), max_size=2))
def test_a_length_is_what_the_opened_conversation_has(
    fitted: tuple[VisionLanguageModel, Lengths], sizes: list[tuple[int, int]]
) -> None:
    model, lengths = fitted
    pictures = [Image.new("RGB", size) for size in sizes]
    messages = (user(*pictures, "what is it?"), assistant("a cat"))
    samples, _, errors = laid_out(model, [(messages, [models.opened(each) for each in pictures])], model.encode)
    assert lengths.exact
    if errors:
        with pytest.raises(InputError, match="the language model reads at most"):
            lengths.of(Example(messages, "here"))
    else:
        assert lengths.of(Example(messages, "here")) == len(samples[0].ids)


def test_where_a_size_must_be_known_a_file_that_does_not_tell_is_of_no_use() -> None:
    lengths = Lengths(FITS["tiles"](), varied=False)
    with pytest.raises(PictureError):
        lengths.of(Example((user(b"nothing", "?"), assistant("a")), "here"))


def test_an_encoder_looks_once_at_each_shape() -> None:
    model = FITS["tiles"]()
    shown = models.encoder()
    shown.fit = model.encoder.fit
    model.encoder = shown
    lengths = Lengths(model, varied=False)
    for width in (40, 60, 100, 40, 900, 2000):
        lengths.of(Example((user(Image.new("RGB", (width, 50)), "?"), assistant("a")), "here"))
    assert shown.batches == len({model.encoder.fit.grid(width, 50) for width in (40, 60, 100, 900, 2000)})


def test_rows_need_lengths_that_are_known_and_by_length_an_estimate_will_do() -> None:
    focus = of_fit(Focus(size=32))
    with pytest.raises(InputError, match="not known before it is opened: Focus decides by what it shows"):
        require_arrangement(focus, "packed", 100, varied=False)
    with pytest.raises(InputError, match="pictures are augmented"):
        require_arrangement(FITS["tiles"](), "length", 400, varied=True)
    require_arrangement(FITS["crop"](), "packed", 100, varied=True)
    require_arrangement(focus, "length", None, varied=False)
    mixture = Mixture([Mixed(9)], seed=0)
    running = ConversationBatches(focus, mixture, 3, arrange="length")
    assert all(len(next(running).samples) == 3 for _ in range(4))


def test_what_cannot_be_packed_is_refused() -> None:
    with pytest.raises(InputError, match="cannot have several conversations in a row"):
        ConversationBatches(models.model("blip2-opt"), Mixture([Mixed(9)], seed=0), 3, arrange="packed", tokens=ROW)


@pytest.mark.parametrize("kind", ARRANGED)
def test_augmented_pictures_are_the_same_when_resumed(kind: Arrange) -> None:
    def running() -> ConversationBatches:
        mixture = Mixture([Mixed(15)], seed=3)
        how = vary(Augmentation(crop=0.3, light=0.3))
        return ConversationBatches(MODEL, mixture, BATCH, arrange=kind, tokens=ARRANGED[kind], vary=how)

    whole = running()
    for _ in range(3):
        next(whole)
    state = whole.state()
    resumed = running()
    resumed.resume(state)
    shown = 0
    for _ in range(3):
        mine, its = next(whole).features, next(resumed).features
        assert (mine is None) == (its is None)
        if mine is not None and its is not None:
            assert mine.tokens.equal(its.tokens)
            shown += 1
    assert shown
