"""The seal on what does not learn: whatever is not named stays as it is, bit for bit."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from isthmus.errors import CorruptPart


def sealed(parts: Mapping[str, nn.Module]) -> dict[str, str]:
    """Of each part: the hash of all of it that does not learn."""
    return {name: _hash_of_frozen(part) for name, part in parts.items()}


def require_unchanged(before: Mapping[str, str], parts: Mapping[str, nn.Module]) -> None:
    """Raises CorruptPart unless everything frozen is what it was."""
    after = sealed(parts)
    for part, seal in before.items():
        if after[part] != seal:
            raise CorruptPart(
                f"the {part.replace('_', ' ')} changed where it was frozen",
                why=f"its seal is {after[part][:12]}… instead of {seal[:12]}…",
                todo="do not use what was trained; report this",
            )


def _hash_of_frozen(part: nn.Module) -> str:
    learning = {name for name, p in part.named_parameters(remove_duplicate=False) if p.requires_grad}
    digest = hashlib.sha256()
    tensors: dict[str, Tensor] = part.state_dict()
    for name, tensor in tensors.items():
        if name not in learning:
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
