"""Walk a folder: every file with its size and time, and everything that is not entered with the reason."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.photos import paths

NOT_A_FILE = -1
"""The `size` of an entry that holds no bytes of its own."""

SIDECARS = b".xmp"
SIDECAR = "sidecar"
"""The reason for which a file of XMP is not read as a photo: it is read with the one it belongs to."""


@dataclass(frozen=True)
class Entry:
    """Something in a folder. `path`: bytes relative to the root. `reason`: why it will not be read, or None."""

    path: bytes
    size: int
    mtime_ns: int
    reason: str | None = None
    detail: str | None = None


def walk(root: bytes, prefix: bytes = b"", *, avoid: frozenset[bytes] = frozenset()) -> Iterator[Entry]:
    """Every entry under `root`/`prefix`, folders in the order of their names.

    Links to folders are never followed, so no loop of links traps the walk and it never leaves the root. A link to
    a file is followed where the file lies under the root. Hidden folders (`.trash`, `.thumbnails`) and those in
    `avoid` (real paths) are not entered. Whatever is not entered is an Entry with its reason: "link to a folder",
    "link out of the folder", "link to a sidecar", "broken link", "hidden folder", "unreadable folder",
    "not a regular file"; or a "sidecar".
    """
    real_root = paths.real(root)
    stack = [prefix]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(paths.join(root, folder)) as scan:
                found = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            yield _aside(folder, "unreadable folder", error.strerror or str(error))
            continue
        deeper = []
        for item in found:
            path = paths.join(folder, item.name)
            try:
                if item.is_symlink():
                    yield _link(real_root, path)
                elif item.is_dir(follow_symlinks=False):
                    if item.name.startswith(b"."):
                        yield _aside(path, "hidden folder")
                    elif avoid and paths.real(paths.join(root, path)) in avoid:
                        yield _aside(path, "hidden folder", "this is the photo library itself")
                    else:
                        deeper.append(path)
                else:
                    yield _file(path, item.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue  # deleted since the folder was listed
            except OSError as error:
                yield _aside(path, "unreadable", error.strerror or str(error))
        stack.extend(reversed(deeper))


def _link(real_root: bytes, path: bytes) -> Entry:
    whole = paths.join(real_root, path)
    try:
        target = os.stat(whole)  # noqa: PTH116 - bytes
    except FileNotFoundError:
        return _aside(path, "broken link")
    except OSError as error:  # a link to itself, or through a folder that may not be entered
        return _aside(path, "broken link", error.strerror or str(error))
    if stat.S_ISDIR(target.st_mode):
        return _aside(path, "link to a folder")
    if not paths.real(whole).startswith(paths.start(real_root)):
        return _aside(path, "link out of the folder")
    if path.lower().endswith(SIDECARS):
        return _aside(path, "link to a sidecar")  # it is not followed when it is read, either
    return _file(path, target)


def _file(path: bytes, status: os.stat_result) -> Entry:
    if not stat.S_ISREG(status.st_mode):
        return _aside(path, "not a regular file")
    reason = SIDECAR if path.lower().endswith(SIDECARS) else None
    return Entry(path, status.st_size, status.st_mtime_ns, reason)


def _aside(path: bytes, reason: str, detail: str | None = None) -> Entry:
    return Entry(path, NOT_A_FILE, 0, reason, detail)
