"""In how many bytes weights and activations are kept, and in what they are multiplied.

A quantised model here is what checkpoints of vision-language models are: the matrices of the language model's blocks
in fewer bits, and encoder, connector, embeddings and head as they were.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from isthmus.errors import InputError

Math: TypeAlias = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "int8"]
"""What products are computed in, as devices publish their peaks; sums are wider."""
Base: TypeAlias = Literal["bf16", "fp16", "fp32"]
"""What is not quantised is kept and multiplied in it."""

INT4 = 0.5 + 4 / 128
"""Bytes of a weight in four bits, in groups of 128 that share a scale and an offset of two bytes each."""


@dataclass(frozen=True)
class Numbers:
    """Bytes of a weight, of an activation, and of an activation as it enters a product with weights."""

    weight: float
    activation: float
    entering: float
    math: Math


@dataclass(frozen=True)
class Precision:
    """`matrices`: of the language model's blocks; `plain`: of everything else, attention's products included."""

    name: str
    plain: Numbers
    matrices: Numbers


def precision(name: str, base: Base = "bf16") -> Precision:
    """fp32, tf32 (float32 in memory), bf16, fp16; int8 and int4 (weights alone, multiplied in `base`); w8a8 and fp8
    (weights and what they are multiplied with). Raises InputError for another name."""
    match name:
        case "fp32" | "tf32" | "bf16" | "fp16":
            plain = _plain(name)
            return Precision(name, plain, plain)
        case "int8" | "int4":
            plain = _plain(base)
            return Precision(name, plain, replace(plain, weight=1 if name == "int8" else INT4))
        case "w8a8" | "fp8":
            plain = _plain(base)
            math: Math = "int8" if name == "w8a8" else "fp8"
            return Precision(name, plain, replace(plain, weight=1, entering=1, math=math))
    raise InputError(f"there is no dtype {name!r}", todo=f"choose from {', '.join(NAMES)}")


def _plain(math: Math) -> Numbers:
    size = 4 if math in ("fp32", "tf32") else 2
    return Numbers(size, size, size, math)


NAMES = ("fp32", "tf32", "bf16", "fp16", "int8", "int4", "w8a8", "fp8")
