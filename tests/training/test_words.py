"""The connector learns words: what a token says, what the loss asks for, and that a small one learns it."""

import pytest
import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Tokens
from isthmus.training.data.questions import Question
from isthmus.training.words import PAUSES, Words, caption_of
from isthmus.vision.features import Features

WIDTH, QUERIES = 32, 4


class ByteTokenizer:
    """Each letter a token."""

    def __call__(self, texts: str | list[str]) -> dict[str, list[list[int]] | list[int]]:
        return {"input_ids": list(texts.encode()) if isinstance(texts, str) else [list(t.encode()) for t in texts]}


class Table(nn.Module):
    """A language model of which nothing but its embeddings may be used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(128, WIDTH)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.table


class Parts:
    tokenizer = ByteTokenizer()
    language_model = Table()


@pytest.fixture
def words() -> Words:
    return Words(Parts(), ["cat", "ox"])  # type: ignore[arg-type]


def embeddings(text: str) -> Tensor:
    return Parts.language_model.table.weight.detach()[torch.tensor(list(text.encode()))]


def test_a_token_at_a_words_place_says_that_word(words: Words) -> None:
    said = words.scores(embeddings(" cat\n")[None])[0].argmax(-1)
    assert [chr(words.ids[at]) for at in said] == [" ", "c", "a", "t", "\n"]


def test_only_words_of_the_captions_can_be_said(words: Words) -> None:
    assert {chr(id_) for id_ in words.ids} == set("\n catox")
    assert len(words.table) == len(words.ids)


def test_the_loss_is_least_where_the_caption_is_said(words: Words) -> None:
    right, wrong = (embeddings(text)[None] * 4 for text in (" ox\n\n", " cat\n"))
    assert words.loss(right, ["ox"]) < 0.01 < words.loss(wrong, ["ox"])


def test_the_first_pause_counts_and_further_ones_hardly(words: Words) -> None:
    base = embeddings(" ox\n\n\n")[None] * 4
    losses = []
    for place in (3, 4):  # the word in place of a pause, first or second
        other = base.clone()
        other[:, place] = embeddings("a") * 4
        losses.append(float(words.loss(other, ["ox"]) - words.loss(base, ["ox"])))
    assert losses[1] == pytest.approx(PAUSES * losses[0], rel=1e-3)


def test_a_caption_longer_than_the_tokens_is_cut(words: Words) -> None:
    assert words.loss(embeddings(" ca")[None] * 4, ["cat"]) < 0.01


class Reader(nn.Module):
    """One map of each picture's only token to all queries."""

    width_in, width_out = 8, WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(8, QUERIES * WIDTH)

    def forward(self, features: Features) -> Tokens:
        tokens = self.map(features.tokens[:, 0]).view(-1, QUERIES, WIDTH)
        return Tokens(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool))


def test_a_connector_learns_to_say_what_it_sees(words: Words) -> None:
    torch.manual_seed(0)
    reader = Reader()
    pictures = torch.randn(2, 1, 8)
    features = Features(pictures, torch.ones(2, 1, dtype=torch.bool), torch.zeros(2, 1, 4), pictures[:, 0])
    optimiser = torch.optim.Adam(reader.parameters(), 0.05)
    for _ in range(60):
        optimiser.zero_grad()
        words.loss(reader(features).tokens, ["cat", "ox"]).backward()
        optimiser.step()
    said = words.scores(reader(features).tokens).argmax(-1)
    texts = ["".join(chr(words.ids[at]) for at in row) for row in said]
    assert texts == [" cat", " ox\n"]
    assert Parts.language_model.table.weight.grad is None


def test_what_is_said_is_the_list_else_the_name() -> None:
    name, listed = Question("what", "What is this?", "cat"), Question("list", "What is where?", "cat top left")
    assert caption_of([name, listed]) == "cat top left"
    assert caption_of([name]) == "cat"
    assert caption_of([Question("count", "How many?", "one")]) is None
