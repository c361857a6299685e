"""The seal: one hash over all of a frozen part, taken before and after training. Frozen means equal, bit for bit."""

import hashlib
from collections.abc import Collection

import torch
from torch import nn

from isthmus.errors import CorruptPart


def seal(*parts: nn.Module, without: Collection[str] = ()) -> str:
    """Hex SHA-256 over the names, dtypes, shapes and bytes of all parameters and buffers but those named in `without`,
    in the modules' order."""
    digest = hashlib.sha256()
    for part in parts:
        for name, tensor in part.state_dict().items():
            if name in without:
                continue
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
            flat = tensor.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def require_seal(expected: str, *parts: nn.Module) -> None:
    """Raises CorruptPart unless the parts have that seal."""
    found = seal(*parts)
    if found != expected:
        raise CorruptPart(
            "a frozen part has changed",
            why=f"its seal is {found[:12]}… instead of {expected[:12]}…",
            todo="load it again; what was trained on it cannot be trusted",
        )
