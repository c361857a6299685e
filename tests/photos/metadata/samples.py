"""Photos with metadata in the layouts cameras and programs write, made here: blocks by Pillow, containers by hand."""

import hashlib
import struct
import zlib
from collections.abc import Mapping
from io import BytesIO

from PIL import Image

from ...images.samples import HEIC, encode, scene

EXIF_DIRECTORY, GPS_DIRECTORY = 0x8769, 0x8825
MAKE, MODEL, ORIENTATION, DESCRIPTION, SOFTWARE, MODIFIED = 0x010F, 0x0110, 0x0112, 0x010E, 0x0131, 0x0132
ORIGINAL, DIGITISED, OFFSET, OFFSET_ORIGINAL, SUBSEC_ORIGINAL = 0x9003, 0x9004, 0x9010, 0x9011, 0x9291
MAKER_NOTE, USER_COMMENT, LENS = 0x927C, 0x9286, 0xA434

NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
    ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"'
    ' xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"'
    ' xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"'
    ' xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:MP="http://ns.microsoft.com/photo/1.2/"'
    ' xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"'
    ' xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"'
    ' xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"'
    ' xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
    ' xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
)


def xmp(properties: str = "", attributes: str = "") -> bytes:
    """A packet as Adobe's library writes it, with padding behind."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        f'<rdf:RDF {NAMESPACES}><rdf:Description rdf:about="" {attributes}>{properties}</rdf:Description></rdf:RDF>\n'
        "</x:xmpmeta>\n" + " " * 200 + '\n<?xpacket end="w"?>'
    ).encode()


def bag(name: str, *texts: str) -> str:
    return f"<{name}><rdf:Bag>" + "".join(f"<rdf:li>{text}</rdf:li>" for text in texts) + f"</rdf:Bag></{name}>"


def alt(name: str, **texts: str) -> str:
    """A language alternative; `x_default` is x-default."""
    items = (f'<rdf:li xml:lang="{language.replace("_", "-")}">{text}</rdf:li>' for language, text in texts.items())
    return f"<{name}><rdf:Alt>{''.join(items)}</rdf:Alt></{name}>"


def face(name: str, x: float, y: float, w: float, h: float, kind: str = "Face") -> str:
    return (
        f'<rdf:li><rdf:Description mwg-rs:Name="{name}" mwg-rs:Type="{kind}"><mwg-rs:Area stArea:x="{x}" stArea:y="{y}"'
        f' stArea:w="{w}" stArea:h="{h}" stArea:unit="normalized"/></rdf:Description></rdf:li>'
    )


def faces(*boxes: str, made_for: tuple[int, int] = (64, 48)) -> str:
    """MWG regions as Lightroom writes them."""
    return (
        '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions'
        f' stDim:w="{made_for[0]}" stDim:h="{made_for[1]}" stDim:unit="pixel"/>'
        f"<mwg-rs:RegionList><rdf:Bag>{''.join(boxes)}</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
    )


def exif(
    main: Mapping[int, object] | None = None,
    photo: Mapping[int, object] | None = None,
    gps: Mapping[int, object] | None = None,
) -> bytes:
    """An EXIF block, written by Pillow."""
    block = Image.Exif()
    for tag, value in (main or {}).items():
        block[tag] = value
    if photo:
        block.get_ifd(EXIF_DIRECTORY).update(photo)
    if gps:
        block.get_ifd(GPS_DIRECTORY).update(gps)
    return block.tobytes()


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg(*segments: bytes, exif: bytes = b"", xmp: bytes = b"", iptc: bytes = b"", digest: bytes = b"") -> bytes:
    """A JPEG of 64 x 48 with these blocks in front; `digest`: what Photoshop keeps of the IPTC."""
    plain = encode(scene(), "JPEG")
    blocks = [segment(0xE1, exif)] if exif else []
    blocks += [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)] if xmp else []
    resources = (resource(0x0404, iptc) if iptc else b"") + (resource(0x0425, digest) if digest else b"")
    blocks += [segment(0xED, b"Photoshop 3.0\0" + resources)] if resources else []
    return plain[:2] + b"".join((*blocks, *segments)) + plain[2:]


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


def iptc(*datasets: tuple[int, int, bytes]) -> bytes:
    return b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value for record, number, value in datasets
    )


def digest_of(block: bytes) -> bytes:
    return hashlib.md5(block, usedforsecurity=False).digest()


def extended(main: str, rest: bytes, *, piece: int = 1_000, length: int | None = None) -> bytes:
    """A JPEG whose XMP goes on in further segments, in the wrong order (XMP part 3, section 1.1.3.1)."""
    digest = hashlib.md5(rest, usedforsecurity=False).hexdigest().upper()
    pieces = [
        segment(
            0xE1,
            b"http://ns.adobe.com/xmp/extension/\0" + digest.encode()
            + struct.pack(">II", len(rest) if length is None else length, at) + rest[at : at + piece],
        )
        for at in range(0, len(rest), piece)
    ]  # fmt: skip
    return jpeg(*reversed(pieces), xmp=xmp(main, f'xmpNote:HasExtendedXMP="{digest}"'))


def png(*chunks: tuple[bytes, bytes], behind: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG with these chunks before its pixels, and others behind them."""
    plain = encode(scene(), "PNG")
    end = plain.index(b"IEND") - 4
    return plain[:33] + b"".join(map(_chunk, chunks)) + plain[33:end] + b"".join(map(_chunk, behind)) + plain[end:]


def itxt(packet: bytes, *, packed: bool = False) -> tuple[bytes, bytes]:
    body = zlib.compress(packet) if packed else packet
    return b"iTXt", b"XML:com.adobe.xmp\0" + bytes((packed, 0)) + b"\0\0" + body


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, data = chunk
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(exif: bytes = b"", packet: bytes = b"", iptc: bytes = b"") -> bytes:
    block = Image.Exif()
    block.load(exif)
    if packet:
        block[0x02BC] = packet
    if iptc:
        block[0x83BB] = iptc
    stream = BytesIO()
    scene().save(stream, "TIFF", exif=block)
    return stream.getvalue()


def heic(exif: bytes = b"", packet: bytes = b"") -> bytes:
    """The coded picture of images/samples.py in a container with EXIF and XMP items (ISO/IEC 23008-12, annex A)."""
    source = HEIC["plain"]
    at = source.index(b"iprp") - 4
    properties = source[at : at + int.from_bytes(source[at : at + 4], "big")]
    picture = source[source.index(b"mdat") + 4 :]
    items = [(1, b"hvc1", b"", picture)]
    if exif:
        items.append((2, b"Exif", b"", struct.pack(">I", 6) + b"Exif\0\0" + exif.removeprefix(b"Exif\0\0")))
    if packet:
        items.append((3, b"mime", b"application/rdf+xml\0", packet))
    names = b"".join(
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH", number, 0) + kind + b"\0" + more)
        for number, kind, more, _ in items
    )
    links = b"".join(box(b"cdsc", struct.pack(">HHH", number, 1, 1)) for number, *_ in items[1:])
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    size, places = 0, b""
    for _ in range(2):  # the first time to learn how long the boxes before the data are
        places, at = b"", len(head) + size + 8
        for number, _, _, data in items:
            places += struct.pack(">HHHII", number, 0, 1, at, len(data))
            at += len(data)
        meta = box(
            b"meta",
            bytes(4)
            + box(b"hdlr", bytes(8) + b"pict" + bytes(13))
            + box(b"pitm", bytes(4) + struct.pack(">H", 1))
            + box(b"iloc", bytes(4) + b"\x44\0" + struct.pack(">H", len(items)) + places)
            + box(b"iinf", bytes(4) + struct.pack(">H", len(items)) + names)
            + (box(b"iref", bytes(4) + links) if links else b"")
            + properties,
        )
        size = len(meta)
    return head + meta + box(b"mdat", b"".join(data for *_, data in items))


def box(name: bytes, data: bytes) -> bytes:
    """Of an ISO or QuickTime file."""
    return struct.pack(">I", len(data) + 8) + name + data


def movie(identifier: str, layout: str = "moov first", data: bytes = bytes(100)) -> bytes:
    """A QuickTime file without a picture in it; with the identifier, where there is one, as the second of its keys."""
    names = [b"com.apple.quicktime.make", b"com.apple.quicktime.content.identifier"]
    keys = bytes(4) + struct.pack(">I", 2) + b"".join(box(b"mdta", name) for name in names)
    values = [b"Apple", identifier.encode()][: 2 if identifier else 1]
    items = b"".join(
        box(struct.pack(">I", at), box(b"data", struct.pack(">II", 1, 0) + value)) for at, value in enumerate(values, 1)
    )
    meta = box(b"hdlr", bytes(8) + b"mdta" + bytes(12)) + box(b"keys", keys) + box(b"ilst", items)
    moov = box(b"moov", box(b"mvhd", bytes(100)) + box(b"meta", (bytes(4) if layout == "ISO meta" else b"") + meta))
    mdat = {
        "large mdat": struct.pack(">I4sQ", 1, b"mdat", len(data) + 16) + data,
        "mdat without end": struct.pack(">I4s", 0, b"mdat") + data,
    }.get(layout, box(b"mdat", data))
    head = b"" if layout == "no ftyp" else box(b"ftyp", b"qt  \0\0\0\0qt  ")
    return head + (moov + mdat if layout in ("moov first", "ISO meta") else mdat + moov)


def apple_note(identifier: str) -> bytes:
    """Apple's maker note with the one tag that ties a live photo to its video."""
    text = identifier.encode() + b"\0"
    entry = struct.pack(">HHII", 0x0011, 2, len(text), 14 + 2 + 12 + 4)
    return b"Apple iOS\0\0\1MM" + struct.pack(">H", 1) + entry + bytes(4) + text


def directory(fields: list[tuple[int, int, int, bytes]], order: str = "<", behind: bytes = b"") -> bytes:
    """A bare EXIF block of one directory; fields are (tag, type, count, the four bytes of the value or offset)."""
    body = b"".join(struct.pack(order + "HHI", tag, kind, count) + value for tag, kind, count, value in fields)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IH", 8, len(fields)) + body + bytes(4) + behind
