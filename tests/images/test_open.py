"""open_picture: every format, orientation and pixel format comes out upright, sRGB, RGB."""

import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from isthmus.errors import PictureError
from isthmus.images.open import UPRIGHT, open_picture, size_of
from isthmus.images.views import Box, Picture

from . import samples
from .samples import BLUE, GREEN, HEIC, RED, WHITE, encode, exif, scene


def values(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def assert_is_scene(picture: Picture, tolerance: int) -> None:
    """Away from block edges, where lossy formats ring, the colours are the scene's."""
    assert picture.image.mode == "RGB"
    assert (picture.width, picture.height) == (64, 48)
    for at, colour in {(6, 6): GREEN, (6, 40): RED, (24, 8): RED, (50, 8): BLUE, (58, 42): BLUE}.items():
        assert np.abs(np.subtract(picture.image.getpixel(at), colour)).max() <= tolerance, (at, colour)


LOSSLESS = {
    "png": encode(scene(), "PNG"),
    "png interlace-free palette": encode(scene().quantize(8), "PNG"),
    "gif": encode(scene(), "GIF"),
    "bmp": encode(scene(), "BMP"),
    "webp": encode(scene(), "WEBP", lossless=True),
    "tiff": encode(scene(), "TIFF"),
    "tiff lzw": encode(scene(), "TIFF", compression="tiff_lzw"),
    "tiff deflate": encode(scene(), "TIFF", compression="tiff_adobe_deflate"),
    "bigtiff": encode(scene(), "TIFF", big_tiff=True),
    "gif of two frames": encode(scene(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    "webp of two frames": encode(
        scene(), "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (64, 48))]
    ),
    "tiff of two pages": encode(scene(), "TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
}
LOSSY = {
    "jpeg": encode(scene(), "JPEG", quality=95, subsampling=0),
    "progressive jpeg": encode(scene(), "JPEG", quality=95, subsampling=0, progressive=True),
    "cmyk jpeg": encode(scene().convert("CMYK"), "JPEG", quality=95),  # Pillow writes Adobe's inverted ink
    "cmyk tiff": encode(scene().convert("CMYK"), "TIFF"),
    "ycbcr tiff": encode(scene().convert("YCbCr"), "TIFF"),
    "tiff jpeg": encode(scene(), "TIFF", compression="jpeg"),
    "webp": encode(scene(), "WEBP", quality=95),
    "avif": encode(scene(), "AVIF", quality=95, subsampling="4:4:4"),
    "heic": HEIC["plain"],
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_open_exactly(name: str) -> None:
    picture = open_picture(LOSSLESS[name])
    assert np.array_equal(values(picture.image), values(scene()))


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_open(name: str) -> None:
    assert_is_scene(open_picture(LOSSY[name]), tolerance=6)


def test_path_str_bytes_and_stream_are_one(tmp_path: Path) -> None:
    path = tmp_path / "scene.jpg"  # names are not believed: this is a PNG
    path.write_bytes(LOSSLESS["png"])
    reference = values(scene())
    for source in (path, str(path), LOSSLESS["png"], BytesIO(LOSSLESS["png"])):
        assert np.array_equal(values(open_picture(source).image), reference)


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_a_size_is_known_without_the_pixels(name: str, tmp_path: Path) -> None:
    path = tmp_path / "scene"
    path.write_bytes({**LOSSLESS, **LOSSY}[name])
    assert size_of(path) == size_of(str(path)) == (64, 48)


def test_a_size_is_refused_as_the_picture_is(tmp_path: Path) -> None:
    for source, reason in ((tmp_path / "none", "missing"), (b"", "empty"), (b"\x89PNG nothing", None)):
        with pytest.raises(PictureError) as sized:
            size_of(source)
        with pytest.raises(PictureError) as opened:
            open_picture(source)
        assert sized.value.reason == opened.value.reason
        assert reason in (None, sized.value.reason)
    assert size_of(scene()) == size_of(Picture(scene(), 64, 48)) == (64, 48)


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held so stores the upright scene: the inverse of what its orientation tag asks for."""


def stored(orientation: int, image: Image.Image) -> Image.Image:
    turn = STORED[orientation]
    return image if turn is None else image.transpose(turn)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_come_upright(kind: str, orientation: int) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    data = encode(stored(orientation, scene()), kind, exif=exif(orientation), **options)
    picture = open_picture(data)
    assert size_of(data) == (picture.width, picture.height) == (64, 48)
    if kind in ("JPEG", "AVIF"):
        assert_is_scene(picture, tolerance=12)
    else:
        assert np.array_equal(values(picture.image), values(scene()))


def test_heic_rotation_is_applied_once() -> None:
    picture = open_picture(HEIC["turned"])  # the scene, turned by 90 degrees clockwise
    assert (picture.width, picture.height) == (48, 64) == size_of(HEIC["turned"])
    for at, colour in {(42, 6): GREEN, (8, 8): RED, (8, 50): BLUE, (40, 50): BLUE}.items():
        assert np.abs(np.subtract(picture.image.getpixel(at), colour)).max() <= 6


@pytest.mark.parametrize("bad", [0, 9, 65535])
def test_nonsense_orientation_is_ignored(bad: int) -> None:
    assert np.array_equal(values(open_picture(encode(scene(), "PNG", exif=exif(bad))).image), values(scene()))


def test_damaged_exif_does_not_lose_the_picture() -> None:
    text = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0six\0"
    far, many = b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(30)
    for block in (b"Exif\0\0", text, far, many, b"xx"):
        assert_is_scene(open_picture(encode(scene(), "JPEG", quality=95, subsampling=0, exif=block)), 6)


# Pixel formats.


def ramp(dtype: str, high: int) -> np.ndarray:
    return np.linspace(0, high, 16 * 16).reshape(16, 16).astype(dtype)


@pytest.mark.parametrize(
    "data",
    [
        encode(Image.fromarray(ramp("<u2", 65535)), "PNG"),
        encode(Image.fromarray(ramp("<u2", 65535)), "TIFF"),
        encode(Image.fromarray(ramp("<u2", 65535)), "TIFF", compression="tiff_lzw"),
    ],
    ids=["png", "tiff", "tiff lzw"],
)
def test_16_bit_grey_is_scaled_not_clipped(data: bytes) -> None:
    seen = values(open_picture(data).image)
    assert np.array_equal(seen[..., 0], ramp("<u2", 65535) >> 8)
    assert (seen[..., 0] == seen[..., 2]).all()


def test_16_bit_rgb_keeps_the_high_byte() -> None:
    rows = b"\0" + struct.pack(">6H", 65535, 0, 0x1234, 0x80FF, 0xFF00, 1)
    seen = values(open_picture(samples.png(2, 1, 16, 2, rows)).image)
    assert seen.tolist() == [[[255, 0, 0x12], [0x80, 0xFF, 0]]]
    bits, pixels = 8 + 12, struct.pack("<6H", 65535, 0, 0x1234, 0x80FF, 0xFF00, 1) + struct.pack("<3H", 16, 16, 16)
    fields = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2)]
    fields += [(273, 4, 1, 8), (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 12)]
    assert values(open_picture(samples.tiff(fields, pixels)).image).tolist() == seen.tolist()


def test_12_bit_grey_tiff_fills_the_range() -> None:
    fields = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 1, 12), (259, 3, 1, 1), (262, 3, 1, 1)]
    fields += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, 3)]
    seen = values(open_picture(samples.tiff(fields, b"\xff\xf8\x00")).image)  # 4095, 2048
    assert seen[0, :, 0].tolist() == [255, 128]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 0.5, 1]], "float32"), [0, 128, 255]),
        (np.array([[0, 128, 255]], "float32"), [0, 128, 255]),
        (np.array([[0, 32768, 65535]], "float32"), [0, 128, 255]),
        (np.array([[-10, 0, 10]], "float32"), [0, 128, 255]),
        (np.array([[0, 1e6, 2e6]], "float32"), [0, 128, 255]),
        (np.array([[0, np.nan, 1]], "float32"), [0, 0, 255]),
        (np.array([[np.inf, 0, 1]], "float32"), [255, 0, 255]),
        (np.array([[np.nan, np.nan, np.nan]], "float32"), [0, 0, 0]),
        (np.array([[0, 1, 255]], "int32"), [0, 1, 255]),
        (np.array([[0, 32768, 65535]], "int32"), [0, 128, 255]),
        (np.array([[-5, 0, 5]], "int32"), [0, 128, 255]),
    ],
)
def test_wide_samples_find_their_range(array: np.ndarray, expected: list[int]) -> None:
    seen = values(open_picture(encode(Image.fromarray(array), "TIFF")).image)
    assert seen[0, :, 1].tolist() == expected


def test_alpha_is_flattened_on_white() -> None:
    image = Image.new("RGBA", (3, 1), (*RED, 255))
    image.putpixel((1, 0), (*RED, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    for kind in ("PNG", "TIFF"):
        seen = values(open_picture(encode(image, kind)).image)
        assert seen[0].tolist() == [list(RED), list(WHITE), [127, 127, 127]]
    grey = Image.new("LA", (2, 1), (40, 255))
    grey.putpixel((1, 0), (40, 0))
    assert values(open_picture(encode(grey, "PNG")).image)[0].tolist() == [[40] * 3, [255] * 3]
    assert open_picture(HEIC["alpha"]).image.getpixel((60, 44)) == WHITE


def test_transparent_colours_are_white() -> None:
    palette = scene().quantize(8)
    index = palette.getpixel((6, 6))
    for kind in ("PNG", "GIF"):
        assert open_picture(encode(palette, kind, transparency=index)).image.getpixel((6, 6)) == WHITE
    assert open_picture(encode(scene(), "PNG", transparency=RED)).image.getpixel((6, 40)) == WHITE
    grey = Image.new("L", (2, 1), 7)
    grey.putpixel((1, 0), 9)
    seen = values(open_picture(encode(grey, "PNG", transparency=7)).image)
    assert seen[0].tolist() == [[255] * 3, [9] * 3]


def test_transparent_16_bit_grey() -> None:
    rows = b"\0" + struct.pack(">2H", 0x0300, 0x0301)  # one high byte, one of them the key
    seen = values(open_picture(samples.png(2, 1, 16, 0, rows, (b"tRNS", struct.pack(">H", 0x0301)))).image)
    assert seen[0].tolist() == [[3] * 3, [255] * 3]


def test_one_bit() -> None:
    image = Image.new("1", (2, 1), 1)
    image.putpixel((0, 0), 0)
    for data in (encode(image, "PNG"), encode(image, "TIFF", compression="group4"), encode(image, "BMP")):
        assert values(open_picture(data).image)[0].tolist() == [[0] * 3, [255] * 3]


# Colour profiles.


def test_profile_is_converted_to_srgb() -> None:
    swapped = Image.merge("RGB", scene().split()[::-1])
    for kind, options in (
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
    ):
        data = encode(swapped, kind, icc_profile=samples.swapped_profile(), **options)
        # The profile's gamma of 2.2 is not quite sRGB's curve: dark values move.
        assert_is_scene(open_picture(data), tolerance=10)


def test_profile_and_alpha_work_together() -> None:
    swapped = Image.merge("RGB", scene().split()[::-1]).convert("RGBA")
    swapped.putpixel((6, 6), (0, 0, 0, 0))
    picture = open_picture(encode(swapped, "PNG", icc_profile=samples.swapped_profile()))
    assert picture.image.getpixel((6, 6)) == WHITE
    assert np.abs(np.subtract(picture.image.getpixel((50, 8)), BLUE)).max() <= 10


def test_grey_profile_is_applied() -> None:
    grey = Image.new("L", (8, 8), 128)
    seen = open_picture(encode(grey, "PNG", icc_profile=samples.grey_profile(1.0))).image.getpixel((0, 0))
    assert np.abs(np.subtract(seen, 188)).max() <= 2  # linear 0.5 in sRGB


def test_cmyk_profile_is_applied() -> None:
    ink = Image.new("CMYK", (16, 16), (255, 0, 0, 0))  # cyan, which this profile's printer has not
    for kind, options in (("TIFF", {}), ("JPEG", {"quality": 95})):
        plain = open_picture(encode(ink, kind, **options)).image.getpixel((4, 4))
        assert plain[0] < 10 < plain[2]
        managed = open_picture(encode(ink, kind, icc_profile=samples.cmyk_profile(), **options))
        assert min(managed.image.getpixel((4, 4))) > 240


@pytest.mark.parametrize(
    "profile",
    [
        b"x",
        bytes(200),
        samples.swapped_profile()[:150],
        samples.cmyk_profile(),
        samples.grey_profile(1.0),
        b"a" * 5_000_000,
    ],
    ids=["a byte", "zeros", "cut", "for CMYK", "for grey", "huge"],
)
def test_unusable_profile_does_not_lose_the_picture(profile: bytes) -> None:
    data = encode(scene(), "TIFF", icc_profile=profile)
    assert np.array_equal(values(open_picture(data).image), values(scene()))


# Decoding less than everything.


@pytest.mark.parametrize("size", [(1201, 901), (901, 1201), (2047, 333), (64, 64)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_at_least_keeps_that_many_pixels(kind: str, size: tuple[int, int]) -> None:
    data = encode(samples.noise(*size), kind)
    for at_least in (1, 16, 100, 224, 5000):
        picture = open_picture(data, at_least=at_least)
        assert (picture.width, picture.height) == size
        assert min(picture.image.size) >= min(at_least, *size)
        assert min(size) // picture.reduced >= min(at_least, *size)
    assert open_picture(data, at_least=16).reduced > 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_picture_lies_where_it_says(kind: str, orientation: int) -> None:
    """A mark at any of the four corners is where `within` maps its box, though no side divides by the reduction."""
    width, height, side = 403, 301, 40
    upright = Image.new("RGB", (width, height), (0, 0, 0))
    marks = [Box(x, y, x + side, y + side) for x in (0, width - side) for y in (0, height - side)]
    for mark in marks:
        upright.paste(WHITE, tuple(int(edge) for edge in (mark.left, mark.top, mark.right, mark.bottom)))
    data = encode(
        stored(orientation, upright), kind, exif=exif(orientation), **({"quality": 95} if kind == "JPEG" else {})
    )
    picture = open_picture(data, at_least=70)
    assert picture.reduced == 4
    assert (picture.width, picture.height) == (width, height)
    grey = values(picture.image.convert("L")) / 255
    for mark in marks:
        left, top, right, bottom = picture.within(mark)
        x, y = np.arange(picture.image.width), np.arange(picture.image.height)
        # The share of each pixel that the mark covers; a last pixel that reaches beyond the edge is all mark.
        across = np.clip(np.minimum(x + 1, right) - np.maximum(x, left), 0, 1)
        down = np.clip(np.minimum(y + 1, bottom) - np.maximum(y, top), 0, 1)
        near = np.outer(down > 0.99, across > 0.99)
        assert grey[near].min() > 0.9
        beyond = ((x < left - 2) | (x > right + 1))[None] & ((y < top - 2) | (y > bottom + 1))[:, None]
        others = [m for m in marks if m is not mark]
        for other in others:
            l2, t2, r2, b2 = picture.within(other)
            beyond &= ~(((x > l2 - 2) & (x < r2 + 2))[None] & ((y > t2 - 2) & (y < b2 + 2))[:, None])
        assert grey[beyond].max() < 0.1


def test_reduced_jpeg_looks_like_the_whole() -> None:
    smooth = samples.noise(40, 30).resize((1200, 900), Image.Resampling.BICUBIC)
    data = encode(smooth, "JPEG", quality=95)
    small = open_picture(data, at_least=200)
    assert small.reduced == 4
    difference = values(small.image) - values(open_picture(data).image.reduce(4))
    assert np.abs(difference).max() <= 6


def test_alpha_does_not_bleed_when_reduced() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 33, 64))  # transparent black, its edge inside a cell
    seen = values(open_picture(encode(image, "PNG"), at_least=16).image)
    assert (seen[..., 0] == 255).all()  # white to red: black never shows


# What the process shares.


def test_pillows_settings_neither_matter_nor_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    openers = dict(Image.OPEN)
    for data in (LOSSLESS["png"], LOSSY["jpeg"], HEIC["plain"], LOSSY["avif"]):
        open_picture(data)
    assert Image.MAX_IMAGE_PIXELS == 10
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert set(Image.OPEN) - set(openers) <= {"AVIF", "JPEG", "PNG"}


def test_heif_and_torch_are_not_imported_for_a_jpeg() -> None:
    code = (
        "import sys; from isthmus.images.open import open_picture; open_picture(sys.stdin.buffer.read());"
        "assert not {'pi_heif', 'torch', 'transformers'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], input=LOSSY["jpeg"], check=True)


def test_many_threads_see_the_same_pixels() -> None:
    swapped = Image.merge("RGB", scene(320, 240).split()[::-1])
    files = [
        encode(swapped, "JPEG", icc_profile=samples.swapped_profile(), exif=exif(6)),
        encode(swapped, "PNG", icc_profile=samples.swapped_profile()),
        encode(scene().convert("CMYK"), "TIFF", icc_profile=samples.cmyk_profile()),
        HEIC["plain"],
        LOSSY["avif"],
    ]
    alone = [values(open_picture(data, at_least=100).image) for data in files]
    with ThreadPoolExecutor(8) as pool:
        for i, picture in enumerate(pool.map(lambda data: open_picture(data, at_least=100), files * 20)):
            assert np.array_equal(values(picture.image), alone[i % len(files)])


def test_orientation_table_is_complete() -> None:
    assert set(UPRIGHT) == set(range(2, 9))


def test_picture_says_when_its_sizes_disagree() -> None:
    with pytest.raises(ValueError, match="reduced 2 times"):
        Picture(Image.new("RGB", (5, 5)), 11, 10, 2)
