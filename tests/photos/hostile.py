"""A folder of files that want to break the index: every format spoiled, bombs, loops, pipes, names, depths."""

import os
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")


def make_hostile(root: Path, count: int, seed: int) -> int:
    """Put `count` entries (files, links, pipes; not folders) under `root`; how many there are.

    Contents are drawn from `seed` alone. Every tenth file is a good picture, so that the index has something to do.
    """
    random = np.random.default_rng(seed)
    whole = _wholes(random)
    kinds = _kinds(random, whole)
    made = 0
    for at in range(count):
        folder = root / f"{at % 23:02}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{at:05}" + ("", ".jpg", ".png", ".heic", ".txt", ".JPEG")[int(random.integers(6))]
        data = next(kinds)
        if at % 10 == 0:
            data = _encode(random, FORMATS[at // 10 % len(FORMATS)])
        made += _place(folder, name, data, at, random)
    return made


def _kinds(random: np.random.Generator, whole: dict[str, bytes]) -> Iterator[bytes]:
    """Endless hostile contents, all kinds in turn."""
    while True:
        for data in whole.values():
            yield data[: int(random.integers(1, len(data)))]  # cut anywhere
            spoiled = bytearray(data)
            for at in random.integers(0, min(len(data), 64), 3):  # a header that lies
                spoiled[at] = int(random.integers(256))
            yield bytes(spoiled)
            spoiled = bytearray(data)
            for at in random.integers(0, len(data), 8):  # damage anywhere
                spoiled[at] ^= 1 << int(random.integers(8))
            yield bytes(spoiled)
            yield data[:32] + random.bytes(int(random.integers(2000)))  # a true start, then noise
            yield data + random.bytes(100)  # something behind the end
        yield random.bytes(int(random.integers(1, 5000)))
        yield b""
        yield b"\0" * int(random.integers(1, 5000))
        yield b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
        yield b"%PDF-1.7\n" + random.bytes(200)
        yield b"\0\0\0\x18ftypmp42" + random.bytes(3000)
        yield _png_bomb(60_000, 60_000)
        yield _png_bomb(13_000, 13_000)
        yield b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf7\0\0" + random.bytes(50)
        yield b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0)
        jfif = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
        yield jfif + b"\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1"  # 65535 x 65535
        yield b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65535) + random.bytes(600)


def _place(folder: Path, name: str, data: bytes, at: int, random: np.random.Generator) -> int:
    """Mostly a file with that content; now and then something that is worse than its content. Entries made."""
    path = folder / name
    match at % 60:
        case 11:
            path.symlink_to(folder)  # a loop
        case 12:
            path.symlink_to(path)  # to itself
        case 13:
            path.symlink_to("nowhere")
        case 14:
            path.symlink_to("/etc/hostname")  # out of the folder
        case 15:
            os.mkfifo(path)
        case 16:
            path.write_bytes(data)
            path.chmod(0)  # unreadable, except for root
        case 17:
            _write_bytes(os.fsencode(folder) + b"/\xff\xfe\x80 " + name.encode() + b"\n\x1b[31m", data)
        case 18:
            _write_bytes(os.fsencode(folder) + b"/" + name.encode().rjust(255, b"n"), data)
        case 19:
            deep = folder.joinpath(*(f"{at}.jpg" for _ in range(40)))  # and folders that are named like pictures
            deep.mkdir(parents=True, exist_ok=True)
            (deep / name).write_bytes(data)
        case 21:
            path.write_bytes(data)
            os.utime(path, (-1, -1) if at % 120 == 21 else (2**33, 2**33))
        case 22:
            path.write_bytes(data)
            os.truncate(path, int(random.integers(1, 3 << 20)))  # mostly a hole
        case _:
            path.write_bytes(data)
    return 1


def _write_bytes(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:  # noqa: PTH123 - the name is not text
        file.write(data)


def _wholes(random: np.random.Generator) -> dict[str, bytes]:
    return {format: _encode(random, format) for format in FORMATS}


def _encode(random: np.random.Generator, format: str) -> bytes:
    pixels = random.integers(0, 256, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    out = BytesIO()
    Image.fromarray(pixels).save(out, format)
    return out.getvalue()


def _png_bomb(width: int, height: int) -> bytes:
    """A few kilobytes that say they are gigabytes: one real row, then as many zeros as compress well."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
