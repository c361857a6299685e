"""What is no picture, or not a whole one, is refused with a stable reason; nothing hangs, nothing else is raised."""

import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from isthmus.errors import PictureError
from isthmus.images import ifd, raw
from isthmus.images import open as opening
from isthmus.images.open import open_picture

from . import samples
from .samples import HEIC, encode, exif, png, scene, tiff


def reason(source: object, **options: int) -> str:
    with pytest.raises(PictureError) as caught:
        open_picture(source, **options)
    assert "\n" not in str(caught.value)
    return caught.value.reason


linux = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")

WHOLE = {
    "jpeg": encode(scene(), "JPEG"),
    "progressive jpeg": encode(scene(), "JPEG", progressive=True),
    "png": encode(samples.noise(20, 20), "PNG"),
    "webp": encode(scene(), "WEBP"),
    "avif": encode(scene(), "AVIF"),
    "gif": encode(samples.noise(20, 20).quantize(64), "GIF"),
    "tiff": encode(scene(), "TIFF"),
    "bmp": encode(scene(), "BMP"),
    "heic": HEIC["plain"],
}


# Files.


def test_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(WHOLE["png"])
    assert reason(tmp_path / "none.jpg") == "missing"
    assert reason(tmp_path / "file" / "below.jpg") == "missing"
    assert reason("a\0b.jpg") == "missing"


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert reason(tmp_path / "empty.jpg") == "empty"
    assert reason(b"") == "empty"
    assert reason(BytesIO()) == "empty"


def test_unreadable(tmp_path: Path) -> None:
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    assert reason(loop) == "unreadable"
    assert reason(tmp_path / ("x" * 300)) == "unreadable"
    closed = BytesIO(WHOLE["png"])
    closed.close()
    assert reason(closed) == "unreadable"


def test_permission_denied_is_unreadable(users_folder: Path) -> None:
    path = users_folder / "secret.png"
    path.write_bytes(WHOLE["png"])
    path.chmod(0)
    assert reason(path) == "unreadable"


def test_failing_stream_is_unreadable() -> None:
    class Failing(BytesIO):
        def read(self, _: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(PictureError, match="Input/output error") as caught:
        open_picture(Failing())
    assert caught.value.reason == "unreadable"


def test_folders_pipes_and_devices_are_no_pictures(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)  # opening it would wait for a writer
    for path in (tmp_path, pipe, Path("/dev/zero")):
        assert reason(path) == "not a picture"


@pytest.mark.parametrize(
    "data",
    [b"x", b"hello world" * 50, b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\0" * 999,
     b"\0\0\0\x18ftypmp42" + bytes(200), b"RIFF\0\0\0\0WAVE", b"\xff\xd8", b"PK\3\4" + bytes(99)],
)  # fmt: skip
def test_other_bytes_are_no_pictures(data: bytes) -> None:
    assert reason(data) == "not a picture"


def test_a_video_is_refused_by_its_head() -> None:
    class Counting(BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    video = Counting(b"\0\0\0\x18ftypmp42" + bytes(2_000_000))
    assert reason(video) == "not a picture"
    assert video.taken < 1000


@pytest.mark.parametrize(
    "data",
    [b"\xff\x0a" + bytes(50), b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cjP  \r\n\x87\n", b"8BPS\0\1" + bytes(40),
     b"\0\0\0\x18ftypcrx " + bytes(50), b"II*\0\x10\0\0\0CR\2\0" + bytes(50), b"FUJIFILMCCD-RAW 0201"],
)  # fmt: skip
def test_known_formats_that_do_not_open_are_unsupported(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "readable", lambda: False)
    assert reason(data) == "unsupported"


def page(*more: tuple[int, int, int, int]) -> bytes:
    fields = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    fields += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 2), (279, 4, 1, 4)]
    return tiff(fields + list(more), bytes(4))


def test_raw_photos_are_not_shown_as_their_thumbnail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "readable", lambda: False)
    assert open_picture(page()).width == 2
    assert reason(page((254, 4, 1, 1))) == "unsupported"  # a reduced-resolution first page: NEF, ARW
    assert reason(page((0xC612, 1, 4, 0x0401))) == "unsupported"  # DNG


def test_odd_sample_layouts_are_unsupported() -> None:
    fields = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 1, 64), (259, 3, 1, 1), (262, 3, 1, 1), (339, 3, 1, 3)]
    fields += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 2), (279, 4, 1, 32)]
    assert reason(tiff(fields, bytes(32))) == "unsupported"  # doubles


@pytest.mark.parametrize("name", WHOLE)
def test_cut_files_are_truncated(name: str) -> None:
    data = WHOLE[name]
    assert reason(data[: len(data) * 2 // 3]) == "truncated"


@pytest.mark.parametrize("name", WHOLE)
def test_no_cut_opens_as_something_else(name: str) -> None:
    """Every truncation is refused with a fitting word, or (a few bytes of trailer) shows the whole picture."""
    data = WHOLE[name]
    whole = open_picture(data)
    for end in range(1, len(data), max(1, len(data) // 150)):
        try:
            picture = open_picture(data[:end])
        except PictureError as error:
            assert error.reason in ("truncated", "not a picture", "corrupt"), end
        else:
            assert picture.image.size == whole.image.size
            assert len(data) - end < 64 or name in ("jpeg", "progressive jpeg")


# Bombs.


def test_pixels_are_counted_before_decoding() -> None:
    assert reason(WHOLE["png"], max_pixels=399) == "too large"
    assert open_picture(WHOLE["png"], max_pixels=400).width == 20
    huge = png(60_000, 60_000, 8, 2, b"")
    assert reason(huge) == "too large"
    gif = bytearray(WHOLE["gif"])
    gif[6:10] = b"\xff\xff\xff\xff"
    assert reason(bytes(gif)) == "too large"
    for name in ("jpeg", "webp", "avif", "tiff", "bmp", "heic"):
        assert reason(WHOLE[name], max_pixels=1000) == "too large", name


def test_the_largest_phone_camera_is_within_the_limit() -> None:
    assert opening.MAX_PIXELS >= 16320 * 12240


def test_files_are_limited_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opening, "MAX_BYTES", 500)
    path = tmp_path / "big.png"
    path.write_bytes(WHOLE["png"])
    for source in (path, WHOLE["png"], BytesIO(WHOLE["png"])):
        assert reason(source) == "too large"


@pytest.mark.parametrize("chunk", [b"zTXt", b"iTXt", b"iCCP"])
def test_png_text_bombs(chunk: bytes) -> None:
    packed = zlib.compress(bytes(30_000_000), 9)
    head = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[chunk]
    assert reason(png(1, 1, 8, 0, b"\0\0", (chunk, head + packed))) == "too large"


def bomb_directory(entries: int, size: int) -> bytes:
    """A TIFF directory whose every field claims all `size` bytes of the block it stands in."""
    fields = b"".join(struct.pack("<HHII", 40_000 + i, 7, size, 0) for i in range(entries))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + fields + bytes(4)).ljust(size, b"\0")


def test_tiff_whose_fields_all_claim_the_whole_file() -> None:
    assert reason(bomb_directory(3000, 100_000)) == "too large"
    below = tiff([(256, 3, 1, 2), (257, 3, 1, 2), (0x8769, 4, 1, 8)], bomb_directory(3000, 100_000)[8:])
    assert reason(below) == "too large"


def test_avif_whose_exif_claims_gigabytes() -> None:
    assert reason(encode(scene(), "AVIF", exif=bomb_directory(0, 64)) + bomb_directory(3000, 100_000)) == "too large"


@linux
def test_jpeg_exif_is_not_expanded() -> None:
    """3000 fields that each claim 60 kB: Pillow would copy out 180 MB to find the resolution."""
    block = b"Exif\0\0" + bomb_directory(3000, 60_000)
    assert ifd.weight(block[6:]) > 150_000_000
    code = (
        "import sys; from isthmus.images.open import open_picture; open_picture(sys.stdin.buffer.read());"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    peaks = [
        int(subprocess.run([sys.executable, "-c", code], input=data, stdout=subprocess.PIPE, check=True).stdout)
        for data in (WHOLE["jpeg"], encode(scene(), "JPEG", exif=block))
    ]
    assert peaks[1] - peaks[0] < 20_000  # kB


def test_jpeg_of_a_thousand_scans() -> None:
    data = WHOLE["progressive jpeg"]
    last = data.rindex(b"\xff\xda")
    assert reason(data[:-2] + data[last:-2] * 1000 + data[-2:]) == "too large"
    assert open_picture(data).width == 64


# Damage.


def test_heif_item_without_a_name_is_corrupt() -> None:
    """pi-heif would end the process: see `heif`."""
    data = HEIC["turned"]
    at = data.index(b"hvc1", data.index(b"infe"))
    assert reason(data[:at] + b"\xff\xfec1" + data[at + 4 :]) == "corrupt"
    # The same letters in the picture's own data mean nothing.
    assert open_picture(data + struct.pack(">I4s", 40, b"free") + b"\0\0\0\x10infe" + b"\xff" * 24).width == 48


FUZZED = {
    **WHOLE,
    "cmyk jpeg": encode(scene().convert("CMYK"), "JPEG", icc_profile=samples.cmyk_profile()),
    "turned jpeg": encode(scene(), "JPEG", exif=exif(6), icc_profile=samples.swapped_profile()),
    "palette png": encode(scene().quantize(8), "PNG", transparency=2),
    "rgba png": encode(scene().convert("RGBA"), "PNG", exif=exif(3), icc_profile=samples.swapped_profile()),
    "lossless webp": encode(scene().convert("RGBA"), "WEBP", lossless=True, exif=exif(5)),
    "turned avif": encode(scene(), "AVIF", exif=exif(8)),
    "moving gif": encode(scene(), "GIF", save_all=True, append_images=[scene().rotate(90)]),
    "tiff lzw": encode(scene(), "TIFF", compression="tiff_lzw"),
    "tiff jpeg": encode(scene(), "TIFF", compression="jpeg"),
    "tiff fax": encode(scene().convert("1"), "TIFF", compression="group4"),
    "tiff deflate": encode(scene().convert("RGBA"), "TIFF", compression="tiff_adobe_deflate"),
    "bigtiff": encode(scene(), "TIFF", big_tiff=True),
    "palette bmp": encode(scene().quantize(8), "BMP"),
    "turned heic": HEIC["turned"],
    "alpha heic": HEIC["alpha"],
}

FUZZ = """
import json, pickle, random, sys, warnings
from isthmus.errors import PictureError
from isthmus.images.open import open_picture
warnings.simplefilter("ignore")
files, rounds, outcomes = pickle.load(sys.stdin.buffer), int(sys.argv[1]), {}
dice = random.Random(0)
def damaged(data, way):
    data = bytearray(data)
    if way == 0: return bytes(data[: dice.randrange(len(data))])
    if way == 1:
        for _ in range(dice.randint(1, 3)): data[dice.randrange(min(len(data), 160))] ^= 1 << dice.randrange(8)
    if way == 2:
        for _ in range(dice.randint(1, 9)): data[dice.randrange(len(data))] = dice.randrange(256)
    if way == 3:
        at = dice.randrange(len(data))
        data[at : at + 4] = dice.choice([b"\\xff" * 4, bytes(4), b"\\x7f\\xff\\xff\\xff"])
    if way == 4:
        at = dice.randrange(len(data)); del data[at : at + dice.randint(1, 40)]
    if way == 5:
        head = data[: dice.choice([4, 8, 12, 16, 40])]; return bytes(head) + dice.randbytes(dice.randrange(600))
    return bytes(data)
for name, data in files.items():
    for i in range(rounds):
        hostile = damaged(data, i % 6)
        try:
            picture = open_picture(hostile, at_least=dice.choice([None, 8, 20]), max_pixels=4_000_000)
            assert picture.image.mode == "RGB" and picture.width * picture.height <= 4_000_000
            reason = "opened"
        except PictureError as error:
            reason = error.reason
        outcomes[reason] = outcomes.get(reason, 0) + 1
# Not ru_maxrss: that of a child begins at its parent's.
outcomes["peak"] = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(json.dumps(outcomes))
"""


def fuzz(rounds: int) -> dict[str, int]:
    result = subprocess.run(
        [sys.executable, "-c", FUZZ, str(rounds)],
        input=pickle.dumps(FUZZED), capture_output=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (600, 600)),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr.decode()[-2000:]
    return dict(json.loads(result.stdout))


def assert_bounded(outcomes: dict[str, int], rounds: int) -> None:
    peak = outcomes.pop("peak")
    assert set(outcomes) == {"opened", "truncated", "corrupt", "not a picture", "too large", "unsupported", "empty"}
    assert sum(outcomes.values()) == rounds * len(FUZZED)
    assert peak < 200_000  # kB: Python, numpy and Pillow take 60, four million pixels 16 and their conversions


@linux
def test_damaged_files_open_or_are_refused() -> None:
    assert_bounded(fuzz(120), 120)


@linux
@pytest.mark.full
def test_many_damaged_files_open_or_are_refused() -> None:
    assert_bounded(fuzz(5000), 5000)


def test_ctrl_c_is_not_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Image.Image:
        raise KeyboardInterrupt

    monkeypatch.setattr(opening, "on_white", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_picture(WHOLE["png"])


def test_warnings_turned_into_errors_are_refusals() -> None:
    """Under python -W error, Pillow's warning of a cut TIFF directory is an exception like any other."""
    code = (
        "import sys; from isthmus.errors import PictureError; from isthmus.images.open import open_picture\n"
        "data = sys.stdin.buffer.read()\n"
        "for end in range(1, len(data), 7):\n"
        "    try: open_picture(data[:end])\n"
        "    except PictureError: pass\n"
    )
    data = encode(scene(), "TIFF")
    subprocess.run([sys.executable, "-W", "error", "-c", code], input=data, check=True)
