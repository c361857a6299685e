"""A SentencePiece unigram model (spiece.model) as a tokenizer of the `tokenizers` library.

SigLIP is published with this file. It is a protocol buffer of three kinds of fields, so it is read here rather than by
two more dependencies. Source: https://github.com/google/sentencepiece, src/sentencepiece_model.proto.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import Unigram

UNIGRAM = 1
UNKNOWN, CONTROL, BYTE = 2, 3, 6
"""Kinds of pieces that are not plain text."""


def read_spiece(file: Path) -> Tokenizer:
    """The tokenizer without closing token or padding. Raises ValueError where the file is no unigram model."""
    pieces: list[tuple[str, float]] = []
    kinds: list[int] = []
    rules, dummy_prefix, algorithm = b"", True, UNIGRAM
    for field, value in _fields(file.read_bytes()):
        inside = list(_fields(value)) if isinstance(value, bytes) and field in (1, 2, 3) else []
        if field == 1:
            text, score, kind = "", 0.0, 1
            for part, content in inside:
                if part == 1 and isinstance(content, bytes):
                    text = content.decode()
                elif part == 2 and isinstance(content, bytes):
                    (score,) = struct.unpack("<f", content)
                elif part == 3 and isinstance(content, int):
                    kind = content
            pieces.append((text, score))
            kinds.append(kind)
        for part, content in inside:
            if (field, part) == (2, 3) and isinstance(content, int):
                algorithm = content
            elif (field, part) == (3, 2) and isinstance(content, bytes):
                rules = content
            elif (field, part) == (3, 3) and isinstance(content, int):
                dummy_prefix = bool(content)
    if algorithm != UNIGRAM or UNKNOWN not in kinds:
        raise ValueError("it is no unigram model of SentencePiece")
    tokenizer = Tokenizer(Unigram(pieces, unk_id=kinds.index(UNKNOWN), byte_fallback=BYTE in kinds))
    spaces = [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence([*([normalizers.Precompiled(rules)] if rules else []), *spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
        replacement="▁", prepend_scheme="always" if dummy_prefix else "never"
    )
    tokenizer.add_special_tokens([text for (text, _), kind in zip(pieces, kinds, strict=True) if kind == CONTROL])
    return tokenizer


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field: integers as such; strings, messages and fixed-width numbers as bytes.

    Raises ValueError where the bytes are no protocol buffer.
    """
    at = 0
    while at < len(data):
        key, at = _integer(data, at)
        match key & 7:
            case 0:
                value, at = _integer(data, at)
                yield key >> 3, value
                continue
            case 1:
                size = 8
            case 2:
                size, at = _integer(data, at)
            case 5:
                size = 4
            case _:
                raise ValueError("it is no protocol buffer")
        if at + size > len(data):
            raise ValueError("it ends too early")
        yield key >> 3, data[at : at + size]
        at += size


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and where it ends."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("it ends too early")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
