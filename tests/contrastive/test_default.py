"""The default embedder: what its vectors mean, what it finds, and what it refuses."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from isthmus.checkpoints import resolve
from isthmus.contrastive import load_embedder
from isthmus.contrastive.default import DefaultEmbedder, Heads, load_default_embedder
from isthmus.contrastive.heads import HeadsConfig
from isthmus.contrastive.metrics import first_rank
from isthmus.errors import CorruptPart
from isthmus.images.open import open_picture
from isthmus.training.data.sources import stamps
from tests.photographs import PHOTOGRAPHS, photograph


@pytest.fixture(scope="module")
def embedder() -> DefaultEmbedder:
    return load_default_embedder(resolve("default/embedder"))


@pytest.fixture(scope="module")
def photographs(embedder: DefaultEmbedder) -> torch.Tensor:
    return embedder.images([embedder.fit(open_picture(photograph(name))) for name in PHOTOGRAPHS])


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), weight=st.floats(0, 10), dim=st.sampled_from([8, 32]))
def test_similarity_is_the_weighted_mean_of_two_cosines(seed: int, weight: float, dim: int) -> None:
    torch.manual_seed(seed)
    heads = Heads(HeadsConfig(width_image=16, width_text=12, dim=dim, prior_weight=weight, top=3), classes=5).eval()
    heads.classes.normal_()
    heads.centre.normal_(std=0.1)
    heads.mean.uniform_(-3, 3)
    described, sentences = torch.rand(4, 16) * 6 - 3, F.normalize(torch.randn(3, 12), dim=-1)
    prior = heads.prior(torch.randn(4, 5))
    pictures, texts = heads.images(described, prior), heads.texts(sentences)
    for vectors in (pictures, texts):
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(len(vectors)))
    centred = F.normalize(sentences - heads.centre, dim=-1)
    learned = F.cosine_similarity(heads.text(centred)[:, None], heads.image(described - heads.mean)[None], dim=-1)
    expected = (learned + weight * centred @ prior.T) / (1 + weight)
    torch.testing.assert_close(texts @ pictures.T, expected, atol=1e-5, rtol=1e-5)


def test_what_lies_beyond_six_deviations_counts_as_six() -> None:
    heads = Heads(HeadsConfig(width_image=2, width_text=3, dim=2), classes=3).eval()
    prior = torch.zeros(2, 3)
    far = heads.images(torch.tensor([[6.0, 1.0], [60.0, 1.0]]), prior)
    assert torch.equal(far[0], far[1])
    near = heads.images(torch.tensor([[5.0, 1.0], [6.0, 1.0]]), prior)
    assert not torch.equal(near[0], near[1])


def test_the_prior_counts_only_the_likeliest_classes() -> None:
    heads = Heads(HeadsConfig(width_image=2, width_text=3, dim=2, temperature=1.0, top=1), classes=3)
    heads.classes.copy_(torch.eye(3))
    assert torch.equal(heads.prior(torch.tensor([[0.0, 3.0, 1.0]])), torch.tensor([[0.0, 1.0, 0.0]]))


def test_it_is_what_load_embedder_gives_and_has_the_contract(embedder: DefaultEmbedder) -> None:
    assert load_embedder().fingerprint == embedder.fingerprint
    vectors = embedder.texts(["a cat", ""])
    assert vectors.shape == (2, embedder.dim)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))


@pytest.mark.parametrize(
    ("sentence", "file"),
    [
        ("a cat", "chelsea.png"),
        ("a cup of coffee", "coffee.png"),
        ("an astronaut", "astronaut.png"),
        ("a rocket", "rocket.jpg"),
        ("a motorbike in a garage", "motorcycle_left.png"),
        ("asian architecture", "china.jpg"),
    ],
)
def test_real_photographs_are_found_by_sentences(
    embedder: DefaultEmbedder, photographs: torch.Tensor, sentence: str, file: str
) -> None:
    best = int((photographs @ embedder.texts([sentence])[0]).argmax())
    assert Path(list(PHOTOGRAPHS)[best]).name == file


def test_the_heads_do_not_lose_what_the_prior_finds_in_photographs(
    embedder: DefaultEmbedder, photographs: torch.Tensor
) -> None:
    asked = [(row, text) for row, texts in enumerate(PHOTOGRAPHS.values()) for text in texts]
    gain = F.one_hot(torch.tensor([row for row, _ in asked]), len(PHOTOGRAPHS)).bool()
    texts = embedder.texts([text for _, text in asked])
    learned = embedder.heads.config.dim
    found = (first_rank(texts @ photographs.T, gain) <= 3).double().mean()
    by_prior = (first_rank(texts[:, learned:] @ photographs[:, learned:].T, gain) <= 3).double().mean()
    assert found >= by_prior


def test_held_out_stamps_are_found_as_often_as_the_model_card_says(
    embedder: DefaultEmbedder, stamps_root: Path
) -> None:
    config = resolve("default/embedder").config
    held = set(config["held_out_concepts"])
    pictures = [s for s in stamps(stamps_root) if s.path.suffix == ".png" and s.concept in held]
    captions = sorted({s.captions[0] for s in pictures})
    assert len(captions) >= 150
    vectors = torch.cat(
        [
            embedder.images([embedder.fit(open_picture(s.path)) for s in pictures[start : start + 32]])
            for start in range(0, len(pictures), 32)
        ]
    )
    gain = torch.tensor([[s.captions[0] == caption for s in pictures] for caption in captions])
    rank = first_rank(embedder.texts(captions) @ vectors.T, gain)
    for k in (1, 10):
        # the card's figure is from bf16 features; a few of 150 ranks turn on the rounding
        assert (rank <= k).double().mean().item() == pytest.approx(config["held_out"][f"R@{k}"]["value"], abs=0.03)


def test_bf16_moves_picture_vectors_little(embedder: DefaultEmbedder, photographs: torch.Tensor) -> None:
    coarse = load_default_embedder(resolve("default/embedder"), dtype=torch.bfloat16)
    views = [coarse.fit(open_picture(photograph(name))) for name in PHOTOGRAPHS]
    cosine = (coarse.images(views) * photographs).sum(-1)
    assert cosine.min() > 0.99
    assert coarse.fingerprint == embedder.fingerprint


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encoder": {"name": "default/efficientnet-lite0", "fingerprint": "0"}}, "not the encoder"),
        ({"text_encoder": {"name": "default/minilm", "fingerprint": "0"}}, "not the text_encoder"),
        ({"encoder": None}, "does not name its encoder"),
        ({"fit": "0"}, "another Fit"),
        ({"heads": {"dim": 3}}, "holds no embedder heads"),
    ],
    ids=str,
)
def test_heads_are_refused_on_other_parts_than_their_own(change: dict[str, object], says: str, tmp_path: Path) -> None:
    shutil.copytree(resolve("default/embedder").folder, tmp_path / "e")
    config = json.loads((tmp_path / "e" / "config.json").read_text())
    (tmp_path / "e" / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(CorruptPart, match=says):
        load_default_embedder(resolve(str(tmp_path / "e")))


def test_a_trained_folder_is_known_by_its_own_name_so_that_a_library_can_load_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(resolve("default/embedder").folder, folder)
    assert load_embedder(str(folder)).name == str(folder)
    assert load_embedder().name == "default/embedder"


def test_head_settings_are_part_of_the_fingerprint(embedder: DefaultEmbedder) -> None:
    other = Heads(dataclasses.replace(embedder.heads.config, prior_weight=0.5))
    assert DefaultEmbedder("a", embedder.pictures, embedder.sentences, other, weights="").fingerprint != (
        DefaultEmbedder("a", embedder.pictures, embedder.sentences, embedder.heads, weights="").fingerprint
    )
