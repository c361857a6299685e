import pytest
import torch

from isthmus.labs import staged
from isthmus.labs.asked_shapes import caption
from isthmus.labs.result import Figure, verdict
from isthmus.labs.staged import (
    ALIGNED,
    ALL,
    CONNECTOR,
    LORA,
    LORA_ALONE,
    MIXED,
    QUESTIONS,
    Parts,
    Settings,
    follow,
    prepare,
)
from isthmus.labs.stages import BLIND, LANGUAGE, RIGHT, Measured, draw, judge, read
from isthmus.labs.told_shapes import Batches, Text, overviews, plan
from isthmus.precision import fast_dtype
from isthmus.training.batches import Asked
from isthmus.training.data.questions import Question
from isthmus.vision.depths import OVERVIEWS
from isthmus.vlm.language_model import LanguageModel
from isthmus.vlm.seal import seal
from tests.vlm import models

from .figures import steady, unsure
from .test_frozen import eyes

TINY = Settings(captioned=6, asked=4, test=3, batch=2, align_steps=2, steps=2)


def tiny_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The true encoder, without the classes' vectors from MiniLM; a language model of two layers."""
    language = models.llama().to(fast_dtype("cpu")).eval().requires_grad_(False)
    small = LanguageModel("tiny", language, models.byte_bpe(), "none")
    monkeypatch.setattr(staged, "load_language_model", lambda *_, **__: small)
    monkeypatch.setattr(staged, "TEXT", "Two dogs run along the beach.")
    monkeypatch.setattr(staged, "default_encoder", lambda _: eyes(fast_dtype("cpu")))


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    tiny_stages(monkeypatch)
    return prepare(TINY)


def made_up(**changes: Figure) -> Measured:
    """Everything as the textbook has it, but for what is given."""
    right = {
        QUESTIONS: steady(0.6), MIXED: steady(0.6), ALIGNED: steady(0.1), CONNECTOR: steady(0.6), LORA: steady(0.8),
        ALL: steady(0.8), LORA_ALONE: steady(0.6),
    }  # fmt: skip
    harm = {QUESTIONS: steady(1.2), ALL: steady(1.2)}
    seconds = {QUESTIONS: steady(70.0)}
    for name, figure in changes.items():
        of, _, way = name.partition("_")
        {"right": right, "harm": harm, "seconds": seconds}[of][WAYS[way]] = figure
    return Measured(
        ways={
            way: {RIGHT: right[way], LANGUAGE: harm.get(way, steady(1.05)), "seconds": seconds.get(way, steady(60.0))}
            for way in right
        },
        losses={},
        without_looking=0.2,
    )


WAYS = {
    "questions": QUESTIONS, "mixed": MIXED, "aligned": ALIGNED, "connector": CONNECTOR, "lora": LORA, "all": ALL,
    "lora_alone": LORA_ALONE,
}  # fmt: skip


def test_all_as_the_textbook_says_holds() -> None:
    assert [finding.outcome for finding in judge(made_up())] == ["yes"] * 11
    assert verdict(judge(made_up())) == "holds"


@pytest.mark.parametrize(
    "changes",
    [
        {"right_questions": steady(0.8)},
        {"right_mixed": steady(0.8)},
        {"right_all": steady(0.9)},
        {"right_lora": steady(0.3)},
        {"harm_lora": steady(1.3)},
    ],
)
def test_a_core_part_refuted_fails(changes: dict[str, Figure]) -> None:
    assert verdict(judge(made_up(**changes))) == "fails"


@pytest.mark.parametrize(
    "changes",
    [
        {"right_aligned": steady(0.7)},
        {"right_connector": steady(0.8)},
        {"right_lora_alone": steady(0.8)},
        {"harm_questions": steady(1.05)},
        {"harm_all": steady(1.05)},
        {"seconds_lora": steady(80)},
        {"right_questions": unsure(0.5, 0.8)},
    ],
)
def test_what_bounds_the_claim_or_is_unsure_depends(changes: dict[str, Figure]) -> None:
    assert verdict(judge(made_up(**changes))) == "depends"


def test_a_caption_says_what_questions_and_answers_name_together() -> None:
    colour = Question("", "What color is the shape?", "teal")
    kind = Question("", "What shape is in the image?", "circle")
    assert caption([colour, kind]) == "a teal circle"
    assert caption([Question("", "What color is the triangle?", "red")]) == "a red triangle"
    assert caption([Question("", "What is the blue shape?", "rectangle")]) == "a blue rectangle"
    assert caption([colour]) is caption([kind]) is caption([]) is None


def texts(count: int, text: str) -> list[Text]:
    return [Text(torch.full((OVERVIEWS, 4), float(at)), Question("", text, str(at))) for at in range(count)]


def test_the_mix_is_the_very_texts_of_two_stages_in_another_order() -> None:
    seen = plan(texts(3, ""), texts(5, "which?"), 6, 4, seed=0)
    assert [len(each) for each in (seen.captions, seen.questions, seen.mixed)] == [6, 10, 10]
    assert sorted(map(id, seen.mixed)) == sorted(map(id, seen.captions + seen.questions[:4]))
    assert [*map(id, seen.mixed)] != [*map(id, seen.captions + seen.questions[:4])]
    for told, count in ((seen.captions, 3), (seen.questions, 5)):
        assert {id(text) for text in told[:count]} == {id(text) for text in told}


def test_batches_keep_pictures_with_what_is_said_and_can_go_on() -> None:
    model = models.model("blip2-opt")
    told = [Text(torch.full((OVERVIEWS, 32), float(at)), Question("", "which?", str(at))) for at in range(4)]
    batches = Batches(told, 2, Asked(model, OVERVIEWS))
    next(batches)
    stood = batches.state()
    batch = next(batches)
    assert batch.features is not None
    assert batch.features.tokens[:, 0, 0].tolist() == [2.0, 3.0]
    words = [model.tokenizer.decode([label for label in each.labels if label >= 0]) for each in batch.samples]
    assert words == [" 2\n", " 3\n"]
    batches.resume(stood)
    assert next(batches).samples == batch.samples


def test_a_caption_follows_the_picture_at_once(parts: Parts) -> None:
    model = models.model("blip2-opt", template=staged.TEMPLATE)
    caption = Asked(model, OVERVIEWS)(parts.captions[0].said)
    assert caption.trained == len(caption.ids) - OVERVIEWS
    assert parts.captions[0].said.answer.startswith("a ")


def test_parts_are_apart(parts: Parts) -> None:
    assert parts.captions
    assert len(parts.seen) == len(parts.test) == 3
    shown = torch.stack([text.seen for text in (*parts.captions, *parts.questions)])
    assert shown.shape[1:] == (OVERVIEWS, parts.encoder.width)
    for seen in (*parts.seen, *(text.seen for text in parts.questions)):
        assert not any(torch.equal(seen, text.seen) for text in parts.captions)
    assert overviews(parts.seen).tokens.shape == (3, OVERVIEWS, parts.encoder.width)


def test_each_way_trains_what_it_says_from_the_same_start(parts: Parts) -> None:
    before = seal(parts.language.model)
    (course,) = follow(parts, TINY, range(1), quiet=True)
    assert seal(parts.language.model) == before
    assert set(course) == set(TINY.learns)
    assert [len(course[way].losses) for way in (QUESTIONS, MIXED, ALIGNED, LORA)] == [4, 4, 2, 2]
    assert {way for way, run in course.items() if run.perplexity[0] == run.perplexity[1]} == {ALIGNED, CONNECTOR}
    sizes = {way: run.trained for way, run in course.items()}
    assert sizes[LORA] == sizes[QUESTIONS] == sizes[MIXED] == sizes[CONNECTOR] + sizes[LORA_ALONE]
    assert sizes[CONNECTOR] == sizes[ALIGNED] < sizes[ALL]
    # stage 2 begins where stage 1 ended, whatever then learns
    assert course[LORA].losses[0] == course[CONNECTOR].losses[0] == course[LORA_ALONE].losses[0]
    assert course[QUESTIONS].losses[0] != course[LORA].losses[0]
    assert all(course[way].seconds > course[ALIGNED].seconds for way in (CONNECTOR, LORA, ALL, LORA_ALONE))
    measured = read([course, course], parts.without_looking)
    assert measured.ways[ALIGNED][LANGUAGE].mean == 1
    assert all(0 <= row[column].mean <= 1 for row in measured.ways.values() for column in (RIGHT, BLIND))
    assert len(draw(measured, TINY).axes[1].lines) == 5


def test_rates_are_of_the_named_parts() -> None:
    learns = Settings().learns
    assert [way for way, policy in learns.items() if policy.connector is None] == [LORA_ALONE]
    assert [way for way, policy in learns.items() if policy.language_model is not None] == [ALL]
