"""Mending what was forgotten: weights between those before and those after, as far along as the budget allows.

Between a model and its fine-tuned self lies a straight line of models, and along it much of what was learned comes
before most of what is lost. Source: WiSE-FT (Wortsman et al., 2022), section 3; LoRA's low-rank updates lie on such a
line too, once they are merged.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from isthmus.checkpoints import Checkpoint
from isthmus.checkpoints.cache import written_whole
from isthmus.checkpoints.trained import begun_as
from isthmus.errors import InputError, MissingPart
from isthmus.vlm.load import load_vlm
from isthmus.vlm.tuned import MODEL_TYPE, way_back

State: TypeAlias = Mapping[str, Tensor]
Found = TypeVar("Found")
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.pt", "*.pth", "*.gguf", "checkpoint-*", "stages")
"""What is not copied from a folder whose weights are written anew."""


@dataclass(frozen=True)
class Point(Generic[Found]):
    """What was found `alpha` of the way from before (0) to after (1)."""

    alpha: float
    found: Found


def interpolate(before: State, after: State, alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) before + alpha after, tensor by tensor, in their dtype.

    Exact where it matters: at 0 and 1 the ends themselves, and what both have in common stays as it is, bit for bit.
    Raises InputError for an alpha outside [0, 1], and where the two are not the same tensors in the same shapes, or
    differ in one that is no floating-point number.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}", todo="give 0 (before) to 1 (after)")
    odd = sorted(before.keys() ^ after.keys())
    if odd:
        where = "after" if odd[0] in before else "before"
        raise InputError(f"the models cannot be mixed: {odd[0]} is missing {where}", todo="merge adapters first")
    return {name: _between(name, tensor, after[name], alpha) for name, tensor in before.items()}


def curve(
    before: Callable[[], State],
    after: Callable[[], State],
    measure: Callable[[State], Found],
    alphas: Sequence[float] = ALPHAS,
) -> tuple[Point[Found], ...]:
    """What `measure` finds at each alpha. The states are asked for anew each time and not held: they may be read from a
    disk, or merged from adapters (`peft`'s merge_and_unload), when they are needed."""
    return tuple(Point(alpha, measure(interpolate(before(), after(), alpha))) for alpha in alphas)


def furthest(points: Sequence[Point[Found]], within: Callable[[Found], bool]) -> Point[Found] | None:
    """The last point of those that come, from alpha 0 on, before one that is not `within`; None where the first is not.

    Not the best of all: behind a point that is over the budget, another within it is luck.
    """
    best = None
    for point in sorted(points, key=lambda point: point.alpha):
        if not within(point.found):
            break
        best = point
    return best


def _between(name: str, before: Tensor, after: Tensor, alpha: float) -> Tensor:
    if before.shape != after.shape:
        raise InputError(
            f"the models cannot be mixed: {name} is {tuple(before.shape)} before and {tuple(after.shape)} after"
        )
    if alpha == 0 or (before.dtype == after.dtype and torch.equal(before, after)):
        return before
    if alpha == 1:
        return after
    if not before.is_floating_point() or not after.is_floating_point():
        raise InputError(f"the models cannot be mixed: {name} holds {before.dtype} and differs")
    wide = torch.float64 if torch.float64 in (before.dtype, after.dtype) else torch.float32
    # lerp: a + w (b - a), so that an element equal in both is left alone
    return torch.lerp(before.to(wide), after.to(wide), alpha).to(after.dtype)


def _way_back(before: Checkpoint, after: Checkpoint, alpha: float) -> dict[str, Tensor]:
    start = begun_as(after)
    if before.fingerprint != start["fingerprint"]:
        raise InputError(
            f"{after.name} did not begin as {before.name}",
            why=f"it began as {start['name']}",
            todo="mend it towards that one",
        )
    return way_back(after, load_vlm, alpha)


def write_mended(before: Checkpoint, after: Checkpoint, alpha: float, folder: Path) -> Path:
    """`after` with its weights mixed with those of `before`, as a folder that loads as `after` does.

    Where `after` is what a training wrote, which is only what learned, `before` is to be what that training began as.
    mended.json says of what it was made. Raises InputError where the two cannot be mixed, MissingPart where the disk
    refuses; the weights are written last, and whole.
    """
    if after.config.get("model_type") == MODEL_TYPE:
        mixed = _way_back(before, after, alpha)
    else:
        mixed = interpolate(before.tensors(), after.tensors(), alpha)
    lineage = {"before": before.fingerprint, "after": after.fingerprint, "alpha": alpha}
    try:
        shutil.copytree(after.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*WEIGHTS))
    except (OSError, shutil.Error) as error:
        raise MissingPart(f"cannot write {folder}", why=str(error), todo="choose another --out folder") from None
    with written_whole(folder / "mended.json") as temporary:
        temporary.write_text(json.dumps(lineage, indent=1) + "\n", encoding="utf-8")
    with written_whole(folder / "model.safetensors") as temporary:
        save_file({name: tensor.contiguous() for name, tensor in mixed.items()}, temporary, metadata={"format": "pt"})
    return folder
