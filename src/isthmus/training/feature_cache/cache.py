"""FeatureCache: what a frozen encoder makes of a picture is computed once and kept, so later epochs need no encoder.

Notation: B pictures, N tokens, D width.
"""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from isthmus.errors import InputError, MissingPart
from isthmus.images.views import Picture, Views
from isthmus.training.feature_cache.folder import claim, default_folder, folder_name
from isthmus.training.feature_cache.keys import Files, Source
from isthmus.training.feature_cache.records import Layout, dtype_of
from isthmus.training.feature_cache.shards import SHARD_BYTES, Check, Shards, sizes_of
from isthmus.training.feature_cache.upkeep import evict
from isthmus.vision.features import Encoder, Features

FullDisk: TypeAlias = Literal["go on", "raise"]
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class Stats:
    """Pictures since the cache was opened, one that comes twice in a batch counted once. hits: read; misses: encoded;
    kept: of the misses, written; damaged: of the records, dropped."""

    hits: int = 0
    misses: int = 0
    kept: int = 0
    damaged: int = 0


class FeatureCache:
    """Features of pictures by their content: `encode` stands in for `VisionLanguageModel.encode`.

    A picture is known by the SHA-256 of its file, or of its pixels where it comes opened: names and times do not count.
    What is augmented has other content; whether to keep that is the caller's business. The encoder never runs under
    autocast in here: what is kept must not depend on who asks. Any number of processes and threads may share a folder.
    """

    def __init__(
        self,
        encoder: Encoder,
        shards: Shards,
        device: torch.device,
        *,
        limit_bytes: int | None = None,
        leave_free: int = 1 << 30,
        full_disk: FullDisk = "go on",
        pin: bool = False,
    ) -> None:
        """Made by `open`."""
        self.encoder, self.device, self.folder, self.layout = encoder, device, shards.folder, shards.layout
        self.limit_bytes, self.leave_free, self.full_disk, self.pin = limit_bytes, leave_free, full_disk, pin
        self._shards, self._opened = shards, time.time()
        self._stats = Stats()
        self._writing, self._said_full = True, False
        self._files = Files(shards)

    @classmethod
    def open(
        cls,
        folder: Path | str | None,
        encoder: Encoder,
        dtype: torch.dtype | None = None,
        limit_bytes: int | None = None,
        *,
        verify: Check = "first",
        full_disk: FullDisk = "go on",
        leave_free: int = 1 << 30,
        pin: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> "FeatureCache":
        """The cache in `folder`, made where there is none; None: the user's cache folder, apart for each encoder.

        dtype: of the tokens on disk; None: as the encoder gives them, which loses nothing. What a narrower one loses is
        said. limit_bytes: of the folder; shards unused since this opening go first, least recently used before others,
        and where all are in use nothing further is kept. leave_free: bytes of the disk that are left to others.
        full_disk: whether a disk that takes no more ends the work or, said once, the keeping. verify: when a record's
        hash is checked. pin: read into pinned memory and copy to the GPU without waiting. say: takes a line for the
        user (None: stderr).

        Runs the encoder on one small picture: only so can its dtype and device be told.
        Raises FitMismatch where the folder's features were made with another Fit; InputError where with another encoder
        or dtype, or where the folder holds something else; CorruptPart; MissingPart where the folder cannot be made.
        """
        say = say or _to_stderr
        if dtype not in (None, *DTYPES):
            raise InputError(f"features cannot be kept as {dtype}", todo="choose from float16, bfloat16, float32")
        if limit_bytes is not None and limit_bytes <= 0:
            raise InputError(f"the limit is {limit_bytes} bytes", todo="give more than 0, or None for no limit")
        layout, device = _layout(encoder, dtype)
        place = Path(folder) if folder is not None else default_folder() / folder_name(layout)
        claim(place, layout)
        if (loss := _rounding(layout)) is not None:
            say(loss)
        size = SHARD_BYTES if limit_bytes is None else max(1, min(SHARD_BYTES, limit_bytes // 8))
        shards = Shards(place, layout, check=verify, shard_bytes=size, say=say)
        return cls(
            encoder, shards, device, limit_bytes=limit_bytes, leave_free=leave_free, full_disk=full_disk, pin=pin
        )

    @property
    def stats(self) -> Stats:
        return replace(self._stats, damaged=self._shards.damaged)

    def encode(self, pictures: Sequence[Any]) -> Features:
        """Features of B pictures as `encoder.encode` gives them, on its device and in its dtype, zeros as padding.

        pictures: paths, bytes of files, PIL images, Pictures, in any mixture. Those that are not kept are encoded in
        one batch, in their order. Where the kept dtype is narrower, tokens are rounded by it also when they are
        computed: every epoch sees the same numbers. Paths are the cheapest: a file that is known is not even opened.

        Raises PictureError for what is no picture; InputError where there are none, or where tokens exceed the kept
        dtype; MissingPart where the disk is full and that is to end the work.
        """
        if not pictures:
            return self.encoder.encode([])  # which says so
        wanted = [Source(picture, self.encoder.fit, self._files) for picture in pictures]
        sources = {source.key: source for source in reversed(wanted)}
        keys = list(dict.fromkeys(source.key for source in wanted))
        found, hits = self._read(keys)
        missing = [key for key in keys if key not in found]
        parts = [hits] if hits is not None else []
        if missing:
            parts.append(self._make([sources[key] for key in missing]))
        self._stats = replace(self._stats, hits=self._stats.hits + len(found), misses=self._stats.misses + len(missing))
        self._remember_files()
        rows = {key: at for at, key in enumerate([*found, *missing])}
        return _rows(_joined(parts), [rows[source.key] for source in wanted])

    def close(self) -> None:
        """Ends what this process writes. The cache can be used on."""
        self._shards.close()

    def __enter__(self) -> "FeatureCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, keys: Sequence[bytes]) -> tuple[dict[bytes, None], Features | None]:
        """Those that are kept, in order, and their features on the encoder's device."""
        if not all(key in self._shards for key in keys):
            self._shards.refresh()
        pinned = self.pin and self.device.type == "cuda"
        while found := {key: None for key in keys if key in self._shards}:
            if (read := self._shards.read(list(found), pinned=pinned)) is not None:
                return found, self._placed(read)
        return {}, None

    def _placed(self, read: Features) -> Features:
        """First on the encoder's device, where a conversion costs less, then in its dtype."""
        here = _each(read, lambda tensor: tensor.to(self.device, non_blocking=self.pin))
        return replace(here, tokens=here.tokens.to(dtype_of(self.layout.computed)))

    def _make(self, sources: Sequence[Source]) -> Features:
        opened = [source.open() for source in sources]
        features = _encoded(self.encoder, [self.encoder.fit(picture) for _, picture in opened])
        _check(features, self.layout)
        computed = features.tokens.dtype
        features = replace(features, tokens=self._narrowed(features.tokens, features.mask))
        self._writing_safely(lambda: self._keep([key for key, _ in opened], features))
        return replace(features, tokens=features.tokens.to(computed))

    def _narrowed(self, tokens: Tensor, mask: Tensor) -> Tensor:
        kept = tokens.to(dtype_of(self.layout.kept))
        if kept.dtype != tokens.dtype and (kept.isinf() & tokens.isfinite())[mask].any():
            raise InputError(
                f"the encoder's tokens exceed what {self.layout.kept} can hold", todo="keep them as bfloat16 or float32"
            )
        return kept

    def _keep(self, keys: Sequence[bytes], features: Features) -> None:
        self._shards.refresh()  # another process may have been quicker
        new = [at for at, key in enumerate(keys) if key not in self._shards]
        size = sum(each.nbytes for each in (features.tokens, features.boxes, features.pooled))
        if new and self._has_room(size):
            here = _each(features, lambda tensor: tensor.cpu().contiguous())
            self._shards.append([keys[at] for at in new], _rows(here, new))
            self._stats = replace(self._stats, kept=self._stats.kept + len(new))

    def _remember_files(self) -> None:
        new, self._files.new = self._files.new, {}
        if new:
            self._writing_safely(lambda: self._shards.remember(new))

    def _writing_safely(self, write: Callable[[], None]) -> None:
        """What the disk refuses ends the keeping, or the work where that is wanted."""
        if not self._writing:
            return
        try:
            write()
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def _has_room(self, size: int) -> bool:
        if self.leave_free and shutil.disk_usage(self.folder).free - size < self.leave_free:
            self._give_up(f"less than {self.leave_free} bytes of its disk would be left")
            return False
        if self.limit_bytes is None:
            return True
        left = self.limit_bytes - size
        used = sum(each for _, each in sizes_of(self.folder))
        if used > left and left >= 0:
            used -= evict(self.folder, left, unused_since=self._opened)
        if used > left and not self._said_full:
            self._said_full = True
            self._shards.say(
                f"the features in {self.folder} have reached their limit of {self.limit_bytes} bytes, all in use: "
                "further pictures are encoded each time (raise limit_bytes to keep them)"
            )
        return used <= left

    def _give_up(self, why: str) -> None:
        """Raises MissingPart where that ends the work."""
        self._writing = False
        if self.full_disk == "raise":
            raise MissingPart(f"features cannot be kept in {self.folder}", why=why, todo="free some room")
        self._shards.say(
            f"features are no longer kept in {self.folder}: {why}; pictures that are not there are encoded each time"
        )


def _layout(encoder: Encoder, dtype: torch.dtype | None) -> tuple[Layout, torch.device]:
    small = Picture(Image.new("RGB", (32, 32)), 32, 32)
    features = _encoded(encoder, [encoder.fit(small)])
    computed = features.tokens.dtype
    if dtype is None and computed not in DTYPES:
        raise InputError(f"the encoder's tokens are {_said(computed)}", todo="choose the dtype to keep them in")
    layout = Layout(
        encoder=encoder.fingerprint,
        fit=encoder.fit.fingerprint,
        computed=_said(computed),
        kept=_said(dtype or computed),
        pooled=_said(features.pooled.dtype),
        width=features.tokens.shape[-1],
        pooled_width=features.pooled.shape[-1],
        frames=bool(features.frames),
    )
    return layout, features.tokens.device


def _rounding(layout: Layout) -> str | None:
    """What is lost by the kept dtype, in words."""
    kept, computed = torch.finfo(dtype_of(layout.kept)), torch.finfo(dtype_of(layout.computed))
    lost = []
    if kept.eps > computed.eps:
        lost.append(f"a number changes by up to 1/{2 / kept.eps:.0f} of itself")
    if kept.tiny > computed.tiny:
        lost.append(f"one below {kept.tiny:.0e} by up to {kept.smallest_normal * kept.eps / 2:.0e}")
    return f"features are kept as {layout.kept}, not {layout.computed}: {', '.join(lost)}" if lost else None


def _said(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@torch.no_grad()
def _encoded(encoder: Encoder, views: Sequence[Views]) -> Features:
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        return encoder.encode(views)


def _check(features: Features, layout: Layout) -> None:
    """Raises InputError for features that cannot be told from what is kept."""
    counts = features.mask.sum(1, keepdim=True)
    if not torch.arange(features.mask.shape[1], device=counts.device).lt(counts).equal(features.mask):
        raise InputError("the encoder's masks have holes", why="tokens are kept from the first to the last")
    tokens, pooled = features.tokens, features.pooled
    here = (_said(tokens.dtype), _said(pooled.dtype), tokens.shape[-1], pooled.shape[-1], bool(features.frames))
    there = (layout.computed, layout.pooled, layout.width, layout.pooled_width, layout.frames)
    if here != there or features.boxes.dtype != torch.float32:
        raise InputError(
            f"the encoder gives features {here}, not {there}",
            why="it was changed since the cache was opened",
            todo="open it anew",
        )


def _each(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """All its tensors, changed."""
    return Features(
        change(features.tokens), change(features.mask), change(features.boxes), change(features.pooled), features.frames
    )


def _rows(features: Features, rows: list[int]) -> Features:
    """These pictures, in this order."""
    if rows == list(range(len(features.mask))):
        return features
    index = torch.tensor(rows, device=features.mask.device)
    frames = tuple(features.frames[at] for at in rows) if features.frames else ()
    return replace(_each(features, lambda tensor: tensor[index]), frames=frames)


def _joined(parts: Sequence[Features]) -> Features:
    """Batches behind each other, padded with zeros to the longest."""
    if len(parts) == 1:
        return parts[0]
    longest = max(part.mask.shape[1] for part in parts)

    def padded(tensor: Tensor) -> Tensor:
        short = longest - tensor.shape[1]
        return F.pad(tensor, (0, 0) * (tensor.ndim - 2) + (0, short)) if short else tensor

    return Features(
        tokens=torch.cat([padded(part.tokens) for part in parts]),
        mask=torch.cat([padded(part.mask) for part in parts]),
        boxes=torch.cat([padded(part.boxes) for part in parts]),
        pooled=torch.cat([part.pooled for part in parts]),
        frames=tuple(frame for part in parts for frame in part.frames),
    )


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"isthmus: {line}\n")
