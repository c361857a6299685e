"""Place names that are also words, and what makes a longer name of a place name. Chosen by hand."""

import re
from importlib.resources import files

# With a small letter these are no places unless listed in STILL_PLACES; alone and capitalised they are doubtful.
# Chinese ones need 在 before or 市 after them.
_WORDS = files("isthmus.photos.query").joinpath("common_words.txt").read_text(encoding="utf-8").splitlines()
COMMON = frozenset(word for line in _WORDS if not line.startswith("#") for word in line.split())

# Common words that are a place all the same after "in" or "near", even with a small letter.
STILL_PLACES = frozenset(
    {
        "china",
        "turkey",
        "jordan",
        "georgia",
        "chad",
        "victoria",
        "jersey",
        "mali",
        "florence",
        "austin",
        "phoenix",
        "cologne",
        "java",
        "lima",
        "guinea",
    }
)

# A place name before one of these is a part of a longer name.
_COMPOUNDS = {
    "brussels": "sprout",
    "boston": "terrier|cream|fern",
    "panama": "hat",
    "peking": "duck|opera",
    "jersey": "cow|shore",
    "china": "plate|cup|doll|cabinet|shop|teapot|set|bowl|vase|ware|dish|figurine|rose|tea",
    "bermuda": "shorts|grass",
    "turkey": "sandwich|leg|dinner|breast|burger|vulture|roast|soup|meat",
    "new york": "cheesecake|style|strip|yankees|times",
    "hamburg": "steak",
    "bengal": "cat|tiger",
    "philadelphia": "cheese|cream|roll",
    "vienna": "sausage",
    "moscow": "mule",
    "bombay": "sapphire|mix",
    "california": "roll|poppy|poppies",
    "canada": "goose|geese|dry",
    "jerusalem": "artichoke",
    "manila": "envelope",
    "buffalo": "wing|sauce",
    "singapore": "sling|noodles",
    "angora": "cat|rabbit|goat",
    "cashmere": "sweater",
    "kentucky": "fried",
    "black forest": "cake|gateau",
    "yorkshire": "terrier|pudding",
    "norfolk": "terrier",
    "labrador": "retriever|puppy|dog",
    "st bernard": "dog|puppy",
    "cuba": "libre",
    "denver": "omelette",
    "swiss": "cheese|roll",
    "french": "fries|bulldog",
    "paris": "hilton|saint-germain|st germain",
    "jordan": "peterson|shoes|sneakers",
    "mexico": "hat",
    "london": "fog|broil",
    "nashville": "hot",
    "berlin": "doughnut",
    "cornwall": "pasty",
    "oxford": "shoes|shirt",
    "java": "code|script|program|finch|sparrow",
    "chihuahua": "dog|puppy",
}
COMPOUND = re.compile("|".join(f"(?:{name}) (?:{rest})" for name, rest in _COMPOUNDS.items()))

_AFTER_HAN = (
    "路 街(?!头|上|景) 大道 巷 大桥 桥 站 火车站 机场 大学 中学 小学 医院 银行 队 队长 "
    "人(?!物|山|行|民广场) 话 语 文(?!化|物) 字 菜 料理  烤鸭 烤肉 火锅 拉面 米线 酸辣 "
    "鸡饭 火腿 白药 包子 汤包 小笼 面(?!前|部|积) 饭 酒 茶(?!园|山|田|馆) 啤酒 豆腐 "
    "牧羊犬 斗牛犬 梗犬 犬  猫 狗 虎 鸭 鸡 鹅 牛 羊 马 熊 石(?!窟|林|头|桥|阶) 治 玉 "
    "时间 制造 产 式 风 风格 版 牌 号 梦 塔(?!楼) 洋(?!流) 海峡 半岛 君 士兵 社  电影 "
    "音乐 歌 剧 片 车 表 香水 香肠 咖喱 沙拉 丝绸 瓷 画 装 "
)
COMPOUND_HAN = re.compile("[东西南北中]?(?:" + "|".join(_AFTER_HAN.split()) + ")")
