"""File names as the system has them: bytes, which need not be text in any encoding.

`pathlib` wants text, so the library's bytes paths are joined here. Outside the library a path is a `str` with the
system's escapes (`os.fsdecode`): nothing is lost on the way to the caller and back.
"""

import os

# ruff: noqa: PTH112, PTH118

READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""NONBLOCK: a pipe that took a file's place since the walk does not hold the thread for ever."""


def join(folder: bytes, name: bytes) -> bytes:
    """`name` in `folder`; an empty folder is where one stands."""
    return os.path.join(folder, name)


def split(path: bytes) -> tuple[bytes, bytes]:
    """The folder it is in, and its own name."""
    return os.path.split(path)


def start(folder: bytes) -> bytes:
    """What the paths of everything in `folder` start with."""
    return os.path.join(folder, b"") if folder else b""


def real(path: str | bytes | os.PathLike[str]) -> bytes:
    """Absolute, without links."""
    return os.fsencode(os.path.realpath(path))


def is_folder(path: bytes) -> bool:
    return os.path.isdir(path)


def is_there(path: bytes) -> bool:
    return os.path.lexists(path)


def readable(path: bytes | str) -> str:
    """For people: control characters (a line break in a name, a terminal's escape) are shown, not obeyed.

    What is not text stays escaped; a stream with `errors="surrogateescape"` writes the original bytes.
    """
    text = os.fsdecode(path)
    return "".join(
        c if c.isprintable() or "\udc80" <= c <= "\udcff" else c.encode("unicode_escape").decode() for c in text
    )
