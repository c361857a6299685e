"""What a config.json leaves out because it equals the default of its class in transformers (5.17).

Only what the arithmetic reads. A test holds these against the classes themselves.
"""

from collections.abc import Mapping
from typing import Any

_VIT_B = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_EVA = {
    "hidden_size": 1408, "num_hidden_layers": 39, "num_attention_heads": 16, "intermediate_size": 6144,
    "image_size": 224, "patch_size": 14,
}  # fmt: skip
_IDEFICS3 = {
    "hidden_size": 1152, "num_hidden_layers": 12, "num_attention_heads": 16, "intermediate_size": 3072,
    "image_size": 224, "patch_size": 32,
}  # fmt: skip
VISION: Mapping[str, Mapping[str, Any]] = {
    "clip_vision_model": {**_VIT_B, "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu"},
    "siglip_vision_model": {**_VIT_B, "image_size": 224, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh"},
    "blip_2_vision_model": {**_EVA, "hidden_act": "gelu"},
    "instructblip_vision_model": {**_EVA, "hidden_act": "gelu"},
    "idefics3_vision": {**_IDEFICS3, "hidden_act": "gelu_pytorch_tanh"},
    "smolvlm_vision": {**_IDEFICS3, "hidden_act": "gelu_pytorch_tanh"},
    "qwen2_vl_vision": {
        "depth": 32, "embed_dim": 1280, "hidden_size": 3584, "mlp_ratio": 4, "num_heads": 16, "patch_size": 14,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "hidden_act": "quick_gelu",
    },
    "qwen2_5_vl_vision": {
        "depth": 32, "hidden_size": 3584, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112, "out_hidden_size": 3584,
        "fullatt_block_indexes": [7, 15, 23, 31], "hidden_act": "silu",
    },
    "qwen3_vl_vision": {
        "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "patch_size": 16,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 3584,
        "deepstack_visual_indexes": [8, 16, 24], "hidden_act": "gelu_pytorch_tanh",
    },
}  # fmt: skip
LLAVA_TOWER: Mapping[str, Any] = {
    "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "image_size": 336, "patch_size": 14,
}  # fmt: skip
"""Of a LLaVA or LLaVA-NeXT whose config.json says nothing of its tower: CLIP ViT-L/14 at 336."""

_LLAMA = {
    "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
    "vocab_size": 32000, "max_position_embeddings": 2048, "tie_word_embeddings": False,
}  # fmt: skip
_QWEN_VL = {
    "hidden_size": 8192, "intermediate_size": 29568, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "vocab_size": 152064, "max_position_embeddings": 32768, "tie_word_embeddings": False,
}  # fmt: skip
LANGUAGE: Mapping[str, Mapping[str, Any]] = {
    "llama": _LLAMA,
    "mistral": {
        **_LLAMA, "intermediate_size": 14336, "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
    },
    "qwen2": {
        **_LLAMA, "intermediate_size": 22016, "num_key_value_heads": 32, "vocab_size": 151936,
        "max_position_embeddings": 32768,
    },
    "qwen2_vl_text": _QWEN_VL,
    "qwen2_5_vl_text": _QWEN_VL,
    "qwen3_vl_text": {
        "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 32, "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 128000,
        "tie_word_embeddings": False,
    },
    "opt": {
        "hidden_size": 768, "ffn_dim": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 50272,
        "max_position_embeddings": 2048, "tie_word_embeddings": True,
    },
    "t5": {
        "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "vocab_size": 32128,
        "feed_forward_proj": "relu", "tie_word_embeddings": True,
    },
}  # fmt: skip
_BERT = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
    "vocab_size": 30522, "max_position_embeddings": 512, "cross_attention_frequency": 2, "encoder_hidden_size": 1408,
}  # fmt: skip
QFORMER: Mapping[str, Mapping[str, Any]] = {"blip_2_qformer": _BERT, "instructblip_qformer": _BERT}
