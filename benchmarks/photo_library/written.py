"""Pictures with writing: signs, receipts, whiteboards, screens, papers, in English and in Chinese.

Latin letters are drawn in the font that Pillow carries, all others in the first font found of those the contact sheet
looks for.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal

from benchmarks.photo_library.concepts import Side, side_of
from PIL import Image, ImageDraw, ImageFont

from isthmus.errors import MissingPart
from isthmus.photos.sheet import FOLDERS, WIDE

Sort = Literal["sign", "receipt", "whiteboard", "screen", "paper"]
Ink = tuple[int, int, int]


@dataclass(frozen=True)
class Writing:
    """`head` is what one would remember and ask for; `rest`: smaller lines below it."""

    sort: Sort
    head: str
    rest: tuple[str, ...] = ()

    @property
    def chinese(self) -> bool:
        return is_chinese(self.head)

    @property
    def side(self) -> Side:
        return side_of(self.head)

    @property
    def lines(self) -> tuple[str, ...]:
        return (self.head, *self.rest)


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


SIGNS = (
    "EXIT", "NO PARKING", "OPEN 24 HOURS", "WET FLOOR", "PLATFORM 9", "TICKETS", "FRESH BREAD", "MIND THE GAP",
    "LOST AND FOUND", "NO SWIMMING", "STAFF ONLY", "GIFT SHOP", "FIRE DOOR KEEP SHUT", "BEWARE OF PICKPOCKETS",
    "ROOM 204", "CHECK-IN", "WELCOME", "ROAD WORK AHEAD", "SPEED LIMIT 30", "PLEASE QUEUE HERE",
    "出口", "小心地滑", "营业中", "禁止停车", "售票处", "请勿吸烟", "保持安静", "洗手间", "禁止游泳", "欢迎光临",
    "今日特价", "员工通道", "登机口", "换乘中心", "失物招领", "请勿触摸", "前方施工", "爱护花草", "当心触电",
    "游客止步",
)  # fmt: skip
RECEIPTS = (
    ("Blue Door Bakery", ("2 x rolls", "1 x rye loaf", "TOTAL")),
    ("Harbour Books", ("1 x atlas", "1 x notebook", "TOTAL")),
    ("Green Lantern Cafe", ("2 x espresso", "1 x toast", "TOTAL")),
    ("Northside Pharmacy", ("1 x plasters", "1 x vitamin C", "TOTAL")),
    ("Miller Hardware", ("4 x screws", "1 x glue", "TOTAL")),
    ("Station Kiosk", ("1 x newspaper", "1 x water", "TOTAL")),
    ("老街面馆", ("牛肉面 1 份", "酸梅汤 2 杯", "合计")),
    ("蓝天书店", ("地图册 1 本", "笔记本 2 本", "合计")),
    ("春风药房", ("创可贴 1 盒", "维生素 1 瓶", "合计")),
    ("西湖茶庄", ("龙井 100 克", "茶杯 2 只", "合计")),
    ("大众超市", ("牛奶 2 盒", "鸡蛋 1 斤", "合计")),
    ("小城五金店", ("螺丝 4 只", "胶水 1 瓶", "合计")),
)
WHITEBOARDS = (
    ("Sprint review", ("1. what went well", "2. what did not", "3. next steps")),
    ("Roadmap", ("spring: beta", "summer: launch", "autumn: mobile")),
    ("Homework for Monday", ("read chapter 7", "exercises 3 to 9")),
    ("Shopping list", ("milk", "rice", "soap")),
    ("周会纪要", ("一、上周进展", "二、本周计划", "三、风险")),
    ("项目进度", ("设计 已完成", "开发 进行中", "测试 未开始")),
    ("值日表", ("周一 张伟", "周二 王芳", "周三 李娜")),
    ("期末复习", ("第一章 函数", "第二章 极限")),
)
SCREENS = (
    ("Boarding pass MU587", ("Gate 23  Seat 14A", "Boarding 09:40")),
    ("Wi-Fi password: tulip2019", ("network: guesthouse",)),
    ("Your parcel is out for delivery", ("arriving before 18:00",)),
    ("Reservation confirmed", ("2 guests, 3 nights", "code KX81QT")),
    ("Battery low", ("10% remaining",)),
    ("Meeting moved to 3 pm", ("same room as last time",)),
    ("取件码 8-3-2046", ("菜鸟驿站 请及时取件",)),
    ("验证码 482913", ("五分钟内有效，请勿泄露",)),
    ("高铁 G7391", ("07 车 12F 二等座",)),
    ("外卖已送达", ("放在前台了",)),
    ("会议改到三点", ("还是上次那个房间",)),
    ("预约成功", ("周六上午十点", "请提前十分钟到")),
)
PAPERS = (
    ("Rental agreement", ("between the owner and the tenant", "the rent is due on the first day of each month")),
    ("Insurance policy", ("number 4471-882", "the insured sum is stated overleaf")),
    ("Letter of invitation", ("we are pleased to invite you", "to the annual conference")),
    ("Exam results", ("mathematics  A", "physics  B", "history  A")),
    ("Warranty card", ("keep this card with the proof of purchase",)),
    ("租房合同", ("甲方将房屋租给乙方", "租金每月一日支付")),
    ("体检报告", ("身高 172 厘米", "视力 5.0", "血压正常")),
    ("录取通知书", ("你已被我校录取", "请于九月一日报到")),
    ("使用说明书", ("使用前请仔细阅读", "请妥善保管")),
    ("邀请函", ("诚邀您参加年度会议",)),
)
WRITINGS = (
    *(Writing("sign", head) for head in SIGNS),
    *(Writing("receipt", *each) for each in RECEIPTS),
    *(Writing("whiteboard", *each) for each in WHITEBOARDS),
    *(Writing("screen", *each) for each in SCREENS),
    *(Writing("paper", *each) for each in PAPERS),
)
"""No head is part of another's lines."""


@cache
def chinese_font() -> Path:
    """The file. Raises MissingPart where no font here has Chinese."""
    found = [path for folder in FOLDERS for path in sorted(folder.expanduser().rglob("*")) if path.suffix in _FONTS]
    for start in WIDE:
        for path in found:
            if path.name.lower().startswith(start.lower()):
                return path
    raise MissingPart("no font has Chinese characters", todo="apt-get install fonts-noto-cjk (or fonts-droid-fallback)")


_FONTS = (".ttf", ".ttc", ".otf", ".otc")


def sign(rng: random.Random, writing: Writing, ground: Image.Image) -> Image.Image:
    """A board with the words in front of the ground, which is drawn on; a little turned now and then."""
    paper, ink = rng.choice(_BOARDS)
    width, height = ground.size
    size = min(height // 4, _size_for(writing.head, width * rng.uniform(0.45, 0.75)))
    pad = round(0.4 * size) + 6
    board = Image.new("RGBA", (round(_length(writing.head, size)) + 2 * pad, size + 2 * pad), paper)
    draw = ImageDraw.Draw(board)
    draw.rectangle((3, 3, board.width - 4, board.height - 4), outline=ink, width=3)
    _write(draw, (pad, pad + 0.86 * size), writing.head, ink, size)
    if rng.random() < 0.4:
        board = board.rotate(rng.uniform(-6, 6), Image.Resampling.BICUBIC, expand=True)
    ground.paste(
        board, (rng.randint(0, max(0, width - board.width)), rng.randint(0, max(0, height - board.height))), board
    )
    return ground


def receipt(rng: random.Random, writing: Writing, ground: Image.Image) -> Image.Image:
    """A slip of paper on a table. Prices are drawn anew and are not known to the truth."""
    width, height = ground.size
    slip = Image.new("RGB", (round(0.42 * height) + 70, round(0.9 * height)), _pale(rng, 240))
    draw = ImageDraw.Draw(slip)
    y = 24
    for at, line in enumerate(writing.lines):
        size = min(30, _size_for(line, slip.width - 40)) if at == 0 else 22
        _write(draw, (20, y + size), line, (30, 30, 30), size)
        if at:
            price = f"{rng.randint(2, 90)}.{rng.randint(0, 99):02}"
            _write(draw, (slip.width - 20 - _length(price, size), y + size), price, (30, 30, 30), size)
        y += round(size * (2.2 if at == 0 else 1.7))
    turned = slip.convert("RGBA").rotate(rng.uniform(-4, 4), Image.Resampling.BICUBIC, expand=True)
    ground.paste(turned, ((width - turned.width) // 2, (height - turned.height) // 2), turned)
    return ground


def whiteboard(rng: random.Random, writing: Writing, size: tuple[int, int]) -> Image.Image:
    ink = rng.choice(((20, 40, 140), (150, 20, 30), (20, 90, 40)))
    board = Image.new("RGB", size, _pale(rng, 225))
    ImageDraw.Draw(board).rectangle((6, 6, size[0] - 7, size[1] - 7), outline=(120, 120, 125), width=8)
    return _lines(board, writing, ink, left=50, head=46, body=32)


def screen(rng: random.Random, writing: Writing, size: tuple[int, int], clock: str) -> Image.Image:
    """A phone's screen: a bar with the time, a card with the words."""
    dark = rng.random() < 0.3
    paper, ink = ((22, 22, 26), (235, 235, 235)) if dark else (_pale(rng, 238), (25, 25, 30))
    shown = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(shown)
    _write(draw, (16, 26), clock, ink, 18)
    draw.rectangle((size[0] - 44, 12, size[0] - 18, 24), outline=ink)
    tone = rng.choice(((52, 120, 246), (52, 168, 83), (240, 130, 30), (120, 90, 200)))
    draw.rectangle((0, 40, size[0], 92), fill=tone)
    return _lines(shown, writing, ink, left=20, head=28, body=20, top=rng.randint(130, size[1] // 2))


def paper(rng: random.Random, writing: Writing, size: tuple[int, int]) -> Image.Image:
    """A scanned sheet; lines of grey stand for text too small to read."""
    sheet = _lines(Image.new("RGB", size, _pale(rng, 244)), writing, (25, 25, 25), left=50, head=36, body=21, top=60)
    draw = ImageDraw.Draw(sheet)
    for y in range(round(size[1] * 0.55), size[1] - 50, 14):
        draw.line((50, y, 50 + rng.randint(size[0] // 2, size[0] - 100), y), fill=(185, 185, 185), width=3)
    return sheet


_BOARDS = (
    ((255, 255, 255), (200, 20, 30)), ((20, 110, 60), (255, 255, 255)), ((25, 60, 150), (255, 255, 255)),
    ((250, 210, 40), (20, 20, 20)), ((245, 240, 225), (60, 40, 20)), ((190, 25, 35), (255, 255, 255)),
)  # fmt: skip


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ink: Ink, size: int) -> None:
    """`at`: where the base line begins. Fonts for Chinese may lack Latin letters, so each has its own."""
    x, y = at
    for chinese, run in _runs(text):
        draw.text((x, y), run, ink, _font(chinese, size), anchor="ls")
        x += _font(chinese, size).getlength(run)


def _length(text: str, size: int) -> float:
    """In pixels."""
    return sum(_font(chinese, size).getlength(run) for chinese, run in _runs(text))


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    for latin, characters in groupby(text, str.isascii):
        yield not latin, "".join(characters)


@lru_cache(256)
def _font(chinese: bool, size: int) -> ImageFont.FreeTypeFont:
    if chinese:
        return ImageFont.truetype(chinese_font(), size)
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont)
    return own


def _size_for(text: str, width: float) -> int:
    """The font size at which the text is so wide."""
    return max(12, int(100 * width / _length(text, 100)))


def _lines(
    image: Image.Image, writing: Writing, ink: Ink, *, left: int, head: int, body: int, top: int = 40
) -> Image.Image:
    draw = ImageDraw.Draw(image)
    room = image.width - 2 * left
    y = top
    for at, line in enumerate(writing.lines):
        size = min(body if at else head, _size_for(line, room))
        _write(draw, (left, y + size), line, ink, size)
        y += round(1.7 * size)
    return image


def _pale(rng: random.Random, least: int) -> tuple[int, int, int]:
    return rng.randint(least, 255), rng.randint(least, 255), rng.randint(least, 255)
