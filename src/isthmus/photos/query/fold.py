"""Texts made comparable without moving a character: what is found in the folded text is at the same place in the text.

Case, full-width forms and the traditional characters that the grammar knows are folded one to one.
"""

import unicodedata
from functools import cache

TRADITIONAL = (
    "張张個个們们裡里裏里這这還还沒没帶带節节國国慶庆週周點点時时間间後后從从東东華华萬万幾几兩两號号歲岁來来對对於于視视頻频圖图"
    "檔档頁页畫画門门開开關关見见無无麵面貓猫隻只條条書书長长風风馬马鳥鸟魚鱼車车飛飞臺台灣湾蘇苏廣广陝陕貴贵雲云遼辽寧宁龍龙濟济"
    "漢汉鄭郑烏乌魯鲁齊齐羅罗倫伦紐纽約约熱热韓韩俄俄蘭兰澳澳亞亚義义愛爱爾尔範范圍围內内離离遠远邊边處处場场橋桥樓楼電电機机"
    "寫写著着說说請请給给幫帮找找顯显應应該该陽阳陰阴聖圣誕诞復复飯饭親亲兒儿婦妇勞劳動动農农歷历曆历臘腊廟庙燈灯鐘钟傍傍晝昼"
    "黃黄蘆芦廈厦濱滨錦锦鎮镇縣县銅铜營营榮荣莊庄溫温瀋沈蕪芜貢贡懷怀嶺岭島岛恆恒頭头撫抚鄉乡臨临揚扬鹽盐贛赣達达徳德黒黑広广豊丰沢泽澤泽県县恵惠桜樱櫻樱"
    "関关浜滨権权総总瓊琼揭揭嘉嘉賀贺賓宾陰阴陽阳隨随順顺鶴鹤鷄鸡鶏鸡齡龄"
    "級级錄录傳传舊旧順顺擇择優优"
)
_PAIRS = {old: new for old, new in zip(TRADITIONAL[::2], TRADITIONAL[1::2], strict=True) if old != new}
_MARKS = {
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "，": ",",
    "。": ".",
    "、": "、",
    "–": "-",
    "—": "-",
    "−": "-",
    "～": "~",
}


@cache
def _char(character: str) -> str:
    if character in _MARKS:
        return _MARKS[character]
    if character in _PAIRS:
        return _PAIRS[character]
    if "\uff01" <= character <= "\uff5e":  # full-width ASCII
        character = chr(ord(character) - 0xFEE0)
    if character.isspace():
        return " "
    small = character.lower()
    return small if len(small) == 1 else character


def fold(text: str) -> str:
    """`text` in lower case and simple forms; it has the same length."""
    return "".join(map(_char, text))


def plain(folded: str) -> str:
    """Without accents, for looking names up; the length may change."""
    if folded.isascii():
        return folded
    parts = unicodedata.normalize("NFKD", folded)
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part)))


def is_han(character: str) -> bool:
    """A Chinese character: words are not separated by spaces there."""
    return "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf"
