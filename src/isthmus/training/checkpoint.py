"""Checkpoints of a training: all that is needed to go on exactly, written whole or not at all.

A folder `step-000120` appears under its name when everything in it is on the disk, a list of its files' hashes last.
The two newest are kept. What is frozen is not in them: it comes from where it came from.
"""

import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.distributed as dist
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from isthmus.checkpoints.cache import sha256_of
from isthmus.errors import CorruptPart, MissingPart

Copies: TypeAlias = Mapping[str, Sequence[Tensor]]
KEEP = 2
WEIGHTS, OPTIMISER, RANDOM, STATE = "model.safetensors", "optimizer.pt", "random.pt", "state.json"
HASHES = "sha256.json"


@dataclass(frozen=True)
class Kept:
    """Where a training stood behind `step`: its reading of the data, its schedule, the best evaluation, and how many
    were worse since."""

    step: int
    batches: dict[str, Any]
    schedule: dict[str, Any]
    best: float
    worse: int


class Checkpoints:
    """Those in one folder. All ranks call together; the first one writes."""

    def __init__(self, folder: Path, accelerator: Accelerator) -> None:
        self.folder, self._accelerator = folder, accelerator

    def steps(self) -> list[int]:
        """Of all that are whole by their names, rising."""
        names = [each.name for each in self.folder.glob("step-*")] if self.folder.is_dir() else []
        return sorted(int(name.removeprefix("step-")) for name in names if name.removeprefix("step-").isdecimal())

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}"

    def save(self, kept: Kept, module: nn.Module, optimiser: torch.optim.Optimizer, copies: Copies) -> None:
        """`copies`: other values of all that is trained, by name. Raises MissingPart, on all ranks, where the disk
        refuses; what was kept before is then still there."""
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
        learning = {_plain(name) for name, p in module.named_parameters() if p.requires_grad}
        every: dict[str, Any] = get_model_state_dict(module, options=whole)
        weights: dict[str, Tensor] = {key: each for key, each in every.items() if key in learning}
        state = get_optimizer_state_dict(module, optimiser, options=whole)
        others = {name: [_full(value).cpu() for value in values] for name, values in copies.items()}
        chances = self._gathered(_chances(self._accelerator.device))
        error = None
        if self._accelerator.is_main_process:
            error = self._write(kept, weights, others, state, chances)
        self._agree(error)

    def _write(
        self,
        kept: Kept,
        weights: Mapping[str, Tensor],
        copies: Copies,
        optimiser: Mapping[str, Any],
        chances: list[Any],
    ) -> str | None:
        """What the disk said, if it refused."""
        temporary: Path | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(".step-*.part"):
                shutil.rmtree(left, ignore_errors=True)  # of a training that was killed
            temporary = Path(tempfile.mkdtemp(dir=self.folder, prefix=".step-", suffix=".part"))
            save_file({key: each.contiguous() for key, each in weights.items()}, temporary / WEIGHTS)
            for name, values in copies.items():
                save_file({str(at): each.contiguous() for at, each in enumerate(values)}, temporary / _file(name))
            torch.save(dict(optimiser), temporary / OPTIMISER)
            torch.save(chances, temporary / RANDOM)
            (temporary / STATE).write_text(json.dumps(asdict(kept)), encoding="utf-8")
            hashes = {each.name: sha256_of(each) for each in sorted(temporary.iterdir())}
            (temporary / HASHES).write_text(json.dumps(hashes), encoding="utf-8")
            for each in (*temporary.iterdir(), temporary):
                _to_disk(each)
            shutil.rmtree(self.path(kept.step), ignore_errors=True)
            temporary.rename(self.path(kept.step))
            _to_disk(self.folder)
        except (OSError, SafetensorError, RuntimeError) as error:  # torch.save says what the disk says in its own way
            return f"{getattr(error, 'strerror', None) or error}"
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
        for step in self.steps()[:-KEEP]:
            shutil.rmtree(self.path(step), ignore_errors=True)
        return None

    def load(self, module: nn.Module, optimiser: torch.optim.Optimizer, copies: Copies) -> Kept | None:
        """Everything, and those of `copies` that were kept, as it was behind the newest good one; None where there is
        none. A damaged one is said, and the one before it taken. Raises CorruptPart where all are damaged, or where one
        is of another model."""
        steps = self.steps()
        damage = ""
        for step in reversed(steps):
            damage = _damage(self.path(step))
            if not damage:
                return self._loaded(self.path(step), module, optimiser, copies)
            if self._accelerator.is_main_process:
                sys.stderr.write(
                    f"isthmus: checkpoint {self.path(step)} is damaged ({damage}); taking the one before\n"
                )
        if steps:
            raise CorruptPart(f"no checkpoint in {self.folder} is whole", why=damage, todo="begin again elsewhere")
        return None

    def _loaded(self, path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, copies: Copies) -> Kept:
        weights: dict[str, Any] = load_file(path / WEIGHTS)
        learning = {_plain(name): p.shape for name, p in module.named_parameters() if p.requires_grad}
        if {key: each.shape for key, each in weights.items()} != learning:
            raise CorruptPart(
                f"{path} is of another model or trains other parts",
                why=_difference({key: each.shape for key, each in weights.items()}, learning),
                todo="resume with the recipe it was begun with",
            )
        whole = StateDictOptions(full_state_dict=True, strict=False)
        set_model_state_dict(module, weights, options=whole)
        state = torch.load(path / OPTIMISER, map_location="cpu", weights_only=True)
        set_optimizer_state_dict(module, optimiser, state, options=whole)
        for name, values in copies.items():
            if (path / _file(name)).exists():
                for at, value in load_file(path / _file(name)).items():
                    _copy(value, values[int(at)])
        chances = torch.load(path / RANDOM, map_location="cpu", weights_only=True)
        if len(chances) == self._accelerator.num_processes:
            _restore(chances[self._accelerator.process_index])
        return Kept(**json.loads((path / STATE).read_text(encoding="utf-8")))

    def _gathered(self, mine: Any) -> list[Any]:
        """Of all ranks, on the first one."""
        if self._accelerator.num_processes == 1:
            return [mine]
        every: list[Any] | None = (
            [None] * self._accelerator.num_processes if self._accelerator.is_main_process else None
        )
        dist.gather_object(mine, every)
        return every or []

    def _agree(self, error: str | None) -> None:
        told = [error]
        if self._accelerator.num_processes > 1:
            dist.broadcast_object_list(told)
        if told[0] is not None:
            raise MissingPart(
                f"no checkpoint could be written to {self.folder}",
                why=told[0],
                todo="make room and --resume: the checkpoints before are whole",
            )


def _damage(path: Path) -> str:
    """What is wrong with a checkpoint's files; "" where nothing is."""
    try:
        hashes = json.loads((path / HASHES).read_text(encoding="utf-8"))
        wrong = [name for name, expected in hashes.items() if sha256_of(path / name) != expected]
    except (OSError, ValueError, AttributeError) as error:
        return str(error)
    return f"{wrong[0]} has another hash" if wrong else ""


def _difference(found: Mapping[str, torch.Size], expected: Mapping[str, torch.Size]) -> str:
    odd = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    return f"{odd[0]} and {len(odd) - 1} more are missing, left over or of another shape"


def _file(copy: str) -> str:
    return f"{copy}.safetensors"


def _plain(name: str) -> str:
    """A parameter's name without what wrappers put before it."""
    return name.removeprefix("module.")


def _full(tensor: Tensor) -> Tensor:
    whole: Tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole


@torch.no_grad()
def _copy(whole: Tensor, to: Tensor) -> None:
    """`to` may be one rank's part."""
    if isinstance(to, DTensor):
        whole = distribute_tensor(whole.to(to.device), to.device_mesh, to.placements)
    to.copy_(whole)


def _chances(device: torch.device) -> dict[str, Any]:
    """The states of all generators of random numbers that training draws from, of this rank."""
    version, numbers, gauss = random.getstate()
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  libraries draw from it
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "device": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _restore(chances: Mapping[str, Any]) -> None:
    version, numbers, gauss = chances["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = chances["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(chances["torch"])
    if chances["device"] is not None:
        torch.cuda.set_rng_state(chances["device"])


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems do not sync folders
            os.fsync(handle)
    finally:
        os.close(handle)
