"""The other conditions: kind of file, text in the picture, number of results, order. All text is folded."""

import re
from collections.abc import Iterator

from isthmus.photos.query.chinese_time import number as han_number
from isthmus.photos.query.english_time import NUMBERS
from isthmus.photos.query.found import Found
from isthmus.photos.query.model import Count, Kind, Order, PhotoKind, Sort, Text

PHOTO = r"(?:photograph|photo|picture|pic|image|shot|snapshot|snap|result|one)s?"
PHOTO_HAN = r"(?:照片|相片|图片|图像|影像|照(?!相)|图|画面|结果)"

_KINDS: tuple[tuple[PhotoKind, str], ...] = (
    ("video", (
        r"(?<![a-z])(?:video clips?|videos?|clips|footage|movies|recordings)(?! (?:games?|calls?"
        r"|cameras?|shops?|stores?|conferences?|wall|screens?|chat)\b)(?![a-z])"
    )),
    ("screenshot", (
        r"(?<![a-z])(?:screen ?shots?|screen-shots?|screen (?:grabs?|captures?)|screengrabs?|screencaps?)(?![a-z])"
    )),
    ("panorama", (
        rf"(?<![a-z])(?:panoramas?|panos?|panoramic {PHOTO})(?! (?:restaurant|bar|hotel|view|terrace"
        rf"|window|deck))(?![a-z])"
    )),
    ("document", (
        rf"(?<![a-z])(?:scanned documents?|scanned {PHOTO}|documents?|scans)(?! (?:camera|folder"
        rf"|bag|case|shredder))(?![a-z])"
    )),
    ("selfie", (
        r"(?<![a-z])(?<!taking a )(?<!taking )(?<!take a )(?:selfies?)(?! (?:sticks?|museum|spot"
        r"|ring))(?![a-z])"
    )),
    ("raw", rf"(?<![a-z])(?:raw (?:{PHOTO}|files?)|\.?dng(?: files?)?|in raw(?: format)?|raws)(?![a-z])"),
    ("animation", (
        rf"(?<![a-z])(?:(?:animated )?gifs?|animated {PHOTO}|animations?)(?! (?:studio|film|movie))(?![a-z])"
    )),
    ("video", r"(?:小?视频|录像|短片|影片)(?!截图|会议|通话|游戏|聊天|电话|机|厅|网站)"),
    ("screenshot", r"(?:手机|屏幕|电脑)?(?:截图|截屏|屏幕快照)"),
    ("panorama", r"全景(?:照片|图片|照|图)?(?!天窗|餐厅|玻璃|窗|房)"),
    ("document", r"(?:扫描件|扫描的?(?:文件|文档|照片|图片)|文档|文件(?!夹|柜|袋|架|盒))"),
    ("selfie", r"自拍(?:照片|照|图)?(?!杆|棒|神器|时|的人)"),
    ("raw", r"(?:raw ?(?:格式的?)?(?:照片|文件|图片|原片|格式)|原始文件|原片)"),
    ("animation", r"(?:动图|gif(?:图|动图)?|动态图片?)(?![a-z])"),
)  # fmt: skip
_KIND = [(kind, re.compile(pattern)) for kind, pattern in _KINDS]
_PHOTOS_ONLY = re.compile(
    r"(?<![a-z])(?:only|just) (?:photos?|pictures?|images?|stills?)(?![a-z])(?! (?:of|with"
    r"|from|in|taken) (?:my|me))|photos? only|stills only"
    r"|(?:只要|仅限?|只看|只找)(?:照片|图片|相片)"
)
_AFTER_KIND = re.compile(
    r" of (?=the |an? |my |our )?| (?:that|which) (?:show|shows|have|has) |里的?(?!面)|中的(?!间)|的(?!士)"
)

_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|「([^」]+)」|『([^』]+)』|《([^》]+)》|«([^»]+)»')
_SINGLE = re.compile(r"(?<=\s)['‘]([^'’]+)['’](?!\w)")
_SAYS = re.compile(
    r"(?:(?:that|which|who) )?(?:says?|saying|reads|reading|(?:is |are )?(?:labell?ed|titled"
    r"|inscribed))(?: the words?)?:? $"
    r"|(?:with|showing|containing|including) (?:the )?(?:text|words?|caption|inscription|writing"
    r"|sign|label|title)s?(?: that says| saying| reading)?:? $"
    r"|(?:the )?(?:text|words?|caption):? $"
)
_SAYS_HAN = re.compile(
    r"(?:(?:上面?|里面?|图[中里上])有|(?:上面?|里面?|图[中里上])?(?:写着?有?|印着?有?|显示着?|标着|刻着)|(?:含有?|包含|带有?"
    r"|出现|有)?(?:文字|字样|文本|字)(?:是|为|包含|有|写着)?)[:：]?\s*$"
)
_SAYS_AFTER_HAN = re.compile(r"(?:这几个字|几个字|的?字样|的文字|两个字|这些字|的?字(?!体|母|画|典|幕))")
UNQUOTED = re.compile(
    r"(?<![a-z])(?:that|which) (?:says?|reads) (?=\w)|(?<![a-z])with the (?:words?|text|caption) (?=\w)"
    r"|(?:上面?|里面?)?(?:写着|印着|写有|印有|标着|刻着)(?=\w)"
)
_N = r"(?P<n>\d{1,4}|" + "|".join(sorted((w for w in NUMBERS if w not in ("a", "an")), key=len, reverse=True)) + ")"
_BEST = r"(?:best|top|favou?rite|nicest|most recent|newest|latest|oldest|earliest|recent|last|first)"
_COUNTS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\w.])(?:the |my |any |only |just )?(?P<order>{_BEST} )?{_N} (?P<order2>{_BEST} )?(?:{PHOTO}"
        rf"|(?P<kind>videos?|selfies?|screenshots?|panoramas?|clips|gifs?|documents|scans))(?![a-z])(?! (?:frames?"
        rf"|albums?|books?))",
        rf"(?<![\w.])(?:the )?(?P<order>{_BEST}) {_N}(?![\w:/.-])(?! (?:days?|weeks?|months?|years?"
        rf"|hours?|minutes?|people|dogs?|cats?|times?|floors?|miles?|pages?|steps?|st(?:reet)?|km"
        rf"|of\b))",
        rf"(?<![\w.])(?:at most|up to|no more than|maximum|max|limit(?: to)?|show(?: me)?(?: only)?"
        rf"|give me|just|only) {_N}(?= *(?:$|,|results?|of (?:them|these|the)))(?: results?| of (?:them"
        rf"|these))?",
    )
)  # fmt: skip
_NH = r"(?P<n>\d{1,4}|[一二三四五六七八九十百两]{1,4})"
_NO_SHEET = (
    r"(?!的?(?:桌|床|椅|嘴|脸|票|纸|弓|沙发|地图|卡|网|饼|皮|名片|凳|报|合同|唱片|贺卡|明信片"
    r"|车票|门票|钱|照片墙|大嘴|小嘴|大脸|小脸|小床|大床|小桌|大桌|方桌|圆桌|书桌|餐桌|长桌"
    r"|全家))"
)
_COUNTS_HAN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:最?[前近新早佳好]的?|随便|随机|任意|只?[要看给来找]|最多|至多|不超过|出|限|共)?{_NH}(?:张"
        rf"|幅|副){_NO_SHEET}",
        rf"(?:最?[前近新早佳好]的?|最多|至多|不超过|只?要|只?看|来|给我)?{_NH}[个段条]?(?=视频|录像"
        rf"|动图|结果)(?:结果)?",
        rf"(?:前|最多|至多|不超过|只要){_NH}[个条](?![月星小年])(?:结果)?",
    )
)
_ANY_N = _N.replace("?P<n>", "?:")
_BEFORE_PHOTO = rf"(?= (?:{PHOTO}|videos?|selfies?|screenshots?|{_ANY_N})(?![a-z]))"
_FIRST_HAN = r"(?:放在?|排在?|排)?(?:最?前面?|优先|排前|在前)"
_N_SHEETS_HAN = r"(?=(?:\d+|[一二三四五六七八九十两]+)[张个幅条段](?!月|星|礼|小))"
_SORTS: tuple[tuple[Order, tuple[str, ...]], ...] = (
    (
        "newest",
        (
            rf"(?<![a-z])(?:the )?(?:newest|latest|most recent){_BEFORE_PHOTO}",
            r"(?<![a-z])(?:newest|latest|most recent|recent)(?: ones)? first(?![a-z])",
            r"(?<![a-z])(?:newest|latest|most recent)$",
            r"(?<![a-z])(?:sort(?:ed)? )?(?:by )?(?:date )?(?:from )?(?:new(?:est)? to old(?:est)?|descending)",
            r"(?<![a-z])in reverse chronological order",
            r"(?<![a-z])(?:the )?last(?= (?:\d+|two|three|four|five|six|ten|twenty) "
            r"(?:photo|picture|pic|image|shot|video|selfie|screenshot)s?(?![a-z]))",
            r"最新(?=照片|图|视频)|最后一张(?=照片|$)",
            r"(?<![a-z])(?:the )?last(?= (?:photo|picture|pic|image|video|selfie|screenshot)s?(?![a-z]))",
            rf"最新(?:的(?=照片|相片|图|视频|自拍|截图)|的?{_FIRST_HAN}|的$)",
            rf"最[新近]的?{_N_SHEETS_HAN}",
            r"从新到旧|由新到旧|(?:按|以)?(?:时间|日期)?(?:倒序|降序|逆序)(?:排列|排序)?",
        ),
    ),
    (
        "oldest",
        (
            rf"(?<![a-z])(?:the )?(?:oldest|earliest){_BEFORE_PHOTO}",
            r"(?<![a-z])(?:oldest|earliest)(?: ones)? first(?![a-z])",
            r"(?<![a-z])(?:oldest|earliest)$",
            r"(?<![a-z])(?:sort(?:ed)? )?(?:by )?(?:date )?(?:from )?old(?:est)? to new(?:est)?",
            r"(?<![a-z])in chronological order|(?<![a-z])by date$",
            r"(?<![a-z])(?:sort(?:ed)?|order(?:ed)?) by (?:date|time)(?: taken)?",
            r"(?<![a-z])(?:the )?first(?= (?:photo|picture|pic|image|video|selfie|screenshot)s?(?![a-z]))",
            rf"第一张(?=照片|$)|最早的?(?:{_FIRST_HAN})?|最[老旧]的(?=照片|相片|图|视频|$)",
            r"从旧到新|由旧到新|(?:按|以)(?:照|拍摄)?(?:时间|日期)(?:顺序|升序|先后)?(?:排列|排序|排)?|时间顺序",
        ),
    ),
    (
        "relevance",
        (
            r"(?<![a-z])(?:best|most relevant)(?: matches?| ones?)? first|(?<![a-z])by relevance",
            rf"(?:按|以)?(?:相关度|相关性)(?:排序|排列)?|最相关的?(?:{_FIRST_HAN})?",
        ),
    ),
)
_SORT = [(order, re.compile("|".join(patterns))) for order, patterns in _SORTS]


def find_kinds(text: str) -> Iterator[Found]:
    for kind, pattern in _KIND:
        for match in pattern.finditer(text):
            yield Found(match.start(), match.end(), Kind((kind,)), core=match.span())
    for match in _PHOTOS_ONLY.finditer(text):
        yield Found(match.start(), match.end(), Kind(("photo",)))


def find_texts(text: str, sentence: str) -> Iterator[Found]:
    """Quoted words; `sentence` gives them as they were written."""
    for match in [*_QUOTED.finditer(sentence), *_SINGLE.finditer(sentence)]:
        group = match.lastindex or 1
        words = match[group].strip()
        before = _SAYS.search(text[: match.start()]) or _SAYS_HAN.search(text[: match.start()])
        if not words or (sentence[match.start()] in "'‘" and not before):
            continue
        after = _SAYS_AFTER_HAN.match(text, match.end())
        start = before.start() if before else match.start()
        yield Found(start, after.end() if after else match.end(), Text(words), rank=9, core=match.span())


def find_counts(text: str) -> Iterator[Found]:
    for pattern in _COUNTS:
        for match in pattern.finditer(text):
            number = int(match["n"]) if match["n"].isdigit() else NUMBERS[match["n"]]
            if not 1 <= number <= 1000 or (number > 1 and _is_one_thing(match) and text[: match.start()].strip()):
                continue
            # Of "five newest videos" the kind and the order are for their own rules.
            order = match.groupdict().get("order") or ""
            start = match.start("order") if order.strip() in ("top", "first", "best") else match.start("n")
            if pattern is _COUNTS[2]:
                start = match.start()
            yield Found(start, match.end() if pattern is _COUNTS[2] else match.end("n"), Count(number), rank=2)
    for pattern in _COUNTS_HAN:
        for match in pattern.finditer(text):
            number = han_number(match["n"])
            before = text[match.start() : match.start("n")]
            if not 1 <= number <= 1000 or (match["n"] == "一" and not re.search("只|最多|至多|不超过|前|限", before)):
                continue
            # Of 最新的10张 the order is for its own rule.
            start = match.start("n" if re.match("最?[近新早佳好]", before) else 0)
            yield Found(start, match.end(), Count(number), rank=2)


def _is_one_thing(match: re.Match[str]) -> bool:
    """ "Windows 95 screenshot": the number does not count what follows it."""
    return match[0][-1].isalpha() and match.end() != match.end("n") and not match[0].endswith("s")


def find_sorts(text: str) -> Iterator[Found]:
    for order, pattern in _SORT:
        for match in pattern.finditer(text):
            yield Found(match.start(), match.end(), Sort(order), rank=2)
