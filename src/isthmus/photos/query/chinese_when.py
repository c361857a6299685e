"""Where a Chinese sentence says when: points in time with the words around them that make them a condition."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from isthmus.photos.query import ranges
from isthmus.photos.query.chinese_time import PARTS, WEEKDAYS, number, points
from isthmus.photos.query.found import Doubt, Found
from isthmus.photos.query.model import Settings, Time
from isthmus.photos.query.moments import Moment, NoSuchDate, resolve

_HINT = re.compile(
    r"[暑最过现双当那廿初盛仲寒隆暮摄拍年月日号天周星礼末前近春夏秋冬去今昨明大上下这本每从自在到至早中晚凌清傍黄深半午夜正除元圣平感万国劳儿母父妇情复端重七五六十腊农阴阳跨过新独工节八九一二三四两\d]"
)
_LEAD = re.compile(r"(?:拍摄于|拍于|摄于|在|于|自|从|每一?年的?|每个|每到|每逢|每)")
_TO = re.compile(r"\s*(?:直?到|至|-|~)\s*")
_TAIL = re.compile(r"(?:的?时候|的?期间|之?间|里面?|那时候?|时(?![尚装钟间光代]))")
_AND = re.compile(r"\s*(?:和|或者?|跟|与|、|以及|,)\s*(?:在)?")
_SINCE = re.compile(r"(?:以来|开始|起(?![来床飞司]))")
_AFTER = re.compile(r"(?:以后|之后|后(?![院面海备视排来天台座背]))")
_BEFORE = re.compile(r"(?:以前|之前|前(?![面台门排景后天任往\d]))")
_UNTIL = re.compile(r"(?:为止)")
_BARE_MONTHS = re.compile(
    r"(?P<a>\d{1,2}|[一二三四五六七八九十]{1,2})月?(?=\s*(?:到|至|-|~)\s*(?:\d{1,2}|[一二三四五六七八九十]{1,2})月)"
)
_BARE_YEARS = re.compile(r"(?P<a>(?:1[89]|20)\d\d)年?(?=\s*(?:到|至|-|~|和|、|或)\s*(?:1[89]|20)\d\d(?!\d))")
_YEAR = re.compile(r"(?<!\d)(?P<a>(?:1[89]|20)\d\d)(?![\d.年])年?")
_WEEKDAYS = re.compile(
    r"(?:在)?(?:每个?)?(?:(?:周|星期|礼拜)(?P<day>[一二三四五六日天])(?![月年个点本])(?:(?:到"
    r"|至|-)(?:周|星期|礼拜)?(?P<to>[一二三四五六日天]))?"
    r"|(?P<end>周末|双休日)|(?P<work>工作日|平日))"
)
# 圣诞树: what is in the picture, not when it was taken.
_FESTIVE = re.compile(
    r"[老]?(?:树|市场|集市|灯|大餐|晚会|老人|帽|礼物|袜|花环|贺?卡|装饰|歌|糖果|彩蛋|上河图|路|广场|大道|鹿|红|花(?!灯)|粽|团|月饼|灯笼|大餐)"
)
_PART = re.compile("(?:在)?(?:一?大)?(?P<part>" + "|".join(PARTS) + r")(?![餐饭霞宴茶班会])(?:的?时候)?")
_PART_AFTER = re.compile("的?(?P<part>" + "|".join(PARTS) + ")")
_CLOCK = re.compile(
    "(?:在)?(?P<part>凌晨|早上|上午|中午|下午|傍晚|晚上)?(?P<hour>\\d{1,2}|[一二三四五六七八九十两]{1,2})点(?!心|[0-9一二三四五六七八九十]*[个张])(?:钟|半|左右)?"
    "(?:(?:到|至|-)(?P<to>\\d{1,2}|[一二三四五六七八九十两]{1,2})点钟?)?(?P<side>之?以?[前后])?"
)


def find(text: str, now: datetime, settings: Settings) -> Iterator[Found | Doubt]:
    """Times in `text`, which is folded."""
    for match in _HINT.finditer(text):
        start = match.start()
        try:
            found = list(_at(text, start, now, settings))
        except NoSuchDate as error:
            found = [Doubt(start, error.end, str(error), blocks=True)] if error.end > start else []
        yield from found


def _at(text: str, start: int, now: datetime, settings: Settings) -> Iterator[Found | Doubt]:
    yield from _weekdays(text, start)
    yield from _clock(text, start)
    if part := _PART.match(text, start):
        yield Found(start, part.end(), Time(hours=PARTS[part["part"]]))
    lead = _LEAD.match(text, start)
    at = lead.end() if lead else start
    if lead:
        yield from _from(text, start, at, lead[0], now, settings)
    yield from _from(text, start, start, "", now, settings)


def _one(text: str, at: int, now: datetime, settings: Settings, bare: bool = False) -> tuple[int, Moment] | None:
    """A moment; `bare`: a number that follows another may be a year without 年."""
    if months := _BARE_MONTHS.match(text, at):
        return months.end(), Moment(month=number(months["a"]))
    if years := _BARE_YEARS.match(text, at) or (bare and _YEAR.match(text, at)):
        return years.end(), Moment(year=int(years["a"]))
    if match := re.compile("现在|如今").match(text, at):
        return match.end(), Moment(unit="day")
    return points(text, at, now, settings)


def _from(text: str, start: int, at: int, lead: str, now: datetime, settings: Settings) -> Iterator[Found | Doubt]:
    first = _one(text, at, now, settings)
    if not first:
        return
    end, moment = first
    if moment.year and text[at:end].isdecimal() and moment.year > now.year + 1:
        yield Doubt(at, end, "that year is to come", blocks=True)
        return
    if (to := _TO.match(text, end)) and (last := _one(text, to.end(), now, settings, bare=True)):
        time = ranges.between(moment, last[1], now, settings)
        if time is not None:
            yield Found(start, _tail(text, last[0]), time, core=(at, last[0]))
            return
    moments, stop = [moment], end
    while (
        len(moments) < 12
        and (joint := _AND.match(text, stop))
        and (more := _one(text, joint.end(), now, settings, bare=True))
    ):
        if (
            ranges.sort(moment) == "year"
            and ranges.sort(more[1]) in ("festival", "season", "month")
            and more[1].has_year
        ):
            # 去年和今年的圣诞节: what is said last is meant of each year.
            moments = [replace(more[1], year=m.year, year_ago=m.year_ago) for m in moments]
            moment = moments[0]
        if ranges.sort(more[1]) != ranges.sort(moment) or more[1].part:
            break
        moments.append(more[1])
        stop = more[0]
    if len(moments) == 2 and text.startswith("之间", stop):
        time = ranges.between(moments[0], moments[1], now, settings)
        if time is not None:
            yield Found(start, stop + 2, time, core=(at, stop))
            return
    if len(moments) > 1 and (time := ranges.either(moments, now, settings)) is not None:
        yield Found(start, _tail(text, stop), time, core=(at, stop))
        return
    sides: tuple[tuple[re.Pattern[str], ranges.Side], ...] = (
        (_SINCE, "since"), (_AFTER, "after"), (_BEFORE, "before"), (_UNTIL, "until"),
    )  # fmt: skip
    for pattern, side in sides:
        after = pattern.match(text, end)
        if after and (time := ranges.one_side(side, moment, now, settings)) is not None:
            yield Found(start, after.end(), time, core=(at, end))
            return
    if lead == "自":
        if (time := ranges.one_side("since", moment, now, settings)) is not None:
            yield Found(start, end, time, core=(at, end))
        return
    if not text[at:end].isdecimal():
        point = _point(text, start, at, end, moment, now, settings)
        if point is not None:
            yield point


def _point(
    text: str, start: int, at: int, end: int, moment: Moment, now: datetime, settings: Settings
) -> Found | Doubt | None:
    if not moment.part and not (moment.month and moment.day is None):
        part = _PART_AFTER.match(text, end)
        if part and (moment.day is not None or moment.lunar or moment.week_ago is not None):
            moment, end = replace(moment, part=PARTS[part["part"]]), part.end()
    if moment.festival and not moment.has_year and start == at and _FESTIVE.match(text, end):
        return None
    try:
        return Found(start, _tail(text, end), resolve(moment, now, settings), core=(at, end))
    except NoSuchDate as error:
        return Doubt(at, end, str(error), blocks=True)


def _tail(text: str, end: int) -> int:
    tail = _TAIL.match(text, end)
    return tail.end() if tail else end


def _weekdays(text: str, start: int) -> Iterator[Found]:
    match = _WEEKDAYS.match(text, start)
    if not match:
        return
    if match["end"]:
        days: tuple[int, ...] = (5, 6)
    elif match["work"]:
        days = (0, 1, 2, 3, 4)
    else:
        first = WEEKDAYS[match["day"]]
        last = WEEKDAYS[match["to"]] if match["to"] else first
        days = tuple((first + n) % 7 for n in range((last - first) % 7 + 1))
    end = match.end()
    while more := re.compile(r"(?:和|或|、)(?:周|星期|礼拜)?([一二三四五六日天])(?![月年个点本])").match(text, end):
        if not match["day"]:
            break
        days, end = (*days, WEEKDAYS[more[1]]), more.end()
    hours: tuple[tuple[int, int], ...] = ()
    if part := _PART_AFTER.match(text, end):
        hours, end = PARTS[part["part"]], part.end()
    yield Found(start, end, Time(weekdays=tuple(sorted(days)), hours=hours))


def _clock(text: str, start: int) -> Iterator[Found]:
    match = _CLOCK.match(text, start)
    if not match or not (match["part"] or match["to"] or match["side"]):
        return
    late = match["part"] in ("中午", "下午", "傍晚", "晚上")
    first = _hour(number(match["hour"]), late)
    last = _hour(number(match["to"]), late) if match["to"] else first + 1
    if match["side"]:
        first, last = (0, first) if match["side"][-1] == "前" else (first, 24)
    if 0 <= first < last <= 24:
        yield Found(start, match.end(), Time(hours=((first, last),)))


def _hour(hour: int, late: bool) -> int:
    return hour + 12 if late and hour < 11 else hour
