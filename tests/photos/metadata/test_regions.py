"""Named boxes are where the named ones are, however the camera was held."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from isthmus.photos.metadata import Metadata, Region, metadata_of

from .samples import ORIENTATION, bag, exif, face, faces, jpeg, xmp


def read(properties: str, turn: int = 1, sidecar: bytes | None = None) -> Metadata:
    return metadata_of(jpeg(exif=exif({ORIENTATION: turn}), xmp=xmp(properties)), sidecar=sidecar)


def microsoft(*people: tuple[str, str]) -> str:
    boxes = "".join(
        f'<rdf:li><rdf:Description MPReg:PersonDisplayName="{name}"'
        + (f' MPReg:Rectangle="{box}"' if box else "")
        + "/></rdf:li>"
        for name, box in people
    )
    return (
        '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions>'
        f"<rdf:Bag>{boxes}</rdf:Bag></MPRI:Regions></MP:RegionInfo>"
    )


@pytest.mark.parametrize("turn", range(1, 9))
def test_boxes_turn_with_the_picture(turn: int) -> None:
    """Against Pillow's own turning: the box must hold the white block it was drawn around, and nothing else."""
    x, y, w, h = 8, 4, 24, 12  # of 64 x 48
    stored = Image.new("L", (64, 48))
    stored.paste(255, (x, y, x + w, y + h))
    stored.getexif()[ORIENTATION] = turn
    stream = BytesIO()
    stored.save(stream, "PNG", exif=stored.getexif())
    with Image.open(stream) as image:
        upright = np.asarray(ImageOps.exif_transpose(image)) > 0
    (region,) = read(faces(face("Ann", (x + w / 2) / 64, (y + h / 2) / 48, w / 64, h / 48)), turn).regions
    rows, columns = upright.shape
    box = np.zeros_like(upright)
    left, top = round(region.x * columns), round(region.y * rows)
    box[top : top + round(region.h * rows), left : left + round(region.w * columns)] = True
    assert (box == upright).all()


@given(
    st.integers(1, 8), st.floats(-1, 2), st.floats(-1, 2), st.floats(0.01, 2), st.floats(0.01, 2)
)  # fmt: skip
def test_regions_lie_in_the_picture(turn: int, x: float, y: float, w: float, h: float) -> None:
    found = read(faces(face("Ann", x, y, w, h)), turn)
    for region in found.regions:
        assert 0 <= region.x < region.x + region.w <= 1 + 1e-9
        assert 0 <= region.y < region.y + region.h <= 1 + 1e-9
    assert len(found.regions) == 1 or "region of “Ann” is not in the picture" in found.problems


def test_boxes_made_for_the_upright_picture_are_not_turned_again() -> None:
    box = face("Ann", 0.25, 0.5, 0.5, 1.0)
    (upright,) = read(faces(box, made_for=(48, 64)), 6).regions
    (stored,) = read(faces(box, made_for=(64, 48)), 6).regions
    assert (upright.x, upright.y, upright.w, upright.h) == (0.0, 0.0, 0.5, 1.0)
    assert (stored.x, stored.y, stored.w, stored.h) == (0.0, 0.0, 1.0, 0.5)


def test_people_are_faces_and_pets() -> None:
    boxes = [face(name, 0.5, 0.5, 0.2, 0.2, kind) for name, kind in (("Ann", "Face"), ("Rex", "Pet"), ("AF", "Focus"))]
    found = read(faces(*boxes, face("Code", 0.5, 0.5, 0.2, 0.2, "BarCode"), face("Who", 0.5, 0.5, 0.2, 0.2, "")))
    assert [region.kind for region in found.regions] == ["face", "pet", "focus", "barcode", ""]
    assert found.people == ("Ann", "Rex")


def test_microsoft_s_boxes_are_of_the_left_top_corner() -> None:
    found = read(microsoft(("Ann", "0.25, 0.5, 0.125, 0.25"), ("Bob", "")))
    assert found.regions == (Region("Ann", "face", 0.25, 0.5, 0.125, 0.25),)
    assert found.people == ("Ann", "Bob")


def test_one_face_tagged_in_both_ways_is_one() -> None:
    both = faces(face("Ann", 0.3, 0.6, 0.1, 0.2)) + microsoft(
        ("ann", "0.251,0.499,0.1,0.2"), ("Ann", "0.7,0.1,0.1,0.2")
    )
    found = read(both)
    assert [(region.name, round(region.x, 3)) for region in found.regions] == [("Ann", 0.25), ("Ann", 0.7)]
    assert found.people == ("Ann",)


def test_boxes_without_a_name_and_points_are_left_out() -> None:
    assert read(faces(face("", 0.5, 0.5, 0.2, 0.2))) == Metadata()
    point = face("AF", 0.5, 0.5, 0, 0, "Focus").replace(' stArea:w="0" stArea:h="0"', "")
    assert read(faces(point)) == Metadata()


@pytest.mark.parametrize("side", ["nan", "inf", "", "wide", "1e999", "0", "-0.5"])
def test_what_is_no_box_is_said(side: str) -> None:
    found = read(faces(face("Ann", 0.5, 0.5, 0.2, 0.2).replace('stArea:w="0.2"', f'stArea:w="{side}"')))
    assert found.regions == ()
    assert any("region of “Ann”" in line for line in found.problems)


def test_the_sidecar_s_regions_replace_those_of_the_file() -> None:
    beside = xmp(faces(face("Bob", 0.5, 0.5, 0.2, 0.2)))
    assert read(faces(face("Ann", 0.5, 0.5, 0.2, 0.2)), sidecar=beside).people == ("Bob",)
    assert read(bag("Iptc4xmpExt:PersonInImage", "Ann"), sidecar=beside).people == ("Bob", "Ann")


def test_regions_are_bounded() -> None:
    found = read(faces(*(face(f"p{at}", 0.5, 0.5, 0.2, 0.2) for at in range(250))))
    assert len(found.regions) == 200
    assert "more than 200 regions: the first 200 are kept" in found.problems
