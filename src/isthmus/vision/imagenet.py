"""The thousand classes the default encoder can name (ILSVRC 2012), with WordNet 3.0's words for each.

`imagenet.tsv` holds, in the order of the classifier's outputs: WordNet id, names, gloss. Source: WordNet 3.0,
Princeton University (see NOTICE); the ids are those of Russakovsky et al., 2015.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class ImageNetClass:
    """`names[0]` is the usual one; `gloss` is WordNet's definition without its examples."""

    wordnet_id: str
    names: tuple[str, ...]
    gloss: str


@cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """All 1000, in the order of the classifier's outputs."""
    text = files("isthmus.vision").joinpath("imagenet.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return tuple(ImageNetClass(number, tuple(names.split(", ")), gloss) for number, names, gloss in rows)
