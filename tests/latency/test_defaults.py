"""What configs leave out is what transformers takes for granted."""

from typing import Any

import pytest
from transformers import CONFIG_MAPPING, AutoConfig, LlavaConfig
from transformers.models.blip_2.configuration_blip_2 import Blip2QFormerConfig
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig
from transformers.models.instructblip.configuration_instructblip import InstructBlipQFormerConfig
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig, Qwen2_5_VLVisionConfig
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLTextConfig, Qwen2VLVisionConfig
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig, Qwen3VLVisionConfig
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

from isthmus.latency.defaults import LANGUAGE, LLAVA_TOWER, QFORMER, VISION

OWN = {
    each.model_type: each
    for each in (
        Blip2QFormerConfig, InstructBlipQFormerConfig, Idefics3VisionConfig, SmolVLMVisionConfig, Qwen2VLTextConfig,
        Qwen2_5_VLTextConfig, Qwen3VLTextConfig, Qwen2VLVisionConfig, Qwen2_5_VLVisionConfig, Qwen3VLVisionConfig,
    )
}  # fmt: skip
ALL = {**VISION, **LANGUAGE, **QFORMER}


@pytest.mark.parametrize("kind", ALL)
def test_a_default_is_its_classs(kind: str) -> None:
    config: Any = OWN[kind]() if kind in OWN else CONFIG_MAPPING[kind]()
    theirs = {key: getattr(config, key) for key in ALL[kind] if key != "tie_word_embeddings"}
    theirs = {key: list(value) if isinstance(value, tuple) else value for key, value in theirs.items()}
    assert theirs == {key: value for key, value in ALL[kind].items() if key != "tie_word_embeddings"}


def test_llavas_tower_where_nothing_is_said() -> None:
    found = LlavaConfig().vision_config.to_dict()
    assert {key: found[key] for key in LLAVA_TOWER} == LLAVA_TOWER


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "opt"])
def test_heads_and_their_width_where_nothing_is_said(kind: str) -> None:
    config = AutoConfig.for_model(kind)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    assert heads == (LANGUAGE[kind].get("num_key_value_heads") or config.num_attention_heads)
    assert getattr(config, "head_dim", None) in (None, config.hidden_size // config.num_attention_heads)
