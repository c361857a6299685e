"""Webdataset shards read from front to back, through the `webdataset` library: over the network, out of a pipe, or
compressed. Nothing is kept on disk."""

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from isthmus.data.example import Bad, Example
from isthmus.data.rows import USUAL, Columns
from isthmus.data.shard_sample import example_of_sample
from isthmus.errors import InputError, MissingPart

DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, AssertionError)
"""What the library raises where a shard cannot be opened or read on."""


class ShardStream:
    """Shards in their given order. Where one breaks off, what came before is used, it is said, and the next begins.

    A state is the shard and how many samples of it were read: resuming reads these again, and passes over them.
    """

    def __init__(self, name: str, addresses: Sequence[str], *, columns: Columns = USUAL) -> None:
        """`addresses`: paths, http(s), s3 or gs addresses, or "pipe:COMMAND", which a shell runs.

        Raises MissingPart where the library is not installed, InputError where there is no address.
        """
        if not addresses:
            raise InputError(f"{name} names no shard")
        self.name, self.addresses, self.columns = name, tuple(addresses), columns
        self._shard, self._sample = 0, 0
        _library()

    def __iter__(self) -> Iterator[Example | Bad]:
        while self._shard < len(self.addresses):
            yield from self._rest(self.addresses[self._shard], self._sample)

    def state(self) -> dict[str, Any]:
        return {"shard": self._shard, "sample": self._sample}

    def resume(self, state: dict[str, Any]) -> None:
        self._shard, self._sample = int(state["shard"]), int(state["sample"])

    def _rest(self, address: str, read: int) -> Iterator[Example | Bad]:
        """The shard's samples behind the first `read`, and its damage. Counts before it gives, so that a state taken
        in between is behind the sample given."""
        number, damage = 0, None
        samples = _library().tariterators.tarfile_samples([{"url": address}])
        while True:
            try:
                sample = next(samples, None)
            except DAMAGE as error:
                damage = Bad(address, InputError(f"{address} is damaged behind sample {number}", why=_line(error)))
                break
            if sample is None:
                break
            number += 1
            if number > read:
                self._sample = number
                yield self._record(sample)
        self._shard, self._sample = self._shard + 1, 0
        if damage is not None:
            yield damage

    def _record(self, sample: dict[str, Any]) -> Example | Bad:
        place = f"{sample['__url__']}, {sample['__key__']}"
        members = {suffix: content for suffix, content in sample.items() if not suffix.startswith("__")}
        try:
            return example_of_sample(members, place, self.columns)
        except InputError as error:
            return Bad(place, error)


def _line(error: BaseException) -> str:
    return (str(error.args[0] if error.args else error).splitlines() or [type(error).__name__])[0]


def _library() -> Any:
    try:
        import webdataset
    except ImportError:
        raise MissingPart("webdataset is not installed", todo="pip install 'isthmus[data]'") from None
    return webdataset
