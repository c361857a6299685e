"""Where a file keeps its metadata: the EXIF, XMP and IPTC blocks of each format, found without decoding a pixel."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from isthmus.errors import PictureError
from isthmus.images import ifd
from isthmus.images.heif import names_are_text
from isthmus.images.open import DECODER_ERRORS
from isthmus.images.sniff import HEAD, Kind, sniff
from isthmus.photos.metadata.chunks import png_blocks, webp_blocks
from isthmus.photos.metadata.tags import Field, Tiff, tiff
from isthmus.photos.metadata.text import Problems

MAX_PACKET = 4 << 20
"""Bytes of an XMP packet, its extension included. Words and boxes take kilobytes; more is depth maps and previews."""

MAX_HEADER = 16 << 20
"""Bytes of a JPEG before its pixels. Pillow joins EXIF segments one by one, which costs the square of their number."""

_XMP, _EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG = 0x02BC, 0x83BB, 0x8649
_WIDTH, _HEIGHT = 0x0100, 0x0101
_IPTC_RESOURCE, _DIGEST_RESOURCE = 0x0404, 0x0425
_RAW_ENDINGS = (".dng", ".nef", ".nrw", ".arw", ".sr2", ".cr2", ".pef", ".3fr", ".iiq", ".erf", ".rwl", ".srw", ".raw")


@dataclass(frozen=True)
class Blocks:
    """The blocks of one file. `extension` is the rest of a JPEG's XMP; `size` is (width, height) as stored,
    None where that cannot be told.

    `iptc_newer`: a program that knows no XMP changed the IPTC, so it counts before the XMP (MWG 2.0).
    `orientation`: where the decoder took it out of the EXIF block, else None.
    """

    exif: Tiff | None = None
    xmp: bytes = b""
    extension: bytes = b""
    iptc: bytes = b""
    iptc_newer: bool = False
    size: tuple[int, int] | None = None
    orientation: int | None = None
    animated: bool = False
    raw: bool = False


def blocks_of(data: bytes, name: str, problems: Problems) -> Blocks:
    """The blocks of the file with these bytes; what is damaged or no picture is told in `problems`."""
    raw = _raw_blocks(data)
    if raw is not None:
        return raw
    try:
        kind = sniff(data[:HEAD], "the file")
        return _blocks(kind, data, name, problems)
    except PictureError as error:
        raw_photo = "raw photo" in error.what
        problems.add(error.what)
        return Blocks(raw=raw_photo)
    except DECODER_ERRORS as error:
        problems.add(f"the file is damaged: {error}")
    return Blocks()


def _blocks(kind: Kind, data: bytes, name: str, problems: Problems) -> Blocks:
    match kind:
        case "JPEG":
            return _jpeg(data, problems)
        case "PNG":
            chunks = png_blocks(data, MAX_PACKET, problems)
            return Blocks(_exif(chunks.exif), chunks.xmp, size=chunks.size, animated=chunks.animated)
        case "WebP":
            chunks = webp_blocks(data, MAX_PACKET, problems)
            return Blocks(_exif(chunks.exif), chunks.xmp, size=chunks.size, animated=chunks.animated)
        case "TIFF":
            return _tiff(tiff(data), raw=name.lower().endswith(_RAW_ENDINGS))
        case "HEIF":
            return _heif(data)
        case "RAW":
            problems.add("what this raw photo says of itself is not read")
            return Blocks(raw=True)
        case "AVIF":
            return _avif(data)
        case "GIF":
            from PIL.GifImagePlugin import GifImageFile

            with GifImageFile(BytesIO(data)) as image:
                return Blocks(size=image.size, animated=bool(image.is_animated))
        case "BMP":
            return Blocks()


def _jpeg(data: bytes, problems: Problems) -> Blocks:
    from isthmus.images.jpeg import Jpeg

    with Jpeg(BytesIO(data[:MAX_HEADER])) as image:
        segments = [segment for name, segment in image.applist if name == "APP1"]
        packets = [segment.removeprefix(_XMP) for segment in segments if segment.startswith(_XMP)]
        resources = image.info.get("photoshop", {})
        iptc, digest = (_bytes(resources.get(key)) for key in (_IPTC_RESOURCE, _DIGEST_RESOURCE))
        xmp = packets[0] if packets else b""
        return Blocks(
            _exif(_bytes(image.info.get("exif"))),
            xmp,
            _extension(segments, xmp, problems),
            iptc,
            _is_newer(iptc, digest),
            image.size,
        )


def _extension(segments: Sequence[bytes], xmp: bytes, problems: Problems) -> bytes:
    """The extended XMP whose digest the packet names, put together (XMP part 3, section 1.1.3.1)."""
    parts: dict[int, bytes] = {}
    total = 0
    for segment in segments:
        body = segment.removeprefix(_EXTENSION)
        digest, length, at = body[:32], int.from_bytes(body[32:36], "big"), int.from_bytes(body[36:40], "big")
        if len(body) == len(segment) or len(body) < 40 or digest not in xmp:
            continue
        if length > MAX_PACKET:
            problems.add(f"extended XMP of {length >> 20} MB: not read, {MAX_PACKET >> 20} MB at most")
            return b""
        parts[at], total = body[40:], length
    whole = b"".join(parts[at] for at in sorted(parts))
    if len(whole) != total:
        problems.add(f"extended XMP is not whole: {len(whole):,} of {total:,} bytes")
        return b""
    return whole


def _heif(data: bytes) -> Blocks:
    if not names_are_text(data):
        raise PictureError("corrupt", "the file is a damaged HEIF", why="an item has no name")
    from pi_heif import HeifImageFile

    with HeifImageFile(BytesIO(data)) as image:
        turn = image.info.get("original_orientation")
        turn = turn if turn in range(1, 9) else 1
        # libheif gives the size after the container's own turn, which need not be the one EXIF names.
        size = image.size if turn < 5 else None
        exif, xmp = _bytes(image.info.get("exif")), _bytes(image.info.get("xmp"))
        return Blocks(_exif(exif), xmp, size=size, orientation=turn)


def _avif(data: bytes) -> Blocks:
    # Pillow reads all of the EXIF block at opening to find the orientation; see `images.open`.
    if any(ifd.weight(data[at : at + 2**24]) > 4 * len(data) + 2**20 for at in ifd.starts(data)):
        raise PictureError("too large", "the file's EXIF block declares far more data than the file has")
    from PIL.AvifImagePlugin import AvifImageFile

    with AvifImageFile(BytesIO(data)) as image:
        exif, xmp = _bytes(image.info.get("exif")), _bytes(image.info.get("xmp"))
        return Blocks(_exif(exif), xmp, size=image.size, animated=bool(image.is_animated))


def _raw_blocks(data: bytes) -> Blocks | None:
    """Raw photos that are TIFF but for their first bytes: of Canon, Olympus and Panasonic."""
    if data[:4] in (b"IIRO", b"IIRS", b"IIU\0") or (data[:4] == b"II*\0" and data[8:10] == b"CR"):
        return _tiff(tiff(data), raw=True)
    return None


def _tiff(block: Tiff | None, *, raw: bool) -> Blocks:
    if block is None:
        return Blocks(raw=raw)
    limits = {_XMP_TAG: MAX_PACKET + 1, _IPTC_TAG: MAX_PACKET, _PHOTOSHOP_TAG: MAX_PACKET}
    single = dict.fromkeys((_WIDTH, _HEIGHT, ifd.DNG_VERSION, ifd.SUBFILE_TYPE), 8)
    fields, _ = block.fields(limits | single)
    width, height = (fields[tag].number() if tag in fields else None for tag in (_WIDTH, _HEIGHT))
    # As in `images.open`: the first page of a raw file is a thumbnail.
    reduced = ifd.SUBFILE_TYPE in fields and ((fields[ifd.SUBFILE_TYPE].number() or 0) & 1) == 1
    resources = _resources(_data(fields, _PHOTOSHOP_TAG))
    iptc = _data(fields, _IPTC_TAG).rstrip(b"\0") or resources.get(_IPTC_RESOURCE, b"")
    return Blocks(
        block,
        _data(fields, _XMP_TAG),
        iptc=iptc,
        iptc_newer=_is_newer(iptc, resources.get(_DIGEST_RESOURCE, b"")),
        size=(width, height) if width and height else None,
        raw=raw or reduced or ifd.DNG_VERSION in fields,
    )


def _resources(data: bytes) -> dict[int, bytes]:
    """Photoshop's image resources: "8BIM", a number, a name, and as many bytes as it says."""
    found: dict[int, bytes] = {}
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        number, name = int.from_bytes(data[at + 4 : at + 6], "big"), data[at + 6]
        start = at + 7 + name + (name + 1) % 2
        size = int.from_bytes(data[start : start + 4], "big")
        found.setdefault(number, data[start + 4 : start + 4 + size])
        at = start + 4 + size + size % 2
    return found


def _is_newer(iptc: bytes, digest: bytes) -> bool:
    """Whether the IPTC was changed after the XMP: the digest kept of it is of other bytes."""
    return bool(iptc) and len(digest) == 16 and hashlib.md5(iptc, usedforsecurity=False).digest() != digest


def _exif(block: bytes) -> Tiff | None:
    return tiff(block.removeprefix(b"Exif\0\0"))


def _data(fields: dict[int, Field], tag: int) -> bytes:
    return fields[tag].data if tag in fields else b""


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
