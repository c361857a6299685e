"""What ExifTool writes is read, and what it reads of our samples is the same."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from isthmus.photos.metadata import metadata_of

from ...images.samples import encode, scene
from . import samples
from .test_hostile import RICH

EXIFTOOL = shutil.which("exiftool")
pytestmark = pytest.mark.skipif(
    EXIFTOOL is None and not os.environ.get("ISTHMUS_CI"),
    reason="exiftool is not installed (package libimage-exiftool-perl)",
)

PLAIN: dict[str, Callable[[], bytes]] = {
    "jpg": lambda: encode(scene(), "JPEG"),
    "png": lambda: encode(scene(), "PNG"),
    "webp": lambda: encode(scene(), "WEBP"),
    "tif": lambda: encode(scene(), "TIFF"),
    "heic": lambda: samples.heic(samples.exif({0x0112: 1}), samples.xmp()),
    "avif": lambda: encode(scene(), "AVIF"),
}


def exiftool(*arguments: str) -> str:
    assert EXIFTOOL is not None
    done = subprocess.run([EXIFTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(path: Path, *tags: str) -> dict[str, object]:
    answer: list[dict[str, object]] = json.loads(exiftool("-j", "-n", "-G1", "-struct", *tags, str(path)))
    return answer[0]


@pytest.mark.parametrize("ending", PLAIN)
def test_what_exiftool_writes_is_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(PLAIN[ending]())
    faces = (
        "-XMP-mwg-rs:RegionInfo={AppliedToDimensions={W=64,H=48,Unit=pixel},"
        "RegionList=[{Area={X=0.5,Y=0.5,W=0.25,H=0.5,Unit=normalized},Name=Ann,Type=Face}]}"
    )
    exiftool(
        "-overwrite_original", "-EXIF:DateTimeOriginal=2018:05:03 14:25:30", "-EXIF:SubSecTimeOriginal=25",
        "-EXIF:OffsetTimeOriginal=+02:00", "-EXIF:Make=Canon", "-EXIF:Model=Canon EOS 80D", "-EXIF:LensModel=EF50mm",
        "-EXIF:Orientation#=6", "-GPSLatitude=47.3769", "-GPSLatitudeRef=N", "-GPSLongitude=-8.5417",
        "-GPSLongitudeRef=W", "-GPSAltitude=408.5", "-GPSAltitudeRef#=0", "-XMP:Rating=4", "-XMP-dc:Subject=lake",
        "-XMP-dc:Subject=boat", "-XMP-dc:Title=Zürich", "-XMP-dc:Description=Am See", "-XMP-iptcExt:PersonInImage=Bob",
        faces, str(path),
    )  # fmt: skip
    found = metadata_of(path.read_bytes())
    assert (found.taken, found.offset) == (datetime(2018, 5, 3, 14, 25, 30, 250_000), 120)
    assert (found.maker, found.model, found.lens) == ("Canon", "EOS 80D", "EF50mm")
    assert found.latitude is not None and found.longitude is not None
    assert (round(found.latitude, 6), round(found.longitude, 6), found.altitude) == (47.3769, -8.5417, 408.5)
    assert (found.rating, found.keywords, found.people) == (4, ("lake", "boat"), ("Ann", "Bob"))
    assert (found.title, found.caption, found.problems) == ("Zürich", "Am See", ())
    (region,) = found.regions
    if ending not in ("heic", "avif"):  # their containers' own turn is not written by exiftool
        assert (region.x, region.y, region.w, region.h) == (0.25, 0.375, 0.5, 0.25)


def test_a_sidecar_of_exiftool_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    exiftool(
        "-XMP-exif:DateTimeOriginal=2018:05:03 14:25:30+02:00", "-XMP:Rating=-1", "-XMP-lr:HierarchicalSubject=a|b",
        "-XMP-exif:GPSLatitude=-47.5", "-XMP-exif:GPSLongitude=8.25", "-XMP-exif:GPSAltitude=-3.5", str(path),
    )  # fmt: skip
    found = metadata_of(b"", sidecar=path.read_bytes())
    assert (found.taken, found.offset, found.taken_from) == (datetime(2018, 5, 3, 14, 25, 30), 120, "xmp")
    assert (found.rating, found.keywords) == (-1, ("a|b",))
    assert (found.latitude, found.longitude) == (-47.5, 8.25)


def test_iptc_of_exiftool_is_read_and_its_digest_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(PLAIN["jpg"]())
    exiftool(
        "-overwrite_original", "-codedcharacterset=utf8", "-IPTC:Keywords=Zürich", "-IPTC:Keywords=湖",
        "-IPTC:Caption-Abstract=iptc", "-XMP-dc:Description=xmp", "-IPTC:DateCreated=2018:05:03",
        "-IPTC:TimeCreated=14:25:30+02:00", "-Photoshop:IPTCDigest=new", str(path),
    )  # fmt: skip
    found = metadata_of(path.read_bytes())
    assert (found.keywords, found.caption, found.taken) == (("Zürich", "湖"), "xmp", datetime(2018, 5, 3, 14, 25, 30))
    exiftool("-overwrite_original", "-Photoshop:IPTCDigest=00000000000000000000000000000000", str(path))
    assert metadata_of(path.read_bytes()).caption == "iptc"
    assert exiftool("-s3", "-MWG:Description", str(path)).strip() == "iptc"


@pytest.mark.parametrize("kind", [kind for kind in RICH if kind != "gif"])
def test_our_samples_mean_to_exiftool_what_they_mean_to_us(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(RICH[kind]())
    found, theirs = metadata_of(path.read_bytes()), said(path)
    assert found.taken is not None and found.latitude is not None and found.longitude is not None
    assert f"{found.taken:%Y:%m:%d %H:%M:%S}" == theirs["ExifIFD:DateTimeOriginal"]
    assert found.offset == 120 and theirs["ExifIFD:OffsetTimeOriginal"] == "+02:00"
    position = [theirs["Composite:GPSLatitude"], theirs["Composite:GPSLongitude"]]
    assert [round(found.latitude, 9), round(found.longitude, 9)] == [round(float(str(value)), 9) for value in position]
    assert found.altitude == theirs["Composite:GPSAltitude"]
    assert (found.maker, found.model) == (theirs["IFD0:Make"], theirs["IFD0:Model"])
    identifier = theirs.get("Apple:ContentIdentifier") or theirs["Apple:MediaGroupUUID"]  # as older versions call it
    assert found.live_id == identifier == "live photo 1"
    assert found.rating == theirs["XMP-xmp:Rating"]
    assert list(found.keywords)[:2] == theirs["XMP-dc:Subject"]
    assert found.caption == theirs["IFD0:ImageDescription"]
    regions = theirs["XMP-mwg-rs:RegionInfo"]
    assert isinstance(regions, dict) and regions["RegionList"][0]["Name"] == found.regions[0].name
    if kind in ("jpeg", "tiff"):
        assert theirs["IPTC:Keywords"] == found.keywords[2]


@pytest.mark.parametrize(
    "text", ["2018-05-03T14:25:30+02:00", "2018-05-03T14:25:30.25Z", "2018-05-03", "2018-05", "2018"]
)
def test_dates_of_xmp_mean_the_same(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(samples.xmp("", f'photoshop:DateCreated="{text}"'))
    found = metadata_of(b"", sidecar=path.read_bytes())
    theirs = exiftool("-s3", "-XMP-photoshop:DateCreated", str(path)).strip()
    assert found.taken is not None
    forms = {"year": "%Y", "month": "%Y:%m", "day": "%Y:%m:%d", "second": "%Y:%m:%d %H:%M:%S"}
    ours = f"{found.taken:{forms[found.precision or 'second']}}"
    assert re.sub(r"(\.\d+)?(Z|[+-]\d\d:\d\d)?$", "", theirs) == ours
