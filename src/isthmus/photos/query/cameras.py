"""Where a sentence says with which camera: makers and models, of the library and built in."""

import re
from collections.abc import Iterator
from dataclasses import replace

from isthmus.photos.query.fold import fold, is_han
from isthmus.photos.query.found import Doubt, Found
from isthmus.photos.query.model import Camera, Vocabulary
from isthmus.photos.query.names import bounded

MAKERS: dict[str, str] = {
    "canon": "Canon", "佳能": "Canon", "nikon": "Nikon", "尼康": "Nikon", "sony": "Sony", "索尼": "Sony",
    "fujifilm": "Fujifilm", "fuji": "Fujifilm", "富士": "Fujifilm", "leica": "Leica", "徕卡": "Leica", "莱卡": "Leica",
    "olympus": "Olympus", "奥林巴斯": "Olympus", "panasonic": "Panasonic", "lumix": "Panasonic", "松下": "Panasonic",
    "pentax": "Pentax", "宾得": "Pentax", "ricoh": "Ricoh", "理光": "Ricoh", "hasselblad": "Hasselblad",
    "哈苏": "Hasselblad", "sigma": "Sigma", "适马": "Sigma", "gopro": "GoPro", "dji": "DJI", "大疆": "DJI",
    "insta360": "Insta360", "影石": "Insta360", "apple": "Apple", "苹果手机": "Apple", "苹果": "Apple",
    "samsung": "Samsung", "三星": "Samsung", "google": "Google", "谷歌手机": "Google", "huawei": "HUAWEI",
    "华为": "HUAWEI", "xiaomi": "Xiaomi", "小米": "Xiaomi", "redmi": "Xiaomi", "红米": "Xiaomi", "oneplus": "OnePlus",
    "一加": "OnePlus", "oppo": "OPPO", "vivo": "vivo", "honor": "HONOR", "荣耀": "HONOR", "nokia": "Nokia",
    "诺基亚": "Nokia", "motorola": "Motorola", "摩托罗拉": "Motorola", "lg": "LG", "htc": "HTC", "kodak": "Kodak",
    "柯达": "Kodak", "casio": "Casio", "卡西欧": "Casio", "minolta": "Minolta", "美能达": "Minolta",
}  # fmt: skip
_MODELS = re.compile(
    r"(?P<apple>(?:apple )?(?:iphone|苹果(?=手机| ?\d))(?: ?(?:\d{1,2}[sce]?|se|x[sr]?)(?![a-z0-9])(?: ?(?:pro max"
    r"|pro|max|plus|mini))?)?|ipad(?: pro| air| mini)?)"
    r"|(?P<google>(?:google )?pixel ?\d{1,2}a?(?: pro)?)"
    r"|(?P<samsung>(?:samsung )?galaxy (?:s|a|note|z|fold|flip) ?\d{1,2}(?: ultra| plus|\+)?)"
    r"|(?P<canon>(?:canon |佳能)?(?:eos ?(?:r\d{0,2}|m\d{0,3}|\d{1,4}d)(?: mark [iv]+)?|powershot [a-z]\d{1,3}))"
    r"|(?P<nikon>(?:nikon |尼康)?(?:d[3-9]\d{0,3}|z ?(?:[5-9]|30|50|fc)(?: ?ii)?|coolpix [a-z]?\d+))"
    r"|(?P<sony>(?:sony |索尼)?(?:a[67]\d{0,3}[rs]?(?: ?[iv]+)?|ilce-\w+|rx100(?: ?[iv]+)?|zv-\w+))"
    r"|(?P<fujifilm>(?:fujifilm |fuji |富士)?(?:x-?t\d{1,2}|x-?pro\d|x100[a-z]{0,2}|gfx ?\d+\w?))"
    r"|(?P<gopro>gopro (?:hero ?)?\d{1,2}|gopro)"
    r"|(?P<dji>(?:dji |大疆)?(?:mavic(?: \d| air| mini| pro)*|osmo \w+)|dji mini \d)"
    r"|(?P<xiaomi>(?:xiaomi |小米) ?\d{1,2}(?: ?(?:pro|ultra))?)|(?P<huawei>(?:huawei |华为) ?(?:mate"
    r"|p|pura|nova) ?\d{2}(?: ?pro)?)",
)
_WITH = re.compile(
    r"(?:(?:that (?:was|were) )?(?:taken|shot|made|captured|snapped|recorded|filmed)(?: by me)? (?:with"
    r"|on|by|using|from)|using|shot|by|from|on|with)"
    r" (?:(?P<whose>my|our|his|her|the|an?|mum's|dad's|\w+'s) )?(?:old |new )?"
)
_WITH_SURE = re.compile(r"taken|shot|made|captured|snapped|recorded|filmed|using")
_WITH_HAN = re.compile(r"(?:用|使用|拿)(?:我的|我|他的|她的|旧的?|那台|这台|一?台|老)*\s*")
_VERB_HAN = re.compile("拍|摄|照|录")
_MOUNTAIN = re.compile(r"(?:mount|mt\.?|lake) $")
_SHOT_HAN = re.compile(r"\s*(?:相机|手机|单反|微单|无人机)?(?:来?拍摄?|照(?!片|相)|录|摄)(?:的|下的?)?")
_CAMERA_WORD = re.compile(r" ?(?:cameras?|phone|dslr|drone|相机|手机|单反|微单)(?![a-z])")
_PHOTO_WORD = re.compile(
    r"\s*(?:的)?\s*(?:photos?|pictures?|pics?|images?|shots?|videos?|selfies?|raws?|照片|相片|图片|视频|图)(?![a-z])"
)
_PHOTO_BEFORE = re.compile(r"(?:photos?|pictures?|pics?|images?|shots?|照片|,|，)\s*$")


def find(text: str, vocabulary: Vocabulary) -> Iterator[Found | Doubt]:
    """Makers and models: those of the library, the built-in makers, and models that are plain from their form."""
    known = {fold(camera.model): camera for camera in vocabulary.cameras if camera.model.strip()}
    makers = dict(MAKERS) | {fold(c.maker): c.maker for c in vocabulary.cameras if c.maker.strip()}
    names = [bounded(name) for name in sorted([*known, *makers], key=len, reverse=True)]
    pattern = re.compile("|".join(names))
    for start in (m.start() for m in re.finditer(r"(?<![a-z0-9-])[a-z0-9]|[\u4e00-\u9fff]", text)):
        for lead in (_WITH.match(text, start), _WITH_HAN.match(text, start), None):
            at = lead.end() if lead else start
            camera = _camera(text, at, pattern, known, makers)
            if camera is None or (at > start) != (lead is not None):
                continue
            found = _in_context(text, start, at, camera, lead, known)
            if isinstance(found, Found) and any(map(str.isdigit, camera[1].model)):
                # A number in a model is no number of results: "iPhone 12 photos".
                found = replace(found, rank=2)
            if found:
                yield found
                break


def _camera(
    text: str, at: int, pattern: re.Pattern[str], known: dict[str, Camera], makers: dict[str, str]
) -> tuple[int, Camera] | None:
    by_name = pattern.match(text, at)
    by_form = _MODELS.match(text, at)
    if by_form and (
        text[by_form.end() : by_form.end() + 1].isascii() and text[by_form.end() : by_form.end() + 1].isalnum()
    ):
        by_form = None
    if by_name and by_name[0] in known and (not by_form or by_name.end() >= by_form.end()):
        return by_name.end(), known[by_name[0]]
    if by_form:
        maker = MAKERS.get(by_form.lastgroup or "", "")
        model = re.sub(
            r"^(?:apple |google |samsung |canon |nikon |sony |fujifilm |fuji |xiaomi |huawei |dji )", "", by_form[0]
        )
        return by_form.end(), Camera(maker, _spelled(maker, model))
    if not by_name:
        return None
    maker, end = makers[by_name[0]], by_name.end()
    if maker == "Apple" and text[at:end] == "苹果":
        return None
    space = re.compile(r" ?").match(text, end)
    after = pattern.match(text, space.end() if space else end)
    if after and after[0] in known:
        return after.end(), known[after[0]]
    return end, Camera(maker)


def _spelled(maker: str, model: str) -> str:
    if maker == "Apple":
        model = re.sub("^(?:iphone|苹果) ?", "iPhone ", model).strip().replace("ipad", "iPad")
        return (
            re.sub(r"\b(?:pro|max|plus|mini|air)\b", lambda m: m[0].title(), model)
            .replace(" se", " SE")
            .replace(" x", " X")
        )
    if maker == "GoPro":
        return "" if model == "gopro" else model.upper().replace("GOPRO ", "")
    model = re.sub("^(?:佳能|尼康|索尼|富士|大疆|小米|华为)", "", model).strip()
    return model.title() if maker in ("Google", "Samsung", "DJI", "Xiaomi", "HUAWEI") else model.upper()


def _in_context(
    text: str, start: int, at: int, camera: tuple[int, Camera], lead: re.Match[str] | None, known: dict[str, Camera]
) -> Found | Doubt | None:
    """A camera is a condition after "taken with", before "photos", alone; elsewhere it is a thing in the picture."""
    end, value = camera
    word = _CAMERA_WORD.match(text, end)
    stop = word.end() if word else end
    if shot := _SHOT_HAN.match(text, stop):
        return Found(start, shot.end(), value, core=(at, stop))
    if lead and is_han(lead[0][0]):
        # 用大疆在内蒙古拍的: the verb may come later.
        plain = value.model or word or _VERB_HAN.search(text, stop, stop + 16)
        return Found(start, stop, value, core=(at, stop)) if plain else None
    has_number = any(c.isdigit() for c in value.model)
    if lead:
        sure = _WITH_SURE.search(lead[0]) is not None
        if (
            sure
            or (has_number and lead[0].split()[0] in ("with", "on", "from", "by"))
            or lead["whose"] in ("my", "our")
        ):
            return Found(start, stop, value, core=(at, stop))
        return None
    if value.maker == "Apple" and not value.model and not word:
        return None
    of_library = fold(value.model) in known and has_number
    beside = _PHOTO_WORD.match(text, stop)
    alone = text[:start].strip(" ,") == "" and text[stop:].strip(" ,的") == ""
    after_photos = _PHOTO_BEFORE.search(text[:start]) is not None and not text[stop:].strip(" ,")
    if of_library or beside or alone or after_photos or has_number:
        keep = not (of_library or beside or alone or after_photos)
        note = "the camera may be in the picture" if keep else ""
        return Found(start, stop, value, core=(start, stop), keep_words=keep, note=note)
    if _MOUNTAIN.search(text[:start]):
        return None
    return Doubt(start, end, "a camera only after “taken with” or before “photos”")
