"""Where a photo was taken."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.photos.metadata import Metadata, metadata_of

from .samples import exif, jpeg, xmp


def read(gps: dict[int, object], *, inside: bytes = b"", sidecar: bytes | None = None) -> Metadata:
    return metadata_of(jpeg(exif=exif(gps=gps), xmp=inside), sidecar=sidecar)


def position(latitude: float, longitude: float) -> dict[int, object]:
    def sixty(value: float) -> tuple[float, float, float]:
        minutes = value * 60
        return float(int(value)), float(int(minutes) % 60), minutes % 1 * 60

    return {
        1: "N" if latitude >= 0 else "S", 2: sixty(abs(latitude)),
        3: "E" if longitude >= 0 else "W", 4: sixty(abs(longitude)),
    }  # fmt: skip


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_positions_come_back(latitude: float, longitude: float) -> None:
    found = read(position(latitude, longitude))
    if found.latitude is None or found.longitude is None:
        assert abs(latitude) < 1e-6 and abs(longitude) < 1e-6
        return
    assert math.isclose(found.latitude, latitude, abs_tol=1e-6)
    assert math.isclose(found.longitude, longitude, abs_tol=1e-6)
    assert found.problems == ()


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_positions_of_xmp_come_back(latitude: float, longitude: float) -> None:
    def minutes(value: float, letters: str) -> str:
        return f"{int(abs(value))},{abs(value) % 1 * 60:.8f}{letters[value < 0]}"

    packet = f'exif:GPSLatitude="{minutes(latitude, "NS")}" exif:GPSLongitude="{minutes(longitude, "EW")}"'
    found = metadata_of(jpeg(xmp=xmp("", packet)))
    if found.latitude is None or found.longitude is None:
        assert abs(latitude) < 1e-9 and abs(longitude) < 1e-9
        return
    assert math.isclose(found.latitude, latitude, abs_tol=1e-7)
    assert math.isclose(found.longitude, longitude, abs_tol=1e-7)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({2: (123.4, 0.0, 0.0)}, "GPS latitude 123.4 is no latitude"),
        ({4: (181.0, 0.0, 0.0)}, "GPS longitude 181 is no longitude"),
        ({1: ""}, "GPS latitude does not say whether N or S"),
        ({3: "Q"}, "GPS longitude does not say whether E or W"),
        ({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}, "GPS position 0, 0 is what a receiver says that has none"),
    ],
)
def test_what_is_no_position_is_said(fields: dict[int, object], line: str) -> None:
    found = read(position(47.0, 8.0) | fields)
    assert (found.latitude, found.longitude, found.altitude) == (None, None, None)
    assert line in found.problems


def test_half_a_position_is_none() -> None:
    found = read({1: "N", 2: (47.0, 0.0, 0.0)})
    assert (found.latitude, found.longitude) == (None, None)
    assert found.problems == ("GPS position has only one of latitude and longitude",)


def test_the_point_zero_is_taken_from_a_receiver_that_has_a_fix() -> None:
    found = read(position(0.0, 0.0) | {9: "A"})
    assert (found.latitude, found.longitude) == (0.0, 0.0)


def test_seconds_that_were_not_measured_are_none() -> None:
    """0/0 in the third place, degrees and decimal minutes before it."""
    block = exif(gps=position(47.5, 8.5) | {2: (47.0, 30.0, 7.0), 4: (8.0, 30.0, 7.0)})
    order = "<" if block[6:8] == b"II" else ">"
    unmeasured = block.replace(struct.pack(order + "LL", 7, 1), bytes(8))
    assert unmeasured.count(bytes(8)) >= 2 and unmeasured != block
    found = metadata_of(jpeg(exif=unmeasured))
    assert (found.latitude, found.longitude) == (47.5, 8.5)


@pytest.mark.parametrize(
    ("reference", "metres"), [(b"\0", 1650.5), (b"\1", -1650.5), (b"\2", 1650.5), (b"\3", -1650.5)]
)
def test_altitude_is_above_or_below(reference: bytes, metres: float) -> None:
    assert read(position(47.0, 8.0) | {5: reference, 6: 1650.5}).altitude == metres


def test_an_altitude_out_of_this_world_is_said() -> None:
    found = read(position(47.0, 8.0) | {5: b"\0", 6: 4e9})
    assert (found.latitude, found.altitude) == (47.0, None)
    assert "GPS altitude 4e+09 m is no altitude" in found.problems


def test_the_sidecar_s_position_counts_first_and_that_of_the_file_s_xmp_last() -> None:
    beside = xmp("", 'exif:GPSLatitude="35,41.37N" exif:GPSLongitude="139,41.5E" exif:GPSAltitude="405/10"')
    found = read(position(47.0, 8.0), inside=xmp("", 'exif:GPSLatitude="1,0N" exif:GPSLongitude="2,0E"'))
    assert (found.latitude, found.longitude) == (47.0, 8.0)
    found = read(position(47.0, 8.0), sidecar=beside)
    assert (found.latitude, found.longitude, found.altitude) == (35 + 41.37 / 60, 139 + 41.5 / 60, 40.5)


@pytest.mark.parametrize(
    ("text", "degrees"), [("35,30,36S", -35.51), ("35.51S", -35.51), ("-35.51", -35.51), ("35,30.6s", -35.51)]
)
def test_forms_of_degrees_in_xmp(text: str, degrees: float) -> None:
    found = metadata_of(jpeg(xmp=xmp("", f'exif:GPSLatitude="{text}" exif:GPSLongitude="10,0E"')))
    assert found.latitude is not None and math.isclose(found.latitude, degrees)


@pytest.mark.parametrize("text", ["north", "35,41", "1e5N", "91,0N", "35,41.37W"])
def test_what_is_no_latitude_in_xmp_is_said(text: str) -> None:
    found = metadata_of(jpeg(xmp=xmp("", f'exif:GPSLatitude="{text}" exif:GPSLongitude="10,0E"')))
    assert found.latitude is None
    assert any("latitude" in line for line in found.problems)


def test_a_receiver_s_first_days_are_no_date() -> None:
    found = read({0x1D: "1980:01:06", 7: (1.0, 2.0, 3.0)})
    assert found.taken is None
    assert any("receiver" in line for line in found.problems)
