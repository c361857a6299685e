"""Tiny GGUF files in the true architecture: one with random weights, the part that sees of a LLaVA, and a model whose
next word is a function of the last one alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from transformers.convert_slow_tokenizer import bytes_to_unicode

CONTEXT = 2048
IMAGE_TOKENS = 16
WIDTH, LAYERS, HEADS, KV_HEADS, HIDDEN = 64, 2, 4, 2, 128
BYTES = bytes_to_unicode()
WORDS = ("<unk>", "<|im_start|>", "<|im_end|>", *(BYTES[byte] for byte in range(256)))
"""Byte by byte, as GPT-2 writes them."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_WITH_TOOLS = (
    "{% if tools %}<|im_start|>system\nTools:\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    'Call one with <tool_call>\n{"name": NAME, "arguments": OBJECT}\n</tool_call><|im_end|>\n{% endif %}'
    "{% for message in messages %}"
    "{% if message.role == 'assistant' and message.tool_calls %}<|im_start|>assistant\n{{ message.content or '' }}"
    "{% for call in message.tool_calls %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}<|im_end|>\n"
    "{% elif message.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ message.content }}\n</tool_response>"
    "<|im_end|>\n"
    "{% else %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_random(path: Path, *, architecture: str = "llama", **changed: Any) -> Path:
    """Weights drawn wide, so that answers vary with what was asked and shown; the end token is never the likeliest.
    `changed`: values of the header, by the last part of their names."""
    random = np.random.default_rng(0)

    def draw(*shape: int) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * 1.5 / np.sqrt(shape[-1])).astype(np.float32)

    head = draw(len(WORDS), WIDTH)
    head[WORDS.index("<|im_end|>")] = 0
    tensors = {"token_embd.weight": draw(len(WORDS), WIDTH), "output.weight": head, "output_norm.weight": ones(WIDTH)}
    kv = WIDTH * KV_HEADS // HEADS
    for at in range(LAYERS):
        shapes = {
            "attn_q": (WIDTH, WIDTH), "attn_k": (kv, WIDTH), "attn_v": (kv, WIDTH), "attn_output": (WIDTH, WIDTH),
            "ffn_gate": (HIDDEN, WIDTH), "ffn_up": (HIDDEN, WIDTH), "ffn_down": (WIDTH, HIDDEN),
        }  # fmt: skip
        tensors |= {f"blk.{at}.{name}.weight": draw(*shape) for name, shape in shapes.items()}
        tensors |= {f"blk.{at}.{name}_norm.weight": ones(WIDTH) for name in ("attn", "ffn")}
    values = _values(WIDTH, LAYERS, HIDDEN, WORDS, CHATML)
    for name, value in changed.items():
        [key] = [each for each in values if each.endswith(f".{name}")]
        values[key] = value
    return _write(path, architecture, values, tensors)


def save_chain(path: Path, says: Sequence[str], *, template: str = CHATML, more: Sequence[str] = ()) -> Path:
    """A model that answers with the words `says`, whatever it was asked, and ends: none of them twice.

    They are of WORDS, or of `more`, which are besides these. Each word is a direction of its own; attention and the
    MLP add nothing.
    """
    words = (*WORDS, *more)
    # heads of even width
    width = -(-len(words) // 32) * 32
    embedding, head = np.eye(len(words), width, dtype=np.float32), np.zeros((len(words), width), np.float32)
    ids = [words.index(word) for word in (BYTES[ord("\n")], *says)]  # a prompt ends with a line
    for last, following in zip(ids, [*ids[1:], words.index("<|im_end|>")], strict=True):
        head[following, last] = 1
    kv = width * KV_HEADS // HEADS
    zeros = {
        "attn_q": (width, width), "attn_k": (kv, width), "attn_v": (kv, width), "attn_output": (width, width),
        "ffn_gate": (32, width), "ffn_up": (32, width), "ffn_down": (width, 32),
    }  # fmt: skip
    tensors = {"token_embd.weight": embedding, "output.weight": head, "output_norm.weight": ones(width)}
    tensors |= {f"blk.0.{name}.weight": np.zeros(shape, np.float32) for name, shape in zeros.items()}
    tensors |= {f"blk.0.{name}_norm.weight": ones(width) for name in ("attn", "ffn")}
    return _write(path, "llama", _values(width, 1, 32, words, template), tensors)


def save_mmproj(path: Path) -> Path:
    """A random CLIP of two layers and LLaVA's projector, for `save_random`: 16 tokens a picture."""
    random, width, patch, size = np.random.default_rng(1), 32, 8, 32
    tensors: dict[str, NDArray[np.float32]] = {}

    def linear(name: str, out: int, into: int) -> None:
        tensors[f"{name}.weight"] = (random.standard_normal((out, into)) * 1.5 / np.sqrt(into)).astype(np.float32)
        tensors[f"{name}.bias"] = np.zeros(out, np.float32)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = ones(width), np.zeros(width, np.float32)

    tensors["v.class_embd"] = random.standard_normal(width).astype(np.float32)
    tensors["v.patch_embd.weight"] = random.standard_normal((width, 3, patch, patch)).astype(np.float32)
    tensors["v.position_embd.weight"] = random.standard_normal(((size // patch) ** 2 + 1, width)).astype(np.float32)
    norm("v.pre_ln")
    for at in range(2):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            linear(f"v.blk.{at}.{name}", width, width)
        linear(f"v.blk.{at}.ffn_up", 2 * width, width)
        linear(f"v.blk.{at}.ffn_down", width, 2 * width)
        norm(f"v.blk.{at}.ln1")
        norm(f"v.blk.{at}.ln2")
    linear("mm.0", WIDTH, width)
    linear("mm.2", WIDTH, WIDTH)
    values: dict[str, Any] = {
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": True,
        "clip.vision.image_size": size,
        "clip.vision.patch_size": patch,
        "clip.vision.embedding_length": width,
        "clip.vision.feed_forward_length": 2 * width,
        "clip.vision.projection_dim": WIDTH,
        "clip.vision.block_count": 2,
        "clip.vision.attention.head_count": 2,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.5, 0.5, 0.5],
    }
    return _write(path, "clip", values, tensors)


def ones(width: int) -> NDArray[np.float32]:
    return np.ones(width, np.float32)


def _values(width: int, layers: int, hidden: int, words: Sequence[str], template: str) -> dict[str, Any]:
    control = (gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL)
    own = [gguf.TokenType.USER_DEFINED] * (len(words) - len(WORDS))
    return {
        "llama.block_count": layers,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": width,
        "llama.feed_forward_length": hidden,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": width // HEADS,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": list(words),
        "tokenizer.ggml.token_type": [int(each) for each in (*control, *[gguf.TokenType.NORMAL] * 256, *own)],
        "tokenizer.ggml.merges": [f"{BYTES[0]} {BYTES[1]}"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": template,
    }


def _write(
    path: Path, architecture: str, values: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]]
) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in values.items():
        match value:
            case bool():
                writer.add_bool(key, value)
            case int():
                writer.add_uint32(key, value)
            case float():
                writer.add_float32(key, value)
            case str():
                writer.add_string(key, value)
            case _:
                writer.add_array(key, value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
