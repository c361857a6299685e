"""Videos: told from their first bytes, and asked for what ties them to a still, whatever else is in them."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.photos.metadata.quicktime import MAX_META, content_identifier, is_video

from .samples import box, movie

IDENTIFIER = "0D1F0A6E-6A3B-4F2C-9C5B-6E1D7B3A9F00"


@pytest.mark.parametrize("layout", ["moov first", "moov last", "large mdat", "mdat without end", "ISO meta", "no ftyp"])
def test_the_identifier_is_found_wherever_it_lies(layout: str) -> None:
    found = content_identifier(io.BytesIO(movie(IDENTIFIER, layout)))
    # A box that reaches to the end of the file leaves nothing behind it.
    assert found == ("" if layout == "mdat without end" else IDENTIFIER)


def test_a_video_without_one_says_nothing() -> None:
    assert content_identifier(io.BytesIO(movie(""))) == ""
    assert content_identifier(io.BytesIO(b"")) == ""


def test_large_data_is_passed_over_unread() -> None:
    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    file = Counted(movie(IDENTIFIER, "moov last", bytes(5_000_000)))
    assert content_identifier(file) == IDENTIFIER
    assert file.taken < 2_000
    big = box(b"moov", box(b"meta", bytes(MAX_META + 1)))
    file = Counted(big)
    assert content_identifier(file) == ""
    assert file.taken < 200


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_spoiled_video_says_something_or_nothing_and_ends(data: st.DataObject) -> None:
    whole = bytearray(movie(IDENTIFIER))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = content_identifier(io.BytesIO(bytes(whole[: data.draw(st.integers(0, len(whole)))])))
    assert len(found) <= 256
    assert not set(found) & set(map(chr, range(32)))


@pytest.mark.parametrize(
    ("head", "video"),
    [
        (movie(""), True),
        (movie("", "no ftyp"), True),
        (b"\x1a\x45\xdf\xa3" + bytes(12), True),
        (b"RIFF\0\0\0\0AVI LIST", True),
        (b"\0\0\1\xba" + bytes(12), True),
        (b"RIFF\0\0\0\0WAVEfmt ", False),
        (b"just some words.", False),
        (b"", False),
    ],
)
def test_what_is_a_video(head: bytes, video: bool) -> None:
    assert is_video(head[:16]) is video
