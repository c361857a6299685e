"""What must hold of a HEIF file before pi-heif gets it: it ends the whole process where this does not hold."""

from collections.abc import Iterator


def names_are_text(data: bytes) -> bool:
    """Whether the types and names of all items are UTF-8.

    pi-heif 1.4 hands an item's type to Python as text and does not look whether that worked: a byte above 127 in one of
    the four letters is a segmentation fault. Items are described in "infe" boxes (ISO/IEC 14496-12, section 8.11.6),
    which are looked for in the meta box alone: in the picture's data those letters mean nothing.
    """
    for start, end in top_level(data):
        if data[start + 4 : start + 8] == b"meta" and not all(map(_is_text, _descriptions(data[start:end]))):
            return False
    return True


def top_level(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of the boxes of the file, as their headers say: the last may end behind `data`."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        elif size == 0:  # to the end of the file
            size = len(data) - at
        size = max(size, 8)
        yield at, at + size
        at += size


def _descriptions(meta: bytes) -> Iterator[bytes]:
    """The type, name and further strings of each item."""
    at = meta.find(b"infe")
    while at >= 0:
        # Behind the box's own size and name: version and flags (4 bytes), item number and protection (4 or 6).
        end = at - 4 + int.from_bytes(meta[max(at - 4, 0) : at], "big")
        start = at + 4 + 4 + (6 if meta[at + 4 : at + 5] == b"\3" else 4)
        yield meta[start : max(start + 4, min(end, start + 1024))]
        at = meta.find(b"infe", at + 4)


def _is_text(string: bytes) -> bool:
    try:
        string.decode()
    except UnicodeDecodeError:
        return False
    return True
