"""Small random models in the true architectures, with tokenizers trained on a few lines: nothing is downloaded."""

import json
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaTokenizer,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedTokenizerFast,
)

from isthmus.connectors.mlp import MlpConnector
from isthmus.images.fits import Crop
from isthmus.images.views import Picture
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.vit import VisionConfig, VisionTransformer
from isthmus.vlm.decoding import TextGrower
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import Blip2, ChatML, Template, Vicuna

CORPUS = [
    "USER: What is in the picture? ASSISTANT: A cat on a wooden table, next to a cup of coffee.",
    "Question: how many dogs are there Answer: two dogs run along the beach",
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful answers",
    "system user assistant tool\nDescribe the small red apple and the green pear. Is it left of the box? yes no",
    "un chien noir et un chat blanc dans la neige; l'été à la plage. 一只猫坐在木桌上 🚀",
] * 4

CHATML_JINJA = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMING_JINJA = (
    "<s>{% for message in messages %}{{ '[' + message['role'] + '] ' + message['content'] | trim }}"
    "{% if message['role'] == 'assistant' %}</s>{% else %}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


@cache
def byte_bpe(extra: tuple[str, ...] = ("<image>",), opens: str | None = None) -> Any:
    """Byte-level BPE as GPT-2, OPT and SmolLM2 have it, with ChatML's and OPT's special tokens.

    `opens`: what it puts in front of a text by itself, as OPT's does.
    """
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", *extra]
    backend.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=480,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if opens is not None:
        special_ids = [(opens, backend.token_to_id(opens))]
        backend.post_processor = processors.TemplateProcessing(single=f"{opens} $A", special_tokens=special_ids)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="</s>", eos_token="<|im_end|>", pad_token="<pad>"
    )
    tokenizer.chat_template = CHATML_JINJA
    return tokenizer


def spm_bpe(legacy: bool = False) -> Any:
    """SentencePiece's BPE with byte fallback, as Llama and Vicuna have it, with LLaVA's <image> behind.

    `legacy`: a word mark is put in front of every stretch between special tokens, not in front of the first alone.
    """
    vocab, merges = _spm_vocabulary()
    tokenizer = LlamaTokenizer(vocab=vocab, merges=merges, legacy=legacy)
    tokenizer.add_tokens([AddedToken("<image>", special=True, normalized=False)], special_tokens=True)
    if legacy:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    # as the published ones do: <s> in front of a text
    tokenizer.add_bos_token = True
    tokenizer.update_post_processor()
    return tokenizer


@cache
def _spm_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    backend.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=560, special_tokens=special, show_progress=False)
    )
    trained = json.loads(backend.to_str())["model"]
    return trained["vocab"], [tuple(pair) for pair in trained["merges"]]


def llama(vocabulary: int = 600, seed: int = 0, **changes: Any) -> Any:
    sizes = {
        "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 256,
    }  # fmt: skip
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    return disturbed(LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **{**sizes, **ends, **changes})), seed)


def opt_config(vocabulary: int = 600, **changes: Any) -> OPTConfig:
    sizes = {
        "hidden_size": 48, "word_embed_proj_dim": 48, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 256, "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip
    return OPTConfig(vocab_size=vocabulary, **{**sizes, **changes})


def opt(vocabulary: int = 600, seed: int = 0) -> Any:
    model = disturbed(OPTForCausalLM(opt_config(vocabulary, dropout=0.3, attention_dropout=0.3)), seed)
    model.generation_config.eos_token_id = None
    return model


@torch.no_grad()
def disturbed(model: nn.Module, seed: int) -> Any:
    """Weights so wide that greedy answers differ from picture to picture and never hang on a tie."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 1.2 * parameter.shape[-1] ** -0.5, generator=random)
        else:
            parameter.normal_(1.0 if "norm" in name.lower() and "weight" in name else 0.0, 0.2, generator=random)
    return model.eval()


class CountingEncoder(VitEncoder):
    """Counts the pictures it encodes, and the batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pictures = self.batches = 0

    def encode(self, views: Any) -> Any:
        self.pictures += len(views)
        self.batches += 1
        return super().encode(views)


def encoder(seed: int = 0) -> CountingEncoder:
    """16 patches of 8 pixels: N = 16 tokens of width 32."""
    config = VisionConfig(width=32, layers=2, heads=4, mlp_width=64, patch=8, grid=4)
    return CountingEncoder("tiny", disturbed(VisionTransformer(config), seed), Crop(size=32), weights=f"tiny-{seed}")


def connector(width: int = 48, seed: int = 0, **settings: Any) -> MlpConnector:
    torch.manual_seed(seed)
    return disturbed(MlpConnector(32, width, **settings), seed)


KINDS = ("chatml-llama", "vicuna-llama", "blip2-opt")


def model(kind: str = "chatml-llama", **changes: Any) -> VisionLanguageModel:
    template: Template
    match kind:
        case "chatml-llama":
            language, tokenizer, template = llama(), byte_bpe(), ChatML("You are helpful.")
        case "vicuna-llama":
            language, tokenizer, template = llama(), spm_bpe(), Vicuna()
        case "blip2-opt":
            language, tokenizer, template = opt(), byte_bpe(), Blip2()
        case _:
            raise ValueError(kind)
    parts = {"encoder": encoder(), "connector": connector(), "language_model": language, "tokenizer": tokenizer}
    return VisionLanguageModel(**{**parts, "template": template, "name": f"tiny {kind}", **changes}).eval()


def picture(seed: int = 0, width: int = 50, height: int = 40) -> Image.Image:
    """Coloured noise over a slope."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 120, (height, width, 3)) + np.linspace(0, 130, width).astype(int)[None, :, None]
    return Image.fromarray(pixels.astype(np.uint8))


def opened(image: Image.Image) -> Picture:
    return Picture(image, *image.size)


def shown(model: VisionLanguageModel, ids: list[int]) -> str:
    """The text of these tokens up to what ends an answer; test_decoding holds the growing to the tokenizer's own."""
    ends = [model.prompts.control(end) for end in model.template.ends]
    grower = TextGrower(model.tokenizer, [end for end in model.template.ends if end.isspace()], model.template.lead)
    return "".join(grower.push(id_) for id_ in ids if id_ not in ends) + grower.finish()
