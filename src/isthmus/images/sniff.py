"""What a file is, from its first bytes: names and extensions lie."""

from typing import Literal

from isthmus.errors import PictureError
from isthmus.images import ifd, raw
from isthmus.images.heif import top_level

Kind = Literal["JPEG", "PNG", "WebP", "AVIF", "GIF", "TIFF", "HEIF", "BMP", "RAW"]

HEAD = 256
"""Bytes that `sniff` wants to see."""

HEVC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
AV1 = frozenset({b"avif", b"avis"})

# Pictures all the same, so a report can say more than "not a picture".
OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL ", "a JPEG XL picture"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"8BPS", "a Photoshop document"),
)
RAWS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypcrx ", "a Canon raw photo"),
    (8, b"CR\x02\x00", "a Canon raw photo"),
    (0, b"FUJIFILMCCD-RAW", "a Fujifilm raw photo"),
    (0, b"IIU\x00", "a Panasonic raw photo"),
    (0, b"IIRO", "an Olympus raw photo"),
    (0, b"IIRS", "an Olympus raw photo"),
)


def sniff(head: bytes, name: str) -> Kind:
    """The kind of picture that starts with `head`; a raw photo that is a TIFF is one.

    Raises PictureError "empty", "unsupported", "not a picture".
    """
    if not head:
        raise PictureError("empty", f"{name} is empty", todo="copy it again from where it came")
    for at, mark, what in OTHERS:
        if head[at : at + len(mark)] == mark:
            raise PictureError("unsupported", f"{name} is {what}", todo="export it as JPEG or PNG")
    for at, mark, what in RAWS:
        if head[at : at + len(mark)] == mark:
            if not raw.readable():
                raise raw.refusal(f"{name} is {what}")
            return "RAW"
    kind = _kind(head)
    if kind is None:
        raise PictureError("not a picture", f"{name} is not a picture", why="its first bytes are of no known format")
    return kind


def cut_short(kind: Kind, data: bytes, error: Exception) -> bool:
    """Whether the decoder failed because the file ends too early, from its own words or the container's lengths."""
    if kind == "WebP":
        return len(data) < 12 or int.from_bytes(data[4:8], "little") + 8 > len(data)
    if kind in ("AVIF", "HEIF"):
        return max((end for _, end in top_level(data)), default=0) > len(data)
    if kind == "TIFF" and ifd.cut_short(data):
        return True
    text = str(error).lower()
    words = ("truncated", "broken data stream", "end of file", "eof", "not enough", "broken png", "unpack requires")
    return isinstance(error, EOFError) or any(word in text for word in words)


def _kind(head: bytes) -> Kind | None:
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[:2] == b"BM":
        return "BMP"
    if head[4:8] == b"ftyp":
        return _iso_kind(head)
    return None


def _iso_kind(head: bytes) -> Kind | None:
    """HEIF and AVIF share a container with MP4: the brands tell them apart (ISO/IEC 23008-12, section 10)."""
    end = int.from_bytes(head[:4], "big")
    major = head[8:12]
    brands = {head[at : at + 4] for at in range(16, min(end, len(head)) - 3, 4)}
    if major in AV1:
        return "AVIF"
    if major in HEVC:
        return "HEIF"
    if major in (b"mif1", b"msf1", b"heif"):
        return "AVIF" if brands & AV1 and not brands & HEVC else "HEIF"
    return None
