"""Captions, titles, keywords, ratings: which of several counts, in which charset, and how much of it."""

import pytest

from isthmus.photos.metadata import Metadata, metadata_of

from . import samples
from .samples import DESCRIPTION, USER_COMMENT, alt, bag, exif, iptc, jpeg, xmp

XP_TITLE, XP_COMMENT, XP_KEYWORDS, RATING, RATING_PERCENT = 0x9C9B, 0x9C9C, 0x9C9E, 0x4746, 0x4749


def inside(properties: str = "", attributes: str = "") -> Metadata:
    return metadata_of(jpeg(xmp=xmp(properties, attributes)))


def utf16(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le")


def test_the_language_for_everybody_comes_first() -> None:
    words = inside(alt("dc:description", de="Am See", x_default="At the lake", fr="Au lac"))
    assert words.caption == "At the lake"
    assert inside(alt("dc:description", de="Am See", fr="Au lac")).caption == "Am See"
    assert inside("<dc:description>At the lake</dc:description>").caption == "At the lake"


def test_order_of_captions() -> None:
    """The sidecar; then EXIF, XMP, IPTC (MWG 2.0); IPTC before XMP where it was changed after it."""
    block = iptc((2, 120, b"iptc"), (2, 5, b"iptc title"))
    packet = xmp(alt("dc:description", x_default="xmp") + alt("dc:title", x_default="xmp title"))
    described = exif({DESCRIPTION: "exif", XP_TITLE: utf16("windows title")})
    beside = xmp(alt("dc:description", x_default="sidecar") + alt("dc:title", x_default="sidecar title"))
    everything = jpeg(exif=described, xmp=packet, iptc=block)
    assert metadata_of(everything, sidecar=beside).caption == "sidecar"
    assert metadata_of(everything, sidecar=beside).title == "sidecar title"
    assert (metadata_of(everything).caption, metadata_of(everything).title) == ("exif", "xmp title")
    assert metadata_of(jpeg(xmp=packet, iptc=block)).caption == "xmp"
    stale = metadata_of(jpeg(xmp=packet, iptc=block, digest=bytes(16)))
    assert (stale.caption, stale.title) == ("iptc", "iptc title")
    assert metadata_of(jpeg(xmp=packet, iptc=block, digest=samples.digest_of(block))).caption == "xmp"
    assert metadata_of(jpeg(exif=described)).title == "windows title"


@pytest.mark.parametrize("text", ["OLYMPUS DIGITAL CAMERA         ", "SONY DSC", "default", "   "])
def test_what_cameras_fill_in_is_no_caption(text: str) -> None:
    data = jpeg(exif=exif({DESCRIPTION: text}), xmp=xmp(alt("dc:description", x_default="At the lake")))
    assert metadata_of(data).caption == "At the lake"


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\0\0\0At the lake", bytes(8) + b"At the lake", b"UNICODE\0" + "At the lake".encode("utf-16-le"),
        b"UNICODE\0" + "At the lake".encode("utf-16-be"), b"UNICODE\0" + "At the lake".encode("utf-16"),
        b"JIS\0\0\0\0\0" + "At the lake".encode("iso2022_jp"), b"At the lake", b"ASCII\0\0\0At the lake\0\0\0rest",
    ],
)  # fmt: skip
def test_codes_of_the_user_comment(comment: bytes) -> None:
    assert metadata_of(jpeg(exif=exif(photo={USER_COMMENT: comment}))).caption == "At the lake"


def test_a_chinese_user_comment() -> None:
    """No zeros tell the byte order, so the block's own counts; Pillow writes "II" or "MM" as its block began."""
    block = exif(photo={USER_COMMENT: b"UNICODE\0" + "湖边的船".encode("utf-16-le")})
    order = "utf-16-le" if block[6:8] == b"II" else "utf-16-be"
    block = exif(photo={USER_COMMENT: b"UNICODE\0" + "湖边的船".encode(order)})
    assert metadata_of(jpeg(exif=block)).caption == "湖边的船"


def test_exif_text_is_utf8_or_else_latin1() -> None:
    def described(data: bytes) -> str:
        block = samples.directory([(DESCRIPTION, 2, len(data), (26).to_bytes(4, "little"))], behind=data)
        return metadata_of(jpeg(exif=b"Exif\0\0" + block)).caption

    assert described("湖边的船\0".encode()) == "湖边的船"
    assert described("Zürich\0".encode()) == "Zürich"
    assert described("Zürich\0".encode("latin-1")) == "Zürich"


def test_iptc_charsets() -> None:
    """1:90 names UTF-8; without it, what is no UTF-8 is Latin-1."""
    utf8, named = "Zürich 湖".encode(), (1, 90, b"\x1b%G")
    assert metadata_of(jpeg(iptc=iptc(named, (2, 120, utf8)))).caption == "Zürich 湖"
    assert metadata_of(jpeg(iptc=iptc((2, 120, utf8)))).caption == "Zürich 湖"
    assert metadata_of(jpeg(iptc=iptc((2, 120, "Zürich".encode("latin-1"))))).caption == "Zürich"
    assert metadata_of(jpeg(iptc=iptc(named, (2, 120, "Zürich".encode("latin-1"))))).caption == "Z\ufffdrich"


def test_a_long_iptc_caption() -> None:
    """IIM 4.2: a length of its own, beyond 32,767 bytes."""
    block = b"\x1c\x02\x78\x80\x04" + (40_000).to_bytes(4, "big") + b"a" * 40_000 + iptc((2, 25, b"behind"))
    found = metadata_of(jpeg(iptc=block))
    assert (len(found.caption), found.keywords) == (2_000, ("behind",))
    assert any("40,000 characters" in line for line in found.problems)


def test_keywords_of_all_sources_come_once_and_in_order() -> None:
    packet = xmp(
        bag("dc:subject", "lake", "boat", "Lake ")
        + bag("lr:hierarchicalSubject", "Places|Zürich", "boat")
        + bag("digiKam:TagsList", "Places/Zürich", "Trip/2018").replace("rdf:Bag", "rdf:Seq")
    )
    data = jpeg(
        exif=exif({XP_KEYWORDS: utf16("windows; boat;;lake")}),
        xmp=packet,
        iptc=iptc((2, 25, b"iptc"), (2, 25, b"boat")),
    )
    found = metadata_of(data, sidecar=xmp(bag("dc:subject", "sidecar", "boat")))
    assert found.keywords == ("sidecar", "boat", "lake", "Places|Zürich", "Trip|2018", "iptc", "windows")


@pytest.mark.parametrize(
    ("text", "rating"),
    [("0", 0), ("5", 5), ("-1", -1), ("3.0", 3), (" 4 ", 4), ("6", None), ("-2", None), ("good", None), ("nan", None),
     ("3.5", None), ("1e400", None)],
)  # fmt: skip
def test_ratings(text: str, rating: int | None) -> None:
    found = inside("", f'xmp:Rating="{text}"')
    assert found.rating == rating
    assert (found.problems == ()) == (rating is not None)


def test_order_of_ratings() -> None:
    starred = exif({RATING: 3})
    assert metadata_of(jpeg(exif=starred)).rating == 3
    assert metadata_of(jpeg(exif=starred, xmp=xmp("", 'xmp:Rating="2"'))).rating == 2
    assert metadata_of(jpeg(exif=starred), sidecar=xmp("", 'xmp:Rating="1"')).rating == 1
    assert metadata_of(jpeg(exif=exif({RATING: 77}))).problems == ("rating 77 is none of 0 to 5",)


@pytest.mark.parametrize(("percent", "stars"), [(1, 1), (25, 2), (50, 3), (75, 4), (99, 5), (33, None)])
def test_windows_percents_are_stars(percent: int, stars: int | None) -> None:
    assert metadata_of(jpeg(exif=exif({RATING_PERCENT: percent}))).rating == stars
    assert inside("", f'MicrosoftPhoto:Rating="{percent}"').rating == stars


def test_people_without_a_place_in_the_picture() -> None:
    found = inside(bag("Iptc4xmpExt:PersonInImage", "Ann", "Bob"))
    assert (found.people, found.regions) == (("Ann", "Bob"), ())


def test_properties_may_be_attributes_or_elements_or_have_qualifiers() -> None:
    qualified = '<xmp:Rating rdf:parseType="Resource"><rdf:value>4</rdf:value></xmp:Rating>'
    described = "<xmp:Rating><rdf:Description><rdf:value>4</rdf:value></rdf:Description></xmp:Rating>"
    for properties in ("<xmp:Rating>4</xmp:Rating>", qualified, described):
        assert inside(properties).rating == 4
    assert inside("", 'xmp:Rating="4"').rating == 4


def test_prefixes_are_the_file_s_own_business() -> None:
    packet = xmp("", 'xmp:Rating="4"').replace(b"xmp:", b"ns7:").replace(b"xmlns:xmp=", b"xmlns:ns7=")
    assert metadata_of(jpeg(xmp=packet)).rating == 4
    foreign = xmp("", 'xmp:Rating="4"').replace(b"http://ns.adobe.com/xap/1.0/", b"http://example.org/", 1)
    assert metadata_of(jpeg(xmp=foreign)).rating is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_sidecars_in_other_encodings(encoding: str) -> None:
    text = xmp(alt("dc:title", x_default="Zürich")).decode().replace('begin="\ufeff"', 'begin=""')
    assert metadata_of(jpeg(), sidecar=text.encode(encoding)).title == "Zürich"


def test_software() -> None:
    assert metadata_of(jpeg(exif=exif({samples.SOFTWARE: "Lightroom 7\0\0\0"}))).software == "Lightroom 7"
    assert inside("", 'xmp:CreatorTool="GIMP 2.10"').software == "GIMP 2.10"
