"""Tiny random models in their true architecture, saved in Hugging Face layout with transformers' own classes."""

from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import (
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

START, END = "<|im_start|>", "<|im_end|>"
CONTEXT = 512
"""Tokens the tiny language models take."""

ALPHABET = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ", "Ã", "©", "ä", "¸", "Ń", "ð", "Ł", "ĺ", "Ģ"]
"""The byte-level alphabet of printable ASCII, space, newline, and of the bytes of é, 中 and 😀."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}PICTURE{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VICUNA = (
    "{% for message in messages %}{% if message.role != 'system' %}{{ message.role.upper() }}: {% endif %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image>\n{% endif %}{% endfor %}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
    "{% if message.role == 'assistant' %}<|im_end|>{% else %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def tokenizer(*specials: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE over ALPHABET with a few merges, so that answers of random models can be read and cut."""
    vocabulary = {piece: i for i, piece in enumerate([*ALPHABET, "th", "the", "Ġthe", "er", "in"])}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("e", "r"), ("i", "n")]
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(each, special=True) for each in (START, END, *specials)])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END, pad_token=END)


def save_qwen_vl(folder: Path, version: Literal["2", "2.5", "3"]) -> str:
    """Qwen2-VL, Qwen2.5-VL or Qwen3-VL. Their processor cannot be made without torchvision: its parts are saved."""
    words = tokenizer("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    marks = ("vision_start", "vision_end", "image_pad", "video_pad")
    start, end, image, video = (words.convert_tokens_to_ids(f"<|{mark}|>") for mark in marks)
    settings: dict[str, Any] = {
        "text_config": _text(words) | {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]}},
        "image_token_id": image,
        "video_token_id": video,
        "vision_start_token_id": start,
        "vision_end_token_id": end,
    }
    tower: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "in_channels": 3}
    tower |= {"spatial_merge_size": 2, "temporal_patch_size": 2}
    wide = {"hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 64}
    match version:
        case "2":
            tower |= {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2}
            model: Any = Qwen2VLForConditionalGeneration(Qwen2VLConfig(vision_config=tower, **settings))
        case "2.5":
            tower |= wide | {"window_size": 16, "fullatt_block_indexes": [1]}
            model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(vision_config=tower, **settings))
        case "3":
            tower |= wide | {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
            settings["text_config"] |= {"head_dim": 16}
            model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(vision_config=tower, **settings))
    words.init_kwargs["processor_class"] = type(model).__name__.replace("ForConditionalGeneration", "Processor")
    words.chat_template = CHATML.replace("PICTURE", "<|vision_start|><|image_pad|><|vision_end|>")
    pictures = Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, min_pixels=64, max_pixels=1024)
    return _save(folder, model, words, pictures)


def save_llava(folder: Path) -> str:
    words = tokenizer("<image>")
    words.chat_template = VICUNA
    tower = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, patch_size=8, image_size=32
    )
    config = LlavaConfig(
        vision_config=tower,
        text_config=LlamaConfig(**_text(words)),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = LlavaProcessor(
        image_processor=pictures,
        tokenizer=words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    return _save(folder, LlavaForConditionalGeneration(config), processor)


def save_idefics3(folder: Path) -> str:
    """Idefics3: several views a picture, each with marks of its own in the prompt."""
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    words = tokenizer("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *rows)
    config = Idefics3Config(
        vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"patch_size": 8, "image_size": 32},
        text_config={"model_type": "llama"} | _text(words),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=words.pad_token_id,
    )
    pictures = Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(pictures, words, image_seq_len=4, chat_template=CHATML.replace("PICTURE", "<image>"))
    return _save(folder, Idefics3ForConditionalGeneration(config), processor)


def save_text_only(folder: Path) -> str:
    words = tokenizer()
    words.chat_template = CHATML
    return _save(folder, Qwen2ForCausalLM(Qwen2Config(**_text(words))), words)


def _text(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "vocab_size": len(words),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": None,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "tie_word_embeddings": False,
    }


def _save(folder: Path, model: nn.Module, *beside: Any) -> str:
    """Weights drawn wide, so that answers vary with what was asked and shown."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1.5 * parameter[0].numel() ** -0.5, generator=random)
    model.generation_config.eos_token_id = model.config.get_text_config().eos_token_id
    model.generation_config.pad_token_id = model.config.get_text_config().pad_token_id
    for each in (model, *beside):
        each.save_pretrained(folder)
    return str(folder)
