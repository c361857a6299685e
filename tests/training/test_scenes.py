"""Scenes and their questions: what is said of a picture is what its pixels show."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.training.data.forms import LINES, form_of_scene
from isthmus.training.data.questions import (
    KINDS,
    NUMBERS,
    Question,
    place_of,
    plural,
    questions,
    questions_of_one,
    told,
    with_article,
)
from isthmus.training.data.scenes import COLOURS, Cutout, Scene, compose, painted, told_scene
from isthmus.training.data.sources import Sample

FLAT = {"apple": (255, 0, 0), "ball": (0, 255, 0), "car": (0, 0, 255), "dog": (255, 255, 0), "eel": (255, 0, 255)}
SIDE = 144
PLACES = [f"{down} {across}".strip() or "middle" for down in ("top", "", "bottom") for across in ("left", "", "right")]


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> list[Cutout]:
    folder = tmp_path_factory.mktemp("cutouts")
    made = []
    for name, colour in FLAT.items():
        path = folder / f"{name}.png"
        Image.new("RGBA", (30, 20), colour).save(path)
        made.append(Cutout(Sample("stamps", path, (name,), name), name))
    return made


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000))
def test_each_thing_fills_its_box_alone(cutouts: list[Cutout], seed: int) -> None:
    image, scene = compose(cutouts, seed, side=SIDE)
    pixels = np.asarray(image)
    covered = np.zeros((SIDE, SIDE), int)
    for thing in scene.things:
        left, top, right, bottom = thing.box
        assert 0 <= left < right <= SIDE
        assert 0 <= top < bottom <= SIDE
        covered[top:bottom, left:right] += 1
        wanted = COLOURS[thing.colour] if thing.colour else FLAT[thing.name]
        assert np.abs(pixels[(top + bottom) // 2, (left + right) // 2].astype(int) - wanted).max() <= 3
    assert covered.max() == 1


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000))
def test_every_answer_can_be_read_off_the_truth(cutouts: list[Cutout], seed: int) -> None:
    _, scene = compose(cutouts, seed, side=SIDE)
    names = [thing.name for thing in scene.things]
    for question in questions(scene, list(FLAT), seed):
        assert question.kind in KINDS
        assert answered(scene, names, question), question


def answered(scene: Scene, names: list[str], question: Question) -> bool:
    mentioned = [name for name in FLAT if name in question.text.lower().replace("apples", "apple")]
    match question.kind:
        case "what":
            return names == [question.answer]
        case "which":
            at = {"left": 0, "right": -1}.get(question.text.rstrip("?").split()[-1], 1)
            return names[at] == question.answer
        case "count":
            return NUMBERS.index(question.answer) == names.count(mentioned[0])
        case "where":
            (thing,) = (each for each in scene.things if each.name == mentioned[0])
            x, y = thing.centre
            words = question.answer.split()
            return ("left" in words) == (x < SIDE / 3) and ("top" in words) == (y < SIDE / 3)
        case "side" | "left of":
            first, second = sorted(mentioned, key=question.text.index)
            before = names.index(first) < names.index(second)
            if "of the" in question.text.split(", left")[0] and question.text.startswith("On which side"):
                before = not before
            if question.kind == "side":
                return question.answer == ("left" if before else "right")
            return question.answer == ("yes" if before == ("left of" in question.text) else "no")
        case "colour":
            return {each.colour for each in scene.things if each.name == mentioned[0]} == {question.answer}
        case "is there":
            return question.answer == ("yes" if mentioned[0] in names else "no")
        case "describe":
            return question.answer == told(scene) and all(name in question.answer for name in names)
    return False


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000))
def test_a_form_tells_what_the_questions_ask_for(cutouts: list[Cutout], seed: int) -> None:
    _, scene = compose(cutouts, seed, side=SIDE)
    form = form_of_scene(scene)
    assert len(form) <= LINES
    assert [line.name for line in form] == list(dict.fromkeys(thing.name for thing in scene.things))
    for line in form:
        same = [thing for thing in scene.things if thing.name == line.name]
        assert (line.number, line.colour) == (NUMBERS[len(same)], same[0].colour)
        assert line.place == (place_of(scene, same[0]) if len(same) == 1 else "")
    standing = [line.standing for line in form]
    assert standing == {1: [""], 2: ["left", "right"], 3: ["left", "middle", "right"]}[len(form)]


def test_every_kind_is_asked_and_yes_is_no_safe_guess(cutouts: list[Cutout]) -> None:
    asked = [q for seed in range(900) for q in questions(compose(cutouts, seed, side=SIDE)[1], list(FLAT), seed)]
    assert {q.kind for q in asked} == set(KINDS)
    for kind, answers in (("is there", ("yes", "no")), ("left of", ("yes", "no")), ("side", ("left", "right"))):
        said = [q.answer for q in asked if q.kind == kind]
        assert set(said) == set(answers)
        assert 0.35 < said.count(answers[0]) / len(said) < 0.65
    for kind, answers, most in (("count", NUMBERS[1:5], 0.4), ("where", PLACES, 0.25)):
        said = Counter(q.answer for q in asked if q.kind == kind)
        assert set(said) == set(answers)
        assert max(said.values()) / said.total() < most, said


def test_the_same_seed_gives_the_same_picture_and_questions(cutouts: list[Cutout]) -> None:
    for seed in range(20):
        (first, truth), (again, same) = (compose(cutouts, seed, side=SIDE) for _ in range(2))
        assert truth == same
        assert np.array_equal(np.asarray(first), np.asarray(again))
        assert questions(truth, list(FLAT), seed) == questions(same, list(FLAT), seed)


def test_grounds_are_photographs_for_some(cutouts: list[Cutout], tmp_path: Path) -> None:
    photo = tmp_path / "ground.jpg"
    Image.effect_noise((640, 480), 90).convert("RGB").save(photo, quality=95)
    noisy = 0
    for seed in range(30):
        image, _ = compose(cutouts, seed, grounds=[photo], side=SIDE)
        noisy += np.abs(np.diff(np.asarray(image.convert("L"), float), axis=1)).mean() > 4
    assert 3 < noisy < 27


def test_painting_keeps_shape_and_shade() -> None:
    shaded = Image.fromarray(np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))).convert("RGBA")
    shaded.putalpha(Image.new("L", (64, 64), 200))
    blue = np.asarray(painted(shaded, COLOURS["blue"]))
    assert (blue[..., 3] == 200).all()
    assert (blue[..., 2] >= blue[..., 0]).all()
    assert blue[0, 60].sum() > blue[0, 3].sum() + 100


@pytest.mark.parametrize(
    ("name", "article", "many"),
    [("cat", "a cat", "cats"), ("apple", "an apple", "apples"), ("box", "a box", "boxes"), ("fly", "a fly", "flies"),
     ("key", "a key", "keys"), ("glasses", "glasses", "glasses"), ("glass", "a glass", "glasses")],
)  # fmt: skip
def test_names_take_articles_and_plurals(name: str, article: str, many: str) -> None:
    assert (with_article(name), plural(name)) == (article, many)


def test_places_are_thirds(cutouts: list[Cutout]) -> None:
    said = {place_of(scene, thing) for seed in range(200) for scene in [compose(cutouts, seed, side=SIDE)[1]]
            for thing in scene.things}  # fmt: skip
    assert said == {"top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right"}


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000))
def test_a_scene_nobody_drew_is_like_one_that_somebody_did(seed: int) -> None:
    scene = told_scene(list(FLAT), seed, side=SIDE)
    assert scene == told_scene(list(FLAT), seed, side=SIDE)
    names = [thing.name for thing in scene.things]
    assert 1 <= len(names) <= 5
    for thing in scene.things:
        left, top, right, bottom = thing.box
        assert 0 <= left < right <= scene.side
        assert 0 <= top < bottom <= scene.side
    for question in questions(scene, list(FLAT), seed):
        assert answered(scene, names, question), question


def test_plainly_asked_what_compares_has_one_wording() -> None:
    asked = [q for seed in range(200) for q in questions(told_scene(list(FLAT), seed), list(FLAT), seed, plain=True)]
    side, left_of = ({q.text.split()[0] for q in asked if q.kind == kind} for kind in ("side", "left of"))
    assert side == left_of == {"Is"}
    assert not any(" right of " in q.text for q in asked if q.kind == "left of")
    assert len({q.text.split()[0] for q in asked if q.kind == "colour"}) > 1


def test_where_nothing_else_has_a_name_nothing_is_asked_for_in_vain(cutouts: list[Cutout]) -> None:
    names = [cut.name for cut in cutouts]
    _, scene = compose(cutouts[:1], 3)
    one = questions(scene, names[:1], 3)
    assert {q.answer for q in one if q.kind == "is there"} == {"yes"}
    assert [q.answer for q in questions_of_one("red hat", ["red hat", "hat"], 0) if q.kind == "is there"] == ["yes"]
    assert "no" in {q.answer for q in questions_of_one("red hat", ["red hat", "cat"], 0)}
