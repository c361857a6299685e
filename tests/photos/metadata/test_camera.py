"""Cameras, lenses, kinds of picture, and the two halves of a live photo."""

from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from isthmus.photos.metadata import MOTION_PHOTO, Metadata, is_motion_pair, metadata_of, sidecars_for
from isthmus.photos.metadata.camera import camera, lens

from .samples import LENS, MAKE, MAKER_NOTE, MODEL, SOFTWARE, USER_COMMENT, apple_note, exif, heic, jpeg, xmp


@pytest.mark.parametrize(
    ("make", "model", "cleaned"),
    [
        ("Canon", "Canon EOS 5D Mark IV", ("Canon", "EOS 5D Mark IV")),
        ("NIKON CORPORATION", "NIKON D90", ("Nikon", "D90")),
        ("NIKON", "COOLPIX P900", ("Nikon", "COOLPIX P900")),
        ("SONY", "ILCE-7M3", ("Sony", "ILCE-7M3")),
        ("OLYMPUS IMAGING CORP.  ", "E-M10           ", ("Olympus", "E-M10")),
        ("OLYMPUS OPTICAL CO.,LTD", "C2000Z", ("Olympus", "C2000Z")),
        ("EASTMAN KODAK COMPANY", "KODAK EASYSHARE C713", ("Kodak", "EASYSHARE C713")),
        ("FUJI PHOTO FILM CO., LTD.", "FinePix S5000", ("Fujifilm", "FinePix S5000")),
        ("FUJIFILM", "X-T30", ("Fujifilm", "X-T30")),
        ("LEICA CAMERA AG", "LEICA Q2", ("Leica", "Q2")),
        ("RICOH IMAGING COMPANY, LTD.", "GR III", ("Ricoh", "GR III")),
        ("CASIO COMPUTER CO.,LTD.", "EX-Z750", ("Casio", "EX-Z750")),
        ("SAMSUNG TECHWIN", "ST70", ("Samsung", "ST70")),
        ("LG Electronics", "LG-H870", ("LG", "H870")),
        ("samsung", "SM-G960F", ("Samsung", "SM-G960F")),
        ("Apple", "iPhone 12 Pro", ("Apple", "iPhone 12 Pro")),
        ("HUAWEI", "HUAWEI P30", ("HUAWEI", "P30")),
        ("Xiaomi", "Xiaomi", ("Xiaomi", "Xiaomi")),
        ("Unknown maker", "X", ("Unknown maker", "X")),
        ("", "Pixel 7", ("", "Pixel 7")),
        ("unknown", "----", ("", "")),
        ("Corporation", "", ("Corporation", "")),
    ],
)
def test_makers_and_models(make: str, model: str, cleaned: tuple[str, str]) -> None:
    assert camera(make, model) == cleaned


def test_padding_and_nuls_are_no_part_of_a_name() -> None:
    found = metadata_of(jpeg(exif=exif({MAKE: "Canon\0\0\0rest", MODEL: "Canon EOS 80D   \0\0"}, {LENS: "EF50mm \0"})))
    assert (found.maker, found.model, found.lens) == ("Canon", "EOS 80D", "EF50mm")


@pytest.mark.parametrize("text", ["----", "0.0 mm f/0.0", "Unknown", "   ", "0mm f/0"])
def test_a_lens_the_camera_does_not_know(text: str) -> None:
    assert lens(text) == ""


def test_the_lens_of_xmp_where_exif_has_none() -> None:
    packet = xmp("", 'xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" aux:Lens="EF24-70mm"')
    assert metadata_of(jpeg(xmp=packet)).lens == "EF24-70mm"


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot_20180503-142530.png", "Screenshot (12).png", "Screen Shot 2018-05-03 at 2.25.30 PM.png",
        "screenshot.png", "屏幕截图 2018-05-03 142530.png", "屏幕快照 2018-05-03.png", "截屏2018-05-03 14.25.30.png",
        "微信截图_20180503142530.png", "Bildschirmfoto 2018-05-03 um 14.25.30.png", "Screenshots/Screenshot_1.png",
    ],
)  # fmt: skip
def test_screenshots_by_name(name: str) -> None:
    assert metadata_of(b"", name=name).kinds == {"screenshot"}


@pytest.mark.parametrize(
    "name",
    ["IMG_1234.HEIC", "my screenshot of it.jpg", "screenshotted.jpg", "Screenshots/IMG_1.jpg", "pano.jpg", "scan.pdf"],
)
def test_other_names_tell_no_kind(name: str) -> None:
    assert metadata_of(b"", name=name).kinds == frozenset()


def test_screenshots_by_comment() -> None:
    comment = {USER_COMMENT: b"ASCII\0\0\0Screenshot"}
    found = metadata_of(jpeg(exif=exif(photo=comment)))
    assert found.kinds == {"screenshot"}
    assert found.caption == ""
    assert metadata_of(jpeg(xmp=xmp("<exif:UserComment>Screenshot</exif:UserComment>"))).kinds == {"screenshot"}
    assert metadata_of(jpeg(exif=exif(photo={USER_COMMENT: b"ASCII\0\0\0My Screenshot"}))).kinds == frozenset()


def test_panoramas_by_xmp_by_apple_and_by_name_and_shape_together() -> None:
    def shaped(width: int, height: int, name: str) -> frozenset[str]:
        stream = BytesIO()
        Image.new("L", (width, height)).save(stream, "PNG")
        return frozenset(metadata_of(stream.getvalue(), name=name).kinds)

    assert metadata_of(jpeg(xmp=xmp("", 'GPano:ProjectionType="equirectangular"'))).kinds == {"panorama"}
    assert metadata_of(jpeg(exif=exif({MAKE: "Apple"}, {0xA401: 6}))).kinds == {"panorama"}
    assert metadata_of(jpeg(exif=exif({MAKE: "Canon"}, {0xA401: 6}))).kinds == frozenset()
    assert shaped(220, 100, "PANO_20180503.jpg") == shaped(100, 220, "全景.jpg") == {"panorama"}
    assert shaped(220, 100, "IMG_1234.jpg") == shaped(200, 100, "PANO_1.jpg") == shaped(220, 100, "japano.jpg") == set()


def test_selfies_by_the_front_camera() -> None:
    def kinds(model: str) -> frozenset[str]:
        return frozenset(metadata_of(jpeg(exif=exif(photo={LENS: model}))).kinds)

    assert kinds("iPhone 12 front camera 2.71mm f/2.2") == kinds("iPhone X front TrueDepth camera 2.87mm") == {"selfie"}
    assert kinds("iPhone 12 back dual wide camera 4.2mm f/1.6") == frozenset()


def test_documents_by_the_scanner_app() -> None:
    assert metadata_of(jpeg(exif=exif({SOFTWARE: "CamScanner 6.1"}))).kinds == {"document"}
    assert metadata_of(b"", name="Adobe Scan 03 May 2018.jpg").kinds == {"document"}
    assert metadata_of(b"", name="扫描全能王 2018-05-03 14.25.jpg").kinds == {"document"}
    assert metadata_of(jpeg(exif=exif({SOFTWARE: "VueScan 9"}))).kinds == frozenset()  # scans film as well


IDENTIFIER = "6B9D5A2E-8F3C-4E0B-9A7B-1C2D3E4F5A6B"


@pytest.mark.parametrize("wrap", [jpeg, heic])
def test_apple_s_content_identifier(wrap: object) -> None:
    assert callable(wrap)
    data = wrap(exif=exif({MAKE: "Apple"}, {MAKER_NOTE: apple_note(IDENTIFIER)}))
    assert metadata_of(data).live_id == IDENTIFIER


@pytest.mark.parametrize("cut", range(len(apple_note(IDENTIFIER))))
def test_a_cut_maker_note_is_no_trouble(cut: int) -> None:
    data = jpeg(exif=exif({MAKE: "Apple"}, {MAKER_NOTE: apple_note(IDENTIFIER)[:cut] or b"\0"}))
    assert IDENTIFIER.startswith(metadata_of(data).live_id)


@pytest.mark.parametrize("flag", ["GCamera:MotionPhoto", "GCamera:MicroVideo"])
def test_google_s_motion_photos(flag: str) -> None:
    assert metadata_of(jpeg(xmp=xmp("", f'{flag}="1"'))).live_id == MOTION_PHOTO
    assert metadata_of(jpeg(xmp=xmp("", f'{flag}="0"'))).live_id == ""


def test_identifiers_decide_on_pairs_and_names_where_one_is_missing() -> None:
    still, silent = Metadata(live_id=IDENTIFIER), Metadata()
    assert is_motion_pair(still, "IMG_1.HEIC", "IMG_1.MOV", IDENTIFIER)
    assert is_motion_pair(still, "IMG_1.HEIC", "renamed.mov", IDENTIFIER.lower())
    assert not is_motion_pair(still, "IMG_1.HEIC", "IMG_1.MOV", "another")
    assert is_motion_pair(still, "IMG_1.HEIC", "img_1.mov")
    assert is_motion_pair(silent, "IMG_1.HEIC", "IMG_1.MP4", IDENTIFIER)
    assert not is_motion_pair(silent, "IMG_1.HEIC", "IMG_2.MOV")
    assert not is_motion_pair(still, "IMG_1.HEIC", "IMG_1.JPG", IDENTIFIER)
    assert is_motion_pair(replace(silent, live_id=MOTION_PHOTO), "a.MP.jpg", "a.MP.mp4", IDENTIFIER)


def test_sidecars_by_name() -> None:
    assert sidecars_for("IMG_1.JPG") == ("IMG_1.JPG.xmp", "IMG_1.JPG.XMP", "IMG_1.xmp", "IMG_1.XMP")
    assert sidecars_for("a/b.c/photo") == ("a/b.c/photo.xmp", "a/b.c/photo.XMP")
    assert sidecars_for(".hidden") == (".hidden.xmp", ".hidden.XMP")
    assert sidecars_for("x.tar.gz")[2] == "x.tar.xmp"
