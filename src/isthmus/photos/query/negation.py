""" "without", "no", 没有 and the like: which conditions and words they turn into their opposite. All text is folded."""

import re
from dataclasses import dataclass, replace

from isthmus.photos.query.fold import is_han
from isthmus.photos.query.found import Found
from isthmus.photos.query.model import Span

_TRIGGER = re.compile(
    r"(?<![a-z0-9'-])(?:(?:and |but )?(?:with no|without|having no)|(?:but |and )?not(?! only"
    r"| (?:too|so) )(?: have| having| containing| including| showing| any)?|no(?!\.|t| (?:parking"
    r"|smoking|entry|entrance|trespassing|swimming|exit|man's|matter|doubt|longer|fishing|diving"
    r"|stopping|cycling|photography)(?![a-z]))"
    r"|except(?: for)?|excluding|exclude|other than|(?:anything|everything|all|nothing) but"
    r"|leaving out|leave out|(?:i )?(?:don't"
    r"|do not) (?:want|show|include)(?: me| to see)?|doesn't (?:have|show|contain)|don't (?:have"
    r"|show|contain)|rather than|instead of)(?![a-z'])"
    r"|(?<![\w.)-])-(?=[a-z\u4e00-\u9fff])"
    r"|没有|没(?!关系|错|收|落)|(?:请)?不要有?(?!脸|紧)|不想要|不带|不包?含|不包括|除了|除去"
    r"|排除|去掉|不是|并非|不在|别要|(?<![有虚])无(?!人机|锡|花|极|线|论|敌|限|聊|轨|名|所"
    r"|尾|尘|边|框|影|法|题|为)|(?<![是绝])非(?!洲|常|凡|主流|得|遗|典|诚|裔|典型|黑)"
    r"|(?:(?<=^)|(?<=[,、\s的要拍]))不(?!丹|错|锈|同|倒|好意|久|少|二|动|知|过|可|得|会|能"
    r"|用|想|夜|见|在|是|带|含|要|包|老|明|断|一样|止|太)(?=\w)"
)
_NOBODY = re.compile(
    r"(?<![a-z])(?:nobody|no one|no-one)(?: (?:in it|on it|there|else))?(?![a-z])|(?<![a-z])(?P<bare>un(?:peopled"
    r"|populated))(?![a-z])|空无一(?=人)"
)
_SKIP = re.compile(
    r"(?:(?:any|the|a|an|my|our|those|these|photos?|pictures?|pics?|images?|ones?|of|with|in it"
    r"|from|taken|shot|made|is|are|was|were|being)(?![a-z'])|任何|拍到|出现|包含|有|照到|那些"
    r"|拍的?(?=在|于)|是(?!否))\s*"
)
_JOINT = re.compile(
    r"\s*(?:,? (?:or|and|nor)(?: also)?(?: (?:no|not|without))?(?![a-z])|,(?= (?:or|nor)?)"
    r"|/|和(?!服|尚|平)|或者?|、|跟|与|以及|,?也?(?:没有|不要|不带))\s*(?:any |the |a |an )?"
)
_STOP = re.compile(
    r"[,.;!?，。；！？()（）\"“”「」]|\s-(?=\w)|\s(?:but|with|in(?! (?:the (?:background"
    r"|foreground|way|middle|picture|photo|frame|image|shot)|it|them|view)(?![a-z]))|on|at"
    r"|from|near|by|during|of|to|for"
    r"|that|which|who|where|when|while|taken|behind|under|before|after|since|inside|outside"
    r"|around|over|against|into|next|and|or|without|not|no|except|sorted|newest|oldest|please)(?![a-z'])"
    r"|\s(?:photos?|pictures?|pics?|images?)(?![a-z])|的(?!士|哥)|没有|不要|(?:和|或者?|、"
    r"|跟|与|以及)(?!服|尚|平)|(?:以|之)外|时候"
)
_INSIDE = re.compile(r" in (?:it|them|view|the (?:picture|photo|frame|image|shot))$")
_OUTSIDE = re.compile(r"(?:(?:以|之)?外)的?|在外")
_ARTICLE = re.compile(r"(?:any |the |a |an |my |our |some |very |too )+")


@dataclass(frozen=True)
class Denied:
    """Words the picture should not show: the span of the words, and that of the trigger with them."""

    words: Span
    whole: Span
    text: str = ""


def apply(text: str, founds: list[Found]) -> tuple[list[Found], list[Denied]]:
    """`founds` (in order, without overlaps) with those made negative that a trigger stands before, and denied words."""
    denied: list[Denied] = []
    for match in _NOBODY.finditer(text):
        if not _covered(match.start(), founds):
            denied.append(Denied(match.span(), match.span(), "people" if match[0].isascii() else "人"))
    for match in _TRIGGER.finditer(text):
        if _covered(match.start(), founds) or any(d.whole[0] <= match.start() < d.whole[1] for d in denied):
            continue
        founds, more = _deny(text, founds, match.start(), match.end())
        denied += more
    return founds, denied


def _deny(text: str, founds: list[Found], start: int, at: int) -> tuple[list[Found], list[Denied]]:
    denied: list[Denied] = []
    joint_end = at
    while True:
        at = _skip(text, joint_end, founds)
        target = next(
            (n for n, found in enumerate(founds) if found.start <= at < found.end or found.start == joint_end), None
        )
        if target is not None and not founds[target].negative:
            found = founds[target]
            end = found.end
            if outside := _OUTSIDE.match(text, end):
                end = outside.end()
            founds = [
                *founds[:target],
                replace(found, start=min(start, found.start), end=end, negative=True),
                *founds[target + 1 :],
            ]
        else:
            words = _words(text, at, founds)
            if words is None:
                break
            end = words[1]
            if outside := _OUTSIDE.match(text, end):
                end = outside.end()
            denied.append(Denied(words, (start, end)))
        joint = _JOINT.match(text, end)
        if not joint or joint.end() >= len(text):
            break
        following = next((f for f in founds if f.start <= joint.end() < f.end), None)
        if following is not None and (
            following.negative
            or type(following.value) is not type(founds[target].value if target is not None else None)
        ):
            break
        if following is None and (target is not None or ("," in joint[0] and not re.search("or|nor|没|不", joint[0]))):
            break
        start, joint_end = end, joint.end()
    return founds, denied


def _skip(text: str, at: int, founds: list[Found]) -> int:
    while at < len(text) and text[at] == " ":
        at += 1
    while not any(found.start == at for found in founds) and (skip := _SKIP.match(text, at)):
        at = skip.end()
    return at


def _words(text: str, at: int, founds: list[Found]) -> Span | None:
    limit = min((found.start for found in founds if found.start >= at), default=len(text))
    if article := _ARTICLE.match(text, at):
        at = article.end()
    if at >= limit or at >= len(text):
        return None
    stop = _STOP.search(text, at + 1, limit)
    end = stop.start() if stop else limit
    if is_han(text[at]) and (space := re.compile(r"\s").search(text, at, end)):
        end = space.start()
    if inside := _INSIDE.search(text, at, end):
        end = inside.start()
    while end > at and text[end - 1].isspace():
        end -= 1
    return (at, end) if end > at and any(c.isalnum() for c in text[at:end]) else None


def _covered(at: int, founds: list[Found]) -> bool:
    return any(found.start <= at < found.end for found in founds)
