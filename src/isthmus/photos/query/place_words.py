"""Place names that are also words, and what makes a longer name of a place name. Chosen by hand."""

import re

# English: with a small letter these are no places unless listed in STILL_PLACES; alone and capitalised they are doubtful.
COMMON = frozenset(
    """china golden niger para central eastern free centre rivers western littoral shan delta hue pest sale northern west
    coast van southern meta nice oral reading north south east islands jersey buffalo woodlands man paradise archway colon
    hub est mobile split surprise orange ise shaping universal male bath sparks bend worms rugby upland brick union rapid
    temple flagstaff most acton date clay center normal spring leo reservoir buckeye dome tire rouge antelope dig mach come
    than new gondola fleet tank lens horn pen sun plant goes bell old goto police same studio marks mason lakes hit save
    lend lakeside deal salt best anew rich punch pop fountain bow plaque garden magna can green opportunity retreat mul
    chin gar nan walker sal isa bra borne semi eagle mine pooler manage del coin begun sulphur time badger terrace bear hook
    bank along noto say unity bar cocoa puma young god boom cat peer butterfly winder much traverse vale store pool turkey
    chad jordan georgia phoenix victoria lincoln jackson madison charlotte hamilton kingston logan aurora vista hope lima
    cork march wells ware barking poole hull dover sandwich battle eye rye fort independence enterprise superior santa love
    media hell nancy tours angers brest sandy rocky florence austin cologne java salem eden guinea americana chelsea
    brooklyn savannah sierra carmel olive rose ruby grace faith summer winter autumn august april june may carter taylor
    grant tyler troy allen warren elizabeth louise windsor crystal diamond cross well bay lake river park beach hill wood
    forest ridge valley port harbour harbor mountain mount castle tower bridge church market home house field water stone
    white black brown red blue gold silver big little long high short bright sunny pearl hanger hamm bugs sedan pan pad
    mali oman cameroon lebanon cuba benin togo florida bonita casa sofia adelaide sydney canton newport cream crown
    liberal liberty justice welcome flowers flower center city town village island ocean sea desert moon star""".split()
) - frozenset({"sydney", "adelaide", "oman", "cameroon", "lebanon", "cuba", "florida", "sofia"})

# Common words that are a place all the same after "in" or "near", even with a small letter.
STILL_PLACES = frozenset({"china", "turkey", "jordan", "georgia", "chad", "victoria", "jersey", "mali", "florence", "austin", "phoenix",
                          "cologne", "java", "lima", "guinea"})  # fmt: skip

COMMON_HAN = frozenset(
    """东方 朝阳 日照 白银 大同 玉树 安康 来宾 来賓 百色 太平 和平 平安 永安 长寿 长安 三明 大分 丰田 豊田 大田 胜利 自由 光明 普陀 静安 安心 长治
    中央 中山 宝山 金山 南山 西山 玉山 山口 黑山 连山 石川 三重 三河 高松 松江 关口 水原 清水 全州 天安 安山 平安 吉安 安顺 宜城 万象 百城 北区 北區 东区 東區 金边
    固原 世宗 开封 文山 文城 天水 天府 明石 中野 大场 美里 和田 青梅 春日 朝霞 日光 小牧 日立 高地 高原 白山 白城 山南 淮南 平原 四平 四日 大庆 新城 新区 花城
    芙蓉 雨城 红山 赤塔 长城 城厢 城关 海港 港口 桥头 大桥 公园 东城 西城 南城 北城 大足 足立 一宮 相原 巴里 全南 万宁 宁静 清新 清化 顺化 新山 武威 威海卫 新安 江东
    古龙 普宁 海城 凤凰 太子 仙桃 天门 光州 江口 河口 石门 龙门 望江 海安 东海 南海 西湖 太湖 河源 平和 永和 安静 温泉 大厂 市川 千里 半月 城市 农安 旺市 城口 牡丹 双流""".split()
)

# A place name before one of these is a part of a longer name.
_COMPOUNDS = {
    "brussels": "sprout", "boston": "terrier|cream|fern", "panama": "hat", "peking": "duck|opera", "jersey": "cow|shore",
    "china": "plate|cup|doll|cabinet|shop|teapot|set|bowl|vase|ware|dish|figurine|rose|tea", "bermuda": "shorts|grass",
    "turkey": "sandwich|leg|dinner|breast|burger|vulture|roast|soup|meat", "new york": "cheesecake|style|strip|yankees|times",
    "hamburg": "steak", "bengal": "cat|tiger", "philadelphia": "cheese|cream|roll", "vienna": "sausage", "moscow": "mule",
    "bombay": "sapphire|mix", "california": "roll|poppy|poppies", "canada": "goose|geese|dry", "jerusalem": "artichoke",
    "manila": "envelope", "buffalo": "wing|sauce", "singapore": "sling|noodles", "dalmatia": "n", "siberia": "n",
    "angora": "cat|rabbit|goat", "cashmere": "sweater", "kentucky": "fried", "black forest": "cake|gateau", "tasmania": "n",
    "yorkshire": "terrier|pudding", "norfolk": "terrier", "labrador": "retriever|puppy|dog", "st bernard": "dog|puppy",
    "cuba": "libre", "denver": "omelette", "swiss": "cheese|roll", "french": "fries|bulldog", "paris": "hilton|saint-germain|st germain",
    "jordan": "peterson|shoes|sneakers", "mexico": "hat", "london": "fog|broil", "nashville": "hot", "berlin": "doughnut",
    "cornwall": "pasty", "oxford": "shoes|shirt", "java": "code|script|program|finch|sparrow", "chihuahua": "dog|puppy",
}  # fmt: skip
COMPOUND = re.compile("|".join(f"(?:{name}) (?:{rest})" for name, rest in _COMPOUNDS.items()))

COMPOUND_HAN = re.compile(
    r"[东西南北中]?(?:路|街(?!头|上|景)|大道|巷|大桥|桥|站|火车站|机场|大学|中学|小学|医院|银行|队长?|人(?!物|山|行|民广场)|话|语|文(?!化|物)|字|菜|料理|烤鸭|烤肉|火锅|拉面|米线|酸辣|鸡饭"
    r"|火腿|白药|包子|汤包|小笼|面(?!前|部|积)|饭|酒|茶(?!园|山|田|馆)|啤酒|豆腐|牧羊犬|斗牛犬|梗犬|犬|猫|狗|虎|鸭|鸡|鹅|牛|羊|马|熊|石(?!窟|林|头|桥|阶)|治|玉|时间|制造|产|式|风格?|版|牌|号|梦"
    r"|塔(?!楼)|洋(?!流)|海峡|半岛|君|士兵|社|隊|队|电影|音乐|歌|剧|片|车|表|香水|香肠|咖喱|沙拉|丝绸|瓷|画|装)"
)
