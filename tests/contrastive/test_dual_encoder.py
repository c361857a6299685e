"""Dual encoders against `transformers` on random weights: vectors and logits of both sides, for every family."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from isthmus.checkpoints import resolve
from isthmus.contrastive import load_embedder
from isthmus.errors import CorruptPart, InputError
from isthmus.images.views import Box, View, Views

from . import models
from .models import FAMILIES, PROJECTION, TEXTS

TOLERANCE = {"rtol": 0, "atol": 1e-4}
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """folder, model and tokenizer of a family; each is made once."""
    made = {}

    def get(family):
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            made[family] = (folder, *models.save(family, folder))
        return made[family]

    return get


def pixels(family, count=3, seed=0):
    """[3, H, W] for each picture; NaFlex takes them in several shapes."""
    random = np.random.default_rng(seed)
    shapes = [(32, 32)] * count if family != "siglip2" else [(32, 32), (16, 64), (24, 40)]
    return [random.normal(size=(3, *shape)).astype(np.float32) for shape in shapes]


def views(pictures):
    return [Views((View(p, Box(0, 0, p.shape[2], p.shape[1])),), p.shape[2], p.shape[1]) for p in pictures]


@torch.no_grad()
def expected(family, model, tokenizer, pictures, texts):
    """What `transformers` makes of them: unit vectors of pictures and texts, logits [B, T]."""
    length = {"clip": 77, "clip-old": 77}.get(family, 64)
    encoded = tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    inputs = {"input_ids": encoded["input_ids"]}
    if not family.startswith("siglip"):  # SigLIP was trained to read its padding
        inputs["attention_mask"] = encoded["attention_mask"]
    if family == "siglip2":
        inputs |= naflex(pictures)
    else:
        inputs["pixel_values"] = torch.from_numpy(np.stack(pictures))
    if family == "open_clip":
        images, vectors = model(**inputs)
        return images, vectors, model.logit_scale.exp() * images @ vectors.T
    found = model(**inputs)
    return F.normalize(found.image_embeds, dim=1), F.normalize(found.text_embeds, dim=1), found.logits_per_image


def naflex(pictures, patch=8, most=16):
    """Patches [B, most, P P C] with their grids, as Siglip2's processor lays them out."""
    rows, masks, grids = [], [], []
    for picture in pictures:
        c, h, w = picture.shape
        cut = (
            picture.reshape(c, h // patch, patch, w // patch, patch).transpose(1, 3, 2, 4, 0).reshape(-1, patch**2 * c)
        )
        rows.append(np.pad(cut, ((0, most - len(cut)), (0, 0))))
        masks.append([1] * len(cut) + [0] * (most - len(cut)))
        grids.append((h // patch, w // patch))
    return {
        "pixel_values": torch.from_numpy(np.stack(rows)),
        "pixel_attention_mask": torch.tensor(masks),
        "spatial_shapes": torch.tensor(grids),
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_and_logits_are_those_of_transformers(saved, family):
    folder, model, tokenizer = saved(family)
    pictures = pixels(family)
    images, texts, logits = expected(family, model, tokenizer, pictures, TEXTS)
    embedder = load_embedder(str(folder))
    found_images, found_texts = embedder.images(views(pictures)), embedder.texts(TEXTS)
    found_logits = embedder.logits(found_images, found_texts)
    sides = {"images": found_images - images, "texts": found_texts - texts, "logits": found_logits - logits}
    print(family, {side: f"{difference.abs().max():.1e}" for side, difference in sides.items()})  # pytest -rP shows it
    torch.testing.assert_close(found_images, images, **TOLERANCE)
    torch.testing.assert_close(found_texts, texts, **TOLERANCE)
    torch.testing.assert_close(found_logits, logits, **TOLERANCE)
    assert embedder.dim == images.shape[1]
    # The parity would be empty if all vectors were alike.
    assert images.T.cov().diagonal().sum() > 1e-3
    assert torch.cdist(texts[:5], texts[:5])[~torch.eye(5, dtype=torch.bool)].min() > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_matters(saved, family):
    """The parity test can fail: with any one tensor of ours dropped, some vector leaves the tolerance."""
    folder, _, _ = saved(family)
    embedder = load_embedder(str(folder))
    pictures = views(pixels(family))
    before = torch.cat([embedder.images(pictures), embedder.texts(TEXTS)])
    parts = {
        "pictures": embedder.pictures.tower,
        "image_head": embedder.image_head,
        "texts": embedder.text_tower,
        "text_head": embedder.text_head,
    }
    unseen = []
    for part, module in parts.items():
        for name, parameter in module.named_parameters():
            kept = parameter.data.clone()
            parameter.data.zero_()
            after = torch.cat([embedder.images(pictures), embedder.texts(TEXTS)])
            parameter.data.copy_(kept)
            if (after - before).abs().nan_to_num(1).max() < 10 * TOLERANCE["atol"]:
                unseen.append(f"{part}.{name}")
    assert not unseen


@pytest.mark.parametrize("family", ["clip", "siglip", "xlmr"])
def test_half_precision_in_shards_is_read_as_float32(family, tmp_path):
    model, tokenizer = models.save(family, tmp_path, dtype=torch.float16, shards="30KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    embedder = load_embedder(str(tmp_path))
    pictures = pixels(family)
    images, texts, _ = expected(family, model, tokenizer, pictures, TEXTS)
    torch.testing.assert_close(embedder.images(views(pictures)), images, **TOLERANCE)
    torch.testing.assert_close(embedder.texts(TEXTS), texts, **TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_on_request_stays_near(saved, family):
    folder, _, _ = saved(family)
    exact, short = load_embedder(str(folder)), load_embedder(str(folder), dtype=torch.bfloat16)
    assert short.text_tower.tokens.weight.dtype == torch.bfloat16
    for a, b in (
        (exact.images(views(pixels(family))), short.images(views(pixels(family)))),
        (exact.texts(TEXTS), short.texts(TEXTS)),
    ):
        assert b.dtype == torch.float32
        assert F.cosine_similarity(a, b).min() > 0.99


def change(folder, tmp_path, rename=lambda key: key, extra=(), drop=()):
    """A copy of a saved model with other tensors."""
    for file in folder.iterdir():
        if file.name != WEIGHTS:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = {rename(key): value for key, value in load_file(folder / WEIGHTS).items() if key not in drop}
    save_file(tensors | dict(extra), tmp_path / WEIGHTS)
    return str(tmp_path)


def test_buffers_of_older_saves_are_left_aside(saved, tmp_path):
    folder, _, _ = saved("clip")
    old = {
        "text_model.embeddings.position_ids": torch.arange(77)[None],
        "vision_model.embeddings.position_ids": torch.arange(17)[None],
    }
    name = change(folder, tmp_path, extra=old)
    assert torch.equal(load_embedder(name).texts(TEXTS), load_embedder(str(folder)).texts(TEXTS))


def test_older_names_of_a_two_tower_model_are_found(saved, tmp_path):
    folder, _, _ = saved("bert")
    before = load_embedder(str(folder))

    def rename(key):
        key = (
            key.removeprefix("vision_model.").removeprefix("vision_model.") if key.startswith("vision_model.") else key
        )
        return key if key.startswith(("text", "visual", "logit")) else f"vision_model.vision_model.{key}"

    after = load_embedder(change(folder, tmp_path, rename))
    assert torch.equal(after.images(views(pixels("bert"))), before.images(views(pixels("bert"))))


def test_a_missing_tensor_is_named(saved, tmp_path):
    folder, _, _ = saved("clip")
    lost = "text_model.encoder.layers.1.mlp.fc2.bias"
    with pytest.raises(CorruptPart, match=r"encoder\.layers\.1\.mlp\.fc2\.bias"):
        load_embedder(change(folder, tmp_path, drop=(lost,)))


def test_weights_of_a_deeper_tower_are_refused(saved, tmp_path):
    folder, _, _ = saved("clip")
    more = {"text_model.encoder.layers.2.layer_norm1.weight": torch.ones(32)}
    with pytest.raises(CorruptPart, match="no place"):
        load_embedder(change(folder, tmp_path, extra=more))


def test_a_tensor_of_another_shape_is_named(saved, tmp_path):
    folder, _, _ = saved("clip")
    name = "text_model.final_layer_norm.bias"
    with pytest.raises(CorruptPart, match=r"shape \(31,\).*\(32,\)"):
        load_embedder(change(folder, tmp_path, drop=(name,), extra={name: torch.ones(31)}))


def test_an_unknown_kind_of_model_is_told_in_a_line(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(InputError, match=r"model_type is llava.*clip, siglip, siglip2, chinese_clip") as caught:
        load_embedder(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_the_default_and_trained_heads_go_to_the_default_embedder(monkeypatch, tmp_path):
    from isthmus.contrastive import default

    monkeypatch.setattr(default, "load_default_embedder", lambda found, *, device, dtype: (found.name, device, dtype))
    (tmp_path / "config.json").write_text(json.dumps({"heads": {}}))
    assert load_embedder() == ("default/embedder", "cpu", None)
    assert load_embedder(str(tmp_path), dtype=torch.bfloat16) == (str(tmp_path), "cpu", torch.bfloat16)


def test_the_fingerprint_follows_weights_and_settings(saved, tmp_path):
    folder, _, _ = saved("clip")
    first = load_embedder(str(folder)).fingerprint
    assert first == load_embedder(str(folder), dtype=torch.bfloat16).fingerprint
    name = "text_model.final_layer_norm.bias"
    other = change(folder, tmp_path, drop=(name,), extra={name: torch.ones(32)})
    assert load_embedder(other).fingerprint != first
    # The same weights under another end token are another model.
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 5
    same = tmp_path / "same"
    shutil.copytree(folder, same)
    (same / "config.json").write_text(json.dumps(config))
    assert resolve(str(same)).fingerprint == resolve(str(folder)).fingerprint
    assert load_embedder(str(same)).fingerprint != first


@pytest.mark.parametrize("family", ["clip", "siglip", "xlmr"])
def test_the_company_a_text_keeps_does_not_matter(saved, family):
    folder, _, _ = saved(family)
    embedder = load_embedder(str(folder))
    together = embedder.texts(TEXTS, batch=3)
    alone = torch.cat([embedder.texts([text]) for text in TEXTS])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(TEXTS)))
    assert embedder.texts([]).shape == (0, embedder.dim)


def test_open_clip_says_what_it_cannot_read(saved, tmp_path):
    folder, _, _ = saved("open_clip")
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((folder / "open_clip_config.json").read_text())
    for section, key, value, message in (
        ("vision_cfg", "timm_model_name", "convnext", "vision_cfg has timm_model_name"),
        ("text_cfg", "hf_model_name", "google/mt5-base", "mt5-base"),
        ("text_cfg", "pooler_type", "max_pooler", "max_pooler"),
    ):
        changed = json.loads(json.dumps(settings))
        changed["model_cfg"][section][key] = value
        (tmp_path / "open_clip_config.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=message):
            load_embedder(str(tmp_path))


def test_open_clip_pictures_are_prepared_as_its_config_says(saved):
    folder, _, _ = saved("open_clip")
    fit = load_embedder(str(folder)).fit
    assert (fit.size, fit.mean, fit.std) == (32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert load_embedder(str(folder)).dim == PROJECTION


@pytest.mark.full
def test_clip_vit_b32_in_true_size_from_a_config_that_omits_its_defaults(tmp_path):
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig()).eval()
    models.disturb(model)
    model.save_pretrained(tmp_path)
    sections = {"text_config": {}, "vision_config": {}}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip", **sections}))
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "CLIPImageProcessor"}')
    models.clip_tokenizer().save_pretrained(tmp_path)
    embedder = load_embedder(str(tmp_path))
    random = np.random.default_rng(0)
    pictures = [random.normal(size=(3, 224, 224)).astype(np.float32) for _ in range(2)]
    ids = torch.tensor([[49406, 320, 1125, 539, 49407], [49406, 7, 49407, 49407, 49407]])
    with torch.no_grad():
        found = model(input_ids=ids, pixel_values=torch.from_numpy(np.stack(pictures)))
        texts = embedder.text_head(embedder.text_tower(ids).pooled)
    for side, ours, theirs in (
        ("images", embedder.images(views(pictures)), found.image_embeds),
        ("texts", F.normalize(texts, dim=1), found.text_embeds),
    ):
        theirs = F.normalize(theirs, dim=1)
        print(f"CLIP ViT-B/32 {side}: {(ours - theirs).abs().max():.1e}")
        torch.testing.assert_close(ours, theirs, **TOLERANCE)
