"""What the photos show: its names in English and Chinese, what else it is called, and the cut-outs that show it.

`concepts.tsv` was written by hand by looking at the cut-outs. Columns: name, Chinese name, scope (SCOPES), kinds (what
it is, besides: an owl is a bird), maybe (what some would call it: a photo that shows it is then neither right nor wrong
for that question), files below the folder of stamps.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, cast

from isthmus.errors import MissingPart
from isthmus.training.data.sources import STAMPS, Sample, stamps

Scope = Literal["common", "special", "ground", "small", "-"]
"""`common`: anywhere, any time. `special`: only where and when the story says. `ground`: a whole picture or what is
behind things. `small`: never large. `-`: a kind of things, with no cut-out of its own."""

Side = Literal["dev", "test"]


@dataclass(frozen=True)
class Concept:
    name: str
    chinese: str
    scope: Scope
    kinds: tuple[str, ...]
    maybe: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def side(self) -> Side:
        return side_of(self.name)


def side_of(name: str) -> Side:
    """Half of all names, fixed by the name alone, so that a new concept moves no other."""
    return "dev" if hashlib.sha256(name.encode()).digest()[0] % 2 else "test"


@cache
def concepts() -> dict[str, Concept]:
    """By name, in the order of the table."""
    lines = Path(__file__).with_name("concepts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    found = {}
    for line in lines:
        name, chinese, scope, kinds, maybe, paths = line.split("\t")
        kinds_of, maybe_of = (tuple(filter(None, part.split(","))) for part in (kinds, maybe))
        found[name] = Concept(name, chinese, cast(Scope, scope), kinds_of, maybe_of, tuple(paths.split()))
    return found


@cache
def called(name: str) -> frozenset[str]:
    """The concept and all that it is besides: "rooster" is a chicken, a bird, an animal."""
    kinds = concepts()[name].kinds if name in concepts() else ()
    return frozenset({name}).union(*map(called, kinds))


@cache
def perhaps(name: str) -> frozenset[str]:
    """What some would call it as well."""
    known = concepts()
    said = {other for each in called(name) if each in known for other in known[each].maybe}
    return frozenset().union(*map(called, said)) - called(name)


@cache
def cutouts(root: Path = STAMPS) -> dict[str, tuple[Sample, ...]]:
    """The stamps of each concept that has any. Raises MissingPart."""
    installed = {str(sample.path.relative_to(root).with_suffix("")): sample for sample in _png(root)}
    wanted = [file for concept in concepts().values() for file in concept.files]
    if missing := [file for file in wanted if file not in installed]:
        raise MissingPart(
            f"{len(missing)} of {len(wanted)} stamps are not there",
            why=f"no {missing[0]}.png",
            todo="apt-get install tuxpaint-stamps-default (2022.06.04 is known to have them)",
        )
    return {
        concept.name: tuple(installed[file] for file in concept.files)
        for concept in concepts().values()
        if concept.files
    }


@cache
def held_out() -> frozenset[str]:
    """Captions (as `sources.concept_of` gives them) of which the shipped embedder saw no picture in training."""
    config = files("isthmus").joinpath("weights", "embedder", "config.json").read_text(encoding="utf-8")
    return frozenset(json.loads(config)["held_out_concepts"])


@cache
def unseen(name: str) -> bool | None:
    """Whether the shipped embedder saw no picture of the concept; None where it saw some of its cut-outs."""
    members = [each for each in cutouts() if name in called(each)]
    held = {sample.concept in held_out() for each in members for sample in cutouts()[each]}
    return held.pop() if len(held) == 1 else None


def _png(root: Path) -> list[Sample]:
    return [sample for sample in stamps(root) if sample.path.suffix == ".png"]
