"""What cameras and programs write into and beside pictures: EXIF with GPS, IPTC and XMP keywords, XMP sidecars."""

from io import BytesIO
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks.photo_library.plan import Shot
from PIL import Image, PngImagePlugin
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

STORED = {
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation -> how an upright picture is turned to be stored under it."""


class Files(NamedTuple):
    """The picture's bytes, and those of its sidecar with what is added to the picture's name for it."""

    picture: bytes
    sidecar: bytes = b""
    ending: str = ".xmp"


def encoded(image: Image.Image, shot: Shot) -> Files:
    """An upright picture as the shot's file."""
    turn = STORED[shot.orientation]
    stored = image if turn is None else image.transpose(turn)
    buffer = BytesIO()
    exif = _exif(shot) if shot.camera else None
    match shot.path.rpartition(".")[2].lower():
        case "png":
            # as a system writes screenshots: what made it, and nothing else
            about = PngImagePlugin.PngInfo()
            about.add_text("Software", "Screenshot")
            stored.save(buffer, "PNG", pnginfo=about, compress_level=4)
        case "webp":
            stored.save(buffer, "WEBP", quality=72, method=1, exif=exif.tobytes() if exif else b"")
        case _:
            quality = 58 if shot.resaved else 76
            # half of the programs write keywords as XMP, half as IPTC too
            xmp = _xmp(shot, place=False).encode() if shot.keywords and shot.placed != "sidecar" else b""
            extra = _iptc(shot.keywords) if shot.keywords and shot.number % 2 else b""
            stored.save(
                buffer, "JPEG", quality=quality, exif=exif.tobytes() if exif else b"", xmp=xmp or None, extra=extra
            )
    if shot.placed != "sidecar":
        return Files(buffer.getvalue())
    return Files(buffer.getvalue(), _xmp(shot, place=True).encode(), ".xmp" if shot.number % 2 else "")


def _exif(shot: Shot) -> Image.Exif:
    """Cameras without a place know no zone either, but for those since 2022."""
    camera = shot.camera
    assert camera is not None
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = camera.maker, camera.model
    exif[Base.Orientation] = shot.orientation
    exif[Base.DateTime] = when = f"{shot.time:%Y:%m:%d %H:%M:%S}"
    inside = exif.get_ifd(IFD.Exif)
    inside[Base.DateTimeOriginal] = inside[Base.DateTimeDigitized] = when
    if camera.gps or camera.maker == "SONY":
        inside[Base.OffsetTimeOriginal] = inside[Base.OffsetTimeDigitized] = inside[Base.OffsetTime] = _offset(shot)
    if shot.placed == "gps":
        exif[IFD.GPSInfo] = {
            GPS.GPSLatitudeRef: "N" if shot.latitude >= 0 else "S",
            GPS.GPSLatitude: _degrees(shot.latitude),
            GPS.GPSLongitudeRef: "E" if shot.longitude >= 0 else "W",
            GPS.GPSLongitude: _degrees(shot.longitude),
        }
    return exif


def _offset(shot: Shot) -> str:
    hours, minutes = divmod(abs(shot.offset), 60)
    return f"{'-' if shot.offset < 0 else '+'}{hours:02}:{minutes:02}"


def _degrees(value: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes, and seconds to a ten-thousandth."""
    whole, seconds = divmod(round(abs(value) * 3600 * 10_000), 3600 * 10_000)
    minutes, rest = divmod(seconds, 60 * 10_000)
    return IFDRational(whole, 1), IFDRational(minutes, 1), IFDRational(rest, 10_000)


def _iptc(keywords: tuple[str, ...]) -> bytes:
    """An APP13 segment: record 1:90 says UTF-8, 2:25 are keywords (IPTC-NAA IIM 4.2, in Adobe's 8BIM resource)."""
    fields = b"\x1c\x01\x5a\x00\x03\x1b%G"
    for keyword in keywords:
        said = keyword.encode()
        fields += b"\x1c\x02\x19" + len(said).to_bytes(2, "big") + said
    fields += b"\0" * (len(fields) % 2)
    block = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(fields).to_bytes(4, "big") + fields
    return b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block


def _xmp(shot: Shot, *, place: bool) -> str:
    """Keywords; with `place`, as in a sidecar, time and place too (the times of XMP are ISO 8601, its degrees have
    minutes with a fraction)."""
    words = "".join(f"<rdf:li>{escape(word)}</rdf:li>" for word in shot.keywords)
    told = f"<dc:subject><rdf:Bag>{words}</rdf:Bag></dc:subject>" if words else ""
    if place:
        told += f"<exif:DateTimeOriginal>{shot.time:%Y-%m-%dT%H:%M:%S}{_offset(shot)}</exif:DateTimeOriginal>"
        told += f"<exif:GPSLatitude>{_minutes(shot.latitude, 'NS')}</exif:GPSLatitude>"
        told += f"<exif:GPSLongitude>{_minutes(shot.longitude, 'EW')}</exif:GPSLongitude>"
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/">'
        f'{told}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _minutes(value: float, signs: str) -> str:
    whole = int(abs(value))
    return f"{whole},{(abs(value) - whole) * 60:.6f}{signs[value < 0]}"
