"""Parts of sentences in both languages with their meaning, written by hand: times, journeys, what is in no photo."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from benchmarks.photo_library.concepts import Side
from benchmarks.photo_library.rules import All, AtHours, OnWeekdays, Rule, Taken
from benchmarks.photo_library.story import NOW, Stay, year_side


@dataclass(frozen=True)
class When:
    """`english` as it stands behind what it is said of ("in May 2018"), `chinese` as it stands before it."""

    english: str
    chinese: str
    rule: Rule
    side: Side


def between(first: str, after: str, margin: float = 0) -> Taken:
    """Two days in ISO 8601, the second left out."""
    return Taken(datetime.fromisoformat(first), datetime.fromisoformat(after), margin)


def year(number: int) -> Taken:
    return between(f"{number}-01-01", f"{number + 1}-01-01")


SEASON_MARGIN = 21
"""Days: June is summer by the weather, its last week by the sun."""

WEEKEND = OnWeekdays((5, 6))

TIMES = (
    When("in 2018", "2018年", year(2018), "dev"),
    When("in the summer of 2018", "2018年夏天", between("2018-06-01", "2018-09-01", SEASON_MARGIN), "dev"),
    When("in February 2020", "2020年2月", between("2020-02-01", "2020-03-01"), "dev"),
    When("on 16 February 2018", "2018年2月16日", between("2018-02-16", "2018-02-17"), "dev"),
    When("at Christmas 2016", "2016年圣诞节", between("2016-12-24", "2016-12-27", 2), "dev"),
    When("in the first half of 2022", "2022年上半年", between("2022-01-01", "2022-07-01"), "dev"),
    When("from September to November 2016", "2016年9月到11月", between("2016-09-01", "2016-12-01"), "dev"),
    When("at Halloween 2020", "2020年万圣节", between("2020-10-31", "2020-11-01", 1), "dev"),
    When("this month", "这个月", between("2024-05-01", "2024-06-01"), "dev"),
    When("last month", "上个月", between("2024-04-01", "2024-05-01"), "dev"),
    When("yesterday", "昨天", between("2024-05-21", "2024-05-22"), "dev"),
    When("two years ago", "前年", year(2022), "dev"),
    When("on weekends in 2020", "2020年周末", All((year(2020), WEEKEND)), "dev"),
    When("in the evenings of 2022", "2022年晚上", All((year(2022), AtHours(18, 22))), "dev"),
    When("over Chinese New Year 2020", "2020年春节", between("2020-01-24", "2020-02-01", 4), "dev"),
    When("since January 2024", "2024年1月以来", between("2024-01-01", "2024-06-01"), "dev"),
    When("in 2019", "2019年", year(2019), "test"),
    When("in summer 2021", "2021年夏天", between("2021-06-01", "2021-09-01", SEASON_MARGIN), "test"),
    When("in March 2017", "2017年3月", between("2017-03-01", "2017-04-01"), "test"),
    When("on December 25, 2019", "2019年12月25号", between("2019-12-25", "2019-12-26"), "test"),
    When("around Christmas 2021", "2021年圣诞", between("2021-12-24", "2021-12-27", 4), "test"),
    When("in the second half of 2021", "2021年下半年", between("2021-07-01", "2022-01-01"), "test"),
    When("between June and August 2017", "2017年6月至8月", between("2017-06-01", "2017-09-01"), "test"),
    When("on Halloween 2019", "2019年万圣夜", between("2019-10-31", "2019-11-01", 1), "test"),
    When("last week", "上周", between("2024-05-13", "2024-05-20", 1), "test"),
    When("last summer", "去年夏天", between("2023-06-01", "2023-09-01", SEASON_MARGIN), "test"),
    When("last year", "去年", year(2023), "test"),
    When("in spring 2019", "2019年春天", between("2019-03-01", "2019-06-01", SEASON_MARGIN), "test"),
    When("during the Spring Festival of 2019", "2019年过年", between("2019-02-04", "2019-02-12", 4), "test"),
    When("on Saturdays and Sundays in 2019", "2019年周六周日", All((year(2019), WEEKEND)), "test"),
    When("in the mornings in 2021", "2021年早上", All((year(2021), AtHours(6, 10))), "test"),
    When("before 2017", "2017年以前", between("1900-01-01", "2017-01-01"), "test"),
)

NEVER = (
    When("in 2009", "2009年", year(2009), "dev"),
    When("in summer 2014", "2014年夏天", between("2014-06-01", "2014-09-01"), "dev"),
    When("in May 2012", "2012年5月", between("2012-05-01", "2012-06-01"), "test"),
    When("at Christmas 2013", "2013年圣诞节", between("2013-12-24", "2013-12-27"), "test"),
)
"""Times of which there is no photo."""

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SEASONS = {
    3: ("spring", "春天"), 4: ("spring", "春天"), 5: ("spring", "春天"), 6: ("summer", "夏天"), 7: ("summer", "夏天"),
    8: ("summer", "夏天"), 9: ("autumn", "秋天"), 10: ("autumn", "秋天"), 11: ("autumn", "秋天"),
}  # fmt: skip


def times_of(stay: Stay, side: Side) -> Iterator[When]:
    """Ways to say when a journey was: its month, its year, its season, and from where NOW stands."""
    at, end = stay.first, stay.last
    if at.month == end.month:
        rule = between(f"{at:%Y-%m}-01", _next_month(at).isoformat())
        yield When(f"in {_MONTHS[at.month - 1]} {at.year}", f"{at.year}年{at.month}月", rule, side)
    yield When(f"in {at.year}", f"{at.year}年", year(at.year), side)
    if at.month in _SEASONS and stay.town != "Sydney":
        english, chinese = _SEASONS[at.month]
        start = 3 * (at.month // 3)
        rule = between(f"{at.year}-{start:02}-01", f"{at.year}-{start + 3:02}-01", SEASON_MARGIN)
        yield When(f"in {english} {at.year}", f"{at.year}年{chinese}", rule, side)
    if at.year == NOW.year - 1:
        yield When("last year", "去年", year(at.year), side)
    if (at.year, at.month) == (NOW.year, NOW.month - 1):
        yield When("last month", "上个月", between("2024-04-01", "2024-05-01"), side)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def in_year(number: int) -> When:
    return When(f"in {number}", f"{number}年", year(number), year_side(number))


@dataclass(frozen=True)
class Absent:
    """Plausible, and in no photo."""

    english: str
    chinese: str
    side: Side


THINGS = (
    Absent("umbrella", "雨伞", "dev"), Absent("piano", "钢琴", "dev"), Absent("bicycle", "自行车", "dev"),
    Absent("laptop", "笔记本电脑", "dev"), Absent("swimming pool", "游泳池", "dev"), Absent("crocodile", "鳄鱼", "dev"),
    Absent("bridge", "桥", "dev"), Absent("rainbow", "彩虹", "dev"), Absent("skateboard", "滑板", "dev"),
    Absent("panda", "熊猫", "test"), Absent("hamburger", "汉堡", "test"), Absent("waterfall", "瀑布", "test"),
    Absent("snake", "蛇", "test"), Absent("turtle", "乌龟", "test"), Absent("sofa", "沙发", "test"),
    Absent("bride", "新娘", "test"), Absent("fireplace", "壁炉", "test"), Absent("bowl of noodles", "面条", "test"),
)  # fmt: skip

PLACES = (
    Absent("Berlin", "柏林", "dev"), Absent("Cairo", "开罗", "dev"), Absent("Seoul", "首尔", "dev"),
    Absent("Guangzhou", "广州", "dev"), Absent("Brazil", "巴西", "dev"), Absent("Moscow", "莫斯科", "test"),
    Absent("Vancouver", "温哥华", "test"), Absent("Lhasa", "拉萨", "test"), Absent("Bangkok", "曼谷", "test"),
    Absent("India", "印度", "test"),
)  # fmt: skip
CODES = {"Brazil": "BR", "India": "IN"}
"""The others are towns."""

TEXTS = (
    Absent("CLOSED FOR RENOVATION", "暂停营业", "dev"), Absent("QUIET COACH", "闲人免进", "dev"),
    Absent("Sunrise Laundry", "阿强理发店", "dev"), Absent("GATE 51", "检票口", "test"),
    Absent("NO DOGS ALLOWED", "禁止通行", "test"), Absent("Oakwood Dental", "老王烧烤", "test"),
)  # fmt: skip

CAMERAS = (
    Absent("Nikon", "尼康", "dev"), Absent("Huawei", "华为", "dev"), Absent("Leica", "徕卡", "test"),
    Absent("Olympus", "奥林巴斯", "test"),
)  # fmt: skip

COUNTRIES: dict[str, tuple[str, str, Side]] = {
    "FR": ("France", "法国", "dev"), "US": ("the United States", "美国", "dev"), "IT": ("Italy", "意大利", "dev"),
    "GB": ("England", "英国", "test"), "ES": ("Spain", "西班牙", "test"), "IS": ("Iceland", "冰岛", "test"),
    "TR": ("Turkey", "土耳其", "test"), "AU": ("Australia", "澳大利亚", "test"),
}  # fmt: skip

_IRREGULAR = {
    "fish": "fish", "sheep": "sheep", "deer": "deer", "bison": "bison", "guinea fowl": "guinea fowl",
    "jellyfish": "jellyfish", "mouse": "mice",
    "goose": "geese", "person": "people", "glass of water": "glasses of water", "bowl of noodles": "bowls of noodles",
}  # fmt: skip
_UNCOUNTED = {
    "scissors", "pliers", "binoculars", "trousers", "grapes", "coins", "pebbles", "clouds", "rocks", "leaves", "gears",
    "stars", "clothes", "moss", "grass", "bark", "coffee", "broccoli", "garlic", "lettuce", "corn", "ginger", "food",
    "fruit", "lavender", "lightning", "fire", "pizza", "roast turkey", "saturn", "santa claus",
}  # fmt: skip
_UNIQUE = {"sea", "earth", "sun", "moon", "eiffel tower"}


def plural(noun: str) -> str:
    """ "penguin" -> "penguins"; what is not counted stays as it is, what there is one of gets its article."""
    if noun in _UNIQUE:
        return f"the {noun}"
    if noun in _UNCOUNTED:
        return noun
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def one(noun: str) -> str:
    """With its article, where it is counted."""
    if noun in _UNIQUE or noun in _UNCOUNTED:
        return plural(noun)
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
