"""Small pictures of every kind, made here; and what no encoder at hand makes, byte by byte."""

import base64
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (255, 255, 255)


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Left half red, right half blue, a green block in the top left corner: every turn of it looks different."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    image.paste(GREEN, (0, 0, width // 4, height // 3))
    return image


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: object) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG from filtered rows, of any depth and colour type, with extra chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in body
    )


def tiff(fields: list[tuple[int, int, int, int]], pixels: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory; fields are (tag, type, count, value). Pixels lie at byte 8."""
    at = 8 + len(pixels) + len(pixels) % 2
    directory = b"".join(struct.pack("<HHII", *field) for field in sorted(fields))
    return (
        b"II*\0"
        + struct.pack("<I", at)
        + pixels.ljust(at - 8, b"\0")
        + struct.pack("<H", len(fields))
        + directory
        + bytes(4)
    )


def icc(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC version 2 profile (ICC.1:2001-04, section 6) of a display or printer with these tags."""
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    table, data, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        value = value.ljust(-(-len(value) // 4) * 4, b"\0")
        table += name + struct.pack(">II", at + len(data), len(value))
        data += value
    body = struct.pack(">I", len(tags)) + table + data
    header = struct.pack(">I4sI4s4s4s", 128 + len(body), b"none", 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + body


def xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">iii", *(round(v * 65536) for v in (x, y, z)))


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


# sRGB's primaries under the D50 white of profiles.
PRIMARIES = {b"r": (0.4361, 0.2225, 0.0139), b"g": (0.3851, 0.7169, 0.0971), b"b": (0.1431, 0.0606, 0.7141)}


def swapped_profile() -> bytes:
    """An RGB profile whose first channel is blue and whose last is red."""
    roles = zip((b"r", b"g", b"b"), (b"b", b"g", b"r"), strict=True)
    tags = {b"wtpt": xyz(0.9642, 1, 0.8249)}
    for channel, primary in roles:
        tags[channel + b"XYZ"] = xyz(*PRIMARIES[primary])
        tags[channel + b"TRC"] = gamma(2.2)
    return icc(b"RGB ", b"XYZ ", tags)


def grey_profile(value: float) -> bytes:
    return icc(b"GRAY", b"XYZ ", {b"wtpt": xyz(0.9642, 1, 0.8249), b"kTRC": gamma(value)})


def cmyk_profile() -> bytes:
    """A CMYK profile with two grid points a channel: black where there is black ink, else white."""
    identity = bytes(range(256))
    # Lab of 8 bits: L 0 to 255 is 0 to 100, a and b of 128 are neutral. The last channel, K, runs fastest.
    lattice = b"".join(bytes((0 if k else 255, 128, 128)) for _ in range(8) for k in (0, 1))
    matrix = struct.pack(">9i", *(65536 * int(i % 4 == 0) for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + lattice + identity * 3
    return icc(b"CMYK", b"Lab ", {b"wtpt": xyz(0.9642, 1, 0.8249), b"A2B0": lut, b"A2B1": lut})


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


# `scene()` as HEIC, from pillow-heif 1.8 (x265) at quality 60: neither Pillow nor pi-heif writes it. "turned" was made
# with EXIF orientation 6, which HEIF keeps as a rotation of its own; "alpha" is transparent from (48, 32) on.
HEIC = {
    "plain": base64.b64decode(
        "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
        "AAAAACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAJEAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAA"
        "AA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNw"
        "AAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFz"
        "wIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAA"
        "Av////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAAJltZGF0AAAAjSgBrwngITk0HkJf"
        "v//ZxH//g5lvX/yBKXe0+N/5zYb5/9WkQHf/Pf7Afq/mhP/+vmZz+6mAv/QogPdNBQ8lLVKDlp2M0sf57NOFcJBKH/W6hTb6"
        "M49okh+MGI/5EOFotlR0jlcADmFjs+FHekvbvMm+9mpjrtaOnHfPP6X0MYS8J1Po1mXZKZnH0MNyYA=="
    ),
    "turned": base64.b64decode(
        "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
        "AAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAJEAAgAAAAACfQABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVp"
        "bmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZo"
        "dmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAA"
        "AwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAA"
        "AAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90"
        "AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAL1tZGF0AAAAjSgBrwngITk0"
        "HkJfv//ZxH//g5lvX/yBKXe0+N/5zYb5/9WkQHf/Pf7Afq/mhP/+vmZz+6mAv/QogPdNBQ8lLVKDlp2M0sf57NOFcJBKH/W6"
        "hTb6M49okh+MGI/5EOFotlR0jlcADmFjs+FHekvbvMm+9mpjrtaOnHfPP6X0MYS8J1Po1mXZKZnH0MNyYAAAAAZFeGlmAABN"
        "TQAqAAAACAABARIAAwAAAAEABgAAAAAAAA=="
    ),
    "alpha": base64.b64decode(
        "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAmttZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
        "AAAAADRpbG9jAAAAAERAAAIAAQAAAAACjwABAAAAAAAAAFwAAgAAAAAC6wABAAAAAAAAAG8AAAA4aWluZgAAAAAAAgAAABVp"
        "bmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAAACAABodmMxAAAAAA5waXRtAAAAAAABAAABqmlwcnAAAAGCaXBjbwAAAHZo"
        "dmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAA"
        "AwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAA"
        "AAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAAHBodmND"
        "AQQIAAAAn/gAAAAAHvAA/Pz4+AAADwNgAAEAF0ABDAH//wQIAAADAJ/4AAADAAAeugJAYQABACVCAQEECAAAAwCf+AAAAwAA"
        "HsCCBBZbq5Ka5sCAAAAMgAAAAwCEYgABAAZEAcFzwIkAAAAOcGl4aQAAAAABCAAAACdhdXhDAAAAAHVybjptcGVnOmhldmM6"
        "MjAxNTphdXhpZDoxAAAAACBpcG1hAAAAAAAAAAIAAQWBAgMFhAACBYYDB4iEAAAAGmlyZWYAAAAAAAAADmF1eGwAAgABAAEA"
        "AADTbWRhdAAAAFgoAa8J4CE5NB5CX7//2cR//4OZb1/8gSl3tPjf+c2G+f/VpEB3/z3+wH6v5oT//r5mc/upgL/0KID3TQUP"
        "JS1Sg5adjNLH+ezUnrTq3/4D2n/myofmAGHAAAAAaygBrhPAa3xD3j/Eu9PUm+Qq3//g62CngSEHBLLOZ3Rr0ddApUk96WKO"
        "qv0Pt/87W1Hx4QWQcqLEHfPsTgfOU4gDT/F68D/8B/5qH/KOQ/+BAE+W4VHqZkQBj95DRe1m1uNfi9M7D2/zw7fA"
    ),
}


def dng(values: np.ndarray, preview: bytes | None = None, orientation: int = 1) -> bytes:
    """A DNG 1.4 of a sensor's values [H, W] uint16, red, green, green, blue; with a JPEG of RGB as its first page.

    Source: Adobe, Digital Negative Specification 1.4.0.0.
    """
    height, width = values.shape
    out = bytearray(b"II*\0" + bytes(4))
    codes = {1: "B", 3: "H", 4: "I", 5: "I", 10: "i"}

    def put(data: bytes) -> int:
        out.extend(bytes(len(out) % 2))
        out.extend(data)
        return len(out) - len(data)

    def directory(*fields: tuple[int, int, object]) -> int:
        rows = b""
        for tag, kind, values in sorted(fields, key=lambda field: field[0]):
            data = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{codes[kind]}", *values)
            count = len(values) // 2 if kind in (5, 10) else len(values)
            at = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", put(data))
            rows += struct.pack("<HHI", tag, kind, count) + at
        return put(struct.pack("<H", len(fields)) + rows + bytes(4))

    def page(width: int, height: int, data: bytes) -> list[tuple[int, int, object]]:
        return [(256, 4, [width]), (257, 4, [height]), (273, 4, [put(data)]), (278, 4, [height]), (279, 4, [len(data)])]

    raw = page(width, height, values.astype("<u2").tobytes())
    raw += [(254, 4, [0]), (258, 3, [16]), (259, 3, [1]), (262, 3, [32803]), (277, 3, [1]), (33421, 3, [2, 2])]
    raw += [(33422, 1, [0, 1, 1, 2]), (50717, 4, [65535])]
    unit = [number for row in np.eye(3, dtype=int) for value in row for number in (int(value), 1)]
    camera = [(271, 2, b"Test\0"), (272, 2, b"Camera\0"), (274, 3, [orientation]), (50706, 1, [1, 4, 0, 0])]
    camera += [(50708, 2, b"Test Camera\0"), (50721, 10, unit), (50728, 5, [1, 1] * 3), (50778, 3, [21])]
    if preview is None:
        first = directory(*raw, *camera)
    else:
        below = directory(*raw)
        with Image.open(BytesIO(preview)) as opened:
            shown = page(*opened.size, preview)
        shown += [(254, 4, [1]), (258, 3, [8, 8, 8]), (259, 3, [7]), (262, 3, [6]), (277, 3, [3]), (330, 4, [below])]
        first = directory(*shown, *camera)
    struct.pack_into("<I", out, 4, first)
    return bytes(out)
