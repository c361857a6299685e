"""Named days: when they are in a year, and what they are called in English and Chinese.

A festival that people photograph for days is an interval of days: Christmas is 24 to 26 December, the Spring Festival
New Year's Eve of the lunar calendar to its seventh day.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

FIRST_LUNAR, LAST_LUNAR = 1901, 2100
"""Years for which the lunar calendar is known."""


@dataclass(frozen=True)
class Festival:
    """`start(year)` is its first day; None where it is not known for that year."""

    english: str
    chinese: str
    days: int
    start: Callable[[int], date | None]


def interval(name: str, year: int) -> tuple[date, date] | None:
    """First day and the day after the last; None where the calendar of that year is not known."""
    festival = FESTIVALS[name]
    start = festival.start(year) if 1 < year < 9999 else None
    return None if start is None else (start, start + timedelta(days=festival.days))


def lunar(year: int, month: int, day: int) -> date | None:
    """A day of the Chinese lunar calendar; None where there is none or the calendar is not known."""
    if not FIRST_LUNAR <= year < LAST_LUNAR:
        return None
    # borax takes its time to import, and most sentences name no lunar day.
    from borax.calendars.lunardate import InvalidLunarDateError, LunarDate

    try:
        found: date = LunarDate(year, month, day).to_solar_date()
        return found
    except InvalidLunarDateError:
        return None


def _fixed(month: int, day: int) -> Callable[[int], date | None]:
    return lambda year: date(year, month, day)


def _nth(month: int, weekday: int, nth: int) -> Callable[[int], date | None]:
    """The `nth` such weekday of the month."""

    def start(year: int) -> date:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))

    return start


def _easter(shift: int) -> Callable[[int], date | None]:
    def start(year: int) -> date:
        from dateutil.easter import easter

        return date.fromordinal(easter(year).toordinal() + shift)

    return start


def _lunar(month: int, day: int, shift: int = 0) -> Callable[[int], date | None]:
    def start(year: int) -> date | None:
        found = lunar(year, month, day)
        return None if found is None else found + timedelta(days=shift)

    return start


def _qingming(year: int) -> date | None:
    if not FIRST_LUNAR <= year < LAST_LUNAR:
        return None
    from borax.calendars.lunardate import TermUtils

    found: date = TermUtils.nth_term_day(year, term_name="清明")
    return found


FESTIVALS: dict[str, Festival] = {
    "christmas": Festival("Christmas", "圣诞节", 3, _fixed(12, 24)),
    "christmas-eve": Festival("Christmas Eve", "平安夜", 1, _fixed(12, 24)),
    "christmas-day": Festival("Christmas Day", "圣诞日", 1, _fixed(12, 25)),
    "boxing-day": Festival("Boxing Day", "节礼日", 1, _fixed(12, 26)),
    "new-years-eve": Festival("New Year's Eve", "跨年夜", 1, _fixed(12, 31)),
    "new-years-day": Festival("New Year's Day", "元旦", 1, _fixed(1, 1)),
    "valentines-day": Festival("Valentine's Day", "情人节", 1, _fixed(2, 14)),
    "st-patricks-day": Festival("St Patrick's Day", "圣帕特里克节", 1, _fixed(3, 17)),
    "womens-day": Festival("Women's Day", "妇女节", 1, _fixed(3, 8)),
    "good-friday": Festival("Good Friday", "耶稣受难日", 1, _easter(-2)),
    "easter": Festival("Easter", "复活节", 4, _easter(-2)),
    "easter-sunday": Festival("Easter Sunday", "复活节星期日", 1, _easter(0)),
    "easter-monday": Festival("Easter Monday", "复活节星期一", 1, _easter(1)),
    "mothers-day": Festival("Mother's Day", "母亲节", 1, _nth(5, 6, 2)),
    "fathers-day": Festival("Father's Day", "父亲节", 1, _nth(6, 6, 3)),
    "independence-day": Festival("the Fourth of July", "美国独立日", 1, _fixed(7, 4)),
    "halloween": Festival("Halloween", "万圣节", 1, _fixed(10, 31)),
    "thanksgiving": Festival("Thanksgiving", "感恩节", 1, _nth(11, 3, 4)),
    "labour-day": Festival("May Day", "劳动节", 5, _fixed(5, 1)),
    "summer-holidays": Festival("China's summer holidays", "暑假", 62, _fixed(7, 1)),
    "childrens-day": Festival("Children's Day", "儿童节", 1, _fixed(6, 1)),
    "national-day": Festival("China's National Day", "国庆节", 7, _fixed(10, 1)),
    "spring-festival": Festival("the Spring Festival", "春节", 8, _lunar(1, 1, -1)),
    "lunar-new-years-eve": Festival("Lunar New Year's Eve", "除夕", 1, _lunar(1, 1, -1)),
    "lunar-new-years-day": Festival("Lunar New Year's Day", "大年初一", 1, _lunar(1, 1)),
    "lantern-festival": Festival("the Lantern Festival", "元宵节", 1, _lunar(1, 15)),
    "qingming": Festival("Qingming", "清明节", 1, _qingming),
    "dragon-boat-festival": Festival("the Dragon Boat Festival", "端午节", 1, _lunar(5, 5)),
    "qixi": Festival("Qixi", "七夕", 1, _lunar(7, 7)),
    "mid-autumn-festival": Festival("the Mid-Autumn Festival", "中秋节", 1, _lunar(8, 15)),
    "double-ninth": Festival("the Double Ninth Festival", "重阳节", 1, _lunar(9, 9)),
}

ENGLISH: dict[str, str] = {
    "christmas eve": "christmas-eve", "xmas eve": "christmas-eve", "christmas day": "christmas-day",
    "xmas day": "christmas-day", "christmas": "christmas", "xmas": "christmas", "boxing day": "boxing-day",
    "new year's eve": "new-years-eve", "new years eve": "new-years-eve", "nye": "new-years-eve",
    "new year's day": "new-years-day", "new years day": "new-years-day",
    "valentine's day": "valentines-day", "valentines day": "valentines-day", "valentine's": "valentines-day",
    "st patrick's day": "st-patricks-day", "st. patrick's day": "st-patricks-day", "st patricks day": "st-patricks-day",
    "women's day": "womens-day", "good friday": "good-friday", "easter sunday": "easter-sunday",
    "easter monday": "easter-monday", "easter": "easter", "mother's day": "mothers-day", "mothers day": "mothers-day",
    "father's day": "fathers-day", "fathers day": "fathers-day", "fourth of july": "independence-day",
    "4th of july": "independence-day", "independence day": "independence-day", "halloween": "halloween",
    "thanksgiving": "thanksgiving", "thanksgiving day": "thanksgiving", "may day": "labour-day",
    "children's day": "childrens-day", "chinese new year": "spring-festival", "lunar new year": "spring-festival",
    "spring festival": "spring-festival", "lantern festival": "lantern-festival", "qingming": "qingming",
    "qingming festival": "qingming", "dragon boat festival": "dragon-boat-festival",
    "mid-autumn festival": "mid-autumn-festival", "mid autumn festival": "mid-autumn-festival",
    "moon festival": "mid-autumn-festival", "qixi festival": "qixi", "qixi": "qixi",
    "double ninth festival": "double-ninth", "chinese national day": "national-day", "golden week": "national-day",
    "china's national day": "national-day",
}  # fmt: skip

CHINESE: dict[str, str] = {
    "圣诞节": "christmas", "圣诞": "christmas", "平安夜": "christmas-eve", "圣诞夜": "christmas-eve",
    "节礼日": "boxing-day", "跨年夜": "new-years-eve", "跨年": "new-years-eve", "元旦": "new-years-day",
    "元旦节": "new-years-day", "情人节": "valentines-day", "妇女节": "womens-day", "三八节": "womens-day",
    "复活节": "easter", "母亲节": "mothers-day", "父亲节": "fathers-day", "独立日": "independence-day",
    "万圣节": "halloween", "万圣夜": "halloween", "感恩节": "thanksgiving", "劳动节": "labour-day",
    "五一节": "labour-day", "五一": "labour-day", "五一假期": "labour-day", "五一长假": "labour-day",
    "儿童节": "childrens-day", "六一": "childrens-day", "六一儿童节": "childrens-day", "国庆节": "national-day",
    "国庆": "national-day", "国庆假期": "national-day", "国庆长假": "national-day", "十一假期": "national-day",
    "十一长假": "national-day", "春节": "spring-festival", "过年": "spring-festival", "新春": "spring-festival",
    "农历新年": "spring-festival", "春节假期": "spring-festival", "除夕": "lunar-new-years-eve",
    "大年三十": "lunar-new-years-eve", "年三十": "lunar-new-years-eve", "除夕夜": "lunar-new-years-eve",
    "大年初一": "lunar-new-years-day", "年初一": "lunar-new-years-day", "元宵节": "lantern-festival",
    "元宵": "lantern-festival", "清明节": "qingming", "清明": "qingming", "端午节": "dragon-boat-festival",
    "端午": "dragon-boat-festival", "七夕节": "qixi", "七夕": "qixi", "中秋节": "mid-autumn-festival",
    "中秋": "mid-autumn-festival", "八月十五": "mid-autumn-festival", "三八妇女节": "womens-day",
    "暑假": "summer-holidays", "暑期": "summer-holidays", "重阳节": "double-ninth", "重阳": "double-ninth",
}  # fmt: skip
