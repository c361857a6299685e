"""Probes of a language model alone."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.evaluation import instructions, probes
from isthmus.evaluation.domains import LONGEST, domains
from isthmus.evaluation.instructions import follows
from isthmus.evaluation.items import read
from isthmus.evaluation.likelihood import Likelihood, likelihoods
from isthmus.evaluation.probes import Probe, choices, language_items, language_probes, probe_from_json
from isthmus.evaluation.speaker import Speaker, speaker_of
from isthmus.messages import user
from isthmus.progress import SILENT
from isthmus.vlm.language_model import LanguageModel, load_language_model
from isthmus.vlm.model import VisionLanguageModel
from tests.evaluation.packages import default_part
from tests.evaluation.sources import Counted
from tests.vlm import models

TEXTS = [
    "a cat on a table",
    "two dogs",
    "一只猫坐在木桌上",
    "A chat between a curious user and an assistant. " * 3,
    "x",
]


@pytest.fixture(scope="module", params=["chatml-llama", "vicuna-llama", "blip2-opt"])
def speaker(request: pytest.FixtureRequest) -> Speaker:
    return speaker_of(models.model(request.param))


@torch.no_grad()
def bits_alone(speaker: Speaker, context: str, text: str) -> float:
    """Token by token, one text at a time; contexts here end where a token does."""
    start = len(speaker.tokenizer(context, add_special_tokens=False)["input_ids"])
    ids = speaker.tokenizer(context + text, add_special_tokens=False)["input_ids"]
    logits = speaker.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return -sum(float(logits[at - 1, ids[at]]) for at in range(start, len(ids))) / math.log(2)


def test_together_each_is_as_likely_as_alone(speaker: Speaker) -> None:
    found = likelihoods(speaker, [("\n", text) for text in TEXTS])
    assert [each.bits for each in found] == pytest.approx([bits_alone(speaker, "\n", text) for text in TEXTS], rel=1e-4)
    assert [each.bytes for each in found] == [len(text.encode()) for text in TEXTS]


def test_probabilities_of_what_may_follow_add_up_to_one() -> None:
    """Over all single tokens that are a text of their own behind the context."""
    speaker = speaker_of(models.model())
    ids = speaker.tokenizer("\n", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        expected = F.softmax(speaker.model(torch.tensor([ids])).logits[0, -1].float(), -1)
    letters = [chr(code) for code in range(97, 123)]
    found = likelihoods(speaker, [("\n", letter) for letter in letters])
    for letter, each in zip(letters, found, strict=True):
        (id_,) = speaker.tokenizer(letter, add_special_tokens=False)["input_ids"]
        assert 2**-each.bits == pytest.approx(float(expected[id_]), rel=1e-4)
    assert sum(2**-each.bits for each in found) < 1


def test_a_text_longer_than_the_context_is_shortened_with_its_bytes() -> None:
    speaker = speaker_of(models.model())
    (found,) = likelihoods(speaker, [("\n", "zebra 7 " * 200)])
    assert found.tokens < speaker.context
    assert found.bytes < 1600
    assert found.bits / found.bytes > 0
    (whole,) = likelihoods(speaker, [("\n", ("zebra 7 " * 200)[: found.bytes])])
    assert whole == found


def test_typed_control_tokens_are_text() -> None:
    speaker = speaker_of(models.model())
    (found,) = likelihoods(speaker, [("\n", "<|im_end|>")])
    assert found.tokens > 1


def test_a_model_that_is_not_causal_is_refused() -> None:
    model = models.model()
    model.language_model.config.is_encoder_decoder = True  # as FLAN-T5's in BLIP-2
    with pytest.raises(InputError, match="not causal"):
        speaker_of(model)


def test_speakers_are_known_by_their_weights() -> None:
    one, same, other = models.model(), models.model(name="another"), models.model()
    with torch.no_grad():
        next(other.language_model.parameters())[0, 0] += 1
    prints = [speaker_of(each).fingerprint for each in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]


def test_domains_are_the_same_for_the_same_seed_and_none_is_empty() -> None:
    found = domains()
    assert found == domains()
    assert set(found) == {"english", "chinese", "documentation", "code", "arithmetic", "dialogue"}
    assert all(8 <= len(texts) <= 12 and all(texts) for texts in found.values())
    assert all(len(text) <= LONGEST for text in (*found["documentation"], *found["code"]))
    other = domains(seed=1)
    assert all(other[name] != found[name] for name in ("documentation", "code", "arithmetic", "dialogue"))
    for line in "\n".join(found["arithmetic"]).splitlines():
        left, right = line.split(" = ")
        assert eval(left) == int(right)
    assert language_items() == language_items() != language_items(seed=1)


def test_the_choices_are_well_formed() -> None:
    items = read("choices.json")["items"]
    subjects = [each["subject"] for each in items]
    assert len(items) >= 60
    assert len(set(subjects)) >= 6
    assert min(subjects.count(each) for each in set(subjects)) >= 8
    assert len({each["question"] for each in items}) == len(items)
    for each in items:
        offered = [each["right"], *each["wrong"]]
        assert len(set(offered)) == 4
        assert all(choice == choice.strip() and choice for choice in offered)
        assert each["question"].endswith("?")


def test_every_instruction_can_be_followed_and_not() -> None:
    items = read("instructions.json")["items"]
    assert len(items) >= 20
    for each in items:
        assert follows(each["check"], each["passes"]), each["prompt"]
        assert follows(each["check"], f"  {each['passes']}\n"), each["prompt"]
        assert not follows(each["check"], "")
        assert not follows(each["check"], "I am happy to help. As an animal\nlover, I would say: it depends, really"), (
            each
        )


@pytest.mark.parametrize(
    ("check", "answer", "right"),
    [
        ({"kind": "is", "text": "4"}, '"4."', True),
        ({"kind": "is", "text": "4"}, "It is 4.", False),
        ({"kind": "upper"}, "GOOD Morning", False),
        ({"kind": "upper"}, "42", False),
        ({"kind": "dashes", "count": 2}, "1. a\n2. b", False),
        ({"kind": "dashes", "count": 2}, "Here:\n- a\n- b", True),
        ({"kind": "numbered", "count": 2}, "1) a\n2) b\n3) c", False),
        ({"kind": "commas", "count": 3}, "a, b", False),
        ({"kind": "commas", "count": 2}, "a long story of many words, and b", False),
        ({"kind": "ends", "text": "snow"}, "So much SNOW!", True),
        ({"kind": "ends", "text": "snow"}, "So much snowing", False),
        ({"kind": "starts", "text": "Yes"}, "Yesterday", False),
        ({"kind": "has", "texts": ["a", "b"]}, "b and a", True),
        ({"kind": "has", "texts": ["cat"]}, "catch", False),
        ({"kind": "at most", "words": 2}, "one two three", False),
        ({"kind": "sentences", "count": 2}, "One. Two", False),
        ({"kind": "sentences", "count": 1}, "It costs 3.50 euros.", True),
        ({"kind": "json", "keys": ["a"]}, '```json\n{"a": 1}\n```', True),
        ({"kind": "json", "keys": ["a"]}, '{"a": 1} as you asked', False),
        ({"kind": "json", "keys": ["a"]}, '{"a": 1, "b": 2}', False),
        ({"kind": "json", "keys": ["a"]}, '["a"]', False),
        ({"kind": "quoted"}, '"a" or "b"', False),
        ({"kind": "chinese"}, "天 is blue", False),
    ],
)
def test_checks_are_strict(check: dict[str, object], answer: str, right: bool) -> None:
    assert follows(check, answer) is right


def test_an_unknown_check_is_no_pass() -> None:
    with pytest.raises(ValueError, match="no check"):
        follows({"kind": "poem"}, "roses")


def test_answers_are_those_of_the_model_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model: VisionLanguageModel = models.model()
    monkeypatch.setattr(instructions, "MAX_TOKENS", 6)
    prompts = ["what?", "Is it left of the box? yes no", "a cat"]
    expected = [model.answer([user(prompt)], max_tokens=6).text for prompt in prompts]
    assert instructions.answers(speaker_of(model), prompts) == expected
    assert len(set(expected)) > 1


def test_the_right_choice_must_be_the_likeliest_a_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {" Paris": 6.0, " Rome": 6.0, " a very long name": 7.0, " four": 2.0, " two": 2.0, " ten": 9.0}

    def cost(_: object, texts: list[tuple[str, str]], **__: object) -> list[Likelihood]:
        assert all(context.startswith("Question: ") and context.endswith("?\nAnswer:") for context, _ in texts)
        return [Likelihood(costs[text], 1, len(text)) for _, text in texts]

    monkeypatch.setattr(probes, "likelihoods", cost)
    items = [
        {"subject": "a", "question": "?", "right": "a very long name", "wrong": ["Paris", "Rome"]},
        {"subject": "a", "question": "?", "right": "Paris", "wrong": ["a very long name", "Rome"]},
        {"subject": "b", "question": "?", "right": "four", "wrong": ["ten", "two"]},
        {"subject": "b", "question": "?", "right": "two", "wrong": ["four", "ten"]},
    ]
    found = choices(speaker_of(models.model()), items, SILENT)
    assert found.rows[:, 0].tolist() == [1, 0, 1, 0]
    assert found.chance == pytest.approx(1 / 3)
    assert found.figure(kind="a").value == found.figure(kind="b").value == 0.5


@pytest.fixture(scope="module")
def probed() -> tuple[list[object], Counted]:
    counted = Counted()
    speaker = speaker_of(models.model())
    return list(language_probes(speaker, lambda total: counted("probing", total, "items"), passages=2)), counted


def test_all_probes_of_a_small_model(probed) -> None:  # type: ignore[no-untyped-def]
    found, counted = probed
    names = [each.name for each in found]
    assert names[-2:] == ["choices", "instructions"]
    assert len(names) == 8
    assert counted.done == counted.totals
    for each in found:
        assert np.isfinite(each.rows).all()
        figure = each.figure()
        assert figure.low <= figure.value <= figure.high
        assert (each.perplexity is not None) == each.name.startswith("bits per byte")
        if each.perplexity is not None:
            assert each.perplexity > 1


def test_a_probe_comes_back_from_json_as_it_was(probed) -> None:  # type: ignore[no-untyped-def]
    for each in probed[0]:
        back = probe_from_json(json.loads(json.dumps(each.to_json())))
        assert back.to_json() == each.to_json()
        assert back.figure() == each.figure()


def test_a_model_that_cannot_be_asked_has_no_instructions() -> None:
    model = models.model()
    bare = LanguageModel("bare", model.language_model, models.byte_bpe(("bare",)), "")
    bare.tokenizer.chat_template = None
    found = language_probes(speaker_of(bare), lambda total: Counted()("", total, ""), passages=1)
    assert "instructions" not in [each.name for each in found]


@given(st.floats(0, 100))
def test_perplexity_and_bits_say_the_same(bits: float) -> None:
    probe = Probe("x", "lower", "ratio", np.array([[bits, 4.0, 2.0]]), ("x",), "")
    assert probe.perplexity == pytest.approx(2 ** (4 * probe.figure().value / 2))


@pytest.mark.xdist_group("smollm2")
def test_the_default_language_model_is_above_chance() -> None:
    """Of a few questions of each subject, with the interval's lower end; the full set is in docs/evaluation.md."""
    default_part("default/smollm2")
    speaker = speaker_of(load_language_model("default/smollm2", dtype=torch.float32))
    items = read("choices.json")["items"][::5]
    found = choices(speaker, items, SILENT)
    assert found.chance is not None
    assert found.figure().low > found.chance
