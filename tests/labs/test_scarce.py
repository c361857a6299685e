from pathlib import Path

import pytest

from isthmus.labs.adapting import Stage, Work
from isthmus.labs.result import Figure, verdict
from isthmus.labs.scarce import FULL, RECOMMENDED, SCRATCH, Settings, draw, judge, measure, ways
from isthmus.training.recipe import read_recipe
from isthmus.training.shipped import recipe_file

from .adapted import tiny_clothes, tiny_start
from .figures import steady, unsure

TINY = Settings(pairs=(10, 20), test=10, work=Work(steps=4, batch=5))


def named(**changed: Figure) -> dict[str, dict[int, Figure]]:
    """As the textbook has it, but for what is given of full fine-tuning."""
    full = {10: steady(0.2), 100: steady(0.3), 1000: steady(0.6)} | {int(n[1:]): each for n, each in changed.items()}
    return {
        RECOMMENDED: {10: steady(0.4), 100: steady(0.6), 1000: steady(0.7)},
        FULL: full,
        SCRATCH: dict.fromkeys((10, 100, 1000), steady(0.1)),
    }


SHIFTED = {10: steady(0.1), 100: steady(0.1), 1000: steady(0.1)}


def test_all_as_the_textbook_says_holds() -> None:
    assert verdict(judge(named(), SHIFTED)) == "holds"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"n10": steady(0.5)}, "fails"),
        ({"n100": unsure(0.3, 0.8)}, "depends"),
        ({"n1000": steady(0.8)}, "depends"),
    ],
)
def test_where_full_fine_tuning_names_more(changed: dict[str, Figure], expected: str) -> None:
    assert verdict(judge(named(**changed), SHIFTED)) == expected


def test_who_names_as_much_of_another_picture_does_not_look() -> None:
    assert verdict(judge(named(), dict.fromkeys(SHIFTED, steady(0.65)))) == "fails"


def test_the_recommended_way_is_the_recipes() -> None:
    recipe = read_recipe(recipe_file("adapt"))
    taken = [s for s in recipe.stages if s.learns.connector is not None]
    assert list(ways(TINY)[0].stages) == [Stage(s.learns, s.rehearsal, share=s.steps) for s in taken]
    assert taken[-1].learns.lora is not None


def test_it_measures_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clothes(tmp_path, monkeypatch)
    tiny_start(monkeypatch, tmp_path / "cache")
    found, shifted, before = measure(TINY, [0, 1], quiet=True)
    assert list(found) == [RECOMMENDED, FULL, SCRATCH]
    assert all(list(curve) == [10, 20] for curve in (*found.values(), shifted))
    assert 0 <= before <= 1
    assert len(draw(found, shifted, before).axes) == 1
