"""The cache of converted weights, and the one way to write a file so that half of it is never trusted."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from isthmus.errors import CorruptPart, MissingPart

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
PROOF = "converted.json"


def cache_folder() -> Path:
    """$ISTHMUS_CACHE, or the platform's cache folder for isthmus. Safe to delete at any time."""
    return Path(os.environ.get("ISTHMUS_CACHE") or platformdirs.user_cache_dir("isthmus"))


def converted_folder(sha256: str) -> Path:
    """Where the safetensors made from the file with that SHA-256 are kept."""
    return cache_folder() / "converted" / sha256


def is_converted(sha256: str) -> bool:
    """Whether a conversion of that file was finished and its weights still have the hash they were written with."""
    folder = converted_folder(sha256)
    try:
        proof = json.loads((folder / PROOF).read_text(encoding="utf-8"))
        return bool(proof["sha256"] == sha256_of(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError):
        return False  # never made, damaged, or of another version: made anew


def convert(
    pickle: Path,
    sha256: str,
    tensors: "Callable[[dict[str, Tensor]], dict[str, Tensor]]",
    files: Mapping[str, bytes],
) -> Path:
    """PyTorch pickle -> a folder in Hugging Face layout, made once for each SHA-256.

    `tensors` renames and changes what was read; `files` go beside the weights. The pickle is read with
    `weights_only=True`, so it cannot run code.
    Raises CorruptPart where the pickle holds anything but tensors, MissingPart where the disk refuses.
    """
    if is_converted(sha256):
        return converted_folder(sha256)
    import torch

    try:
        read: Any = torch.load(pickle, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  the unpickler raises whatever the bytes make it raise
        raise CorruptPart(
            f"{pickle} is no file of plain tensors",
            why=(str(error).splitlines() or [type(error).__name__])[0],
            todo="fetch the model again",
        ) from None
    if not isinstance(read, dict) or not all(isinstance(value, torch.Tensor) for value in read.values()):
        raise CorruptPart(f"{pickle} is no dictionary of tensors", todo="save the model as safetensors")
    # clones: tied weights share memory, which safetensors refuses
    whole = {key: value.clone().contiguous() for key, value in tensors(read).items()}
    return keep_conversion(sha256, whole, files, pickle.name)


def keep_conversion(
    sha256: str,
    tensors: "dict[str, Tensor]",
    files: Mapping[str, bytes],
    source: str,
    *,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Writes what was made from the file `source` with that SHA-256 to its folder, the proof of wholeness last.

    `metadata` goes into the safetensors header; it changes the file's hash, by which models know their parts.
    Raises MissingPart where the disk refuses.
    """
    from safetensors.torch import save_file

    folder = converted_folder(sha256)
    with written_whole(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata=dict(metadata) if metadata else None)
    for name, content in files.items():
        with written_whole(folder / name) as temporary:
            temporary.write_bytes(content)
    with written_whole(folder / PROOF) as temporary:
        temporary.write_text(json.dumps({"sha256": sha256_of(folder / WEIGHTS), "from": source}))
    return folder


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """`sha256_of`, read once for each state of a large file: hashing 1 GB takes a second of every start.

    Not for what must be verified: the default parts are hashed each time.
    """
    note = cache_folder() / "hashes" / hashlib.sha256(os.fsencode(state_of(path))).hexdigest()
    try:
        known = note.read_text(encoding="ascii")
        if len(known) == 64:
            return known
    except (OSError, UnicodeDecodeError):
        pass  # not hashed yet
    digest = sha256_of(path)
    with suppress(MissingPart), written_whole(note) as temporary:  # a cache that cannot be written only costs time
        temporary.write_text(digest, encoding="ascii")
    return digest


def state_of(path: Path) -> str:
    """A text that changes when the file does: its place, size and times; the change time cannot be set back by hand."""
    state = path.stat()
    return f"{path.resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}\0{state.st_ino}"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; it takes the name `path` only when the block ends without an error.

    The content reaches the disk before the name does: whoever finds `path`, after a kill or a power cut, finds it
    whole. What a kill leaves behind is a `.part` file nobody reads; the next write to that folder removes those
    older than a day. Raises MissingPart when the disk refuses.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes it private, which a shared cache must not be
        temporary.replace(path)
    except OSError as error:
        raise MissingPart(
            f"cannot write {path}",
            why=error.strerror or str(error),
            todo="free some room, or set ISTHMUS_CACHE to a folder that can be written",
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    import time

    for left in folder.glob(".*.part"):
        try:
            if time.time() - left.stat().st_mtime > 86_400:
                left.unlink()
        except OSError:
            continue  # another process was quicker
