"""What a sample looks like to the model: rows, a table, JSON."""

import json

import pytest
import torch

from isthmus.connectors.align import AlignConnector
from isthmus.connectors.resampler import ResamplerConnector
from isthmus.connectors.soft_prompt import SoftPromptConnector
from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.messages import assistant, user
from isthmus.vlm.inspect import Inspection, inspect
from isthmus.vlm.template import Vicuna

from . import models

A = models.picture(1, 50, 40)
SAID = [user(A, "what is it?"), assistant("a cat")]


def test_every_token_has_its_row() -> None:
    model = models.model()
    rows = inspect(model, SAID).rows
    sample = model.sample(SAID, model.extents(model.encode([Picture(A, *A.size)])))
    assert [row.index for row in rows] == list(range(len(sample.ids)))
    assert [-1 if row.id is None else row.id for row in rows] == list(sample.ids)
    assert [row.role for row in rows] == list(sample.roles)
    assert model.tokenizer.decode([row.id for row in rows if row.label]) == "a cat<|im_end|>"
    assert "".join(row.text for row in rows if row.role == "assistant").startswith("<|im_start|>assistant")


def test_a_pictures_token_says_where_it_looked() -> None:
    """The middle 40 x 40 of 50 x 40, in 4 x 4 patches of 10 pixels of the original."""
    regions = [row.region for row in inspect(models.model(), SAID).rows if row.picture == 0]
    assert len(regions) == 16
    assert regions[0] == pytest.approx((5, 0, 15, 10), abs=0.7)
    assert regions[5] == pytest.approx((15, 10, 25, 20), abs=0.7)
    assert regions[15] == pytest.approx((35, 30, 45, 40), abs=0.7)


@pytest.mark.parametrize("kind", ["average", "shuffle"])
def test_a_token_of_several_patches_saw_them_all(kind: str) -> None:
    model = models.model(connector=models.connector(reduction=kind, factor=2))
    regions = [row.region for row in inspect(model, SAID).rows if row.picture == 0]
    assert regions == [
        pytest.approx(each, abs=0.7) for each in [(5, 0, 25, 20), (25, 0, 45, 20), (5, 20, 25, 40), (25, 20, 45, 40)]
    ]


def test_a_soft_prompt_saw_nothing_and_words_are_their_tokens() -> None:
    blocks = models.connector(reduction="average", factor=2)
    spoken = AlignConnector(torch.randn(5, blocks.width_out), blocks)
    steered = SoftPromptConnector(torch.randn(2, blocks.width_out), spoken)
    rows = [row for row in inspect(models.model(connector=steered), SAID).rows if row.picture == 0]
    assert [row.region for row in rows[:2]] == [None, None]
    assert rows[5].region == pytest.approx((25, 20, 45, 40), abs=0.7)
    assert len(rows) == 6


def test_a_query_saw_the_whole_picture() -> None:
    model = models.model(connector=ResamplerConnector(32, 48, queries=3, heads=4))
    regions = [row.region for row in inspect(model, SAID).rows if row.picture == 0]
    assert regions == [pytest.approx((5, 0, 45, 40), abs=0.7)] * 3


@pytest.mark.parametrize("kind", ["chatml-llama", "vicuna-llama"])
def test_texts_can_be_read(kind: str) -> None:
    """Joined they are what was said; a part of a character is shown by its name."""
    rows = inspect(models.model(kind), [user("what is it? é🚩"), assistant("a cat")]).rows
    assert "what is it? " in "".join(row.text for row in rows)
    assert "a cat" in "".join(row.text for row in rows if row.label)
    assert all(row.text and "\ufffd" not in row.text for row in rows)


def test_pictures_are_told_apart() -> None:
    rows = inspect(models.model(), [user(A, models.picture(2), "which?"), assistant("both")]).rows
    shown = [row.picture for row in rows if row.picture is not None]
    assert shown == [0] * 16 + [1] * 16


def test_the_table_and_the_json_say_the_same() -> None:
    found = inspect(models.model(), SAID)
    lines = found.table().splitlines()
    assert lines[0].split() == ["index", "label", "role", "token"]
    assert len(lines) == len(found.rows) + 2
    assert [line.split()[1] == "yes" for line in lines[1:-1]] == [row.label for row in found.rows]
    assert lines[-1] == f"{len(found.rows)} tokens, 16 of pictures; {sum(row.label for row in found.rows)} with a label"
    assert any("picture 0: 5,0 to 15,10" in line for line in lines)
    read = json.loads(found.json())
    assert read["all_masked"] is False
    assert [token["label"] for token in read["tokens"]] == [row.label for row in found.rows]
    assert [token["region"] is not None for token in read["tokens"]] == [row.id is None for row in found.rows]


@pytest.mark.parametrize("said", [[user(A, "what?")], [user("what?")]])
def test_all_labels_masked_is_said(said) -> None:
    found = inspect(models.model(template=Vicuna(), tokenizer=models.spm_bpe()), said)
    assert found.all_masked
    assert "ALL LABELS ARE MASKED" in found.table().splitlines()[-1]
    assert json.loads(found.json())["all_masked"] is True


def test_a_label_that_nothing_predicts_is_none() -> None:
    assert Inspection(()).all_masked
    assert not inspect(models.model(), [user("what?"), assistant("a cat")]).all_masked


def test_errors_are_the_models() -> None:
    with pytest.raises(InputError, match="the conversation is empty"):
        inspect(models.model(), [])
