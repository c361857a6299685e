"""The seal on what does not learn: whatever is not named stays as it is, bit for bit."""

from collections.abc import Mapping

from torch import nn

from isthmus.errors import CorruptPart
from isthmus.vlm.seal import seal


def sealed(parts: Mapping[str, nn.Module]) -> dict[str, str]:
    """Of each part: the hash of all of it that does not learn."""
    return {name: _hash_of_frozen(part) for name, part in parts.items()}


def require_unchanged(before: Mapping[str, str], parts: Mapping[str, nn.Module]) -> None:
    """Raises CorruptPart unless everything frozen is what it was."""
    after = sealed(parts)
    for part, expected in before.items():
        if after[part] != expected:
            raise CorruptPart(
                f"the {part.replace('_', ' ')} changed where it was frozen",
                why=f"its seal is {after[part][:12]}… instead of {expected[:12]}…",
                todo="do not use what was trained; report this",
            )


def _hash_of_frozen(part: nn.Module) -> str:
    learning = {name for name, p in part.named_parameters(remove_duplicate=False) if p.requires_grad}
    return seal(part, without=learning)
