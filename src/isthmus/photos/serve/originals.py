"""A photo's files as they may be opened: by the photo's number, in a folder that was indexed, with what was indexed.

Nothing here takes a path from a request. A file counts only while the library knows it and has not marked it gone; on
the way to it no link is followed, but one at the end that stays in the folder, as the index does.
"""

import errno
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.images.sniff import HEAD
from isthmus.photos import paths, video
from isthmus.photos.read import hash_of
from isthmus.photos.store import Library

FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
UNLINKED = getattr(os, "O_NOFOLLOW", 0)
LINKED = (errno.ELOOP, errno.EMLINK)  # EMLINK: the BSDs say so


@dataclass(frozen=True)
class File:
    """One copy of a photo. `path`: whole, as the system has it; `there`: whether its folder is there now, and it."""

    root: bytes
    inner: bytes
    size: int
    mtime_ns: int
    hash: bytes

    @property
    def path(self) -> bytes:
        return paths.join(self.root, self.inner)

    @property
    def there(self) -> bool:
        return paths.is_there(self.path)


def files_of(library: Library, photo: int) -> list[File]:
    """Every copy of a photo that is not marked gone; none where there is no such photo."""
    rows = library.query(
        """SELECT r.path, f.path, f.size, f.mtime_ns, p.hash FROM files f JOIN roots r ON r.id = f.root
        JOIN photos p ON p.id = f.photo WHERE f.photo = ? AND f.gone_at IS NULL ORDER BY f.root, f.path""",
        (photo,),
    )
    return [File(*row) for row in rows]


def open_original(library: Library, photo: int) -> tuple[io.FileIO, File] | None:
    """The first copy that can be opened and still is what was indexed, from its first byte; None where none is."""
    for file in files_of(library, photo):
        try:
            opened = io.FileIO(open_beneath(file.root, file.inner))
        except OSError:
            continue
        if _is_as_indexed(opened, file):
            return opened, file
        opened.close()
    return None


def read_original(library: Library, photo: int) -> bytes | None:
    """All bytes of `open_original`'s file; of a video a picture of it. Raises PictureError."""
    found = open_original(library, photo)
    if found is None:
        return None
    with found[0] as file:
        if not video.is_one(file.read(HEAD)):
            file.seek(0)
            return file.readall()
        out = io.BytesIO()
        video.look(file).picture.image.convert("RGB").save(out, "BMP")
        return out.getvalue()


def chunks(file: io.FileIO, size: int = 1 << 18) -> Iterator[bytes]:
    """The rest of a file, which is closed then."""
    with file:
        while some := file.read(size):
            yield some


def open_beneath(root: bytes, inner: bytes) -> int:
    """A descriptor of the file at `inner` in the folder `root`, for reading.

    Folder by folder from the root, so that no link put there in the meantime leads elsewhere. Raises OSError.
    """
    try:
        return _open_unlinked(root, inner)
    except OSError as error:
        if error.errno not in LINKED:
            raise
    target, start = paths.real(paths.join(root, inner)), paths.start(paths.real(root))
    if not target.startswith(start):
        raise PermissionError(errno.EACCES, "the link leads out of the folder")
    return _open_unlinked(root, target[len(start) :])


def _open_unlinked(root: bytes, inner: bytes) -> int:
    *folders, name = inner.split(b"/")
    if any(part in (b"", b".", b"..") for part in (*folders, name)):
        raise PermissionError(errno.EACCES, "not a path inside the folder")
    at = os.open(root, FOLDER)
    try:
        for folder in folders:
            above, at = at, os.open(folder, FOLDER | UNLINKED, dir_fd=at)
            os.close(above)
        return os.open(name, paths.READ | UNLINKED, dir_fd=at)
    finally:
        os.close(at)


def _is_as_indexed(opened: io.FileIO, file: File) -> bool:
    """By size and time as the index does; where these differ, by content: it may have been touched, or put back."""
    status = os.fstat(opened.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
        return False
    if status.st_mtime_ns == file.mtime_ns:
        return True
    hash = hash_of(opened)
    opened.seek(0)
    return hash == file.hash
