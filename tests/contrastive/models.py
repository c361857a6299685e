"""Small models of every family, with their own tokenizers, saved by `transformers` in its own layout.

Vocabularies are trained on a few lines in several languages, so that words split into pieces as real ones do.
"""

import json
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import nn

CORPUS = [
    "a photo of a cat sitting on a wooden table next to a cup of coffee",
    "two dogs running along the beach at sunset, seen from above",
    "un chien noir et un chat blanc dans la neige; l'été à la plage",
    "ein roter Apfel auf dem Küchentisch, größer als die Birne",
    "一只猫坐在木桌上，旁边有一杯咖啡。两只狗在海滩上奔跑",
    "夕焼けの海辺を走る犬の写真",
    "кошка сидит на столе рядом с чашкой кофе",
    "the astronaut's helmet reflects 3 rockets, 12 stars & 1 moon 🚀🌙",
] * 4
TEXTS = [
    "a cat",
    "",
    "A CUP of Coffee, on the table!",
    "  two   dogs\n\trunning ",
    "l'été à la plage",
    "一只黑猫 和 red apple",
    "夕焼けの海辺",
    "кошка & чашка кофе №5",
    "🚀🌙 👩‍🚀 rockets",
    "it's 12's, don't",
    "café ﬁne Å ①",
    "\u200bzero\u200dwidth\x00nul",
    "cat dog cup " * 80,
]
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
PICTURE = {**SIZES, "image_size": 32, "patch_size": 8}
PROJECTION = 24


@cache
def clip_tokenizer():
    """Byte-level BPE with CLIP's settings."""
    from transformers import CLIPTokenizer

    backend = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    ends = [letter + "</w>" for letter in alphabet]
    trainer = trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    trained = json.loads(backend.to_str())["model"]
    pieces = [*sorted(alphabet), *sorted(ends), *trained["vocab"], "<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    merges = [tuple(pair) for pair in trained["merges"]]
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


@cache
def gemma_tokenizer():
    """SigLIP 2's: BPE on "▁" for spaces with byte fallback, lower case, <eos> behind."""
    from transformers import Siglip2Tokenizer

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    trained = json.loads(backend.to_str())["model"]
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{i:02X}>" for i in range(256)), *trained["vocab"]]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    return Siglip2Tokenizer(
        vocab=vocab,
        merges=[tuple(pair) for pair in trained["merges"]],
        add_bos_token=False,
        add_eos_token=True,
        model_max_length=64,
        padding_side="right",
    )


@cache
def xlmr_tokenizer():
    """XLM-R's unigram with its special tokens."""
    from transformers import XLMRobertaTokenizer

    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=260, show_progress=False, unk_token="<unk>"))
    trained = json.loads(backend.to_str())["model"]["vocab"]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = [(piece, 0.0) for piece in special] + [(piece, score) for piece, score in trained if piece not in special]
    return XLMRobertaTokenizer(vocab=[*vocab, ("<mask>", 0.0)], model_max_length=64)


@cache
def bert_tokenizer():
    """A WordPiece vocabulary of the corpus, lower case."""
    from transformers import BertTokenizer

    # Not trained: the trainer breaks ties otherwise each time. Every other word is a token, the rest are spelled.
    lower, cut = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words = sorted({word for text in CORPUS for word, _ in cut.pre_tokenize_str(lower.normalize_str(text))})
    letters = sorted({letter for word in words for letter in word})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words[::2]])
    return BertTokenizer(vocab={token: at for at, token in enumerate(tokens)}, model_max_length=64)


FAMILIES = ("clip", "clip-old", "siglip", "siglip2", "chinese", "bert", "xlmr", "open_clip")


def save(family: str, folder: Path, *, dtype=torch.float32, shards: str = "1GB"):
    """A random model of the family in `folder`; returns `transformers`' model of the same weights and its tokenizer."""
    torch.manual_seed(FAMILIES.index(family))
    model, tokenizer, processor = _MAKERS[family]()
    disturb(model)
    model = model.to(dtype).eval()
    tokenizer.save_pretrained(folder)
    if family == "open_clip":
        _save_open_clip(model, folder)
        return model.float(), tokenizer
    model.save_pretrained(folder, max_shard_size=shards)
    if family == "chinese":  # published with vocab.txt alone
        (folder / "tokenizer.json").unlink()
        pieces = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
        (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model.float(), tokenizer


@torch.no_grad()
def disturb(model: nn.Module) -> None:
    """Fresh biases are zero and norms one: a loader that dropped them would not be seen."""
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * (0.1 if parameter.ndim < 2 else 0.05))


def _clip(eos: int | None = None):
    from transformers import CLIPConfig, CLIPModel

    tokenizer = clip_tokenizer()
    text = {**SIZES, "vocab_size": len(tokenizer), "eos_token_id": eos or tokenizer.eos_token_id}
    config = CLIPConfig(text_config=text, vision_config=PICTURE, projection_dim=PROJECTION)
    return CLIPModel(config), tokenizer, CLIP_PROCESSOR


def _siglip():
    from transformers import SiglipConfig, SiglipModel

    tokenizer = gemma_tokenizer()  # the fixed-size SigLIP 2 calls itself siglip
    text = {**SIZES, "vocab_size": len(tokenizer), "projection_size": 32}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=PICTURE))
    processor = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 32, "width": 32}}
    return model, tokenizer, processor


def _siglip2():
    from transformers import Siglip2Config, Siglip2Model

    tokenizer = gemma_tokenizer()
    picture = {**SIZES, "patch_size": 8, "num_patches": 16}
    model = Siglip2Model(Siglip2Config(text_config={**SIZES, "vocab_size": len(tokenizer)}, vision_config=picture))
    processor = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 16}
    return model, tokenizer, processor


def _chinese():
    from transformers import ChineseCLIPConfig, ChineseCLIPModel

    tokenizer = bert_tokenizer()
    text = {**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": 64}
    config = ChineseCLIPConfig(text_config=text, vision_config=PICTURE, projection_dim=PROJECTION)
    return ChineseCLIPModel(config), tokenizer, {**CLIP_PROCESSOR, "image_processor_type": "ChineseCLIPImageProcessor"}


def _two_towers(text, tokenizer):
    from transformers import CLIPVisionConfig, VisionTextDualEncoderConfig, VisionTextDualEncoderModel

    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        CLIPVisionConfig(**PICTURE), text, projection_dim=PROJECTION
    )
    return VisionTextDualEncoderModel(config), tokenizer, CLIP_PROCESSOR


def _bert():
    from transformers import BertConfig

    tokenizer = bert_tokenizer()
    return _two_towers(BertConfig(**SIZES, vocab_size=len(tokenizer), max_position_embeddings=64), tokenizer)


def _xlmr():
    from transformers import XLMRobertaConfig

    tokenizer = xlmr_tokenizer()
    text = XLMRobertaConfig(
        **SIZES, vocab_size=len(tokenizer), max_position_embeddings=66, type_vocab_size=1, layer_norm_eps=1e-5
    )
    return _two_towers(text, tokenizer)


CLIP_PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
}


class OpenClip(nn.Module):
    """What open_clip computes, put together from `transformers`' towers: mean pooling and a two-layer text head."""

    def __init__(self):
        from transformers import CLIPVisionConfig, CLIPVisionModel, XLMRobertaConfig, XLMRobertaModel

        super().__init__()
        sizes = {**SIZES, "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512}
        self.picture = CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=32, patch_size=8, hidden_act="gelu"))
        text = XLMRobertaConfig(
            **sizes,
            vocab_size=len(xlmr_tokenizer()),
            max_position_embeddings=66,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        )
        self.text = XLMRobertaModel(text, add_pooling_layer=False)
        self.image_projection = nn.Linear(128, PROJECTION, bias=False)
        middle = (128 + PROJECTION) // 2
        self.text_projection = nn.Sequential(
            nn.Linear(128, middle, bias=False), nn.GELU(), nn.Linear(middle, PROJECTION, bias=False)
        )
        self.logit_scale = nn.Parameter(torch.tensor(2.6))

    def forward(self, input_ids, attention_mask, pixel_values):
        states = self.text(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask[..., None].float()
        texts = self.text_projection((states * weight).sum(1) / weight.sum(1))
        images = self.image_projection(self.picture(pixel_values=pixel_values).pooler_output)
        return nn.functional.normalize(images, dim=1), nn.functional.normalize(texts, dim=1)


def _save_open_clip(model: OpenClip, folder: Path) -> None:
    from safetensors.torch import save_file

    picture, tensors = model.picture.state_dict(), {}
    tensors["visual.proj"] = model.image_projection.weight.T
    tensors["visual.conv1.weight"] = picture["embeddings.patch_embedding.weight"]
    tensors["visual.class_embedding"] = picture["embeddings.class_embedding"]
    tensors["visual.positional_embedding"] = picture["embeddings.position_embedding.weight"]
    for ours, theirs in {"ln_pre": "pre_layrnorm", "ln_post": "post_layernorm"}.items():
        for part in ("weight", "bias"):
            tensors[f"visual.{ours}.{part}"] = picture[f"{theirs}.{part}"]
    names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    for i in range(SIZES["num_hidden_layers"]):
        block, layer = f"visual.transformer.resblocks.{i}.", f"encoder.layers.{i}."
        for part in ("weight", "bias"):
            tensors[f"{block}attn.in_proj_{part}"] = torch.cat(
                [picture[f"{layer}self_attn.{which}_proj.{part}"] for which in "qkv"]
            )
            tensors[f"{block}attn.out_proj.{part}"] = picture[f"{layer}self_attn.out_proj.{part}"]
            for ours, theirs in names.items():
                tensors[f"{block}{ours}.{part}"] = picture[f"{layer}{theirs}.{part}"]
    tensors |= {f"text.transformer.{key}": value for key, value in model.text.state_dict().items()}
    tensors["text.transformer.embeddings.position_ids"] = torch.arange(66)[None]
    tensors |= {f"text.proj.{key}": value for key, value in model.text_projection.state_dict().items()}
    tensors["logit_scale"] = model.logit_scale
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "open_clip_model.safetensors")
    settings = {
        "model_cfg": {
            "embed_dim": PROJECTION,
            "vision_cfg": {"image_size": 32, "layers": 2, "width": 128, "patch_size": 8},
            "text_cfg": {"hf_model_name": "xlm-roberta-base", "proj": "mlp", "pooler_type": "mean_pooler"},
        },
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(settings))


_MAKERS = {
    "clip": _clip,
    "clip-old": lambda: _clip(eos=2),
    "siglip": _siglip,
    "siglip2": _siglip2,
    "chinese": _chinese,
    "bert": _bert,
    "xlmr": _xlmr,
    "open_clip": lambda: (OpenClip(), xlmr_tokenizer(), None),
}
