"""Words of a request that ask for nothing by themselves: "show me photos of", 的照片. All text is folded."""

import re

from isthmus.photos.query.conditions import PHOTO, PHOTO_HAN

_PHOTOS = (
    r"(?:photographs?|photos?|pictures?|pics?|images?|snapshots?|snaps|shots(?= (?:of|from|with|taken)|$)|results?)"
    r"(?! (?:frame|album|booth|book|shoot|wall|studio|editing|exhibition)s?)"
)
START = re.compile(
    r"(?:(?:please|hi|hey|ok|okay)(?![a-z])|(?:can|could|would) you(?: please)?(?![a-z])|(?:may"
    r"|can|could) (?:i|we)(?: please)? see(?![a-z])|i(?:'d"
    r"| would) (?:like|love)(?: to (?:see|find))?(?![a-z])"
    r"|i (?:want|need)(?: to (?:see|find))?(?![a-z])|i(?:'m| am) looking for(?![a-z])|show(?: me"
    r"| us)?(?![a-z])|find(?: me| us)?(?![a-z])"
    r"|search(?: for)?(?![a-z])|look(?:ing)? for(?![a-z])|give me(?![a-z])|get me(?![a-z])"
    r"|display(?![a-z])|where(?:'s| is| are| does it)(?![a-z])|do (?:i|we) have(?![a-z])"
    r"|what (?:(?:did|do|have) )?(?:i|we) (?:photograph(?:ed)?|s[eh]e|see|saw|seen|shoot|shot|took|take|taken)(?![a-z])"
    r"|what did (?:i|we)(?: do)?(?![a-z])|everything (?:i|we) (?:photographed|saw|shot|took)(?![a-z])"
    r"|(?:trip|journey|holidays?|vacation|stay|days|time|visit)(?= (?:to|in|at) )"
    r"|are there(?![a-z])|let me see(?![a-z])|(?:all|any|every|some)(?: of)?(?: the| my| our)?(?![a-z'])"
    r"|only(?![a-z])|just(?![a-z])|my(?![a-z])|our(?![a-z])|the(?![a-z])"
    r"|those(?![a-z])|these(?![a-z])|(?:a|an|one) (?=(?:photo|picture|pic|image)s?(?![a-z]))"
    r"|(?:best|that|this) (?=(?:photo|picture|pic|image|snapshot)s?(?![a-z]))"
    rf"|{_PHOTOS}(?![a-z])(?:'s)?(?: that| which)?(?: (?:i|we|you|she|he) (?:have |had )?(?:took"
    rf"|taken|made|shot))?(?: i| we)?(?: have)?(?: were| was| are)?"
    r"(?: taken| shot| made)?(?: of| showing| containing| featuring| where| with| from)?(?![a-z])"
    r"|(?:of|from|with) (?=(?:the|a|my|our)? ?$)|taken(?![a-z])"
    r"|(?:请|麻烦)?(?:帮我|给我|替我|帮忙)?(?:找一?找|找出|找到|找|查找|查一?下|查看|查|搜索"
    r"|搜一?下|搜|看一?看|看下|显示|展示|列出|翻出)(?!到的)(?:一下|出来?)?"
    r"|(?:请|麻烦)(?![给帮让])|(?:请|麻烦)?(?:给|帮|让)我(?:看一?看?)?|我们?(?:想|要)(?:要"
    r"|看一?看?|找一?找?)?|想(?:看|找)看?|(?:只|就)?要(?!塞)|只看|只|有没有|有哪些"
    r"|哪(?:几|些)?张(?:图|照片)?(?:里|上)?|把(?=.*出来$)|角落里(?=有)|我们?(?:拍|见)过(?=.)"
    r"|(?:带|含有|包含)(?:有|着)?(?=[“\"「『]|[^的]*的(?:照片|相片|图片|图)(?:呢|吗)?$)"
    r"|(?:所有|全部|一些|(?:来|给|要)?几张|一张|一幅|一段|一个|那些|那张|这些|某张|随便|任意)的?|(?:我们?"
    r"|咱们?)(?:家的?|的)?(?=在|去|和|跟|与|拍|$|的)|我的?(?=照片|相片|图片|视频|自拍|截图)"
    rf"|(?:拍摄?|照|录|摄)(?:过|下来?|到)?的|{PHOTO_HAN}(?!书|墙|钉|案)(?:们|里|中|上)?)"
)
END = re.compile(
    r"(?:(?<![a-z])(?<!\ba )(?<!\ban )(?<!\bthe )(?<!\bhis )(?<!\bher )(?<!\bmy )(?<!\bthis )(?<!\btheir )(?:photo"
    r"|picture|pic|image|photograph|snapshot)s?(?: (?:of|from|with|by|in))?(?: please)?|(?<![a-z])(?:please"
    r"|thanks|thank you"
    r"|only|ones?)|(?:(?:(?:我们?|你|他|她)?(?:拍摄?|照|录|摄)(?:过|下来?|到|了)?)?的)(?:照片"
    r"|相片|图片|图像|影像)(?:吗|呢|吧)?|(?:(?<=[^的][^的])|^)(?:照片|相片|图片|图像|影像)(?:吗"
    r"|呢|吧)?|的(?:图|相|照|画面)"
    r"|(?:(?:我们?|你|他|她)?(?:拍摄?|照|录|摄)(?:过|下来?|到|了)?的)|(?:吗|呢|吧|谢谢)|(?:所有|全部)的?"
    r"|(?:照片|相片|图片)?(?:全?都|全部)?(?:给我)?(?:找|列|翻|调)出来|的?那(?:种|类|些|一?张)|^玩"
    r"|(?:拍|照|看见|看到)(?:了|过)?(?:些?什么|啥)"
    r"|(?<![a-z])(?:(?:that |which )?(?:i|we|you|they) (?:photographed|saw|seen|found|shot|took)"
    r"|(?:somewhere )?in (?:the|a) (?:picture|photo|image)|(?:can be|is|are) seen|in (?:it|them)|written on it))$"
)
LEADING = re.compile(
    r"(?:(?:and|or|of|but|that|which|were|was|is|are|taken|shot|made|from|by|then|also|to|me"
    r"|it|for)(?![a-z'-])(?! (?=[a-z]+ing\b))|'s(?![a-z])|s(?![a-z])"
    r"|(?:时候?)?(?:看|见|拍|遇|碰)到过?的|看见过?的|的(?!士|哥|确)|和(?!服|尚|平|田|谐|果|牛|式|室|纸|风)|跟(?!拍|班)|与(?!会)|及|或者?"
    r"|以及|并且?|但是?|而且?|还有|同时|有(?!轨|机|名|趣|人|毒|色)|是|在(?!线|建)|里(?!程|约"
    r"|弄|昂|斯)|时候|时(?=[,的 ]|$)|也(?!门)|都(?!市|江|柏)|了|们|拍摄?的|拍摄?(?!照|卖|手|打|子|戏|档)|(?:摄"
    r"|照|录)的|期间|那(?:天|年|次|时)|的?(?:照片|相片|图片)(?=$|[的里中,])|内|上的|(?:我们?"
    r"|咱们)(?=在|去|和|跟|与|拍|看|见|遇|$)"
    r"|[^\w\s\"“「『《'‘«#$€£%@&])"
)
TRAILING = re.compile(
    r"(?:(?<![a-z'-])(?:and|or|of|in|on|at|with|from|by|the|a|an|but|that|which|where|when"
    r"|taken|were|was|is|are|my|our|for|to|during|near|around|while|some|all"
    r"|(?:(?:i|we|they) )?(?:took|saw|photographed|found)|(?<!\bas )we)"
    r"|(?<!目)的|(?<![温暖平柔饱缓共调])和|跟(?<!高跟)|(?<![参])与|及|或者?|以及|并且?|但是?"
    r"|(?<![没持拥])有|(?<![自])在|(?<![但])是|了|拍摄?|(?<!自)拍的|[^\w\s\"”」』》'’»!%°)）])$"
)


def is_filler(segment: str) -> bool:
    """Nothing but words that ask for nothing."""
    return not segment.strip() or not any(c.isalnum() for c in segment) or re.fullmatch(
        rf"(?:(?:{PHOTO}|{PHOTO_HAN}|the|a|an|me|us|of|it|them|there|please|in|on|at|my|s|i|we|took"
        rf"|have|with|and|ever|time|我们?|你|他们?|她们?|这|那|里|中|上|个|张|去|到|过|来|时|候"
        rf"|拍|照|人家|一下|之|在|的|了|是|有)\s*)+",
        segment.strip(),
    ) is not None  # fmt: skip
