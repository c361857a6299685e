"""Recipes: the shipped one is valid, and a mistake is named."""

from pathlib import Path

import pytest
import yaml

from isthmus.errors import InputError
from isthmus.training.recipe import read_recipe

SHIPPED = Path(__file__).parents[2] / "recipes" / "embedder.yaml"


def test_the_shipped_recipe_reads_and_a_seed_replaces_its_own() -> None:
    assert read_recipe(SHIPPED).seed != 77
    assert read_recipe(SHIPPED, seed=77).seed == 77


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stpes": 3}, "unknown key stpes"),
        ({"steps": None}, "steps is None, not a whole number"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1.5}, "not a whole number"),
        ({"rate": "fast"}, "rate is 'fast', not a number"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"encoder": 3}, "encoder is 3, not a text"),
        ({"sources": {"photos": {"share": 1, "views": 1}}}, "sources are stamps"),
        ({"sources": {"stamps": {"share": 1}}}, "needs share and views"),
        ({"sources": {}}, "sources names none"),
    ],
    ids=str,
)
def test_a_mistake_is_named(change: dict[str, object], says: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(SHIPPED.read_text()), **change}))
    with pytest.raises(InputError, match=says) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "- a\n- b", "a: [", "steps: 3"])
def test_what_is_no_recipe_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)
