"""Recipes: the shipped one is valid, and a mistake is named."""

from pathlib import Path

import pytest
import yaml

from isthmus.errors import InputError
from isthmus.training.recipe import read_recipe

SHIPPED = Path(__file__).parents[2] / "recipes" / "embedder.yaml"


@pytest.mark.parametrize("path", sorted(SHIPPED.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_reads_and_a_seed_replaces_its_own(path: Path) -> None:
    assert read_recipe(path).seed != 77
    assert read_recipe(path, seed=77).seed == 77


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stpes": 3}, "stpes, line"),
        ({"steps": None}, "steps, line .*valid integer, not None"),
        ({"steps": 0}, "steps, line .*greater than or equal to 1, not 0"),
        ({"steps": 1.5}, "steps, line .*not 1.5"),
        ({"rate": "fast"}, "rate, line .*not 'fast'"),
        ({"rate": "0.1"}, "rate, line .*not '0.1'"),
        ({"dropout": 1.0}, "dropout, line .*less than 1"),
        ({"encoder": 3}, "encoder, line .*not 3"),
        ({"sources": {"photos": {"share": 1, "views": 1}}}, "sources.photos, line .*'stamps'"),
        ({"sources": {"stamps": {"views": 1}}}, "sources.stamps.share, line .*required"),
        ({"sources": {}}, "sources, line"),
        ({"makes": "coffee"}, "embedder"),
    ],
    ids=str,
)
def test_a_mistake_is_named(change: dict[str, object], says: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(SHIPPED.read_text()), **change}))
    with pytest.raises(InputError, match=says) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)


def test_a_stage_draws_only_from_sources_the_recipe_has(tmp_path: Path) -> None:
    recipe = yaml.safe_load((SHIPPED.parent / "vlm.yaml").read_text())
    recipe["second"]["shares"] = {"scenes": 1, "glyphs": 1}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    assert read_recipe(path).second.shares == {"scenes": 1, "glyphs": 1}
    del recipe["sources"]["glyphs"]
    path.write_text(yaml.safe_dump(recipe))
    with pytest.raises(InputError, match="hints draws from glyphs, of which sources says nothing"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("vlm", {"words": None}, "hints are given in words"),
        ("vlm", {"words": None, "hints": None, "cue": ""}, "names are said in words"),
        ("vlm", {"cue": ""}, "hints behind a cue"),
        ("vlm", {"connector": {"layers": 2}}, "an MLP's tokens"),
        ("vlm-llava", {"names": {"steps": 1, "batch": 1, "rate": 0.1}}, "an MLP's tokens"),
    ],
    ids=str,
)
def test_stages_that_do_not_fit_each_other_are_refused(
    name: str, change: dict[str, object], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load((SHIPPED.parent / f"{name}.yaml").read_text()), **change}))
    with pytest.raises(InputError, match=says):
        read_recipe(path)


@pytest.mark.parametrize("content", ["", "- a\n- b", "a: [", "steps: 3"])
def test_what_is_no_recipe_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)
