"""Open any picture a camera or phone makes: upright, sRGB, on white, or refused with a reason."""

import stat
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile, ImageOps

from isthmus.errors import InputError, PictureError
from isthmus.images import ifd, raw
from isthmus.images.colour import eight_bits, on_white
from isthmus.images.heif import names_are_text
from isthmus.images.sniff import HEAD, Kind, cut_short, sniff
from isthmus.images.views import Picture

MAX_PIXELS = 200_000_000
"""The largest phone cameras make 16320 x 12240; decoded in full that is 800 MB."""

MAX_BYTES = 512 * 2**20
"""Of a file: it is held in memory while it is decoded."""

MAX_SCANS = 256
"""Of a progressive JPEG. Encoders write about ten; each costs a pass over all pixels, however few its bytes."""

# All that Pillow's decoders were seen to raise on hostile bytes. Warnings are among them where the host program
# turned them into errors.
DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
    RuntimeError, EOFError, BufferError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip

# How Pillow's decoders say so.
TOO_LARGE = ("too large", "too much memory")
UNSUPPORTED = ("unknown pixel mode", "unsupported", "not supported")

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of this EXIF orientation upright (EXIF 2.32, section 4.6.4, tag 274)."""


def open_picture(
    source: Path | str | bytes | BinaryIO, *, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Picture:
    """The picture in `source` (a path, the bytes of a file, or a stream), its first frame or page.

    With `at_least`, fewer pixels than the file's may be kept, but of the shortest side never fewer than that: JPEGs
    are then decoded at 1/2, 1/4 or 1/8 scale, others averaged down before any colour work. `width`, `height` and
    boxes are the whole picture's all the same. Pass `fit.at_least`.

    Safe to call from many threads. Raises ValueError for an `at_least` below 1, and PictureError, whose `reason` is one
    of the words listed there.
    """
    if at_least is not None and at_least < 1:
        raise ValueError(f"at_least is {at_least}: a picture has at least one pixel")
    name = str(source) if isinstance(source, str | Path) else "the picture"
    kind, data = _read(source, name)
    try:
        _check_container(kind, data, name)
        kind, data, turn = _as_shown(kind, data, name, max_pixels)
        with _decoder(kind, data) as image:
            _check_pixels(image, max_pixels, name)
            return _decode(image, kind, data, at_least, max_pixels, name, turn)
    except DECODER_ERRORS as error:
        raise _refusal(name, kind, data, error) from None


def size_of(source: Any, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) of the whole upright picture in whatever `picture_of` takes: from its file's head where that
    tells. What an ill-formed file says there may not be what it turns out to hold. Raises as `picture_of`."""
    if not isinstance(source, str | Path | bytes):
        picture = picture_of(source)
        return picture.width, picture.height
    name = "the picture" if isinstance(source, bytes) else str(source)
    kind, data = _read(source, name)
    if kind in ("TIFF", "HEIF", "RAW"):  # turned, or its true size found, only as it is decoded
        picture = open_picture(data, at_least=1, max_pixels=max_pixels)
        return picture.width, picture.height
    try:
        _check_container(kind, data, name)
        with _decoder(kind, data) as image:
            _check_pixels(image, max_pixels, name)
            width, height = image.size
            return (height, width) if ifd.orientation(image.info.get("exif")) >= 5 else (width, height)
    except DECODER_ERRORS as error:
        raise _refusal(name, kind, data, error) from None


def picture_of(source: Any, *, at_least: int | None = None) -> Picture:
    """Whatever a caller holds (a path, a file's bytes, a PIL image, a Picture) as a Picture: upright, sRGB, on white.

    Raises as open_picture; PictureError for a PIL image that is too large or whose file cannot be read on, for Pillow
    may not have read its pixels yet; InputError for another kind of source.
    """
    match source:
        case Picture():
            return source
        case Image.Image():
            return _opened_elsewhere(source)
        case str() | Path() | bytes():
            return open_picture(source, at_least=at_least)
    raise InputError(
        f"a {type(source).__name__} is no picture", todo="give a path, the bytes of a file, a PIL image or a Picture"
    )


def _opened_elsewhere(image: Image.Image) -> Picture:
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(
            "too large", f"the picture has {image.width} x {image.height} pixels", todo="make it smaller"
        )
    try:
        upright = ImageOps.exif_transpose(image)
        profile = upright.info.get("icc_profile")
        flat = on_white(eight_bits(upright), profile if isinstance(profile, bytes) else None)
    except DECODER_ERRORS as error:
        raise PictureError("corrupt", "the opened picture cannot be read", why=str(error)) from None
    return Picture(flat, *flat.size)


def _read(source: Path | str | bytes | BinaryIO, name: str) -> tuple[Kind, bytes]:
    """What it is and its bytes. A video or another large file that is no picture is left after its head."""
    if isinstance(source, bytes):
        kind = sniff(source[:HEAD], name)
        if len(source) > MAX_BYTES:
            raise _too_many_bytes(name)
        return kind, source
    try:
        if not isinstance(source, str | Path):
            return _read_stream(source, name)
        _check_regular(Path(source), name)
        with Path(source).open("rb") as file:
            return _read_stream(file, name)
    except (FileNotFoundError, NotADirectoryError):
        raise PictureError("missing", f"{name} does not exist", todo="check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a closed stream
        why = getattr(error, "strerror", None) or str(error)
        raise PictureError("unreadable", f"{name} cannot be read", why=why, todo="check its permissions") from None


def _check_regular(path: Path, name: str) -> None:
    """Only regular files are opened: a pipe would wait for ever."""
    try:
        mode = path.stat().st_mode
    except ValueError:  # a null byte
        raise PictureError("missing", f"{name!r} is no path", todo="check the path") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise PictureError("not a picture", f"{name} is {what}", todo="name a picture file")


def _read_stream(stream: BinaryIO, name: str) -> tuple[Kind, bytes]:
    head = stream.read(HEAD)
    kind = sniff(head, name)
    data = head + stream.read(MAX_BYTES + 1 - len(head))
    if len(data) > MAX_BYTES:
        raise _too_many_bytes(name)
    return kind, data


def _check_container(kind: Kind, data: bytes, name: str) -> None:
    """Refuse what would cost memory or hours before Pillow's own limits look: see `ifd`."""
    if kind == "TIFF" and ifd.weight(data) > 4 * len(data) + 2**20:
        raise _bomb(name, "its directory declares far more data than the file has")
    if kind == "HEIF" and not names_are_text(data):
        raise PictureError("corrupt", f"{name} is a damaged HEIF", why="an item has no name", todo="copy it again")
    # Pillow reads the EXIF block of an AVIF at once. Where in the file it lies takes an item table to say, so whatever
    # looks like one is weighed.
    if kind == "AVIF" and any(ifd.weight(data[at : at + 2**24]) > 4 * len(data) + 2**20 for at in ifd.starts(data)):
        raise _bomb(name, "its EXIF block declares far more data than the file has")


def _as_shown(kind: Kind, data: bytes, name: str, max_pixels: int) -> tuple[Kind, bytes, int]:
    """A raw photo's preview instead of it, and the orientation of what does not say that itself."""
    if kind != "RAW" and not (kind == "TIFF" and raw.is_raw(data)):
        return kind, data, 1
    if not raw.readable():
        raise raw.refusal(f"{name} is a camera raw photo")
    shown, turn = raw.preview(data, name, max_pixels)
    return sniff(shown[:HEAD], name), shown, turn


def _decoder(kind: Kind, data: bytes) -> ImageFile.ImageFile:
    """The file opened by the one Pillow plugin for its kind: header read, pixels not.

    Not `Image.open`: that would try others, and warn or refuse by a limit the whole process shares. Plugins are
    imported when first needed, so a folder of JPEGs never pays for libheif.
    """
    stream = BytesIO(data)
    match kind:
        case "JPEG":
            from isthmus.images.jpeg import Jpeg

            return Jpeg(stream)
        case "PNG":
            from PIL.PngImagePlugin import PngImageFile

            return PngImageFile(stream)
        case "WebP":
            from PIL.WebPImagePlugin import WebPImageFile

            return WebPImageFile(stream)
        case "AVIF":
            from PIL.AvifImagePlugin import AvifImageFile

            return AvifImageFile(stream)
        case "GIF":
            from PIL.GifImagePlugin import GifImageFile

            return GifImageFile(stream)
        case "TIFF":
            from PIL.TiffImagePlugin import TiffImageFile

            return TiffImageFile(stream)
        case "BMP":
            from PIL.BmpImagePlugin import BmpImageFile

            return BmpImageFile(stream)
        case "HEIF":
            from pi_heif import HeifImageFile

            heif: ImageFile.ImageFile = HeifImageFile(stream)
            return heif
        case "RAW":
            raise ValueError("a preview that is itself raw")


def _decode(
    image: ImageFile.ImageFile, kind: Kind, data: bytes, at_least: int | None, max_pixels: int, name: str, turn: int
) -> Picture:
    if kind == "JPEG" and image.info.get("progressive") and data.count(b"\xff\xda") > MAX_SCANS:
        raise _bomb(name, "it has hundreds of scans")
    width, height = image.size
    reduced = 1
    if at_least is not None and kind == "JPEG":
        drafted = image.draft("RGB", (at_least, at_least))
        reduced = round(width / drafted[1][2]) if drafted else 1
    image.load()
    if reduced == 1:
        _check_pixels(image, max_pixels, name)
        width, height = image.size  # HEIF learns its true size only now
    profile = image.info.get("icc_profile")
    # TIFF and HEIF come upright from their decoders.
    if kind not in ("TIFF", "HEIF") and (exif := image.info.get("exif")):
        turn = ifd.orientation(exif)
    pixels = eight_bits(image)
    if at_least is not None and (further := min(width, height) // (at_least * reduced)) > 1:
        pixels = pixels.reduce(further)
        reduced *= further
    # Averaging first is what makes the rest cheap: colour management costs ten times an average.
    pixels = on_white(pixels, profile if isinstance(profile, bytes) else None)
    if turn == 1:
        return Picture(pixels, width, height, reduced)
    return _turned(pixels, width, height, reduced, turn)


def _turned(pixels: Image.Image, width: int, height: int, reduced: int, turn: int) -> Picture:
    """Upright. Where a turn brings the last column or row to the front, what it holds beyond the edge comes first."""
    beyond = (pixels.width - width / reduced, pixels.height - height / reduced)
    at_right, at_bottom = turn in (2, 3, 7, 8), turn in (3, 4, 6, 7)
    x, y = beyond[0] if at_right else 0.0, beyond[1] if at_bottom else 0.0
    pixels = pixels.transpose(UPRIGHT[turn])
    if turn >= 5:
        return Picture(pixels, height, width, reduced, (y, x))
    return Picture(pixels, width, height, reduced, (x, y))


def _check_pixels(image: Image.Image, max_pixels: int, name: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise PictureError("corrupt", f"{name} has no pixels", todo="copy it again from where it came")
    if width * height > max_pixels:
        raise PictureError(
            "too large",
            f"{name} has {width} x {height} pixels",
            why=f"the limit is {max_pixels / 1e6:.0f} million",
            todo="make a smaller copy, or raise max_pixels",
        )


def _too_many_bytes(name: str) -> PictureError:
    return PictureError("too large", f"{name} is larger than {MAX_BYTES >> 20} MB", todo="make a smaller copy")


def _bomb(name: str, why: str) -> PictureError:
    return PictureError("too large", f"{name} would take far more memory or time than a picture", why=why)


def _refusal(name: str, kind: Kind, data: bytes, error: Exception) -> PictureError:
    """The decoder's complaint in one of our words."""
    text = str(error).lower()
    if isinstance(error, MemoryError | Image.DecompressionBombError) or any(word in text for word in TOO_LARGE):
        return _bomb(name, str(error))
    if cut_short(kind, data, error):
        return PictureError("truncated", f"{name} is cut short", why=str(error), todo="copy it again")
    if isinstance(error, NotImplementedError) or any(word in text for word in UNSUPPORTED):
        todo = "export it as JPEG or PNG"
        return PictureError("unsupported", f"{name} is an unusual {kind}", why=str(error), todo=todo)
    return PictureError("corrupt", f"{name} is a damaged {kind}", why=str(error), todo="copy it again")
