"""Names out of captions, and what counts as naming the same thing."""

from pathlib import Path

import pytest

from isthmus.training.data.names import (
    MOST_ICONS,
    class_names,
    common_names,
    icon_names,
    name_of,
    same_thing,
    shared_name,
)
from isthmus.training.data.sources import Sample
from isthmus.training.pictures import split_files


@pytest.mark.parametrize(
    ("caption", "name"),
    [
        ("A cat.", "cat"),
        ("Some flowers.", "flowers"),
        ("A caribou in snow.", "caribou"),
        ("A candy cane is a traditional Christmas treat.", "candy cane"),
        ("A pair of sunglasses.", "sunglasses"),
        ("The letter Q.", "letter q"),
        ("A wizard's hat.", "wizard's hat"),
        ("It's a cep.", "cep"),
        ("Eat your bread.", ""),
        ("A very small old house", ""),
        ("1 Euro", ""),
        ("", ""),
    ],
)
def test_a_name_is_what_stands_before_the_story(caption: str, name: str) -> None:
    assert name_of(caption) == name


@pytest.mark.parametrize(
    ("said", "name", "same"),
    [
        ("a red apple", "red apple", True),
        ("apple", "red apple", True),
        ("apples", "apple", True),
        ("a small red apple", "red apple", True),
        ("red", "red apple", False),
        ("apple core", "apple", False),
        ("green apple", "red apple", False),
        ("", "apple", False),
        ("strawberries", "strawberry", True),
        ("letter b", "letter a", False),
    ],
)
def test_a_head_noun_names_and_an_adjective_does_not(said: str, name: str, same: bool) -> None:
    assert same_thing(said, name) is same


def test_icons_are_called_like_what_others_draw() -> None:
    def icon(said: str, at: int = 0) -> Sample:
        return Sample("icons", Path(f"/i/noto/icons.json/{said}{at}.svg"), (said,), said)

    drawings = {"dog": 2, "face": 3, "apple": 2, "lantern": 1}
    said = ["dog face", "smiling face", "red apple", "lantern", "house of many doors and windows", "quark"]
    named = {icon.captions[0]: name for icon, name in icon_names([icon(each) for each in said], drawings).items()}
    assert named == {"dog face": "dog", "smiling face": "face", "red apple": "apple"}
    assert len(icon_names([icon("apple", at) for at in range(MOST_ICONS + 3)], drawings)) == MOST_ICONS


def test_words_nobody_else_uses_make_no_name() -> None:
    samples = [Sample("clipart", Path(f"{i}.svg"), (caption,), caption) for i, caption in
               enumerate(["cat", "a cat", "the cat", "gramastar cat"])]  # fmt: skip
    assert set(common_names(samples).values()) == {"cat"}


def test_no_drawing_stands_on_two_sides_and_all_held_names_are_trained() -> None:
    stamps = [
        Sample("stamps", Path(f"/s/{name}{i}{ending}"), (f"A {name}.",), name)
        for name in ("cat", "dog", "old cat", "emu")
        for i in range({"cat": 9, "dog": 2, "old cat": 4, "emu": 1}[name])
        for ending in (".png", ".svg")
    ]
    split = split_files(stamps, [])
    sides = [{s.path.with_suffix("") for s in part} for part in (split.train, split.chosen, split.held)]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert len(sides[2]) >= 3
    heads = {name.split()[-1] for name in split.train.values()}
    assert {name.split()[-1] for name in (split.held | split.chosen).values()} <= heads
    assert split == split_files(list(reversed(stamps)), [])


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("toy rocket", "rocket"),
        ("red toy rocket", "rocket"),
        ("fire truck", "fire truck"),
        ("inukshuk", "inukshuk"),
        ("odd inukshuk", "odd inukshuk"),
        ("letter q", "letter q"),
    ],
)
def test_a_name_is_cut_to_what_several_drawings_bear(name: str, shared: str) -> None:
    bearing = {"rocket": 3, "toy rocket": 1, "fire truck": 2, "truck": 9, "inukshuk": 1, "q": 4}
    assert shared_name(name, bearing) == shared


def test_classes_are_called_as_several_of_them_or_drawings_are() -> None:
    classes = [("tabby", "tabby cat"), ("Egyptian cat",), ("espresso",), ("pickup", "pickup truck"), ("model T",)]
    classes += [("promontory", "headland", "head"), ("cup",), ("Boston bull", "Boston terrier")]
    called = class_names(classes, {"truck": 2, "head": 9, "t": 5, "terrier": 3})
    assert called == ("cat", "cat", "espresso", "truck", "model t", "promontory", "cup", "boston bull")


def test_names_are_shared_by_drawings_to_train_on_alone() -> None:
    """What is held out teaches no name, and a drawing's files are one drawing."""
    files = [Sample("stamps", Path(f"{name}{n}.png"), (name,), name) for name in ("cat", "hat") for n in range(5)]
    twins = [Sample("stamps", Path(f"top.{kind}"), ("top hat",), "top hat") for kind in ("png", "svg", "gif")]
    red = [Sample("emoji", Path(f"red{n}.svg"), ("red cat",), "red cat") for n in range(3)]
    split = split_files([*files, *twins], red)
    assert {said for sample, said in split.train.items() if sample.source == "emoji"} == {"red cat"}
    named = {sample: said for part in (split.train, split.chosen, split.held) for sample, said in part.items()}
    assert {named[sample] for sample in twins} == {"hat"}
