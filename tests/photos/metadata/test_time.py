"""When a photo was taken: what each source says, which one counts, and what is not believed."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.photos.metadata import Metadata, metadata_of
from isthmus.photos.metadata.moments import zone_between

from . import samples
from .samples import DIGITISED, MAKE, MODIFIED, OFFSET, OFFSET_ORIGINAL, ORIGINAL, SUBSEC_ORIGINAL, exif, jpeg, xmp

NOW = datetime(2024, 7, 17, 12, 0)
DAY = datetime(2018, 5, 3)
TIME = datetime(2018, 5, 3, 14, 25, 30)
STAMP = "2018:05:03 14:25:30"


def read(
    photo: Mapping[int, object] | None = None,
    *,
    main: Mapping[int, object] | None = None,
    gps: Mapping[int, object] | None = None,
    inside: bytes = b"",
    sidecar: bytes | None = None,
    iptc: bytes = b"",
    digest: bytes = b"",
    name: str = "",
) -> Metadata:
    block = exif(main, photo, gps) if photo or main or gps else b""
    return metadata_of(jpeg(exif=block, xmp=inside, iptc=iptc, digest=digest), name=name, sidecar=sidecar, now=NOW)


def satellites(hour: int, minute: int, second: int = 30, date: str = "2018:05:03") -> dict[int, object]:
    return {0x1D: date, 7: (float(hour), float(minute), float(second))}


def at(latitude: float, longitude: float) -> dict[int, object]:
    return {
        1: "N" if latitude >= 0 else "S", 2: (abs(latitude), 0.0, 0.0),
        3: "E" if longitude >= 0 else "W", 4: (abs(longitude), 0.0, 0.0),
    }  # fmt: skip


@given(
    time=st.datetimes(datetime(1990, 1, 1), datetime(2024, 7, 1)),
    offset=st.integers(-48, 56),
)
def test_exif_time_comes_back_to_the_microsecond(time: datetime, offset: int) -> None:
    sign, minutes = "-" if offset < 0 else "+", abs(offset) * 15
    found = read(
        {
            ORIGINAL: f"{time:%Y:%m:%d %H:%M:%S}",
            SUBSEC_ORIGINAL: f"{time.microsecond:06}",
            OFFSET_ORIGINAL: f"{sign}{minutes // 60:02}:{minutes % 60:02}",
        }
    )
    assert (found.taken, found.offset, found.taken_from) == (time, offset * 15, "exif")
    assert (found.precision, found.problems) == ("second", ())


@given(st.datetimes(datetime(1990, 1, 1), datetime(2024, 7, 1)), st.integers(-48, 56))
def test_xmp_time_comes_back(time: datetime, offset: int) -> None:
    sign, minutes = "-" if offset < 0 else "+", abs(offset) * 15
    text = f"{time.isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    found = read(inside=xmp("", f'exif:DateTimeOriginal="{text}"'))
    assert (found.taken, found.offset, found.taken_from) == (time, offset * 15, "xmp")


@pytest.mark.parametrize(
    ("text", "taken", "precision"),
    [
        ("1985", datetime(1985, 1, 1), "year"),
        ("1985-07", datetime(1985, 7, 1), "month"),
        ("1985-07-14", datetime(1985, 7, 14), "day"),
        ("1985-07-14T09:05", datetime(1985, 7, 14, 9, 5), "second"),
        ("1985-07-14T09:05:07.25", datetime(1985, 7, 14, 9, 5, 7, 250_000), "second"),
        ("1985:07:14 09:05:07", datetime(1985, 7, 14, 9, 5, 7), "second"),
        ("1985-00-00", datetime(1985, 1, 1), "year"),
        ("1970-01-01", datetime(1970, 1, 1), "day"),
    ],
)
def test_partial_dates_keep_their_precision(text: str, taken: datetime, precision: str) -> None:
    found = read(inside=xmp("", f'photoshop:DateCreated="{text}"'))
    assert (found.taken, found.precision, found.problems) == (taken, precision, ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0000:00:00 00:00:00", "is no time"),
        ("2018:02:30 10:00:00", "is no time"),
        ("2018:05:03 14:61:00", "is no time"),
        ("yesterday", "is no time"),
        ("1970:01:01 00:00:00", "clock was not set"),
        ("1980:01:01 12:34:56", "clock was not set"),
        ("1801:01:02 00:00:00", "before there were photographs"),
        ("2024:07:20 12:00:00", "in the future"),
    ],
)
def test_times_nobody_should_believe_are_said(text: str, why: str) -> None:
    found = read({ORIGINAL: text})
    assert (found.taken, found.precision, found.taken_from) == (None, None, None)
    (line,) = found.problems
    assert "EXIF DateTimeOriginal" in line and why in line


@pytest.mark.parametrize("text", ["", "    :  :     :  :  ", "                   "])
def test_blanks_are_how_exif_says_unknown(text: str) -> None:
    assert read({ORIGINAL: text}) == Metadata()


def test_two_days_ahead_are_allowed_for_zones_and_late_clocks() -> None:
    assert read({ORIGINAL: "2024:07:19 11:59:00"}).taken == datetime(2024, 7, 19, 11, 59)


def test_android_s_hour_24_is_the_first_of_its_day() -> None:
    assert read({ORIGINAL: "2018:05:03 24:25:30"}).taken == datetime(2018, 5, 3, 0, 25, 30)


def test_digitisation_counts_where_the_original_is_not_known() -> None:
    assert read({ORIGINAL: "0000:00:00 00:00:00", DIGITISED: STAMP}).taken == TIME
    assert read({ORIGINAL: STAMP, DIGITISED: "2020:01:02 00:00:00"}).taken == TIME


def test_the_sidecar_counts_before_the_file() -> None:
    found = read({ORIGINAL: "2020:01:02 03:04:05"}, sidecar=xmp("", f'exif:DateTimeOriginal="{TIME.isoformat()}"'))
    assert (found.taken, found.taken_from) == (TIME, "xmp")


def test_a_sidecar_s_digitisation_does_not_count_before_the_original_time() -> None:
    found = read({ORIGINAL: STAMP}, sidecar=xmp("", 'xmp:CreateDate="2020-01-02T03:04:05"'))
    assert (found.taken, found.taken_from) == (TIME, "exif")


def test_exif_counts_before_xmp_and_iptc_of_the_file() -> None:
    other = xmp("", 'photoshop:DateCreated="2020-01-02T03:04:05"')
    found = read({ORIGINAL: STAMP}, inside=other, iptc=samples.iptc((2, 55, b"20200102")))
    assert (found.taken, found.taken_from) == (TIME, "exif")


def test_the_digest_decides_between_xmp_and_iptc() -> None:
    """MWG 2.0: a digest of other bytes means that the IPTC was changed last."""
    packet, block = xmp("", 'photoshop:DateCreated="2017-06-07T08:09:10"'), samples.iptc((2, 55, b"20180503"))
    for digest, source in ((b"", "xmp"), (samples.digest_of(block), "xmp"), (bytes(16), "iptc")):
        assert read(inside=packet, iptc=block, digest=digest).taken_from == source


def test_iptc_dates_may_lack_day_and_time() -> None:
    def taken(*datasets: tuple[int, int, bytes]) -> tuple[datetime | None, str | None, int | None]:
        found = read(iptc=samples.iptc(*datasets))
        return found.taken, found.precision, found.offset

    assert taken((2, 55, b"20180503"), (2, 60, b"142530+0800")) == (TIME, "second", 480)
    assert taken((2, 55, b"20180503")) == (DAY, "day", None)
    assert taken((2, 55, b"20180500")) == (datetime(2018, 5, 1), "month", None)
    assert taken((2, 55, b"20180000")) == (datetime(2018, 1, 1), "year", None)


def test_a_year_in_the_sidecar_is_filled_by_a_time_that_agrees_with_it() -> None:
    def year(text: str) -> tuple[datetime | None, str | None]:
        found = read({ORIGINAL: STAMP}, sidecar=xmp("", f'photoshop:DateCreated="{text}"'))
        return found.taken, found.precision

    assert year("2018") == year("2018-05") == (TIME, "second")
    assert year("1985") == (datetime(1985, 1, 1), "year")


@pytest.mark.parametrize(
    ("text", "offset"),
    [("+08:00", 480), ("-05:30", -330), ("Z", 0), ("+0530", 330), ("-12:00", -720), ("+14:00", 840)],
)
def test_offsets(text: str, offset: int) -> None:
    assert read({ORIGINAL: STAMP, OFFSET_ORIGINAL: text}).offset == offset


@pytest.mark.parametrize("text", ["+15:00", "-12:30", "local", "+08:75"])
def test_what_is_no_offset_is_said(text: str) -> None:
    found = read({ORIGINAL: STAMP, OFFSET_ORIGINAL: text})
    assert (found.taken, found.offset) == (TIME, None)
    assert any("offset" in line for line in found.problems)


def test_the_offset_of_an_edit_in_winter_is_not_that_of_a_photo_of_summer() -> None:
    edited = {ORIGINAL: STAMP, OFFSET: "+01:00"}
    assert read(edited, main={MODIFIED: "2019:12:24 18:00:00", MAKE: "Canon"}).offset is None
    assert read(edited, main={MODIFIED: STAMP, MAKE: "Canon"}).offset == 60
    assert read({**edited, OFFSET_ORIGINAL: "+02:00"}, main={MODIFIED: STAMP, MAKE: "Canon"}).offset == 120


@pytest.mark.parametrize(
    ("utc", "offset"),
    [((6, 25), 480), ((6, 24), 480), ((6, 31), 480), ((8, 40), 345), ((14, 25), 0), ((17, 55), -210)],
)
def test_satellites_give_the_offset_to_a_quarter_of_an_hour(utc: tuple[int, int], offset: int) -> None:
    assert read({ORIGINAL: STAMP}, gps=satellites(*utc)).offset == offset


def test_satellites_give_the_offset_across_midnight() -> None:
    assert read({ORIGINAL: "2018:05:03 01:25:30"}, gps=satellites(17, 25, date="2018:05:02")).offset == 480


@pytest.mark.parametrize("gps", [satellites(10, 5), satellites(6, 25, date="2018:05:01"), satellites(6, 10)])
def test_a_difference_that_is_no_zone_is_said(gps: dict[int, object]) -> None:
    found = read({ORIGINAL: STAMP}, gps=gps)
    assert (found.taken, found.offset) == (TIME, None)
    assert any("no one zone" in line for line in found.problems)


def test_an_offset_far_from_the_sun_at_that_longitude_is_not_believed() -> None:
    kashgar, lisbon, kiritimati = at(39.5, 76.0), at(38.7, -9.1), at(1.9, -157.4)
    assert read({ORIGINAL: STAMP}, gps=satellites(6, 25) | kashgar).offset == 480
    assert read({ORIGINAL: STAMP}, gps=satellites(6, 25) | lisbon).offset is None
    assert read({ORIGINAL: STAMP}, gps=satellites(0, 25) | kiritimati).offset == 840


def test_a_said_offset_counts_before_the_satellites() -> None:
    assert read({ORIGINAL: STAMP, OFFSET_ORIGINAL: "+02:00"}, gps=satellites(6, 25)).offset == 120


def test_xmp_lends_its_offset_to_the_same_second() -> None:
    def offset(text: str) -> int | None:
        return read({ORIGINAL: STAMP}, inside=xmp("", f'exif:DateTimeOriginal="{text}"')).offset

    assert offset("2018-05-03T14:25:30+08:00") == 480
    assert offset("2018-05-03T14:25:31+08:00") is None


def test_a_sidecar_in_utc_gives_the_zone_and_not_the_hour() -> None:
    """Exports of photo services write "Z"; read as local time it is the wrong hour and, here, the wrong day."""
    late = {ORIGINAL: "2019:07:21 23:06:38"}
    utc = xmp("", 'exif:DateTimeOriginal="2019-07-22T07:06:38Z"')
    found = read(late, sidecar=utc)
    assert (found.taken, found.offset) == (datetime(2019, 7, 21, 23, 6, 38), -480)
    corrected = xmp("", 'exif:DateTimeOriginal="2019-07-22T09:20:00Z"')
    assert read(late, sidecar=corrected).taken == datetime(2019, 7, 22, 9, 20)


def test_satellites_alone_give_the_day_by_the_sun() -> None:
    def day(gps: dict[int, object]) -> tuple[datetime | None, str | None, str | None, int | None]:
        found = read(gps=gps)
        return found.taken, found.precision, found.taken_from, found.offset

    late = satellites(20, 0)
    assert day(late) == (DAY, "day", "gps", None)
    assert day(late | at(35.0, 139.0)) == (DAY + timedelta(days=1), "day", "gps", None)
    assert day(late | at(40.0, -105.0)) == (DAY, "day", "gps", None)


def test_a_name_s_time_counts_before_the_satellites_and_its_day_after_them() -> None:
    assert read(gps=satellites(20, 0), name="IMG_20180503_142530.jpg").taken == TIME
    assert read(gps=satellites(20, 0), name="IMG-20200102-WA0001.jpg").taken == DAY


def test_the_time_of_modification_counts_only_where_a_camera_wrote_it() -> None:
    assert read(main={MODIFIED: STAMP, MAKE: "NIKON"}).taken == TIME
    assert read(main={MODIFIED: STAMP}).taken is None


@given(st.integers(-48, 56), st.integers(-440, 440))
def test_zones_are_quarters_in_use(quarters: int, seconds: int) -> None:
    local = TIME + timedelta(minutes=15 * quarters, seconds=seconds)
    zone = zone_between(local, TIME)
    assert zone in (None, 15 * quarters)
    if quarters % 4 == 0:
        assert zone == 15 * quarters
