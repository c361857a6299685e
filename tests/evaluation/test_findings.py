"""Findings: which a text names, and the figures that follow, computed by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.evaluation.findings import EACH, OVERALL, counted, figures
from isthmus.evaluation.intervals import differences, intervals
from isthmus.evaluation.judging import learned, to_json
from isthmus.evaluation.metrics import metrics
from isthmus.evaluation.questions import survey
from isthmus.evaluation.terms import MOST, Terms, read_terms, terms_of
from tests.evaluation.sources import InMemory, question
from tests.evaluation.test_judging import judged, sighted

CLOTHES = terms_of(["Ankle boot", "boot", "T-shirt", "shirt"])


def terms(*lines: str) -> Terms:
    spelled = [tuple(tuple(each.split()) for each in line.split("|")) for line in lines]
    return Terms(tuple(line.split("|")[0] for line in lines), tuple(spelled), "here")


BONES = terms("fracture|broken bone", "effusion", "dislocation", "骨 折")


def named(text: str, among: Terms = BONES) -> set[str]:
    return {among.names[at] for at in among.named(text)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("An ankle boot.", {"Ankle boot"}),
        ("ANKLE-BOOT!", {"Ankle boot"}),
        ("an ankle boot beside a boot", {"Ankle boot", "boot"}),
        ("a t shirt", {"T-shirt"}),
        ("boots and shirtless", set()),
        ("not a boot but a shirt", {"shirt"}),
        ("", set()),
    ],
)
def test_whole_words_and_the_longest(text: str, found: set[str]) -> None:
    assert named(text, CLOTHES) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A broken bone, and an effusion.", {"fracture", "effusion"}),
        ("No fracture.", set()),
        ("No fracture, effusion or dislocation.", set()),
        ("No fracture, effusion, or a large old dislocation.", set()),
        ("no fracture, small effusion", {"effusion"}),
        ("There is no evidence of an acute fracture", set()),
        ("without any effusion", set()),
        ("no fracture. Effusion.", {"effusion"}),
        ("No fracture, but an effusion", {"effusion"}),
        ("no old fracture; new fracture", {"fracture"}),
        ("a dislocation without fracture", {"dislocation"}),
        ("negative for fracture", set()),
        ("Fracture: none. Effusion is not seen.", set()),
        ("Effusion, no fracture", {"effusion"}),
        ("the fracture is not displaced", {"fracture"}),
        ("no change of the fracture", {"fracture"}),
        ("cannot exclude a fracture", {"fracture"}),
        ("not only a fracture", {"fracture"}),
        ("isn't a fracture", set()),
        ("no such thing in sight of any of us today, a fracture", {"fracture"}),
        ("a gap of 3.5 mm without dislocation", set()),
        ("左侧骨折", {"骨 折"}),
        ("未见骨折。", set()),
        ("未见积液、骨折", set()),
        ("无移位，有骨折", {"骨 折"}),
    ],
)
def test_what_is_denied_is_not_named(text: str, found: set[str]) -> None:
    assert named(text) == found


def test_a_finding_may_be_a_denial_itself() -> None:
    among = terms_of(["no", "yes", "no fracture", "fracture"])
    assert named("No.", among) == {"no"}
    assert named("no fracture", among) == {"no fracture"}
    assert named("a fracture, yes", among) == {"yes", "fracture"}


said = st.lists(st.sampled_from(["fracture", "broken bone", "effusion", "no", "a", "but", "without", "the", "."]))


@given(said, said)
def test_sentences_are_read_apart(one: list[str], other: list[str]) -> None:
    first, second = " ".join(one), " ".join(other)
    assert BONES.named(f"{first}. {second}") == BONES.named(first) | BONES.named(second)


@given(said)
def test_case_and_punctuation_do_not_matter(text: list[str]) -> None:
    words = [each for each in text if each != "."]
    assert BONES.named("-".join(words).upper()) == BONES.named("  ".join(f"({each})" for each in words))


@given(said)
def test_what_is_denied_names_less(text: list[str]) -> None:
    words = " ".join(each for each in text if each not in (".", "but"))
    assert BONES.named(f"no {words}") <= BONES.named(words)


# Four records. fracture: there in 1, 2, 3; named in 1, 4. effusion: there in 1; named in 1, 2. dislocation: never
# there, named in 4. 骨折: neither.
SAID = ["fracture and effusion", "effusion", "nothing", "fracture, dislocation"]
THERE = [["a fracture", "with effusion"], ["fracture"], ["broken bone, no effusion"], ["normal"]]
BY_HAND = {
    "recall, micro": 2 / 4,
    "precision, micro": 2 / 5,
    "sensitivity, macro": (1 / 3 + 1) / 2,
    "specificity, macro": (0 / 1 + 2 / 3 + 3 / 4 + 4 / 4) / 4,
    "sensitivity: fracture": 1 / 3,
    "specificity: fracture": 0.0,
    "precision: fracture": 1 / 2,
    "sensitivity: effusion": 1.0,
    "specificity: effusion": 2 / 3,
    "precision: effusion": 1 / 2,
    "sensitivity: dislocation": math.nan,
    "specificity: dislocation": 3 / 4,
    "precision: dislocation": 0.0,
    "sensitivity: 骨 折": math.nan,
    "specificity: 骨 折": 1.0,
    "precision: 骨 折": math.nan,
}


def test_figures_are_those_computed_by_hand() -> None:
    (metric,) = metrics("findings", BONES)
    rows = metric.rows(SAID, THERE)
    assert rows.sum() == 4 * len(BONES.names)
    found = metric.combine(rows.sum(0, keepdims=True), np.array([4.0]))[0]
    assert {str(figure): value for figure, value in zip(metric.figures, found, strict=True)} == pytest.approx(
        BY_HAND, nan_ok=True
    )


def test_a_figure_without_a_value_is_a_dash_and_in_json_nothing() -> None:
    found = intervals(counted(BONES, SAID, THERE), figures, seed=0)
    at = len(OVERALL) + 2 * len(EACH)  # sensitivity of dislocation
    assert str(found[at]) == "-"
    assert found[at].as_json() == {"value": None, "low": None, "high": None}
    assert all(each.low <= each.value <= each.high for each in found if not math.isnan(each.value))


texts = st.lists(st.sampled_from([*SAID, "a dislocation", "no fracture"]), min_size=1, max_size=8)


@given(texts, st.randoms(use_true_random=False))
def test_who_says_what_is_expected_is_right_and_figures_are_shares(expected: list[str], random) -> None:  # type: ignore[no-untyped-def]
    right = figures(counted(BONES, expected, [[each] for each in expected]).sum(0, keepdims=True), np.ones(1))[0]
    assert set(right[~np.isnan(right)]) <= {1.0}
    said = [random.choice(SAID) for _ in expected]
    found = figures(counted(BONES, said, [[each] for each in expected]).sum(0, keepdims=True), np.ones(1))[0]
    assert ((found[~np.isnan(found)] >= 0) & (found[~np.isnan(found)] <= 1)).all()


def test_questions_about_one_picture_are_drawn_together() -> None:
    rows = np.repeat(counted(BONES, SAID, THERE), 8, axis=0)
    alone = intervals(rows, figures, seed=0)[0]
    together = intervals(rows, figures, seed=0, groups=[at // 8 for at in range(32)])[0]
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    same = differences(rows, rows, figures, seed=0)[0]
    assert vars(same) == {"value": 0, "low": 0, "high": 0}


def test_files_of_findings(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# bones\nfracture | broken bone\n\nEffusion\n", encoding="utf-8-sig")
    (tmp_path / "b.yaml").write_text("fracture: [broken bone]\nEffusion:\n")
    (tmp_path / "c.yml").write_text("- fracture | broken bone\n- [Effusion]\n")
    (tmp_path / "d.yaml").write_text("no: none\n")
    found = [read_terms(tmp_path / name) for name in ("a.txt", "b.yaml", "c.yml")]
    for each in found:
        assert each.names == ("fracture", "Effusion")
        assert each.spellings == ((("fracture",), ("broken", "bone")), (("effusion",),))
    assert read_terms(tmp_path / "d.yaml").names == ("no",)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "", "holds no finding"),
        ("a.txt", "fracture||bone", "'fracture' has a spelling without a word"),
        ("a.txt", "fracture|bone\neffusion|Bone!", "'bone' is both 'fracture' and 'effusion'"),
        ("a.yaml", "a: [", "is not YAML"),
        ("a.yaml", "fracture", "holds no findings"),
    ],
)
def test_files_that_say_no_findings_are_refused(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says.replace("|", r"\|")):
        read_terms(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_terms(tmp_path / "none.txt")


def test_few_references_are_the_findings_and_many_are_refused() -> None:
    found = terms_of(["Ankle boot.", "ankle boot", "Bag", "..."])
    assert found.names == ("Ankle boot.", "Bag")
    terms_of(f"thing {at}" for at in range(MOST))
    with pytest.raises(InputError, match=f"hold {MOST + 1} different answers.*give --findings FILE"):
        terms_of(f"thing {at}" for at in range(MOST + 1))


def test_who_sees_finds_more_than_blind_and_than_before(tmp_path: Path) -> None:
    source = InMemory([question(at, answer=f"thing {at % 3}", kind=f"{at % 2}") for at in range(6)])
    backend = sighted(6)
    backend.names = {shown: f"thing {int(name.split()[1]) % 3}" for shown, name in backend.names.items()}
    found = judged(backend, source, tmp_path, metric="findings", controls=("blind",))
    value = json.loads(json.dumps(to_json(found, survey(source)), allow_nan=False))
    assert value["findings"]["terms"][1] == {"name": "thing 1", "spellings": ["thing 1"], "there": 2, "named": 2}
    assert [each["metric"] for each in value["scores"][: len(OVERALL)]] == list(OVERALL)
    recall = value["scores"][0]
    assert (recall["value"], recall["controls"]["blind"]["value"], recall["above"]["blind"]["low"]) == (1, 0, 1)
    of_one = [each for each in value["scores"] if each.get("finding") == "thing 1"]
    assert [each["metric"] for each in of_one] == list(EACH)
    assert of_one[2]["controls"]["blind"]["value"] is None, "who names nothing has no precision"
    assert {each["kind"] for each in value["scores"] if "finding" not in each} == {"all", "0", "1"}
    before = judged(sighted(0), source, tmp_path / "before", metric="findings", controls=())
    gained = {str(figure): gain.value for figure, gain in learned(before, found, seed=0).items()}
    assert (gained["recall, micro"], gained["sensitivity: thing 2"]) == (1, 1)
    other = judged(sighted(0), source, tmp_path / "c", metric="findings", terms=terms("thing"), controls=())
    with pytest.raises(InputError, match="not judged by the same questions"):
        learned(other, found, seed=0)
