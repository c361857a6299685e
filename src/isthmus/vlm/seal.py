"""The seal: one hash over all of a frozen part, taken before and after training. Frozen means equal, bit for bit."""

import hashlib

import torch
from torch import nn

from isthmus.errors import CorruptPart


def seal(*parts: nn.Module) -> str:
    """Hex SHA-256 over the names, dtypes, shapes and bytes of all parameters and buffers, in the modules' order."""
    digest = hashlib.sha256()
    for part in parts:
        for name, tensor in part.state_dict().items():
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
