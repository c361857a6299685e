"""The metadata chunks of PNG and WebP files, wherever they stand.

Pillow meets what stands behind a PNG's pixels only after decoding them, and makes room for a WebP's pixels at opening.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.photos.metadata.text import Problems

MAX_CHUNKS = 20_000
"""Of a file: encoders cut a large PNG's pixels into chunks of 8 kB and more."""

MAX_EXIF = 4 << 20
_XMP_KEY = b"XML:com.adobe.xmp"
_PROFILES = {b"Raw profile type exif": "exif", b"Raw profile type APP1": "exif", b"Raw profile type xmp": "xmp"}


@dataclass
class Chunks:
    """What was found; `size` is (width, height)."""

    exif: bytes = b""
    xmp: bytes = b""
    size: tuple[int, int] | None = None
    animated: bool = False


def png_blocks(data: bytes, max_packet: int, problems: Problems) -> Chunks:
    """PNG, third edition: eXIf, iTXt with Adobe's keyword, and ImageMagick's raw profiles as texts."""
    found = Chunks()
    for kind, start, end in _png_chunks(data, problems):
        if kind == b"IHDR" and end - start >= 8:
            found.size = (
                int.from_bytes(data[start : start + 4], "big"),
                int.from_bytes(data[start + 4 : start + 8], "big"),
            )
        elif kind == b"acTL":
            found.animated = int.from_bytes(data[start : start + 4], "big") > 1
        elif kind == b"eXIf" and not found.exif:
            found.exif = data[start : min(end, start + MAX_EXIF)]
        elif kind in (b"iTXt", b"zTXt", b"tEXt"):
            _read_text(kind, data[start : min(end, start + 2 * max_packet)], max_packet, found)
    return found


def webp_blocks(data: bytes, max_packet: int, problems: Problems) -> Chunks:
    """RFC 9649, section 2.7: EXIF, XMP and the extended header."""
    found = Chunks()
    for kind, start, end in _riff_chunks(data, problems):
        if kind == b"VP8X" and end - start >= 10:
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (start + 4, start + 7))
            found.size, found.animated = (width, height), bool(data[start] & 2)
        elif kind == b"VP8 " and not found.size and end - start >= 10:
            width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (start + 6, start + 8))
            found.size = (width, height)
        elif kind == b"VP8L" and not found.size and end - start >= 5:
            bits = int.from_bytes(data[start + 1 : start + 5], "little")
            found.size = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        elif kind == b"EXIF" and not found.exif:
            found.exif = data[start : min(end, start + MAX_EXIF)]
        elif kind == b"XMP " and not found.xmp:
            found.xmp = data[start : min(end, start + max_packet + 1)]
    return found


def _png_chunks(data: bytes, problems: Problems) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of each chunk's content."""
    at = 8
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        yield kind, at + 8, min(at + 8 + size, len(data))
        if kind == b"IEND":
            return
        at += 12 + size
    problems.add(f"PNG of more than {MAX_CHUNKS:,} chunks: the first are read")


def _riff_chunks(data: bytes, problems: Problems) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        yield kind, at + 8, min(at + 8 + size, len(data))
        at += 8 + size + size % 2
    problems.add(f"WebP of more than {MAX_CHUNKS:,} chunks: the first are read")


def _read_text(kind: bytes, content: bytes, max_packet: int, found: Chunks) -> None:
    key, _, rest = content.partition(b"\0")
    if kind == b"iTXt" and key == _XMP_KEY and not found.xmp:
        packed, rest = rest[:1] == b"\1", rest[2:]
        body = rest.split(b"\0", 2)[-1]  # behind the language and the translated keyword
        found.xmp = _inflated(body, max_packet + 1) if packed else body[: max_packet + 1]
    elif kind in (b"zTXt", b"tEXt") and key in _PROFILES:
        body = _inflated(rest[1:], 2 * max_packet) if kind == b"zTXt" else rest
        profile = _profile(body)
        if _PROFILES[key] == "exif":
            found.exif = found.exif or profile[:MAX_EXIF]
        else:
            found.xmp = found.xmp or profile[: max_packet + 1]


def _profile(text: bytes) -> bytes:
    """A profile as ImageMagick writes it: a name, a length, then hexadecimal digits in lines."""
    match = re.match(rb"\s*\w+\s+\d+\s+([0-9a-fA-F\s]*)", text)
    digits = b"".join(match[1].split()) if match else b""
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())


def _inflated(data: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, limit)
    except zlib.error:
        return b""
