"""Times in file names, as they are really written."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.photos.metadata import metadata_of
from isthmus.photos.metadata.names import moment_of

from .samples import ORIGINAL, exif, jpeg

NOW = datetime(2024, 7, 17, 12, 0)
TIME = datetime(2018, 5, 3, 14, 25, 30)


@pytest.mark.parametrize(
    "name",
    [
        "IMG_20180503_142530.jpg", "VID_20180503_142530.mp4", "IMG20180503142530.jpg", "20180503_142530.jpg",
        "20180503_142530(0).jpg", "IMG_20180503_142530_1.jpg", "2018-05-03 14.25.30.jpg", "2018-05-03-14-25-30.png",
        "Screenshot_20180503-142530.png", "Screenshot_20180503-142530_Chrome.jpg",
        "Screenshot_2018-05-03-14-25-30.png", "Screenshot 2018-05-03 142530.png",
        "Screen Shot 2018-05-03 at 14.25.30.png", "Screen Shot 2018-05-03 at 2.25.30 PM.png",
        "Screenshot 2018-05-03 at 2.25.30\u202fPM.png", "屏幕快照 2018-05-03 下午2.25.30.png",
        "截屏2018-05-03 14.25.30.png", "屏幕截图 2018-05-03 142530.png", "微信截图_20180503142530.png",
        "Bildschirmfoto 2018-05-03 um 14.25.30.png", "MVIMG_20180503_142530.jpg", "DJI_20180503142530_0001_D.JPG",
        "WIN_20180503_14_25_30_Pro.jpg", "signal-2018-05-03-142530.jpg", "/photos/2018/IMG_20180503_142530.jpg",
        "C:\\photos\\IMG_20180503_142530.jpg", "BURST20180503142530.jpg",
    ],
)  # fmt: skip
def test_times_of_cameras_and_desktops(name: str) -> None:
    moment = moment_of(name, NOW)
    assert moment is not None
    assert (moment.at, moment.precision, moment.offset, moment.utc) == (TIME, "second", None, False)


@pytest.mark.parametrize(
    "name",
    [
        "IMG-20180503-WA0001.jpg", "VID-20180503-WA0012.mp4", "photo_2018-05-03_14-25-30.jpg", "2018-05-03.jpg",
        "20180503.jpg", "IMG_20180503.jpg", "2018年5月3日.jpg", "Adobe Scan 2018.05.03 (1).jpg",
        "IMG_20180503_256199.jpg",
    ],
)  # fmt: skip
def test_names_that_know_the_day_only(name: str) -> None:
    moment = moment_of(name, NOW)
    assert moment is not None
    assert (moment.at, moment.precision) == (datetime(2018, 5, 3), "day")


@pytest.mark.parametrize("name", ["mmexport1525357530000.jpg", "wx_camera_1525357530000.jpg", "1525357530000.jpg",
                                  "FB_IMG_1525357530000.jpg", "PXL_20180503_142530000.jpg"])  # fmt: skip
def test_names_in_utc_give_the_day_as_the_hour_there_is_not_known(name: str) -> None:
    moment = moment_of(name, NOW)
    assert moment is not None
    assert (moment.at, moment.offset, moment.utc) == (TIME, 0, True)
    found = metadata_of(b"", name=name, now=NOW)
    assert (found.taken, found.precision, found.offset) == (datetime(2018, 5, 3), "day", None)


@pytest.mark.parametrize(
    "name",
    [
        "", ".jpg", "IMG_1234.JPG", "DSC00042.JPG", "123456789012345678901234567890.jpg", "IMG_20990503_142530.jpg",
        "18000503.jpg", "20181345.jpg", "10150123456789012_n.jpg", "9525357530000.jpg", "holiday.jpg",
    ],
)  # fmt: skip
def test_numbers_that_are_no_times(name: str) -> None:
    assert moment_of(name, NOW) is None


def test_milliseconds_are_kept() -> None:
    moment = moment_of("IMG_20180503_142530123.jpg", NOW)
    assert moment is not None and moment.at == TIME.replace(microsecond=123_000)


@pytest.mark.parametrize(
    ("clock", "hour"), [("12.05.00 AM", 0), ("12.05.00 PM", 12), ("1.05.00 AM", 1), ("11.05.00 PM", 23)]
)
def test_noon_and_midnight(clock: str, hour: int) -> None:
    moment = moment_of(f"Screen Shot 2018-05-03 at {clock}.png", NOW)
    assert moment is not None and moment.at == datetime(2018, 5, 3, hour, 5)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2024, 7, 1)).map(lambda time: time.replace(microsecond=0)))
def test_every_second_comes_back(time: datetime) -> None:
    for form in ("IMG_%Y%m%d_%H%M%S.jpg", "%Y-%m-%d %H.%M.%S.png", "Screen Shot %Y-%m-%d at %I.%M.%S %p.png"):
        moment = moment_of(time.strftime(form), NOW)
        assert moment is not None and moment.at == time


@given(st.text(max_size=60))
def test_any_name_will_do(name: str) -> None:
    moment = moment_of(name, NOW)
    assert moment is None or moment.at.year >= 1900


def test_metadata_counts_before_the_name() -> None:
    data = jpeg(exif=exif(photo={ORIGINAL: "2017:01:02 03:04:05"}))
    found = metadata_of(data, name="IMG_20180503_142530.jpg", now=NOW)
    assert (found.taken, found.taken_from) == (datetime(2017, 1, 2, 3, 4, 5), "exif")


def test_the_time_a_messenger_saved_a_photo_says_nothing_of_its_zone() -> None:
    data = jpeg(exif=exif(photo={ORIGINAL: "2018:05:03 11:25:30"}))
    found = metadata_of(data, name="mmexport1525357530000.jpg", now=NOW)
    assert (found.taken, found.offset, found.problems) == (datetime(2018, 5, 3, 11, 25, 30), None, ())
