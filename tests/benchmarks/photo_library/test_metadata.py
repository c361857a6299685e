"""What is written into the files is what other readers find there."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.photo_library.content import Content, Seed
from benchmarks.photo_library.metadata import encoded
from benchmarks.photo_library.plan import Shot
from benchmarks.photo_library.story import CAMERAS
from benchmarks.photo_library.truth import Library
from PIL import Image, ImageOps, IptcImagePlugin

SHOT = Shot(
    number=1,
    picture=1,
    time=datetime(2019, 8, 12, 19, 5, 9),
    offset=-210,
    town="Sydney",
    latitude=-33.867812,
    longitude=151.207301,
    camera=CAMERAS[0],
    content=Content("photo", Seed(0, 1)),
    path="phone/a.jpg",
    dated="exif",
    placed="gps",
    orientation=1,
    portrait=False,
)


def _picture() -> Image.Image:
    """Red at the left, blue at the right."""
    picture = Image.new("RGB", (64, 48), (220, 20, 20))
    picture.paste((20, 20, 220), (40, 0, 64, 48))
    return picture


def _stored(shot: Shot, folder: Path) -> Path:
    path = folder / Path(shot.path).name
    path.write_bytes(encoded(_picture(), shot).picture)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_exif_has_camera_time_zone_and_place(tmp_path: Path, name: str) -> None:
    with Image.open(_stored(replace(SHOT, path=name), tmp_path)) as image:
        exif = image.getexif()
    assert (exif[0x010F], exif[0x0110]) == ("Apple", "iPhone 7")
    inside = exif.get_ifd(0x8769)
    assert inside[0x9003] == "2019:08:12 19:05:09"
    assert inside[0x9011] == "-03:30"
    place = exif.get_ifd(0x8825)
    assert (place[1], place[3]) == ("S", "E")
    for value, degrees in ((place[2], 33.867812), (place[4], 151.207301)):
        assert float(value[0]) + float(value[1]) / 60 + float(value[2]) / 3600 == pytest.approx(degrees, abs=1e-7)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_turned_pictures_are_upright_again(tmp_path: Path, orientation: int) -> None:
    with Image.open(_stored(replace(SHOT, orientation=orientation), tmp_path)) as image:
        assert (image.size == (64, 48)) == (orientation in (1, 3))
        upright = ImageOps.exif_transpose(image)
    assert upright.size == (64, 48)
    red, blue = upright.getpixel((8, 24)), upright.getpixel((60, 24))
    assert isinstance(red, tuple) and red[0] > 150 > red[2]
    assert isinstance(blue, tuple) and blue[2] > 150 > blue[0]


def test_a_camera_without_a_zone_writes_none(tmp_path: Path) -> None:
    with Image.open(_stored(replace(SHOT, camera=CAMERAS[3], placed="folder"), tmp_path)) as image:
        exif = image.getexif()
    assert 0x9011 not in exif.get_ifd(0x8769)
    assert not exif.get_ifd(0x8825)


def test_keywords_are_in_iptc_and_xmp(tmp_path: Path) -> None:
    with Image.open(_stored(replace(SHOT, keywords=("dog", "猫 & <b>")), tmp_path)) as image:
        iptc = IptcImagePlugin.getiptcinfo(image)
        xmp = ElementTree.fromstring(image.info["xmp"].decode().split("?>", 1)[1].rsplit("<?xpacket", 1)[0])
    assert iptc is not None
    said = iptc[(2, 25)]
    assert said == [b"dog", "猫 & <b>".encode()]
    assert [item.text for item in xmp.iter(f"{RDF}li")] == ["dog", "猫 & <b>"]


RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXIF = "{http://ns.adobe.com/exif/1.0/}"


def test_a_sidecar_has_what_the_file_lost(tmp_path: Path) -> None:
    shot = replace(SHOT, camera=None, dated="sidecar", placed="sidecar")
    with Image.open(_stored(shot, tmp_path)) as image:
        assert not image.getexif()
    sidecar = encoded(_picture(), shot).sidecar.decode()
    told = ElementTree.fromstring(sidecar.split("?>", 1)[1].rsplit("<?xpacket", 1)[0])
    found = {name: next(told.iter(EXIF + name)).text for name in ("DateTimeOriginal", "GPSLatitude", "GPSLongitude")}
    assert found["DateTimeOriginal"] == "2019-08-12T19:05:09-03:30"
    assert found["GPSLatitude"] == "33,52.068720S"
    assert found["GPSLongitude"] == "151,12.438060E"


def test_every_file_says_what_the_truth_says_it_does(made: Path, library: Library) -> None:
    for photo in library.photos:
        with Image.open(made / photo.path) as image:
            exif = image.getexif()
        inside = exif.get_ifd(0x8769)
        assert (photo.dated == "exif") == (0x9003 in inside), photo.path
        if photo.dated == "exif":
            assert datetime.strptime(inside[0x9003], "%Y:%m:%d %H:%M:%S") == photo.time.replace(microsecond=0)
        assert (photo.placed == "gps") == bool(exif.get_ifd(0x8825)), photo.path
        assert exif.get(0x010F, "") == photo.maker
        name = photo.path.rpartition("/")[2]
        if photo.dated in ("name", "day"):
            assert f"{photo.time:%Y%m%d}" in name
        if photo.dated == "instant":
            instant = datetime(1970, 1, 1) + timedelta(milliseconds=int("".join(c for c in name if c.isdigit())[:13]))
            assert abs(instant + timedelta(minutes=photo.offset) - photo.time) < timedelta(seconds=2)
        if photo.placed == "folder":
            assert photo.town in photo.path or photo.chinese_town in photo.path
