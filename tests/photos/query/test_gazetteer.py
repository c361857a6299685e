"""The gazetteer: what is loaded when, and which place a name is."""

import subprocess
import sys

import pytest

from isthmus.photos.query.gazetteer import city_radius, contains, gazetteer


@pytest.mark.parametrize(
    ("name", "language", "first"),
    [
        ("paris", "en", ("Paris", "city", "FR")),
        ("巴黎", "zh", ("巴黎", "city", "FR")),
        ("北京", "zh", ("北京", "region", "CN")),
        ("beijing", "en", ("Beijing", "region", "CN")),
        ("四川", "zh", ("四川", "region", "CN")),
        ("california", "en", ("California", "region", "US")),
        ("japan", "en", ("Japan", "country", "JP")),
        ("台湾", "zh", ("台湾", "country", "TW")),
        ("quebec", "en", ("Quebec", "region", "CA")),
        ("kyoto", "en", ("Kyoto", "city", "JP")),
        ("singapore", "en", ("Singapore", "country", "SG")),
        ("zurich", "en", ("Zürich", "city", "CH")),
    ],
)
def test_a_name_leads_to_its_place(name: str, language: str, first: tuple[str, str, str]) -> None:
    place = gazetteer().find(name, language)[0]
    assert (place.name, place.kind, place.code.split(".")[0]) == first


def test_places_of_one_name_come_by_their_inhabitants() -> None:
    cities = [place for place in gazetteer().find("springfield") if place.kind == "city"]
    assert len(cities) > 3
    assert [c.population for c in cities] == sorted((c.population for c in cities), reverse=True)


def test_a_code_says_what_is_in_what() -> None:
    france, paris = gazetteer().find("france")[0], gazetteer().find("paris")[0]
    assert contains(france, paris)
    assert not contains(paris, france)


def test_every_city_has_a_centre_and_a_radius_and_nothing_else_has() -> None:
    for name in ("london", "shanghai", "texas", "italy", "georgia", "suzhou", "victoria"):
        for place in gazetteer().find(name):
            is_city = place.kind == "city"
            assert (place.radius_km is not None) == (place.latitude is not None) == is_city
            assert not is_city or 5 <= (place.radius_km or 0) <= 40


def test_a_larger_city_reaches_further() -> None:
    assert city_radius(20_000) == 5
    assert city_radius(1_000_000) == 20
    assert city_radius(20_000_000) == 40


def test_importing_loads_neither_places_nor_grammar_nor_anything_heavy() -> None:
    code = (
        "import sys, isthmus.photos.query as q; names = set(sys.modules); "
        "print(sorted(names & {'torch', 'numpy', 'yaml', 'borax', 'dateutil', 'isthmus.photos.query.gazetteer', "
        "'isthmus.photos.query.sentence'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
