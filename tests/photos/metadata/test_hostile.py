"""Hostile files: nothing raises, nothing grows, entities are refused, markup comes through as plain text."""

import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isthmus.photos.metadata import Metadata, metadata_of
from isthmus.photos.metadata.iptc import iptc_of
from isthmus.photos.metadata.tags import tiff
from isthmus.photos.metadata.text import MAX_PROBLEMS, Problems, clean
from isthmus.photos.metadata.xmp import MAX_NODES, properties

from ...images.samples import HEIC, encode, scene
from . import samples
from .samples import DESCRIPTION, MAKE, ORIGINAL, alt, bag, directory, exif, face, faces, jpeg, xmp

RICH_EXIF = exif(
    {MAKE: "Apple", 0x0110: "iPhone X", 0x0112: 6, DESCRIPTION: "At the lake", 0x9C9E: "a;b".encode("utf-16-le")},
    {ORIGINAL: "2018:05:03 14:25:30", 0x9011: "+02:00", 0x927C: samples.apple_note("live photo 1"),
     0x9286: b"UNICODE\0a\0b\0"},
    {1: "N", 2: (47.0, 22.0, 1.0), 3: "E", 4: (8.0, 32.0, 2.0), 5: b"\0", 6: 400.0, 7: (12.0, 25.0, 30.0),
     0x1D: "2018:05:03"},
)  # fmt: skip
RICH_XMP = xmp(
    faces(face("Ann", 0.5, 0.5, 0.2, 0.2)) + alt("dc:description", x_default="Lake") + bag("dc:subject", "a", "b"),
    'xmp:Rating="3" photoshop:DateCreated="2018-05-03T14:25:30Z" exif:GPSLatitude="47,22N" exif:GPSLongitude="8,32E"',
)
RICH_IPTC = samples.iptc((1, 90, b"\x1b%G"), (2, 120, b"Lake"), (2, 25, b"c"), (2, 55, b"20180503"), (2, 60, b"142530"))

RICH: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: jpeg(exif=RICH_EXIF, xmp=RICH_XMP, iptc=RICH_IPTC),
    "png": lambda: samples.png((b"eXIf", RICH_EXIF), samples.itxt(RICH_XMP)),
    "webp": lambda: encode(scene(), "WEBP", exif=RICH_EXIF, xmp=RICH_XMP),
    "tiff": lambda: samples.tiff(RICH_EXIF, RICH_XMP, RICH_IPTC),
    "avif": lambda: encode(scene(), "AVIF", exif=RICH_EXIF, xmp=RICH_XMP),
    "heic": lambda: samples.heic(RICH_EXIF, RICH_XMP),
    "gif": lambda: encode(scene(), "GIF", save_all=True, append_images=[scene()]),
}


def check(found: Metadata) -> None:
    """What holds of every Metadata."""
    assert (found.taken is None) == (found.taken_from is None) == (found.precision is None)
    assert found.taken is None or found.taken.tzinfo is None
    assert found.offset is None or -720 <= found.offset <= 840
    assert (found.latitude is None) == (found.longitude is None)
    assert found.latitude is None or -90 <= found.latitude <= 90
    assert found.longitude is None or -180 <= found.longitude <= 180
    assert found.rating is None or -1 <= found.rating <= 5
    assert len(found.keywords) <= 500 and len(found.people) <= 500 and len(found.regions) <= 200
    texts = (found.maker, found.model, found.lens, found.title, found.software, found.live_id, *found.problems)
    assert all(len(text) <= 200 and text == clean(text) for text in texts)
    assert all(0 < len(text) <= 100 and text == clean(text) for text in (*found.keywords, *found.people))
    assert len(found.caption) <= 2_000 and "\0" not in found.caption
    assert len(found.problems) <= MAX_PROBLEMS
    repr(found).encode()  # no half of a surrogate pair


@settings(max_examples=300)
@given(st.binary(max_size=300), st.sampled_from(["", *(f"head of {kind}" for kind in RICH)]), st.text(max_size=40))
@example(b"", "", "")
def test_any_bytes_will_do(noise: bytes, head: str, name: str) -> None:
    start = RICH[head.removeprefix("head of ")]()[:40] if head else b""
    check(metadata_of(start + noise, name=name, sidecar=noise))


@pytest.mark.parametrize("kind", RICH)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_survived(kind: str, data: st.DataObject) -> None:
    whole = bytearray(RICH[kind]())
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=12)):
        whole[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from([len(whole), data.draw(st.integers(0, len(whole)))]))
    check(metadata_of(bytes(whole[:end])))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_blocks_are_survived(data: st.DataObject) -> None:
    """The damage in the blocks alone, so that every time one gets to their readers."""
    blocks = [bytearray(RICH_EXIF), bytearray(RICH_XMP), bytearray(RICH_IPTC)]
    for block in blocks:
        for at in data.draw(st.lists(st.integers(6, len(block) - 1), max_size=6)):
            block[at] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])))
    damaged_exif, damaged_xmp, damaged_iptc = map(bytes, blocks)
    check(metadata_of(jpeg(exif=damaged_exif, xmp=damaged_xmp, iptc=damaged_iptc), sidecar=damaged_xmp))


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x010E, 0x010F, 0x0112, 0x0132, 0x4746, 0x8769, 0x8825, 0x9003, 0x927C, 0x9286, 0x9C9E,
                             1, 2, 4, 7]),
            st.integers(0, 20), st.sampled_from([0, 1, 2, 3, 17, 2**16, 2**31, 2**32 - 1]),
            st.binary(min_size=4, max_size=4),
        ),
        max_size=12,
    ),
    st.sampled_from("<>"),
    st.binary(max_size=100),
)  # fmt: skip
def test_directories_that_lie_are_survived(
    fields: list[tuple[int, int, int, bytes]], order: str, behind: bytes
) -> None:
    check(metadata_of(jpeg(exif=b"Exif\0\0" + directory(fields, order, behind))))
    check(metadata_of(directory(fields, order, behind)))


@given(st.binary(max_size=200))
def test_any_iptc_block_will_do(block: bytes) -> None:
    iptc_of(block)
    iptc_of(b"\x1c\x02\x78" + block)


@given(st.text(max_size=200))
def test_any_xmp_will_do(text: str) -> None:
    properties(text.encode("utf-8", "surrogatepass"), "XMP", Problems())
    packet = xmp(text.replace("&", "").replace("<", "")).decode("utf-8", "replace")
    check(metadata_of(b"", sidecar=packet.encode("utf-8", "surrogatepass")))


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + at)} "{f"&{chr(97 + at)};" * 10}">' for at in range(9))
    + "]>"
)


@pytest.mark.parametrize(
    "declaration",
    [
        BOMB,
        '<!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/p"> %p;]>',
        "<!DOCTYPE x>",
    ],
    ids=["billion laughs", "local file", "external type", "parameter entity", "bare type"],
)
def test_entities_are_refused_and_said(declaration: str) -> None:
    body = xmp(alt("dc:description", x_default="&j;"), 'xmp:Rating="3"').decode()
    packet = (declaration + body[body.index("<x:xmpmeta") :]).encode()
    for found, what in ((metadata_of(jpeg(xmp=packet)), "XMP"), (metadata_of(jpeg(), sidecar=packet), "sidecar")):
        assert found == Metadata(problems=(f"{what} declares a document type or entities: refused",))


def test_an_undeclared_entity_is_not_well_formed() -> None:
    found = metadata_of(jpeg(xmp=xmp(alt("dc:title", x_default="&j;"))))
    assert found.title == "" and "not well-formed" in found.problems[0]


MARKUP = "<script>alert('x')</script><img src=x onerror=alert(1)>"


@pytest.mark.parametrize("where", ["exif", "xmp", "iptc", "sidecar"])
def test_markup_comes_through_as_the_text_it_is(where: str) -> None:
    escaped = MARKUP.replace("&", "&amp;").replace("<", "&lt;")
    packet = xmp(alt("dc:description", x_default=escaped))
    data = {
        "exif": jpeg(exif=exif({DESCRIPTION: MARKUP})), "xmp": jpeg(xmp=packet),
        "iptc": jpeg(iptc=samples.iptc((2, 120, MARKUP.encode()))), "sidecar": jpeg(),
    }[where]  # fmt: skip
    assert metadata_of(data, sidecar=packet if where == "sidecar" else None).caption == MARKUP


def test_markup_that_is_not_escaped_is_no_caption() -> None:
    found = metadata_of(jpeg(xmp=xmp(alt("dc:description", x_default="<script>alert(1)</script>"))))
    assert found.caption == ""


def test_control_characters_and_marks_of_direction_are_taken_out() -> None:
    """U+202E would turn the page's text behind the name around."""
    text = "a\u202eb\x1b[31mc\u2066d\x7fe\nf\u200dg"
    found = metadata_of(jpeg(iptc=samples.iptc((2, 120, text.encode()), (2, 25, text.encode()))))
    assert found.caption == "ab[31mcde\nf\u200dg"
    assert found.keywords == ("a b [31mc d e f\u200dg",)


def test_texts_and_their_number_are_bounded() -> None:
    many = bag("dc:subject", *(f"keyword {at}" for at in range(600)))
    found = metadata_of(jpeg(), sidecar=xmp(many + alt("dc:description", x_default="x" * 100_000)))
    assert (len(found.keywords), len(found.caption)) == (500, 2_000)
    assert "more than 500 keywords: the first 500 are kept" in found.problems
    assert "caption of 100,000 characters: the first 2,000 are kept" in found.problems
    long = metadata_of(jpeg(), sidecar=xmp(bag("dc:subject", "k" * 5_000)))
    assert long.keywords == ("k" * 100,)
    assert long.problems == ("one of the keywords has 5,000 characters: the first 100 are kept",)


def test_a_packet_of_megabytes_is_not_read() -> None:
    large = xmp(alt("dc:description", x_default="x" * (5 << 20)))
    for found in (
        metadata_of(jpeg(), sidecar=large),
        metadata_of(samples.png(samples.itxt(large))),
        metadata_of(samples.png(samples.itxt(large, packed=True))),
        metadata_of(samples.tiff(packet=large)),
    ):
        assert found.caption == ""
        assert any("larger than 4 MB" in line for line in found.problems)


def test_a_small_text_that_unpacks_to_gigabytes_is_cut() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(64)), packer.flush()])
    found = metadata_of(samples.png((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)))
    assert found.problems == ("XMP is larger than 4 MB: not read",)


def test_deep_and_wide_packets_are_not_built() -> None:
    deep = "<xmp:a>" * 5_000 + "</xmp:a>" * 5_000
    assert metadata_of(jpeg(), sidecar=xmp(deep)).problems == ("sidecar is nested more than 64 deep: not read",)
    wide = metadata_of(jpeg(), sidecar=xmp("<xmp:a/>" * (MAX_NODES + 1)))
    assert wide.problems == ("sidecar has more than 100,000 elements: not read",)
    attributes = " ".join(f'b{at}=""' for at in range(MAX_NODES + 1))
    assert metadata_of(jpeg(), sidecar=xmp(f"<xmp:a {attributes}/>")).problems == wide.problems


def test_extended_xmp_of_a_depth_map_is_left_out_and_said() -> None:
    data = samples.extended("", b"x" * 2_000, length=30 << 20)
    assert metadata_of(data).problems == ("extended XMP of 30 MB: not read, 4 MB at most",)


def test_a_directory_of_tens_of_thousands_of_tags_is_cut_and_said() -> None:
    tags = [(0x4000, 3, 1, bytes(4))] * 5_000 + [(MAKE, 2, 4, b"abc\0")]
    assert metadata_of(directory(tags)).problems == ("EXIF directory of 5,001 tags: the first 1,000 are read",)


def test_values_that_all_point_at_the_same_bytes_cost_one_value_each() -> None:
    """What ends Pillow's reader in gigabytes; here nobody asks for those tags."""
    size = 4 << 20
    tags = [(0x4000 + at, 7, size, struct.pack("<I", 0)) for at in range(900)] + [(DESCRIPTION, 2, size, bytes(4))]
    found = metadata_of(directory(tags, behind=bytes(size)))
    assert any("0x010E has 4,194,304 bytes: the first 65,536 are read" in line for line in found.problems)


def test_a_directory_that_points_at_itself_ends() -> None:
    here = struct.pack("<I", 8)
    check(metadata_of(directory([(0x8769, 4, 1, here), (0x8825, 4, 1, here), (MAKE, 2, 4, b"abc\0")])))


def test_a_tag_behind_the_end_is_said() -> None:
    found = metadata_of(directory([(MAKE, 2, 400, struct.pack("<I", 10_000))]))
    assert found == Metadata(problems=("EXIF tag 0x010F lies behind the end of the block",))


def test_numbers_without_a_denominator_are_none() -> None:
    block = tiff(directory([(6, 5, 1, struct.pack("<I", 26))], behind=struct.pack("<II", 5, 0)))
    assert block is not None
    fields, _ = block.fields({6: 8})
    assert fields[6].numbers() == (None,)


def test_chunks_without_end_are_cut() -> None:
    data = samples.png(*[(b"tEXt", b"")] * 20_001, (b"eXIf", RICH_EXIF))
    found = metadata_of(data)
    assert (found.maker, found.problems) == ("", ("PNG of more than 20,000 chunks: the first are read",))


def test_a_header_of_tens_of_megabytes_is_not_gone_through() -> None:
    filler = samples.segment(0xE1, b"Exif\0\0" + bytes(65_000))
    found = metadata_of(jpeg(*[filler] * 260))
    assert found.maker == "" and found.problems[0].startswith("the file is damaged")


def test_a_heif_whose_item_has_no_name_never_gets_to_its_decoder() -> None:
    """It would end the process; see `images.heif`."""
    data = HEIC["plain"].replace(b"infe\x02\0\0\0\0\1\0\0hvc1", b"infe\x02\0\0\0\0\1\0\0\xff\xff\xff\xff")
    assert data != HEIC["plain"]
    assert metadata_of(data).problems == ("the file is a damaged HEIF",)


def test_problems_are_bounded_and_told_once() -> None:
    problems = Problems()
    for at in range(100):
        problems.add("the same")
        problems.add(f"another {at}\n" + "x" * 1_000)
    lines = problems.lines()
    assert len(lines) == MAX_PROBLEMS == len(set(lines))
    assert all(len(line) <= 200 and "\n" not in line for line in lines)
