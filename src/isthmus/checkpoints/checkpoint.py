"""A checkpoint on disk in Hugging Face layout: config, tokenizer files and safetensors, whole or sharded."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isthmus.checkpoints.cache import remembered_sha256
from isthmus.errors import CorruptPart

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

INDEX = "model.safetensors.index.json"
WHOLE = ("model.safetensors", "open_clip_model.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """What `resolve` returns. Reading is lazy: nothing is loaded until it is asked for."""

    name: str
    folder: Path
    origin: Literal["default", "hub", "folder"]

    def path(self, file: str) -> Path | None:
        """The file of that name, or None."""
        path = self.folder / file
        return path if path.is_file() else None

    def json(self, file: str) -> dict[str, Any] | None:
        """A JSON object of the checkpoint, or None where there is no such file. Raises CorruptPart."""
        path = self.path(file)
        if path is None:
            return None
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CorruptPart(f"{path} is not JSON", why=str(error), todo="fetch the model again") from None
        if not isinstance(value, dict):
            raise CorruptPart(f"{path} holds no JSON object", todo="fetch the model again")
        return value

    @property
    def config(self) -> dict[str, Any]:
        """config.json. Raises CorruptPart where it is missing."""
        config = self.json("config.json")
        if config is None:
            raise CorruptPart(f"{self.folder} has no config.json", todo="name a folder in Hugging Face layout")
        return config

    @cached_property
    def shards(self) -> tuple[Path, ...]:
        """The safetensors files, in a fixed order. Raises CorruptPart where one is missing."""
        index = self.json(INDEX)
        if index is not None:
            names = sorted(set(index.get("weight_map", {}).values()))
            missing = [name for name in names if self.path(name) is None]
            if missing or not names:
                lost = missing[0] if missing else "every shard"
                raise CorruptPart(f"{self.folder} lacks {lost}", why=f"{INDEX} names it", todo="fetch it again")
            return tuple(self.folder / name for name in names)
        single = next((path for file in WHOLE if (path := self.path(file))), None)
        if single is None:
            raise CorruptPart(
                f"{self.folder} has no model.safetensors",
                todo="save the model with save_pretrained(..., safe_serialization=True)",
            )
        return (single,)

    def keys(self) -> set[str]:
        """Names of all tensors."""
        from safetensors import safe_open

        found: set[str] = set()
        for shard in self.shards:
            with safe_open(shard, framework="pt") as file:
                found.update(file.keys())
        return found

    def tensors(self, prefix: str = "") -> "dict[str, Tensor]":
        """The tensors whose name starts with `prefix`, in the stored dtype, on the CPU; the prefix is cut off.

        Raises CorruptPart where a file is damaged.
        """
        return {name[len(prefix) :]: value for name, value in self._stored("pt", lambda name: name.startswith(prefix))}

    def arrays(self, names: Collection[str] | None = None) -> "dict[str, NDArray[np.float32]]":
        """The tensors of these names (None: all) in float32, without torch. Raises CorruptPart, KeyError for a name
        that is not there."""
        stored = self._stored("np", lambda name: names is None or name in names)
        found: dict[str, NDArray[np.float32]] = {name: value.astype("float32", copy=False) for name, value in stored}
        if missing := set(names or ()) - set(found):
            raise KeyError(min(missing))
        return found

    def _stored(self, framework: Literal["pt", "np"], wanted: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
        """Name and value of each tensor whose name is wanted. Raises CorruptPart where a file is damaged."""
        from safetensors import SafetensorError, safe_open

        for shard in self.shards:
            try:
                with safe_open(shard, framework=framework) as file:
                    for name in file.keys():  # noqa: SIM118
                        if wanted(name):
                            yield name, file.get_tensor(name)
            except SafetensorError as error:
                raise CorruptPart(f"{shard} is damaged", why=str(error), todo="fetch it again") from None

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 over the weight files' contents: equal weights, equal fingerprint, whatever the name."""
        return hashlib.sha256("".join(remembered_sha256(shard) for shard in self.shards).encode()).hexdigest()
