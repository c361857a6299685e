"""Pillow's JPEG decoder without its look into EXIF."""

from PIL.JpegImagePlugin import JpegImageFile


class Jpeg(JpegImageFile):
    """The first picture of a JPEG file, of whatever dialect (JFIF, EXIF, MPO, gain maps behind it).

    Pillow parses the whole EXIF block at opening just for the resolution in dots per inch. That costs as much as the
    rest of the header, and a hostile block makes it cost gigabytes (see `ifd`).
    """

    def _read_dpi_from_exif(self) -> None:
        pass
