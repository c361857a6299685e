"""The connector learns words: what a token says, what the loss asks for, and that a small one learns it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from isthmus.connectors.connector import Tokens
from isthmus.training.data.forms import LINES, UNKNOWN, Line, form_of_one
from isthmus.training.words import ROOM, TOLD, Words
from isthmus.vision.features import Features

WIDTH = 32


class ByteTokenizer:
    """Each letter a token."""

    def __call__(self, texts: str | list[str]) -> dict[str, list[list[int]] | list[int]]:
        return {"input_ids": list(texts.encode()) if isinstance(texts, str) else [list(t.encode()) for t in texts]}


ROWS = torch.randn(128, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def words() -> Words:
    return Words(ByteTokenizer(), ROWS, [CAT, OX])


OX, CAT = form_of_one("ox", "red"), form_of_one("cat")
NAME = sum(ROOM[:3])
"""Where the first line's name begins."""


def scores(words: Words, tokens: Tensor) -> Tensor:
    """As AlignConnector makes them."""
    return 4 * (tokens @ words.table.T - words.table.square().sum(1) / 2)


def embeddings(text: str) -> Tensor:
    return ROWS[torch.tensor(list(text.encode()))]


def test_the_true_form_says_its_words_each_in_its_field(words: Words) -> None:
    said = scores(words, words.told([OX], TOLD))[0].argmax(-1)
    text = "".join(chr(words.ids[at]) for at in said)
    # each letter is a token here, so a field holds as many letters as it has room, and the space before them
    assert text == "\n" + " " + " " + " ox\n" + "\n\n" + "," + "\n" * (TOLD - 10)


def test_only_words_of_the_forms_can_be_said(words: Words) -> None:
    assert {chr(id_) for id_ in words.ids} == set("\n, catox")
    assert len(words.table) == len(words.ids)


def test_the_loss_is_least_where_the_form_is_told(words: Words) -> None:
    ox, cat = (scores(words, words.told([form], TOLD)) for form in (OX, CAT))
    assert words.loss(ox, [OX]) < 0.01 < words.loss(cat, [OX])


@pytest.mark.parametrize(("at", "weighs"), [(NAME + 3, 1.0), (NAME + 4, 0.0), (10, 1.0), (11, 0.1)])
def test_what_a_word_in_place_of_a_pause_costs(words: Words, at: int, weighs: float) -> None:
    """As much as one in the first field where the pause ends a name or the form; nothing where nothing is known; a
    tenth behind another pause."""
    right = words.told([OX], TOLD)
    costs = []
    for place in (at, 0):
        wrong = right.clone()
        wrong[:, place] = embeddings("c")
        costs.append(float(words.loss(scores(words, wrong), [OX]) - words.loss(scores(words, right), [OX])))
    assert costs[1] > 0.1
    assert costs[0] == pytest.approx(weighs * costs[1], rel=1e-3, abs=1e-6)


@given(count=st.integers(0, LINES), m=st.integers(1, TOLD + 9), name=st.text("abcdefgh ", min_size=1, max_size=9))
def test_every_form_has_as_many_words_as_weights_and_any_connector_may_say_it(count: int, m: int, name: str) -> None:
    form = tuple(Line("left", "one", "", name, UNKNOWN) for _ in range(count))
    words = Words(ByteTokenizer(), ROWS, [form])
    ids, weights = words.laid_out(form)
    assert len(ids) == len(weights) == TOLD
    assert words.told([form], m).shape == (1, m, WIDTH)
    assert words.loss(torch.zeros(1, m, len(words.ids)), [form]).isfinite()


class Reader(nn.Module):
    """One map of each picture's only token to all queries."""

    width_in, width_out = 8, WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(8, TOLD * WIDTH)

    def forward(self, features: Features) -> Tokens:
        tokens = self.map(features.tokens[:, 0]).view(-1, TOLD, WIDTH)
        return Tokens(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool))


def test_a_connector_learns_to_say_what_it_sees(words: Words) -> None:
    torch.manual_seed(0)
    reader = Reader()
    pictures = torch.randn(2, 1, 8)
    features = Features(pictures, torch.ones(2, 1, dtype=torch.bool), torch.zeros(2, 1, 4), pictures[:, 0])
    optimiser = torch.optim.Adam(reader.parameters(), 0.05)
    for _ in range(60):
        optimiser.zero_grad()
        words.loss(scores(words, reader(features).tokens), [CAT, OX]).backward()
        optimiser.step()
    said = scores(words, reader(features).tokens).argmax(-1)[:, NAME : NAME + 4]
    texts = ["".join(chr(words.ids[at]) for at in row) for row in said]
    assert texts == [" cat", " ox\n"]


def test_answers_are_words_of_the_table_with_pauses_behind() -> None:
    more = Words(ByteTokenizer(), ROWS, [CAT], ["no"])
    rows = more.answers(["no", "cat", "dog", "no cat"], 4)
    said = ["".join(chr(more.ids[at]) for at in row) for row in rows.tolist()]
    # of a word that is not known, and of too many, nothing is said
    assert said == [" no\n", " cat", "\n\n\n\n", "\n\n\n\n"]


def test_a_name_is_spelled_where_a_form_has_it(words: Words) -> None:
    (cat,) = words.spelled(["cat"]).tolist()
    assert [words.ids[at] for at in cat] == words.laid_out(CAT)[0][NAME : NAME + ROOM[3]]
    assert words.spelled([""]).tolist() == [[0] * ROOM[3]]


SIDE = 6
TOP_RIGHT = (Line("", "one", "", "o", "top right"),)
SOMEWHERE = (Line("", "one", "", "o", UNKNOWN),)


@pytest.fixture
def on_grid() -> Words:
    return Words(ByteTokenizer(), ROWS, [TOP_RIGHT, OX], on_grid=True)


def grid(words: Words, overviews: str, cells: dict[tuple[int, int], str]) -> Tensor:
    """[1, 2 + SIDE², W]: each token surely says one letter; cells by row and column, others pause."""
    said = overviews + "".join(cells.get((row, column), "\n") for row in range(SIDE) for column in range(SIDE))
    return scores(words, embeddings(said)[None])


def test_on_a_grid_words_are_right_where_the_thing_is_and_often_as_right_as_once(on_grid: Words) -> None:
    for cells in ({(0, 4): " ", (1, 5): "o"}, {(0, 4): "o", (0, 5): "o", (1, 4): " ", (1, 5): " "}):
        assert on_grid.loss(grid(on_grid, " o", cells), [TOP_RIGHT]) < 0.01
    assert on_grid.loss(grid(on_grid, "o ", {(3, 2): "o", (0, 0): " "}), [SOMEWHERE]) < 0.01


@pytest.mark.parametrize(
    ("overviews", "cells", "wrong"),
    [
        (" o", {(0, 4): " "}, "no cell says o"),
        (" o", {(0, 4): " ", (3, 5): "o"}, "o is said where it is not"),
        ("  ", {(0, 4): " ", (1, 5): "o"}, "no overview says o"),
        ("\no", {(0, 4): " ", (1, 5): "o"}, "an overview pauses"),
        (" o", {(0, 4): " ", (1, 5): "o", (1, 4): "x"}, "there is no x"),
    ],
)
def test_on_a_grid_what_is_missing_costs_and_what_is_not_there(
    on_grid: Words, overviews: str, cells: dict[tuple[int, int], str], wrong: str
) -> None:
    assert on_grid.loss(grid(on_grid, overviews, cells), [TOP_RIGHT]) > 0.2, wrong


@given(seed=st.integers(0, 1000), side=st.integers(1, 4), sharp=st.floats(0, 200))
def test_on_a_grid_gradients_are_finite_and_where_nobody_knows_the_order_of_cells_is_nothing(
    seed: int, side: int, sharp: float
) -> None:
    words = Words(ByteTokenizer(), ROWS, [SOMEWHERE, OX], on_grid=True)
    torch.manual_seed(seed)
    made = (torch.randn(2, 2 + side**2, len(words.ids)) * sharp).requires_grad_()
    loss = words.loss(made, [SOMEWHERE, OX])
    loss.backward()
    assert loss >= 0 and made.grad.isfinite().all()  # type: ignore[union-attr]
    shuffled = made[:, torch.cat([torch.randperm(2), 2 + torch.randperm(side**2)])]
    torch.testing.assert_close(words.loss(shuffled, [SOMEWHERE, OX]), loss, atol=1e-4, rtol=1e-4)


def test_on_a_grid_where_nothing_is_known_to_be_there_nothing_is_to_be_said(on_grid: Words) -> None:
    nothing, something = grid(on_grid, "\n\n", {}), grid(on_grid, "\n\n", {(2, 2): "o"})
    assert on_grid.loss(nothing, [()]) < 0.01 < on_grid.loss(something, [()])
