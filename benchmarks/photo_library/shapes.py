"""How people put it: shapes of sentences by kind and language, to be filled.

{a} a thing with its article or its Chinese name, {s} several of it, {b} another thing, {bs} several, {p} a place,
{t} a time (English behind, Chinese before), {x} text in the picture, {c} a camera.
"""

from typing import Literal

Language = Literal["en", "zh"]
QueryKind = Literal[
    "thing", "small thing", "time", "place", "text", "negation", "camera", "file kind", "time+thing", "place+thing",
    "time+place", "time+place+thing",
]  # fmt: skip

_THING_EN = (
    "{a}", "photos of {s}", "{s}", "show me {s}", "find the picture with {a}", "do I have a photo of {a}?",
    "where is that picture of {a}", "all my pictures with {s} in them",
)  # fmt: skip
_THING_ZH = (
    "{a}", "{a}的照片", "有{a}的图", "帮我找一下{a}", "给我看看{a}",
    "那张有{a}的照片呢", "我拍过{a}吗", "所有带{a}的照片",
)  # fmt: skip

SHAPES: dict[QueryKind, dict[Language, tuple[str, ...]]] = {
    "thing": {"en": _THING_EN, "zh": _THING_ZH},
    "small thing": {
        "en": ("{a} somewhere in the picture", "the photo where {a} can be seen", "tiny {s}", "{s} in the distance"),
        "zh": ("画面里很小的{a}", "角落里有{a}的照片", "{a}", "远处的{a}"),
    },
    "time": {
        "en": (
            "photos taken {t}",
            "pictures I took {t}",
            "what did I photograph {t}?",
            "{t}",
            "everything I shot {t}",
            "my pictures, {t}",
        ),
        "zh": ("{t}的照片", "{t}拍的", "{t}", "看看{t}拍了什么", "找{t}的图片", "把{t}的照片都找出来"),
    },
    "place": {
        "en": ("photos from {p}", "{p}", "pictures taken in {p}", "our trip to {p}", "what we saw in {p}"),
        "zh": ("{p}的照片", "{p}", "在{p}拍的", "去{p}玩的照片", "我们在{p}的图片"),
    },
    "text": {
        "en": (
            'the picture that says "{x}"',
            '"{x}"',
            'where does it say "{x}"?',
            'a photo with the words "{x}"',
            'picture with "{x}" written on it',
        ),
        "zh": ("写着“{x}”的照片", "“{x}”", "哪张图上有“{x}”", "带“{x}”字样的图", "找写有「{x}」的那张"),
    },
    "negation": {
        "en": (
            "{s} without {bs}",
            "{a} but no {bs}",
            "photos of {s}, no {bs}",
            "{a}, not with {b}",
            "pictures of {s} without any {bs}",
        ),
        "zh": ("没有{b}的{a}", "{a}，不要{b}", "有{a}但没有{b}的照片", "有{a}的照片，不带{b}", "{a}，没有{b}的那种"),
    },
    "camera": {
        "en": ("taken with my {c}", "{c} photos", "shot on {c}", "pictures taken with the {c}"),
        "zh": ("用{c}拍的照片", "{c}拍的", "{c}照片", "找用{c}拍的图"),
    },
    "time+thing": {
        "en": ("{s} {t}", "{a}, {t}", "photos of {s} taken {t}", "show me {s}, {t}", "pictures with {a} I took {t}"),
        "zh": ("{t}的{a}", "{t}拍的{a}", "{t}，{a}", "找{t}拍到的{a}", "{t}有{a}的照片"),
    },
    "place+thing": {
        "en": (
            "{a} in {p}",
            "{s} we saw in {p}",
            "photos of {s} from {p}",
            "{p}, {s}",
            "the picture of {a} taken in {p}",
        ),
        "zh": ("在{p}拍的{a}", "{p}的{a}", "{p}，{a}", "我们在{p}看到的{a}", "{p}那张有{a}的照片"),
    },
    "time+place": {
        "en": ("{p} {t}", "photos taken in {p} {t}", "our days in {p} {t}", "{t}, {p}"),
        "zh": ("{t}在{p}拍的", "{t}{p}的照片", "{p} {t}", "{t}去{p}的照片"),
    },
    "time+place+thing": {
        "en": (
            "{a} in {p} {t}",
            "{p}, {t}, {s}",
            "photos of {s} taken in {p} {t}",
            "the {s} we saw in {p} {t}",
            "{s} from {p} {t}",
            "show me {s} we photographed in {p} {t}",
        ),
        "zh": (
            "{t}在{p}拍的{a}",
            "{t}{p}的{a}",
            "{p} {t} {a}",
            "{t}我们在{p}看到的{a}",
            "找{t}在{p}拍的{a}照片",
            "{t}去{p}时拍到的{a}",
        ),
    },
    "file kind": {"en": (), "zh": ()},
}
"""File kinds are few and are written out where they are asked for."""
