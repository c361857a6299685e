"""IPTC datasets (IIM 4.2) as Photoshop resources keep them: captions, keywords and dates of older programs.

Pillow's reader wants the opened picture, and gives nothing where one byte of the block is wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.photos.metadata.text import decoded

MAX_DATASETS = 5_000

_UTF8 = b"\x1b%G"
_CHARSET = (1, 90)
_TITLE, _KEYWORD, _DATE, _TIME, _DIGITISED, _DIGITISED_TIME = (2, 5), (2, 25), (2, 55), (2, 60), (2, 62), (2, 63)
_PROGRAM, _CAPTION = (2, 65), (2, 120)


@dataclass(frozen=True)
class Iptc:
    """Texts as written; dates are "CCYYMMDD" and times "HHMMSS+HHMM"."""

    title: str = ""
    caption: str = ""
    program: str = ""
    keywords: tuple[str, ...] = ()
    created: tuple[str, str] = ("", "")
    digitised: tuple[str, str] = ("", "")


def iptc_of(block: bytes) -> Iptc:
    """What the datasets before the first damaged one say."""
    found: dict[tuple[int, int], list[bytes]] = {}
    for key, value in _datasets(block):
        found.setdefault(key, []).append(value)
    # 1:90 is often missing from blocks in UTF-8; Latin-1 that is valid UTF-8 by chance is not seen.
    charset = found.get(_CHARSET, [b""])[0]

    def texts(key: tuple[int, int]) -> list[str]:
        return [
            value.split(b"\0", 1)[0].decode("utf-8", "replace") if charset == _UTF8 else decoded(value)
            for value in found.get(key, [])
        ]

    def text(key: tuple[int, int]) -> str:
        return next(iter(texts(key)), "")

    return Iptc(
        text(_TITLE),
        text(_CAPTION),
        text(_PROGRAM),
        tuple(texts(_KEYWORD)),
        (text(_DATE), text(_TIME)),
        (text(_DIGITISED), text(_DIGITISED_TIME)),
    )


def _datasets(block: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """((record, dataset), value): IIM 4.2: a marker, two numbers, a length of 15 bits or of its own."""
    at = 0
    for _ in range(MAX_DATASETS):
        if at + 5 > len(block) or block[at] != 0x1C:
            return
        key, size = (block[at + 1], block[at + 2]), int.from_bytes(block[at + 3 : at + 5], "big")
        at += 5
        if size & 0x8000:
            digits = size & 0x7FFF
            if digits > 4:
                return
            size = int.from_bytes(block[at : at + digits], "big")
            at += digits
        yield key, block[at : at + min(size, 64 << 10)]
        at += size
