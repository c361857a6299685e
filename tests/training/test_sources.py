"""Captioned pictures: what is read from installed packages, and how splits keep concepts apart."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InputError, MissingPart
from isthmus.training.data.sources import (
    ICONS,
    Sample,
    clipart,
    concept_of,
    emoji,
    glyphs,
    icons,
    icons_folder,
    render,
    stamps,
)
from isthmus.training.embedder import split_stamps

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40pt" height="20pt">'
    '<rect width="100%" height="100%" fill="{}"/></svg>'
)


@pytest.mark.parametrize(
    ("caption", "concept"),
    [
        ("A cat.", "cat"),
        ("Cats", "cat"),
        ("the Cat", "cat"),
        ("A black cat.", "black cat"),
        ("The letter A.", "letter"),
    ],
)
def test_captions_of_one_thing_are_one_concept(caption: str, concept: str) -> None:
    assert concept_of(caption) == concept


def test_the_installed_stamps_are_those_the_figures_are_about(stamps_root: Path) -> None:
    found = stamps(stamps_root)
    assert sum(sample.path.suffix == ".png" for sample in found) == 785
    assert all(sample.captions[0] for sample in found)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 300))
def test_no_concept_stands_on_both_sides_of_a_split(stamps_root: Path, seed: int, count: int) -> None:
    found = stamps(stamps_root)
    split = split_stamps(found, count, seed)
    left = [sample for sample in found if split.keeps(sample)]
    assert not {s.concept for s in left} & {s.concept for s in split.test}
    assert len({s.captions[0] for s in split.test}) >= count
    assert not set(left) & set(split.test)
    assert split == split_stamps(found, count, seed)


def test_a_sample_is_held_out_by_any_of_its_captions(stamps_root: Path) -> None:
    split = split_stamps(stamps(stamps_root), 20, 0)
    held = sorted(split.held)[0]
    assert not split.keeps(Sample("emoji", Path("x.svg"), ("something else", held), "something else"))


def test_clip_art_is_named_by_its_title_or_keywords_and_noise_is_left_out(tmp_path: Path) -> None:
    def write(name: str, title: str, words: list[str]) -> None:
        items = "".join(f"<rdf:li>{word}</rdf:li>" for word in words)
        (tmp_path / name).write_text(
            '<svg xmlns:dc="http://purl.org/dc/elements/1.1/" '
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><metadata>'
            f"<dc:title>{title}</dc:title><dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject></metadata></svg>"
        )

    write("1.svg", "Red_House 01", ["building", "home"])
    write("2.svg", "someone@example.org", ["penguin", "bird"])
    write("3.svg", "unsorted", [])
    (tmp_path / "4.svg").write_text("<svg")
    assert [s.captions for s in clipart(tmp_path)] == [("red house", "building, home"), ("penguin", "penguin, bird")]


def test_emoji_come_without_skin_tones(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "color" / "svg").mkdir(parents=True)
    entry = {"hexcode": "1F431", "annotation": "cat face", "tags": "cat, pet", "openmoji_tags": "", "skintone": ""}
    entries = [entry, {**entry, "hexcode": "1F9D1", "skintone": 3}, {**entry, "hexcode": "NOFILE"}]
    (tmp_path / "data" / "openmoji.json").write_text(json.dumps(entries))
    for code in ("1F431", "1F9D1"):
        (tmp_path / "color" / "svg" / f"{code}.svg").write_text(SVG.format("red"))
    assert [(s.captions, s.concept) for s in emoji(tmp_path)] == [(("cat face", "cat, pet"), "cat face")]


@pytest.mark.parametrize("source", [stamps, clipart, emoji, icons])
def test_a_source_that_is_not_installed_says_how_to_get_it(source: object, tmp_path: Path) -> None:
    assert callable(source)
    with pytest.raises(MissingPart, match=r"install|npm"):
        source(tmp_path / "nowhere")


@pytest.fixture
def icon_packages(tmp_path: Path) -> Path:
    square = '<path fill="{}" d="M0 0h{}v{}H0z"/>'
    few = {
        "dog-face": {"body": square.format("red", 36, 36)},
        "boy": {"body": square.format("lime", 36, 36)},
        "boy-medium-dark-skin-tone": {"body": ""},
        "boy-dark": {"body": ""},
        "moon-dark": {"body": square.format("blue", 36, 36)},
        "old": {"body": "", "hidden": True},
        "wide": {"body": square.format("blue", 72, 36), "width": 72},
    }
    for package in ICONS:
        (tmp_path / package).mkdir()
        drawn = few if package == "twemoji" else {"boy-1": {"body": ""}, "boy-2": {"body": ""}}
        (tmp_path / package / "icons.json").write_text(json.dumps({"icons": drawn, "width": 36, "height": 36}))
    return tmp_path


def test_icons_come_without_skin_tones_and_hidden_ones(icon_packages: Path) -> None:
    found = icons(icon_packages)
    here = [s.captions[0] for s in found if s.path.parent.parent.name == "twemoji"]
    assert here == ["dog face", "boy", "moon dark", "wide"]
    assert [s.captions[0] for s in found if s.path.parent.parent.name == "noto"] == ["boy", "boy"]
    assert len({s.path for s in found}) == len(found)


def test_an_icon_is_drawn_out_of_its_package_in_its_own_shape(icon_packages: Path) -> None:
    drawn = {s.captions[0]: render(s, 64) for s in icons(icon_packages) if s.path.parent.parent.name == "twemoji"}
    assert drawn["dog face"].getpixel((60, 60)) == (255, 0, 0, 255)
    assert drawn["wide"].size == (64, 32)
    assert drawn["wide"].getpixel((60, 30)) == (0, 0, 255, 255)


def test_without_a_folder_of_icons_one_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ICONS", raising=False)
    with pytest.raises(InputError, match="no folder of icons"):
        icons_folder(None)
    monkeypatch.setenv("ICONS", str(tmp_path))
    assert icons_folder(None) == tmp_path
    assert icons_folder("here") == Path("here")


def test_svg_sizes_in_points_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(SVG.format("#ff0000"))
    image = render(Sample("clipart", tmp_path / "a.svg", ("a",), "a"), 64)
    assert max(image.size) == 64
    assert image.getpixel((10, 10)) == (255, 0, 0, 255)


def test_glyphs_are_letters_and_digits_filled_and_outlined() -> None:
    found = glyphs()
    drawn = {(sample.path, sample.concept) for sample in found}
    assert len(drawn) == len(found)
    assert {sample.captions[0] for sample in found} == {f"letter {c}" for c in map(chr, range(97, 123))} | {
        f"letter {c}" for c in map(chr, range(65, 91))
    } | {f"number {n}" for n in range(10)}
    for sample in found[::97]:
        filled = replace(sample, concept=sample.concept[0])
        outlined = replace(sample, concept=f"{sample.concept[0]} outlined")
        assert all(render(each, 96).getbbox() == (0, 0, *render(each, 96).size) for each in (filled, outlined))
        inked = [np.asarray(render(each, 96).getchannel("A")).astype(int).sum() for each in (filled, outlined)]
        assert 0 < inked[1] < 1.5 * inked[0]
        assert not np.array_equal(*(np.asarray(render(each, 96).resize((48, 48))) for each in (filled, outlined)))
