"""The sentence encoder on the real weights of all-MiniLM-L6-v2, against `transformers`."""

import shutil
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from isthmus.checkpoints import Checkpoint
from isthmus.contrastive.sentence import load_minilm
from isthmus.errors import InputError

from .models import TEXTS

SENTENCES = [*TEXTS, "a red car in front of a house", "an automobile parked near a building", "pea soup"]


@pytest.fixture(scope="module")
def encoder(minilm):
    return load_minilm(minilm)


def test_vectors_are_those_of_transformers_on_the_real_weights(encoder, minilm):
    from transformers import BertModel, BertTokenizer

    model = BertModel.from_pretrained(str(minilm.folder)).eval()
    tokenizer = BertTokenizer.from_pretrained(str(minilm.folder))
    encoded = tokenizer(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        states = model(**encoded).last_hidden_state
    weight = encoded["attention_mask"][..., None].float()
    mean = (states * weight).sum(1) / weight.sum(1)
    found = encoder.encode(SENTENCES, normalize=False)
    print(f"all-MiniLM-L6-v2: {(found - mean).abs().max():.1e}")  # pytest -rP shows it
    torch.testing.assert_close(found, mean, rtol=0, atol=1e-4)
    torch.testing.assert_close(encoder.encode(SENTENCES), F.normalize(mean, dim=1), rtol=0, atol=1e-5)


def test_what_means_the_same_lies_near(encoder):
    car, automobile, soup = encoder.encode(SENTENCES[-3:])
    assert car @ automobile > 0.5 > 0.2 > car @ soup


def test_order_and_batches_do_not_matter(encoder):
    alone = torch.cat([encoder.encode([text]) for text in SENTENCES])
    torch.testing.assert_close(encoder.encode(SENTENCES, batch=4), alone, rtol=0, atol=1e-5)
    assert encoder.encode([]).shape == (0, 384)


def test_heads_can_be_trained_on_the_vectors(encoder):
    head = torch.nn.Linear(encoder.width, 2)
    head(encoder.encode(["a cat"])).sum().backward()
    assert head.weight.grad.abs().sum() > 0


def test_bfloat16_stays_near(encoder, minilm):
    short = load_minilm(minilm, dtype=torch.bfloat16)
    few = SENTENCES[-3:]
    assert F.cosine_similarity(encoder.encode(few), short.encode(few)).min() > 0.995


def test_other_models_and_other_pooling_are_refused(minilm, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(InputError, match="no sentence encoder"):
        load_minilm(Checkpoint("clip", tmp_path, "folder"))
    shutil.copy(minilm.folder / "config.json", tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(InputError, match="pools by pooling_mode_max_tokens"):
        load_minilm(Checkpoint("max", tmp_path, "folder"))


def test_encoding_a_text_imports_neither_transformers_nor_sympy():
    """Both cost a search's start-up most of a second and more; a careless "meta" device brings sympy in."""
    code = (
        "import sys; from isthmus.checkpoints import resolve; from isthmus.contrastive.sentence import load_minilm;"
        "load_minilm(resolve('default/minilm')).encode(['a cat']);"
        "print([m for m in ('transformers', 'sympy', 'sentence_transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
