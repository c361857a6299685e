"""What learns from the language model's loss on the answers, and what does not."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from isthmus import precision
from isthmus.connectors import (
    AlignConnector,
    HintConnector,
    HintShape,
    MlpConnector,
    NamesConnector,
    SoftPromptConnector,
)
from isthmus.training.batches import Source, features_of, names_of, words_of
from isthmus.training.data.forms import form_of_one
from isthmus.training.data.questions import questions_of_one
from isthmus.training.pictures import Pictures
from isthmus.training.recipe import Stage
from isthmus.training.vlm import train_answers, train_hints, train_names, train_words
from isthmus.training.words import NAMES as SHAPE
from isthmus.training.words import TOLD, Words
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.questions import LastQuestion
from isthmus.vlm.template import ChatML
from tests.vlm import models

NAMES = ("apple", "cat", "dog", "pear")
WIDTH = 8


@pytest.fixture(autouse=True, params=[1.0, 2 * precision.GAIN], ids=["float32", "bf16"])
def faster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor on which bf16 is faster, whatever the one at hand is, training computes in it."""
    monkeypatch.setattr(precision, "_gain", lambda: request.param)


class Encoder:
    """What training asks of DepthsEncoder: stored numbers are the tokens themselves."""

    num_tokens, width, name = TOLD, WIDTH, "stored"
    classes = torch.zeros(1)
    fit = models.encoder().fit

    def tokens(self, stored: Tensor, imagined: Tensor | None = None) -> Tensor:
        assert imagined is None or (imagined < 0).all()
        return stored.float()

    def overview(self, stored: Tensor, imagined: Tensor | None = None) -> Tensor:
        return self.tokens(stored, imagined)[:, :2]


@pytest.fixture
def sources() -> list[Source]:
    torch.manual_seed(1)
    asked = tuple(tuple(questions_of_one(name, NAMES, at)) for at, name in enumerate(NAMES))
    return [Source(Pictures(torch.randn(4, TOLD, WIDTH).half(), asked, tuple(map(form_of_one, NAMES))), 1.0)]


@pytest.fixture
def base() -> VisionLanguageModel:
    torch.manual_seed(2)
    return models.model("chatml-llama")


@pytest.fixture
def words(base: VisionLanguageModel, sources: list[Source]) -> Words:
    return words_of(base.tokenizer, base.language_model.get_input_embeddings().weight, sources)


@pytest.fixture
def model(base: VisionLanguageModel, words: Words) -> VisionLanguageModel:
    language = base.language_model.requires_grad_(False)
    width = words.table.shape[1]
    connector = SoftPromptConnector(torch.randn(3, width), AlignConnector(words.table, MlpConnector(WIDTH, width)))
    return VisionLanguageModel(Encoder(), connector, language, base.tokenizer, ChatML())  # type: ignore[arg-type]


class Told(MlpConnector):
    """Knows before it is asked how many tokens the encoder makes."""

    def num_tokens(self, n: int, frame: object = None) -> int:  # noqa: ARG002
        return TOLD


@pytest.fixture
def hinting(base: VisionLanguageModel, words: Words) -> VisionLanguageModel:
    language = base.language_model.requires_grad_(False)
    rows = language.get_input_embeddings().weight
    shape = HintShape(width=16, layers=2, heads=4, width_ffn=32)
    hints = HintConnector(AlignConnector(words.table, Told(WIDTH, rows.shape[1])), rows, shape)
    return VisionLanguageModel(
        Encoder(),  # type: ignore[arg-type]
        hints,
        language,
        base.tokenizer,
        ChatML(),
        question_tokenizer=LastQuestion(base.tokenizer, shape.longest),
    )


def changed(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.fixture
def frozen(model: VisionLanguageModel) -> Iterator[None]:
    before = copied(model.language_model)
    yield
    assert not changed(before, model.language_model)


STAGE = Stage(steps=3, batch=4, rate=0.01, questions=2)


@pytest.mark.usefixtures("frozen")
def test_steering_nothing_but_the_prompt_learns(model: VisionLanguageModel, sources: list[Source]) -> None:
    before = copied(model.connector)
    train_answers(model, Encoder(), sources, STAGE, 0, steering=True, quiet=True)  # type: ignore[arg-type]
    assert changed(before, model.connector) == {"prompt"}


def test_hints_are_learned_and_nothing_else(hinting: VisionLanguageModel, words: Words, sources: list[Source]) -> None:
    before, language = copied(hinting.connector), copied(hinting.language_model)
    losses: list[float] = []
    stage = Stage(steps=20, batch=4, told=8, rate=0.01, questions=2)
    train_hints(hinting, Encoder(), sources, stage, 0, words=words, every=losses.append, quiet=True)  # type: ignore[arg-type]
    moved = changed(before, hinting.connector)
    assert {"reader.read.weight", "reader.speak.weight", "reader.rows", "reader.found"} <= moved
    assert all(name.startswith("reader.") for name in moved)
    assert not moved & {"reader.middle", "reader.spread"}
    assert not changed(language, hinting.language_model)
    assert losses == list(range(1, 21))


def test_steering_learns_the_cue_before_the_hint_too(
    hinting: VisionLanguageModel, words: Words, sources: list[Source]
) -> None:
    steering = torch.randn(5, words.table.shape[1])
    connector = SoftPromptConnector(steering[:3], hinting.connector, cue=steering[3:])
    model = VisionLanguageModel(
        hinting.encoder,
        connector,
        hinting.language_model,
        hinting.tokenizer,
        ChatML(),
        question_tokenizer=hinting.question_tokenizer,
    )
    before = copied(connector)
    train_answers(model, Encoder(), sources, STAGE, 0, steering=True, quiet=True)  # type: ignore[arg-type]
    assert changed(before, connector) == {"prompt", "cue", "stretch", "shift"}
    train_answers(model, Encoder(), sources, STAGE, 0, words=words, quiet=True)  # type: ignore[arg-type]
    assert {"inner.reader.speak.weight", "inner.inner.inner.maps.0.weight"} <= changed(before, connector)


@pytest.mark.usefixtures("frozen")
def test_seeing_all_of_the_connector_learns(model: VisionLanguageModel, sources: list[Source]) -> None:
    before = copied(model.connector)
    train_answers(model, Encoder(), sources, STAGE, 0, quiet=True)  # type: ignore[arg-type]
    assert changed(before, model.connector) == set(before) - {"inner.words", "cue"}  # no cue: not a row


@pytest.mark.usefixtures("frozen")
def test_held_to_its_words_they_are_not_forgotten(
    model: VisionLanguageModel, words: Words, sources: list[Source]
) -> None:
    (source,) = sources
    inner = model.connector.inner
    features = features_of(Encoder(), source.pictures.stored)  # type: ignore[arg-type]

    def loss() -> float:
        with torch.no_grad():
            return float(words.loss(inner(features).scores, source.pictures.forms))

    whole = VisionLanguageModel(Encoder(), inner, model.language_model, model.tokenizer, ChatML())  # type: ignore[arg-type]
    train_words(whole, Encoder(), sources, Stage(steps=150, batch=8, rate=0.02), 0, words=words, quiet=True)  # type: ignore[arg-type]
    learned, behind = copied(model.connector), {"words": loss()}
    for weight in (0.0, 5.0):
        model.connector.load_state_dict(learned)
        stage = Stage(steps=40, batch=4, rate=0.02, questions=2, words=weight)
        train_answers(model, Encoder(), sources, stage, 0, words=words, quiet=True)  # type: ignore[arg-type]
        behind[f"answers, words {weight}"] = loss()
    assert behind["answers, words 5.0"] < (behind["words"] + behind["answers, words 0.0"]) / 2, behind


def test_the_prompt_has_a_rate_of_its_own(model: VisionLanguageModel, sources: list[Source]) -> None:
    before = copied(model.connector)
    stage = Stage(steps=1, batch=4, rate=1e-6, prompt_rate=0.5, questions=2)
    train_answers(model, Encoder(), sources, stage, 0, quiet=True)  # type: ignore[arg-type]
    after = model.connector.state_dict()
    moved = {name: float((value - before[name]).abs().max()) for name, value in after.items() if len(value)}
    assert moved.pop("prompt") > 100 * max(moved.values())


def test_names_are_learned_at_a_glance_and_nothing_else_is(words: Words, sources: list[Source]) -> None:
    names = names_of(sources)
    assert names == ["", *NAMES]
    align = AlignConnector(words.table, Told(WIDTH, words.table.shape[1]))
    connector = NamesConnector(align, words.spelled(names), SHAPE)
    before = copied(connector)
    glance = torch.stack([each[:2] for each in sources[0].pictures.stored]).float()

    def said() -> list[str]:
        with torch.no_grad():
            return [names[at] for at in connector.opinion(glance).argmax(-1)]

    assert said() != list(NAMES)
    stage = Stage(steps=60, batch=8, rate=0.05)
    train_names(connector, Encoder(), sources, stage, 0, names=names, quiet=True)  # type: ignore[arg-type]
    assert said() == list(NAMES)
    assert changed(before, connector) == {"look.weight", "name.weight", "name.bias"}
    assert all(parameter.requires_grad for parameter in align.parameters())
