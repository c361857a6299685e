"""A part of the data that no training sees: whole pictures with all that is said of them, by a hash, not by chance."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from isthmus.data.chance import uniform
from isthmus.data.example import Example, Examples
from isthmus.errors import InputError


class Part:
    """Some of a source's records, in its order."""

    def __init__(self, source: Examples, indices: Sequence[int]) -> None:
        self.source, self.indices, self.name = source, indices, source.name

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, at: int) -> Example:
        return self.source[self.indices[at]]


def split(source: Examples, share: float, *, seed: int) -> tuple[Part, Part]:
    """To train on, to judge by: of about `share` of all pictures (or texts) every record. The same at every call.

    A picture is known by its file's and folder's names, or by its bytes. Records that cannot be read stay on the side
    that is trained on, which reports them. Raises InputError where either side would be empty.
    """
    sides: tuple[list[int], list[int]] = ([], [])
    for at in range(len(source)):
        try:
            key = _key(source[at])
        except InputError:
            sides[0].append(at)
            continue
        sides[uniform(seed, "held out", key) < share].append(at)
    if share and not all(sides):
        raise InputError(
            f"{source.name}: of {len(source)} records {len(sides[1])} would be held out",
            todo="hold out another share, or give more records",
        )
    return Part(source, sides[0]), Part(source, sides[1])


def _key(example: Example) -> str:
    pictures = [part.source for message in example.messages for part in message.pictures]
    if not pictures:
        return example.place
    first = pictures[0]
    if isinstance(first, bytes):
        return hashlib.sha256(first).hexdigest()
    # of a path its end alone: data that were moved are parted as before
    return "/".join(Path(first).parts[-2:]) if isinstance(first, str | Path) else example.place
