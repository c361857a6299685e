"""Random LLaVA-1.5 and BLIP-2 (OPT) in the true architecture, as folders that both transformers and isthmus read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tests.vlm.models import byte_bpe, disturbed, spm_bpe
from transformers import (
    AutoProcessor,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    OPTConfig,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from isthmus.messages import Message
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import PicturePiece

SIZES = ("tiny", "medium")


@dataclass(frozen=True)
class Both:
    """The same weights on either side. `theirs` with the processor that belongs to it, as its folder says."""

    ours: VisionLanguageModel
    theirs: Any
    processor: Any
    trained: tuple[Any, ...]
    """What of `theirs` is our connector: modules and parameters."""

    @property
    def encoder(self) -> Any:
        """Their vision tower."""
        return self.theirs.model.vision_tower if hasattr(self.theirs, "model") else self.theirs.vision_model

    @property
    def image(self) -> int:
        """The id that stands for a picture's token in their prompts."""
        return int(self.theirs.config.image_token_id)

    def text(self, messages: list[Message]) -> str:
        """The conversation as one writes it for their processor, which puts the token that begins a text in front, and
        BLIP-2's the picture too."""
        pieces = self.ours.template.pieces(messages, prompt=messages[-1].role == "user")
        picture = "" if isinstance(self.processor, Blip2Processor) else "<image>"
        spelled = [
            picture if isinstance(piece, PicturePiece) else getattr(piece, "text", None) or piece.token
            for piece in pieces
            if not getattr(piece, "opens", False)
        ]
        return "".join(spelled)


@dataclass(frozen=True)
class Family:
    """`write` puts a random model of a size into a folder; `made` is transformers' class of it."""

    name: str
    made: Any
    write: Callable[[str, Path], None]
    trained: tuple[str, ...]

    def load(self, folder: Path, dtype: torch.dtype) -> Both:
        """Both sides in eval mode, everything frozen but the connector."""
        theirs = self.made.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa").eval().requires_grad_(False)
        holder = theirs.model if hasattr(theirs, "model") else theirs
        trained = tuple(getattr(holder, name) for name in self.trained)
        for each in trained:
            each.requires_grad_(True)
        processor = AutoProcessor.from_pretrained(folder)
        return Both(load_vlm(str(folder), dtype=dtype), theirs, processor, trained)


def smollm2() -> LlamaForCausalLM:
    """SmolLM2-135M's shape."""
    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def write_llava(size: str, folder: Path) -> None:
    """Medium: CLIP ViT-B/16 and a Llama of 168 million parameters."""
    side, vision, text = {
        "tiny": (
            32,
            {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4},
            {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
        ),
        "medium": (
            224,
            {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
            {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8, "num_attention_heads": 16},
        ),
    }[size]
    patch = 8 if size == "tiny" else 16
    tokenizer = spm_bpe()
    tokenizer.pad_token, tokenizer.padding_side = "<unk>", "right"
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=side, patch_size=patch, **vision),
        text_config=LlamaConfig(
            vocab_size=640 if size == "tiny" else 32_064, max_position_embeddings=4096, pad_token_id=0, **text
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}),
        tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    _save(LlavaForConditionalGeneration(config), processor, folder)


def write_blip2(size: str, folder: Path) -> None:
    """Medium: half of ViT-g's width and 12 of its layers, BLIP-2's own Q-Former, an OPT of 154 million parameters."""
    side, queries, vision, qformer, text = {
        "tiny": (
            32,
            5,
            {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4},
            {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4},
            {"hidden_size": 48, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
        ),
        "medium": (
            224,
            32,
            {"hidden_size": 704, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 8},
            {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
            {"hidden_size": 1024, "ffn_dim": 4096, "num_hidden_layers": 8, "num_attention_heads": 16},
        ),
    }[size]
    tokenizer = byte_bpe(opens="</s>")
    tokenizer.padding_side = "right"
    config = Blip2Config(
        vision_config={**vision, "image_size": side, "patch_size": 8 if size == "tiny" else 14},
        qformer_config={**qformer, "encoder_hidden_size": vision["hidden_size"], "vocab_size": 50},
        text_config=OPTConfig(
            vocab_size=640 if size == "tiny" else 50_272,
            word_embed_proj_dim=text["hidden_size"],
            bos_token_id=2,
            eos_token_id=tokenizer.encode("\n", add_special_tokens=False)[0],
            pad_token_id=0,
            **text,
        ),
        num_query_tokens=queries,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = Blip2Processor(
        BlipImageProcessorPil(size={"height": side, "width": side}), tokenizer, num_query_tokens=queries
    )
    _save(Blip2ForConditionalGeneration(config), processor, folder)


FAMILIES = (
    Family("LLaVA-1.5", LlavaForConditionalGeneration, write_llava, ("multi_modal_projector",)),
    Family(
        "BLIP-2 OPT",
        Blip2ForConditionalGeneration,
        write_blip2,
        ("qformer", "query_tokens", "language_projection"),
    ),
)


def _save(model: Any, processor: Any, folder: Path) -> None:
    disturbed(model, 5)
    _speak_plainly(model, processor.tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


@torch.no_grad()
def _speak_plainly(model: Any, tokenizer: Any) -> None:
    """The head's rows of all that is no printable text become zero, so that an answer never ends by itself and differs
    in its words wherever it differs at all. The head is as large as before."""
    special = set(tokenizer.all_special_ids)
    plain = [
        at
        for at in range(len(tokenizer))
        if at not in special and (text := tokenizer.decode([at])) and _printable(text)
    ]
    weight = model.get_output_embeddings().weight
    kept = weight[plain]
    weight.zero_()
    weight[plain] = kept


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
