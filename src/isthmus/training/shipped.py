"""Recipes that come along: by name, from the package or from the repository it is developed in."""

from importlib.resources import files
from pathlib import Path

from isthmus.errors import InputError


def recipe_file(name: str) -> Path:
    """A file as it is, or the recipe of that name. Raises InputError that lists them."""
    if Path(name).is_file():
        return Path(name)
    folders = [Path(str(files("isthmus") / "recipes")), Path(__file__).parents[3] / "recipes"]
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = sorted({each.stem for folder in folders if folder.is_dir() for each in folder.glob("*.yaml")})
    raise InputError(f"there is no recipe {name}", todo=f"give a file, or one of {', '.join(known)}")
