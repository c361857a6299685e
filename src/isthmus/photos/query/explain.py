"""Values in words: the labels of chips, and a whole query as one line, in English and Chinese."""

from datetime import datetime, timedelta

from isthmus.photos.query.model import (
    Camera,
    Chip,
    Count,
    Interval,
    Kind,
    Language,
    Names,
    Place,
    Places,
    Query,
    Sort,
    Text,
    Time,
    Value,
    Words,
)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_KINDS = {
    "photo": "照片", "video": "视频", "screenshot": "截图", "panorama": "全景", "document": "文档", "selfie": "自拍",
    "raw": "RAW", "animation": "动图",
}  # fmt: skip
_ORDERS = {"newest": ("newest first", "最新在前"), "oldest": ("oldest first", "最早在前"),
           "relevance": ("most relevant first", "最相关在前")}  # fmt: skip


def label_of(value: Value, language: Language) -> str:
    """A short text for the chip."""
    zh = language == "zh"
    if isinstance(value, Time):
        return _time(value, zh)
    if isinstance(value, Places):
        return ("或" if zh else " or ").join(_place(place, zh) for place in value.any_of)
    if isinstance(value, Names):
        return ("或" if zh else " or ").join(value.any_of)
    if isinstance(value, Camera):
        return f"{value.maker} {value.model}".strip()
    if isinstance(value, Kind):
        return ("或" if zh else " or ").join(_KINDS[kind] if zh else kind for kind in value.any_of)
    if isinstance(value, Text):
        return f"“{value.text}”"
    if isinstance(value, Count):
        return f"最多 {value.number} 张" if zh else f"at most {value.number}"
    if isinstance(value, Sort):
        return _ORDERS[value.by][zh]
    return value.text


def explain(query: Query, language: Language | None = None) -> str:
    """The query as one line: "shows: red car; in Paris; 2019-06-01 to 2019-08-31; without people"."""
    zh = (language or query.language) == "zh"
    shown = [part for part in query.positive if part]
    parts = [f"{'画面' if zh else 'shows'}{'：' if zh else ': '}{', '.join(shown)}"] if shown else []
    for chip in query.chips:
        if isinstance(chip.value, Words) and not chip.negative:
            continue
        parts.append(_part(chip, "zh" if zh else "en"))
    if query.unsure:
        words = "、".join(u.text for u in query.unsure) if zh else ", ".join(u.text for u in query.unsure)
        parts.append(f"未理解：{words}" if zh else f"not understood: {words}")
    if not parts:
        return "所有照片" if zh else "everything"
    return ("；" if zh else "; ").join(parts)


def _part(chip: Chip, language: Language) -> str:
    zh, label = language == "zh", label_of(chip.value, language)
    lead = {
        "time": ("time: ", "时间："),
        "place": ("place: ", "地点："),
        "name": ("with ", "有："),
        "camera": ("camera: ", "相机："),
        "kind": ("kind: ", "类型："),
        "text": ("text: ", "文字："),
    }.get(chip.kind, ("", ""))[zh]
    if chip.negative:
        return f"不含 {lead}{label}" if zh else f"not {lead}{label}"
    return lead + label


def _place(place: Place, zh: bool) -> str:
    if place.radius_km is None:
        return place.name
    return f"{place.name}（{place.radius_km:g} 公里内）" if zh else f"{place.name} (within {place.radius_km:g} km)"


def _time(time: Time, zh: bool) -> str:
    parts = []
    if time.intervals:
        parts.append(("、" if zh else ", ").join(_interval(interval, zh) for interval in time.intervals))
    if time.festivals:
        from isthmus.photos.query.festivals import FESTIVALS  # few queries need it, every import would pay

        names = [FESTIVALS[name].chinese if zh else FESTIVALS[name].english for name in time.festivals]
        parts.append(f"每年{'、'.join(names)}" if zh else f"every {', '.join(names)}")
    if time.months:
        parts.append(
            f"每年 {_runs(time.months)} 月" if zh else f"every {', '.join(_MONTHS[m - 1] for m in time.months)}"
        )
    if time.days:
        first, last = time.days[0], time.days[-1]
        if len(time.days) > 2:
            parts.append(
                f"每年 {_day(first, zh)}至{_day(last, zh)}" if zh else f"every {_day(first, zh)} to {_day(last, zh)}"
            )
        else:
            days = ("、" if zh else ", ").join(_day(day, zh) for day in time.days)
            parts.append(f"每年 {days}" if zh else f"every {days}")
    if time.weekdays:
        parts.append(
            "周" + "、".join("一二三四五六日"[d] for d in time.weekdays)
            if zh
            else ", ".join(_DAYS[d] for d in time.weekdays)
        )
    if time.hours:
        # A night is two ranges of hours that meet at midnight.
        first_hour, last_hour = time.hours[0][0], time.hours[-1][1]
        parts.append(f"{first_hour} 点至 {last_hour} 点" if zh else f"{first_hour}:00 to {last_hour}:00")
    return (" " if zh else ", ").join(parts)


def _runs(months: tuple[int, ...]) -> str:
    return "、".join(map(str, months))


def _day(day: tuple[int, int], zh: bool) -> str:
    return f"{day[0]} 月 {day[1]} 日" if zh else f"{day[1]} {_MONTHS[day[0] - 1]}"


def _interval(interval: Interval, zh: bool) -> str:
    start, end = interval.start, interval.end
    if start is None and end is None:
        return "任何时间" if zh else "any time"
    if start is None and end is not None:
        return f"{_moment(end)} 之前" if zh else f"before {_moment(end)}"
    if start is not None and end is None:
        return f"{_moment(start)} 起" if zh else f"since {_moment(start)}"
    assert start is not None and end is not None
    if _is_midnight(start) and _is_midnight(end):
        last = end - timedelta(days=1)
        if start == last:
            return _moment(start)
        if start.month == start.day == 1 and end == _year(start.year + 1):
            return f"{start.year} 年" if zh else str(start.year)
        return f"{_moment(start)} 至 {_moment(last)}" if zh else f"{_moment(start)} to {_moment(last)}"
    return f"{_moment(start)} 至 {_moment(end)}" if zh else f"{_moment(start)} to {_moment(end)}"


def _year(year: int) -> datetime | None:
    return datetime(year, 1, 1) if year < 10000 else None


def _is_midnight(moment: datetime) -> bool:
    return moment.hour == moment.minute == 0


def _moment(moment: datetime) -> str:
    return moment.date().isoformat() if _is_midnight(moment) else moment.isoformat(" ", "minutes")
