"""How many parameters the composed models train in true size: on the meta device, without a byte of weights."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM as Causal
from transformers import AutoModelForSeq2SeqLM as Seq2Seq
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2VisionConfig,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    OPTConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    T5Config,
)
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.connectors.tiles import TilesConnector
from isthmus.images.fits import Squash
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.families import read_vision_config
from isthmus.vision.vit import VisionTransformer
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.seq2seq import Seq2SeqModel
from isthmus.vlm.template import ChatML

from . import models

OPT = {"hidden_size": 2560, "ffn_dim": 10240, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 50304}
T5 = {
    "d_model": 2048, "d_kv": 64, "d_ff": 5120, "num_layers": 24, "num_heads": 32, "vocab_size": 32128,
    "feed_forward_proj": "gated-gelu",
}  # fmt: skip
LANGUAGE: dict[str, Any] = {
    "OPT-2.7B": OPTConfig(word_embed_proj_dim=2560, **OPT),
    "FLAN-T5-XL": T5Config(**T5),
    "Vicuna-7B": LlamaConfig(vocab_size=32001),
}


def encoder(config: Any) -> VitEncoder:
    return VitEncoder("meta", VisionTransformer(read_vision_config(config.to_dict())[1]), Squash(), weights="none")


def composed(vision: Any, connector: Any, text: Any) -> VisionLanguageModel:
    """The model as it loads: everything frozen but the connector."""
    writes_apart = text.is_encoder_decoder
    language = (Seq2Seq if writes_apart else Causal).from_config(text).requires_grad_(False)
    made = Seq2SeqModel if writes_apart else VisionLanguageModel
    return made(encoder(vision), connector, language, models.byte_bpe(), ChatML())


def trained(model: VisionLanguageModel) -> int:
    return sum(each.numel() for each in model.parameters() if each.requires_grad)


def every(model: VisionLanguageModel) -> int:
    return sum(each.numel() for part in (model.encoder.tower, model) for each in part.parameters())


@pytest.mark.parametrize(
    ("language", "expected", "published"),
    [("OPT-2.7B", 107_130_880, 107.1), ("FLAN-T5-XL", 106_737_152, 106.7), ("Vicuna-7B", 108_312_064, 108.3)],
)
def test_stage_2_of_blip2(language: str, expected: int, published: float) -> None:
    """BLIP-2's second stage, and that all of the model is as large as transformers' own."""
    text = LANGUAGE[language]
    with torch.device("meta"):
        width = text.d_model if language == "FLAN-T5-XL" else text.hidden_size
        model = composed(Blip2VisionConfig(), QFormerConnector(QFormerConfig(1408, width)), text)
        theirs = Blip2ForConditionalGeneration(Blip2Config(text_config=text.to_dict()))
    assert trained(model) == expected
    assert round(expected / 1e6, 1) == published
    assert every(model) == sum(each.numel() for each in theirs.parameters())
    model.set_trainable()
    assert trained(model) == 0


def test_llava_next() -> None:
    """LLaVA-NeXT-7B aligns its MLP and the token that ends a row."""
    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14,
    )  # fmt: skip
    text = LlamaConfig(vocab_size=32064)
    with torch.device("meta"):
        model = composed(vision, TilesConnector(1024, 4096, side=24), text)
        theirs = LlavaNextForConditionalGeneration(LlavaNextConfig(vision_config=vision, text_config=text))
    assert trained(model) == 1025 * 4096 + 4097 * 4096 + 4096
    assert every(model) == sum(each.numel() for each in theirs.parameters())


def test_smolvlm() -> None:
    """SmolVLM-256M: SigLIP B/16 at 512 pixels, 16 patches to a token, SmolLM2-135M."""
    vision = {"hidden_size": 768, "num_attention_heads": 12, "image_size": 512, "patch_size": 16}
    text = LlamaConfig(
        vocab_size=49280, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=False,
    )  # fmt: skip
    connector = {"layers": 1, "bias": False, "reduction": "shuffle", "factor": 4, "grid": (32, 32)}
    with torch.device("meta"):
        model = composed(SmolVLMVisionConfig(**vision), MlpConnector(768, 576, **connector), text)
        config = SmolVLMConfig(vision_config=vision, text_config=text.to_dict(), scale_factor=4)
        theirs = SmolVLMForConditionalGeneration(config)
    assert trained(model) == 16 * 768 * 576
    assert model.connector.num_tokens(32 * 32 * 17) == 64 * 17
    assert every(model) == sum(each.numel() for each in theirs.parameters())
