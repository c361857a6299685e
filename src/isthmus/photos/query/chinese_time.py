"""Points in time in Chinese: 2018年5月3日, 去年夏天, 上周日, 三天前, 八十年代. All text is folded."""

import re
from collections.abc import Callable
from datetime import datetime

from isthmus.photos.query.festivals import CHINESE as FESTIVALS
from isthmus.photos.query.model import Settings
from isthmus.photos.query.moments import Moment, NoSuchDate, Unit
from isthmus.photos.query.portions import Portion
from isthmus.photos.query.said import Build, Rule, Said, longest

DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_NUMBER = r"(?:\d{1,4}|[一二三四五六七八九十百两]{1,4})"
YEARS_AGO = {"今年": 0, "本年": 0, "去年": 1, "前年": 2, "大前年": 3, "明年": -1, "上一年": 1}
SEASONS = {"春": "spring", "夏": "summer", "秋": "autumn", "冬": "winter"}
DAYS_AGO = {"大前天": 3, "前天": 2, "昨天": 1, "昨日": 1, "今天": 0, "今日": 0, "明天": -1, "前晚": 2, "昨晚": 1,
            "昨夜": 1, "今早": 0, "今晚": 0, "今夜": 0, "当天": 0}  # fmt: skip
_NIGHT: tuple[tuple[int, int], ...] = ((20, 24), (0, 5))
PARTS: dict[str, tuple[tuple[int, int], ...]] = {
    "清晨": ((5, 8),), "早上": ((5, 10),), "早晨": ((5, 10),), "上午": ((6, 12),), "中午": ((11, 14),),
    "正午": ((11, 14),),
    "下午": ((12, 18),), "午后": ((12, 18),), "傍晚": ((17, 20),), "黄昏": ((17, 20),), "晚上": ((18, 24),),
    "夜晚": _NIGHT, "夜里": _NIGHT, "夜间": _NIGHT, "深夜": ((22, 24), (0, 5)), "半夜": ((22, 24), (0, 5)),
    "午夜": ((23, 24), (0, 1)), "凌晨": ((0, 6),),
}  # fmt: skip
BACK = {"上上": 2, "上": 1, "这": 0, "本": 0, "下": -1}
WEEKDAYS = {c: n for n, c in enumerate("一二三四五六日")} | {"天": 6}

_YEAR = (
    r"(?:(?P<year>(?:1[89]|20|21)\d\d|[一二][零〇一二三四五六七八九]{3}|(?<!\d)\d\d)年(?!代"
    r"|前|后|来|间|陈|级|龄)|(?<!\d)(?P<bare>(?:19|20)\d\d)(?=的?(?:[春夏秋冬][天季日]|国庆|春节|中秋|圣诞|元旦|五一))|(?P<ago>大前年|今年|本年|去年|前年|明年|上一年))"
)
_MONTH = r"(?P<month>\d{1,2}|十[一二]?|[一二三四五六七八九]|[上本这下]个?|上上个?)月(?!天|饼|亮|球|光|台|嫂|份?刊)份?"
_DAY = r"(?P<day>\d{1,2}|[一二三四五六七八九十廿]{1,3})[日号](?!本|楼|线|院)"
_THIRD = r"(?P<third>初|上旬|中旬|下旬|底|末)"
_PART = r"(?P<part>" + "|".join(PARTS) + ")"
_SEASON = (
    r"(?:(?P<portion>初|早|深|晚|盛|暮|仲|隆|寒)?(?P<season>[春夏秋冬])"
    r"(?:[天季日]|(?<=[初早深晚盛暮仲隆寒年].)(?!游|眠|至|奥|晚|运|节|装|令|瓜|衣|联|笋|卷|千|风)))"
)
_FESTIVAL = r"(?P<festival>" + "|".join(sorted(FESTIVALS, key=len, reverse=True)) + ")"
_FESTIVAL_TAIL = r"(?:期间|那天|当天|那几天|前后)?"
_UNIT = r"(?P<unit>天|日|个?星期|周|个?礼拜|个?月|年)"
UNITS: dict[str, Unit] = {
    "天": "day",
    "日": "day",
    "期": "week",
    "周": "week",
    "拜": "week",
    "月": "month",
    "年": "year",
}
LUNAR_MONTH = {"正": 1, "冬": 11, "腊": 12}

_RULES: list[Rule] = []


def points(text: str, at: int, now: datetime, settings: Settings) -> tuple[int, Moment] | None:
    """As `longest`."""
    return longest(_RULES, text, at, now, settings)


def number(words: str) -> int:
    """Digits or Chinese numerals up to 999; 0 for what is none."""
    if words.isdecimal():
        return int(words)
    total, last = 0, 0
    for character in words:
        if character == "百":
            total, last = total + max(last, 1) * 100, 0
        elif character in "十廿":
            total, last = total + (20 if character == "廿" else max(last, 1) * 10), 0
        elif character in DIGITS:
            last = DIGITS[character]
        else:
            return 0
    return total + last


def _rule(pattern: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        _RULES.append((re.compile(pattern), build))
        return build

    return add


def _year(said: Said) -> tuple[int | None, int | None]:
    """Year and years ago."""
    if ago := said["ago"]:
        return None, YEARS_AGO[ago]
    words = said["year"] or said["bare"]
    if not words:
        return None, None
    if not words.isdecimal():
        return int("".join(str(DIGITS[c]) for c in words)), None
    year = int(words)
    if year < 100:
        year += 2000 if year + 2000 <= said.now.year + 1 else 1900
    return year, None


PORTIONS: dict[str, Portion] = {
    "初": "beginning", "上旬": "early", "中旬": "middle", "下旬": "late", "底": "end", "末": "end", "中": "middle",
    "上半年": "first half", "下半年": "second half",
    "早": "early", "仲": "middle", "盛": "middle", "隆": "middle", "寒": "middle", "深": "late", "晚": "late",
    "暮": "late",
}  # fmt: skip


def _third(said: Said) -> Portion:
    words = said["third"]
    return PORTIONS.get(words) or PORTIONS.get(words[-1:], "")


@_rule(_YEAR)
@_rule(_YEAR + r"(?P<third>年?初|年?底|年?末|中|年中|[上下]半年)")
def _only_year(said: Said) -> Moment:
    year, ago = _year(said)
    if year is not None and year > said.now.year + 1:
        raise NoSuchDate("that year is to come")
    return Moment(year=year, year_ago=ago, portion=_third(said))


@_rule(r"(?P<third>月初|月中|月底|月末)")
def _this_month(said: Said) -> Moment:
    return Moment(unit="month", portion=_third(said))


@_rule(r"(?P<third>年初|年底|年末|[上下]半年)")
def _this_year(said: Said) -> Moment:
    return Moment(year_ago=0, portion=_third(said))


@_rule("(?:" + _YEAR + "的?)?" + _MONTH + "(?:的?" + _DAY + "|" + _THIRD + ")?" + f"(?:的?{_PART})?")
def _month(said: Said) -> Moment:
    year, ago = _year(said)
    words, day = said["month"], number(said["day"]) or None
    part = PARTS.get(said["part"], ())
    if words[0] in "上本这下":
        back = BACK[words.rstrip("个")]
        if day is None:
            return Moment(unit="month", ago=back, portion=_third(said), part=part)
        month = (said.now.month - 1 - back) % 12 + 1
        return Moment(year=said.now.year + (said.now.month - 1 - back) // 12, month=month, day=day, part=part)
    return Moment(year=year, year_ago=ago, month=number(words), day=day, portion=_third(said), part=part)


@_rule(r"(?P<month>1[0-2]|[1-9])\.(?P<day>[12]?\d|3[01])(?=[日号])[日号]")
def _dotted(said: Said) -> Moment:
    return Moment(month=int(said["month"]), day=int(said["day"]))


@_rule(r"(?<![\d第.a-z])(?P<day>\d{1,2})[日号](?!本|楼|线|院|店|球|桌)")
def _day(said: Said) -> Moment:
    return Moment(day=number(said["day"]))


@_rule("(?:" + _YEAR + "的?)?" + _SEASON)
@_rule("(?P<relative>今|去)(?P<season>[春夏秋冬])")
@_rule("(?P<relative>[上这]个?)(?P<season>[春夏秋冬])[天季]")
def _season(said: Said) -> Moment:
    year, ago = _year(said)
    portion = PORTIONS.get(said["portion"], "")
    season, relative = SEASONS[said["season"]], said["relative"]
    if relative in ("今", "去"):
        return Moment(season=season, year_ago=0 if relative == "今" else 1)
    if relative:
        return Moment(season=season, which="last" if relative[0] == "上" else "this")
    return Moment(year=year, year_ago=ago, season=season, portion=portion)


@_rule("(?:" + _YEAR + "的?)?" + _FESTIVAL + _FESTIVAL_TAIL)
@_rule("(?P<relative>上一?个|这个|上次|今年这个)" + _FESTIVAL + _FESTIVAL_TAIL)
def _festival(said: Said) -> Moment:
    year, ago = _year(said)
    if relative := said["relative"]:
        return Moment(festival=FESTIVALS[said["festival"]], which="last" if relative[0] == "上" else "this")
    return Moment(festival=FESTIVALS[said["festival"]], year=year, year_ago=ago)


@_rule("(?:" + _YEAR + "的?)?(?:农历|阴历)?(?P<month>正|腊|冬)月(?P<day>初?[一二三四五六七八九十廿]{1,3})")
@_rule(
    "(?:"
    + _YEAR
    + "的?)?(?:农历|阴历)(?P<month>[一二三四五六七八九十]{1,2})月(?P<day>初?[一二三四五六七八九十廿]{1,3})"
)
def _lunar(said: Said) -> Moment:
    year, ago = _year(said)
    month = LUNAR_MONTH.get(said["month"]) or number(said["month"])
    return Moment(year=year, year_ago=ago, lunar=(month, number(said["day"].lstrip("初"))))


@_rule(
    r"(?P<back>上上|上|这|本|下)一?个?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天](?![月年个点本]))?(?P<end>末)?"
    + f"(?:的?{_PART})?"
)
def _week(said: Said) -> Moment:
    back, part = BACK[said["back"]], PARTS.get(said["part"], ())
    if said["weekday"]:
        return Moment(weekday=WEEKDAYS[said["weekday"]], week_ago=back, part=part)
    return Moment(unit="weekend" if said["end"] else "week", ago=back, part=part)


@_rule(r"(?P<day>大前天|前天|昨天|昨日|今天|今日|明天)" + f"(?:的?{_PART})?")
@_rule(r"(?P<day>前晚|昨晚|昨夜|今早|今晚|今夜)上?")
def _named_day(said: Said) -> Moment:
    day, words = said["day"], said["part"]
    if day[-1] in "早晚夜":
        words = "早上" if day[-1] == "早" else "晚上"
    return Moment(unit="day", ago=DAYS_AGO[day], part=PARTS.get(words, ()))


@_rule(f"(?<!\\d)(?P<number>\\d{{1,3}}|[一二三四五六七八九十百两]{{1,4}}|半){_UNIT}(?:以|之)?前(?P<today>的今天)?")
def _ago(said: Said) -> Moment:
    unit = UNITS[said["unit"][-1]]
    if said["number"] == "半":
        return Moment(unit="month", ago=6) if unit == "year" else Moment(unit="day", ago=15)
    if said["today"] and unit == "year":
        return Moment(year_ago=number(said["number"]), month=said.now.month, day=said.now.day)
    return Moment(unit=unit, ago=number(said["number"]))


@_rule("(?:" + _YEAR + ")的?今天")
def _today_of(said: Said) -> Moment:
    year, ago = _year(said)
    return Moment(year=year, year_ago=ago, month=said.now.month, day=said.now.day)


@_rule(f"(?:最近|过去|近|这)的?(?P<number>{_NUMBER}|半){_UNIT}(?:里|内|以来|来)?")
def _rolling(said: Said) -> Moment:
    unit = UNITS[said["unit"][-1]]
    if said["number"] == "半":
        return Moment(unit="month", ago=6, rolling=True) if unit == "year" else Moment(unit="day", ago=15, rolling=True)
    return Moment(unit=unit, ago=number(said["number"]), rolling=True)


@_rule(
    r"最近(?!的?\s*(?:\d|[一二三四五六七八九十两]+[张个幅条段])|[\w的]{0,4}家|的?地铁|的?车站)(?:一段时间"
    r"|一阵子?|几天|几周)?|近期|近来|前几天|前些天|前阵子"
)
def _recently(_: Said) -> Moment:
    return Moment(unit="day", ago=30, rolling=True)


@_rule(r"(?:上个?世纪|二十世纪|20世纪)(?P<decade>\d0|[一二三四五六七八九]十)年代(?P<third>初|中|末)?期?")
@_rule(r"(?P<decade>(?:(?:1[89]|20)\d0)|\d0|[一二三四五六七八九]十)年代(?P<third>初|中|末)?期?")
def _decade(said: Said) -> Moment:
    first = number(said["decade"])
    if first < 100:
        first += 1900 if "世纪" in said.words or first + 2000 > said.now.year else 2000
    return Moment(decade=first, portion=_third(said))
