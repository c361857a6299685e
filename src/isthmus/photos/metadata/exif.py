"""What an EXIF block says, as texts and numbers; what they mean for the photo is decided elsewhere (EXIF 3.0)."""

import codecs
from dataclasses import dataclass, field

from isthmus.photos.metadata.tags import MAX_TAGS, MAX_VALUE, Field, Tiff
from isthmus.photos.metadata.text import Problems, decoded

_EXIF_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825
_DESCRIPTION, _MAKE, _MODEL, _ORIENTATION, _SOFTWARE, _MODIFIED = 0x010E, 0x010F, 0x0110, 0x0112, 0x0131, 0x0132
_RATING, _RATING_PERCENT, _XP_TITLE, _XP_COMMENT, _XP_KEYWORDS = 0x4746, 0x4749, 0x9C9B, 0x9C9C, 0x9C9E
_ORIGINAL, _DIGITISED, _OFFSET, _OFFSET_ORIGINAL, _OFFSET_DIGITISED = 0x9003, 0x9004, 0x9010, 0x9011, 0x9012
_SUBSEC, _SUBSEC_ORIGINAL, _SUBSEC_DIGITISED = 0x9290, 0x9291, 0x9292
_MAKER_NOTE, _USER_COMMENT, _CUSTOM_RENDERED, _LENS = 0x927C, 0x9286, 0xA401, 0xA434
_MAIN = dict.fromkeys(
    (_DESCRIPTION, _MAKE, _MODEL, _ORIENTATION, _SOFTWARE, _MODIFIED, _RATING, _RATING_PERCENT, _XP_TITLE, _XP_COMMENT,
     _XP_KEYWORDS, _EXIF_DIRECTORY, _GPS_DIRECTORY),
    MAX_VALUE,
)  # fmt: skip
_PHOTO = dict.fromkeys(
    (_ORIGINAL, _DIGITISED, _OFFSET, _OFFSET_ORIGINAL, _OFFSET_DIGITISED, _SUBSEC, _SUBSEC_ORIGINAL, _SUBSEC_DIGITISED,
     _USER_COMMENT, _CUSTOM_RENDERED, _LENS),
    MAX_VALUE,
) | {_MAKER_NOTE: 1 << 20}  # fmt: skip
_GPS = dict.fromkeys((*range(8), 9, 0x1D), 256)

_APPLE = b"Apple iOS\0\0\1"
_APPLE_CONTENT_IDENTIFIER = 0x0011


@dataclass(frozen=True)
class Stamp:
    """A time as EXIF spreads it: "2018:05:03 14:25:30", the digits behind the second, "+02:00"."""

    time: str = ""
    subsecond: str = ""
    offset: str = ""


@dataclass(frozen=True)
class Gps:
    """Fields of the GPS directory (EXIF 3.0, tags 0 to 29). None among numbers is a fraction of denominator 0."""

    latitude: tuple[float | None, ...] = ()
    longitude: tuple[float | None, ...] = ()
    altitude: tuple[float | None, ...] = ()
    time: tuple[float | None, ...] = ()
    north: str = ""
    east: str = ""
    below: int = 0
    date: str = ""
    status: str = ""


@dataclass(frozen=True)
class Exif:
    """Texts as written, up to their first NUL; `orientation` 1..8."""

    make: str = ""
    model: str = ""
    lens: str = ""
    software: str = ""
    description: str = ""
    comment: str = ""
    title: str = ""
    windows_comment: str = ""
    keywords: tuple[str, ...] = ()
    rating: int | None = None
    rating_percent: int | None = None
    orientation: int = 1
    custom_rendered: int | None = None
    original: Stamp = field(default_factory=Stamp)
    digitised: Stamp = field(default_factory=Stamp)
    modified: Stamp = field(default_factory=Stamp)
    gps: Gps = field(default_factory=Gps)
    content_identifier: str = ""


def exif_of(block: Tiff, problems: Problems) -> Exif:
    """The fields of a block, whatever its bytes."""
    main = _directory(block, None, _MAIN, "EXIF", problems)
    photo = _directory(block, _pointer(main, _EXIF_DIRECTORY), _PHOTO, "EXIF", problems)
    gps = _directory(block, _pointer(main, _GPS_DIRECTORY), _GPS, "GPS", problems)
    turn = _number(main, _ORIENTATION)
    return Exif(
        make=_text(main, _MAKE),
        model=_text(main, _MODEL),
        lens=_text(photo, _LENS),
        software=_text(main, _SOFTWARE),
        description=_text(main, _DESCRIPTION),
        comment=_comment(photo.get(_USER_COMMENT)),
        title=_windows_text(main, _XP_TITLE),
        windows_comment=_windows_text(main, _XP_COMMENT),
        keywords=tuple(_windows_text(main, _XP_KEYWORDS).split(";")),
        rating=_number(main, _RATING),
        rating_percent=_number(main, _RATING_PERCENT),
        orientation=turn if turn is not None and 1 <= turn <= 8 else 1,
        custom_rendered=_number(photo, _CUSTOM_RENDERED),
        original=_stamp(photo, _ORIGINAL, _SUBSEC_ORIGINAL, _OFFSET_ORIGINAL),
        digitised=_stamp(photo, _DIGITISED, _SUBSEC_DIGITISED, _OFFSET_DIGITISED),
        modified=Stamp(_text(main, _MODIFIED), _text(photo, _SUBSEC), _text(photo, _OFFSET)),
        gps=_gps(gps),
        content_identifier=_content_identifier(photo.get(_MAKER_NOTE)),
    )


def _directory(
    block: Tiff, offset: int | None, wanted: dict[int, int], what: str, problems: Problems
) -> dict[int, Field]:
    if offset == 0:  # there is none
        return {}
    fields, count = block.fields(wanted, offset)
    if count > MAX_TAGS:
        problems.add(f"{what} directory of {count:,} tags: the first {MAX_TAGS:,} are read")
    for tag, value in fields.items():
        if len(value.data) < min(value.length, wanted[tag]):
            problems.add(f"{what} tag 0x{tag:04X} lies behind the end of the block")
        elif value.length > wanted[tag]:
            problems.add(f"{what} tag 0x{tag:04X} has {value.length:,} bytes: the first {wanted[tag]:,} are read")
    return fields


def _pointer(fields: dict[int, Field], tag: int) -> int:
    return max(_number(fields, tag) or 0, 0)


def _number(fields: dict[int, Field], tag: int) -> int | None:
    return fields[tag].number() if tag in fields else None


def _numbers(fields: dict[int, Field], tag: int) -> tuple[float | None, ...]:
    return fields[tag].numbers() if tag in fields else ()


def _text(fields: dict[int, Field], tag: int) -> str:
    value = fields.get(tag)
    return decoded(value.data).strip() if value and value.kind in (1, 2, 7, 129) else ""


def _windows_text(fields: dict[int, Field], tag: int) -> str:
    """Windows' own tags: UTF-16, little-endian whatever the block's order."""
    data = fields[tag].data if tag in fields else b""
    return data.decode("utf-16-le", "replace").split("\0", 1)[0].strip()


def _comment(value: Field | None) -> str:
    """UserComment: eight bytes name its code (EXIF 3.0, tag 37510)."""
    if value is None:
        return ""
    code, body = value.data[:8], value.data[8:]
    if code == b"UNICODE\0":
        text = body.decode(_order(body, value.order), "replace").lstrip("\ufeff").split("\0", 1)[0]
    elif code == b"JIS\0\0\0\0\0":
        text = body.decode("iso2022_jp", "replace").split("\0", 1)[0]
    elif code in (b"ASCII\0\0\0", bytes(8)):
        text = decoded(body)
    else:  # some writers leave the code out
        text = decoded(value.data)
    return text.strip()


def _order(body: bytes, order: str) -> str:
    """Which UTF-16 it is: by its mark, by where the zeros of Latin letters stand, or by the block's own order."""
    if body.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        return "utf-16-be" if body.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    text = body.rstrip(b"\0")
    first, second = text[::2].count(0), text[1::2].count(0)
    if first != second:
        return "utf-16-be" if first > second else "utf-16-le"
    return "utf-16-be" if order == ">" else "utf-16-le"


def _stamp(fields: dict[int, Field], time: int, subsecond: int, offset: int) -> Stamp:
    return Stamp(_text(fields, time), _text(fields, subsecond), _text(fields, offset))


def _gps(fields: dict[int, Field]) -> Gps:
    return Gps(
        latitude=_numbers(fields, 2),
        longitude=_numbers(fields, 4),
        altitude=_numbers(fields, 6),
        time=_numbers(fields, 7),
        north=_text(fields, 1).upper(),
        east=_text(fields, 3).upper(),
        below=_number(fields, 5) or 0,
        date=_text(fields, 0x1D),
        status=_text(fields, 9).upper(),
    )


def _content_identifier(note: Field | None) -> str:
    """What a live photo shares with its video: in Apple's maker note, a directory that counts from its own start."""
    if note is None or not note.data.startswith(_APPLE):
        return ""
    order = {b"MM": ">", b"II": "<"}.get(note.data[12:14])
    if order is None:
        return ""
    fields, _ = Tiff(note.data, order, 14).fields({_APPLE_CONTENT_IDENTIFIER: 256})
    return _text(fields, _APPLE_CONTENT_IDENTIFIER)
