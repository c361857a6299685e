"""Every format's metadata is found where the format keeps it, without decoding pixels."""

from collections.abc import Callable
from datetime import datetime
from io import BytesIO

import pytest
from PIL import Image, ImageFile

from isthmus.images import raw
from isthmus.photos.metadata import metadata_of

from ...images.samples import encode, scene
from . import samples
from .samples import ORIENTATION, ORIGINAL, alt, exif, xmp

BLOCK = exif({0x010F: "Canon", 0x0110: "Canon EOS 80D"}, {ORIGINAL: "2018:05:03 14:25:30"})
PACKET = xmp(alt("dc:description", x_default="At the lake"))

BOTH: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: samples.jpeg(exif=BLOCK, xmp=PACKET),
    "png": lambda: samples.png((b"eXIf", BLOCK.removeprefix(b"Exif\0\0")), samples.itxt(PACKET)),
    "png, packed": lambda: samples.png((b"eXIf", BLOCK), samples.itxt(PACKET, packed=True)),
    "png, behind its pixels": lambda: samples.png(behind=((b"eXIf", BLOCK), samples.itxt(PACKET))),
    "webp": lambda: encode(scene(), "WEBP", exif=BLOCK, xmp=PACKET),
    "webp, lossless": lambda: encode(scene(), "WEBP", lossless=True, exif=BLOCK, xmp=PACKET),
    "tiff": lambda: samples.tiff(BLOCK, PACKET),
    "avif": lambda: encode(scene(), "AVIF", exif=BLOCK, xmp=PACKET),
    "heic": lambda: samples.heic(BLOCK, PACKET),
}


@pytest.mark.parametrize("kind", BOTH)
def test_exif_and_xmp_are_found(kind: str) -> None:
    found = metadata_of(BOTH[kind]())
    assert (found.taken, found.maker, found.model) == (datetime(2018, 5, 3, 14, 25, 30), "Canon", "EOS 80D")
    assert (found.taken_from, found.precision, found.caption) == ("exif", "second", "At the lake")
    assert found.problems == ()


@pytest.mark.parametrize("kind", BOTH)
def test_no_pixel_is_decoded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise AssertionError("decoded")

    data = BOTH[kind]()
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(AssertionError), Image.open(BytesIO(encode(scene(), "PNG"))) as image:
        image.load()
    assert metadata_of(data).caption == "At the lake"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "AVIF"])
def test_animations_are_told_from_pictures(kind: str) -> None:
    still = encode(scene(), kind)
    moving = encode(scene(), kind, save_all=True, append_images=[Image.new("RGB", (64, 48), "white")])
    assert metadata_of(still).kinds == frozenset()
    assert metadata_of(moving).kinds == {"animation"}


def test_iptc_of_jpeg_and_tiff_is_read() -> None:
    block = samples.iptc((2, 120, b"A caption"), (2, 25, b"lake"), (2, 25, b"boat"))
    for data in (samples.jpeg(iptc=block), samples.tiff(iptc=block)):
        found = metadata_of(data)
        assert (found.caption, found.keywords) == ("A caption", ("lake", "boat"))


def test_extended_xmp_is_joined_in_the_order_of_its_offsets() -> None:
    rest = xmp(alt("dc:description", x_default="In the extension " + "x" * 1_500))
    data = samples.extended(alt("dc:title", x_default="In the packet"), rest)
    found = metadata_of(data)
    assert (found.title, found.caption[:16], found.problems) == ("In the packet", "In the extension", ())


def test_extended_xmp_of_another_packet_is_not_taken() -> None:
    data = samples.extended(alt("dc:title", x_default="Ours"), xmp(alt("dc:description", x_default="Theirs")))
    at = data.index(b"HasExtendedXMP=") + len(b'HasExtendedXMP="')
    found = metadata_of(data[:at] + b"0" * 32 + data[at + 32 :])
    assert (found.title, found.caption) == ("Ours", "")


def test_extended_xmp_with_a_piece_missing_is_said() -> None:
    found = metadata_of(samples.extended("", xmp("", 'xmp:Rating="3"'), length=5_000))
    assert found.rating is None
    assert any("not whole" in line for line in found.problems)


def test_raw_profiles_in_png_texts_are_read() -> None:
    """ImageMagick's way, from before PNG had a chunk for EXIF."""
    digits = BLOCK.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = b"Raw profile type exif\0" + f"\nexif\n{len(BLOCK):8}\n{lines}\n".encode()
    assert metadata_of(samples.png((b"tEXt", text))).model == "EOS 80D"


def test_big_tiff_is_read() -> None:
    data = encode(scene(), "TIFF", big_tiff=True, tiffinfo={0x010F: "Canon", 0x0110: "EOS R5"})
    assert data[:4] == b"II+\0"
    assert metadata_of(data).model == "EOS R5"


@pytest.mark.parametrize("head", [b"IIRO", b"IIRS", b"IIU\0"])
def test_raw_photos_that_are_tiff_but_for_their_mark_are_read(head: bytes) -> None:
    data = head + samples.tiff(exif({0x010F: "OLYMPUS CORPORATION", 0x0110: "E-M1MarkII"}))[4:]
    found = metadata_of(data, name="P5030001.ORF")
    assert (found.maker, found.model) == ("Olympus", "E-M1MarkII")
    assert found.kinds == {"raw"}


@pytest.mark.parametrize("tag", [{0xC612: b"\1\4\0\0"}, {0x00FE: 1}])
def test_dng_and_files_that_start_with_a_thumbnail_are_raw(tag: dict[int, object]) -> None:
    assert metadata_of(samples.tiff(exif(tag)), name="a.dng").kinds == {"raw"}
    assert metadata_of(samples.tiff(exif()), name="a.tif").kinds == frozenset()
    assert metadata_of(samples.tiff(exif()), name="a.NEF").kinds == {"raw"}


@pytest.mark.parametrize(
    ("readable", "problem"),
    [(False, "the file is a Fujifilm raw photo"), (True, "what this raw photo says of itself is not read")],
)
def test_a_raw_photo_that_cannot_be_read_is_known_as_one(
    readable: bool, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "readable", lambda: readable)
    found = metadata_of(b"FUJIFILMCCD-RAW 0201" + bytes(300), sidecar=xmp("", 'xmp:Rating="4"'))
    assert found.kinds == {"raw"}
    assert (found.rating, found.problems) == (4, (problem,))


def test_what_is_no_picture_still_has_a_name_and_a_sidecar() -> None:
    found = metadata_of(b"", name="IMG_20180503_142530.jpg", sidecar=xmp("", 'xmp:Rating="2"'))
    assert (found.taken, found.taken_from, found.rating) == (datetime(2018, 5, 3, 14, 25, 30), "name", 2)
    assert found.problems == ("the file is empty",)
    assert metadata_of(b"\0\0\0\x18ftypmp42" + bytes(99)).problems == ("the file is not a picture",)


def test_the_orientation_a_decoder_took_out_of_the_block_counts() -> None:
    """pi-heif sets it to 1, for it turns the picture itself; boxes are in the stored picture all the same."""
    box = samples.faces(samples.face("Ann", 0.25, 0.5, 0.5, 1.0))
    (region,) = metadata_of(samples.heic(exif({ORIENTATION: 6}), xmp(box))).regions
    assert (region.x, region.y, region.w, region.h) == (0.0, 0.0, 1.0, 0.5)
