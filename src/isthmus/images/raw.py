"""What a camera's raw photo is shown by: the preview that the camera put into it, else a picture made of its sensor's
values. LibRaw reads them (rawpy), where it is installed."""

from functools import cache
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from PIL import Image

from isthmus.errors import PictureError
from isthmus.images import ifd

SMALL = 600
"""Pixels of the shorter side, below which a preview is a thumbnail."""

TURNED = {3: 3, 5: 8, 6: 6}
"""LibRaw's `flip` as an EXIF orientation."""


@cache
def readable() -> bool:
    return find_spec("rawpy") is not None


def refusal(what: str) -> PictureError:
    """Of a raw photo that cannot be read for want of the package."""
    return PictureError("unsupported", what, todo="pip install 'isthmus[raw]', or export it as JPEG or PNG")


def preview(data: bytes, name: str, max_pixels: int) -> tuple[bytes, int]:
    """A JPEG or BMP file, and the EXIF orientation by which it is to be turned where it does not say that itself.

    Raises PictureError "corrupt", "too large".
    """
    import rawpy

    try:
        with rawpy.imread(BytesIO(data)) as raw:
            turn = TURNED.get(raw.sizes.flip, 1)
            found = _inside(raw)
            if found is not None and min(_size(found)) >= SMALL:
                return found, turn
            if raw.sizes.width * raw.sizes.height <= max_pixels:
                try:
                    # Half the size is enough to look at, and needs no guessing of colours between the sensor's.
                    return _bitmap(raw.postprocess(half_size=True, use_camera_wb=True)), 1
                except rawpy.LibRawError:
                    if found is None:
                        raise
            if found is not None:
                return found, turn
            raise PictureError(
                "too large",
                f"{name} has {raw.sizes.width} x {raw.sizes.height} pixels",
                why=f"the limit is {max_pixels / 1e6:.0f} million",
            )
    except (rawpy.LibRawError, OSError, ValueError) as error:
        said = error.args[0] if error.args else ""
        why = said.decode("ascii", "replace") if isinstance(said, bytes) else str(error)
        raise PictureError("corrupt", f"{name} is a raw photo that cannot be read", why=why) from None


def _inside(raw: Any) -> bytes | None:
    """The largest preview in it."""
    import rawpy

    try:
        found = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if found.format == rawpy.ThumbFormat.JPEG:
        return bytes(found.data)
    return _bitmap(found.data)


def _size(picture: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(picture), formats=("JPEG", "BMP")) as opened:
        return opened.size


def _bitmap(pixels: Any) -> bytes:
    """pixels [H, W, 3] uint8 -> a BMP file."""
    out = BytesIO()
    Image.fromarray(pixels).save(out, "BMP")
    return out.getvalue()


def is_raw(tiff: bytes) -> bool:
    """Whether a TIFF is a raw photo: its first page is then a thumbnail, and showing it would pass for the photo."""
    return any(
        entry.tag == ifd.DNG_VERSION or (entry.tag == ifd.SUBFILE_TYPE and (entry.value or 0) & 1)
        for entry in ifd.entries(tiff)
    )
