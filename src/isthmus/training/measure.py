"""What a default model scores on pictures it never saw, beside what it scores without them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import torch

from isthmus.connectors.connector import Tokens
from isthmus.contrastive.load import load_embedder
from isthmus.contrastive.metrics import Interval, bootstrap
from isthmus.images.views import Picture
from isthmus.progress import SILENT, Progress, progress
from isthmus.training.batches import Asked, Source, features_of
from isthmus.training.data.augmentation import WHITE, on_colour
from isthmus.training.data.names import same_thing
from isthmus.training.data.questions import CAPTIONS, with_article
from isthmus.training.data.scenes import SIDE
from isthmus.training.data.sources import render
from isthmus.training.pictures import Pictures, Split
from isthmus.vision.depths import DepthsEncoder
from isthmus.vlm.branches import forward_branches
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.questions import text_of
from isthmus.vlm.sequence import Sample

Control: TypeAlias = Literal["", "another picture"]
"""What the model is shown: the picture, or that of the next question."""
NAMING = ("what", "which")
"""Kinds of questions whose answer is a name: "apple" names a red apple too."""
LONGEST_NAME = 8


def measure(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    held: Mapping[str, Pictures],
    *,
    blind: VisionLanguageModel | None,
    commonest: Mapping[str, str],
    quiet: bool = False,
) -> dict[str, dict[str, Interval]]:
    """For each set, by kind of question and "all" (but CAPTIONS): the share answered exactly; the same "…, blind", by a
    model trained without pictures, and "…, above blind", question by question; "…, another picture"; "…, commonest": if
    each kind's commonest answer in training were given. "what, named": the share whose answer names the thing
    (`same_thing`), and the blind model's. Intervals by bootstrap over questions."""
    with progress("measuring", _answers(held, blind), "answers", quiet=quiet) as reporter:
        return {
            name: _measured(model, encoder, pictures, blind, commonest, reporter) for name, pictures in held.items()
        }


def _answers(held: Mapping[str, Pictures], blind: VisionLanguageModel | None) -> int:
    """How many answers `measure` asks for."""
    kinds = [question.kind for pictures in held.values() for asked in pictures.asked for question in asked]
    naming = sum(kind in NAMING for kind in kinds)
    return 2 * len(kinds) + naming + (0 if blind is None else len(kinds) + naming)


def _measured(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    pictures: Pictures,
    blind: VisionLanguageModel | None,
    commonest: Mapping[str, str],
    reporter: Progress,
) -> dict[str, Interval]:
    right: dict[str, Sequence[float]] = {}
    exact = _with_all(exact_answers(model, encoder, pictures, reporter=reporter))
    other = _with_all(exact_answers(model, encoder, pictures, control="another picture", reporter=reporter))
    right |= exact | {f"{kind}, another picture": answers for kind, answers in other.items()}
    if blind is not None:
        unseen = _with_all(exact_answers(blind, encoder, pictures, reporter=reporter))
        right |= {f"{kind}, blind": answers for kind, answers in unseen.items()}
        right |= {
            f"{kind}, above blind": [a - b for a, b in zip(answers, unseen[kind], strict=True)]
            for kind, answers in exact.items()
        }
        guesses = named(blind, encoder, pictures, reporter=reporter)
        right |= {f"{kind}, named, blind": answers for kind, answers in guesses.items()}
    guessed: defaultdict[str, list[bool]] = defaultdict(list)
    for question in (question for asked in pictures.asked for question in asked):
        guessed[question.kind].append(question.answer == commonest.get(question.kind))
    right |= {f"{kind}, commonest": answers for kind, answers in _with_all(guessed).items()}
    names = named(model, encoder, pictures, reporter=reporter)
    right |= {f"{kind}, named": answers for kind, answers in names.items()}
    return {kind: bootstrap(torch.tensor(answers).double(), seed=0) for kind, answers in right.items()}


def nearest_captions(split: Split) -> Interval:
    """The control that retrieves: the share of held-out stamps whose nearest caption, of all that training has, names
    the thing, by the default embedder. (Some of these stamps are among those its heads were trained on.)"""
    embedder = load_embedder()
    captions = sorted(set(split.train.values()))
    texts = embedder.texts([with_article(caption) for caption in captions])
    views = []
    for sample in split.held:
        image = on_colour(render(sample, SIDE), WHITE)
        views.append(embedder.fit(Picture(image, *image.size)))
    nearest = (embedder.images(views) @ texts.T).argmax(1).tolist()
    right = [same_thing(captions[at], name) for at, name in zip(nearest, split.held.values(), strict=True)]
    return bootstrap(torch.tensor(right).double(), seed=0)


def commonest_answers(sources: Sequence[Source]) -> dict[str, str]:
    """Of each kind of question, the answer given most often in training."""
    times: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for source in sources:
        for asked in () if source.imagined else source.pictures.asked:
            for question in asked:
                times[question.kind][question.answer] += 1
    return {kind: counter.most_common(1)[0][0] for kind, counter in times.items()}


@torch.no_grad()
def exact_answers(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    pictures: Pictures,
    *,
    control: Control = "",
    batch: int = 32,
    reporter: Progress = SILENT,
) -> dict[str, list[bool]]:
    """Of each kind of question, whether the greedy answer is the expected one, word for word.

    Greedy decoding writes the expected answer exactly if each of its tokens, and the end, is the likeliest behind those
    before it: one forward pass over all answers tells.
    """
    asked = Asked(model, encoder.num_tokens)
    model.eval()
    found: defaultdict[str, list[bool]] = defaultdict(list)
    shown = pictures.stored.roll(1, 0) if control == "another picture" else pictures.stored
    for start in range(0, len(shown), batch):
        groups = [[asked(q) for q in each] for each in pictures.asked[start : start + batch]]
        tokens = model.look(features_of(encoder, shown[start : start + batch].to(encoder.classes.device)))
        out = forward_branches(model, groups, tokens)
        right = out.logits.argmax(-1).eq(out.targets).tolist()
        at = 0
        for each, group in zip(pictures.asked[start : start + batch], groups, strict=True):
            for question, sample in zip(each, group, strict=True):
                found[question.kind].append(all(right[at : at + sample.trained]))
                at += sample.trained
        reporter.advance(sum(map(len, groups)))
    return dict(found)


@torch.no_grad()
def named(
    model: VisionLanguageModel,
    encoder: DepthsEncoder,
    pictures: Pictures,
    *,
    batch: int = 64,
    reporter: Progress = SILENT,
) -> dict[str, list[bool]]:
    """Of each kind of NAMING, whether the greedy answer names the thing."""
    asked = Asked(model, encoder.num_tokens)
    model.eval()
    rows = [(at, q) for at, each in enumerate(pictures.asked) for q in each if q.kind in NAMING]
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        stored = pictures.stored[torch.tensor([at for at, _ in part])].to(encoder.classes.device)
        prompts = [asked.prompt(question) for _, question in part]
        text = text_of([prompt.questions[0] for prompt in prompts if prompt.questions], stored.device)
        texts = _written(model, prompts, model.connect(features_of(encoder, stored), text))
        for (_, question), said in zip(part, texts, strict=True):
            found[question.kind].append(same_thing(said, question.answer))
        reporter.advance(len(part))
    return dict(found)


def _written(model: VisionLanguageModel, prompts: Sequence[Sample], tokens: Tokens) -> list[str]:
    """The greedy answers, at most LONGEST_NAME tokens of each."""
    reading = model.batch_reading()
    ends = {model.prompts.control(end) for end in model.template.ends}
    written: list[list[int]] = [[] for _ in prompts]
    chosen = reading.begin(model.splice(prompts, tokens, side="left")).argmax(-1)
    for _ in range(LONGEST_NAME):
        for row, token in zip(written, chosen.tolist(), strict=True):
            row.append(token)
        chosen = reading.step(chosen).argmax(-1)
    texts = []
    for row in written:
        end = next((at for at, token in enumerate(row) if token in ends), len(row))
        texts.append(str(model.tokenizer.decode(row[:end])).strip())
    return texts


def _with_all(right: Mapping[str, list[bool]]) -> dict[str, list[bool]]:
    return {**right, "all": [each for kind, answers in right.items() if kind not in CAPTIONS for each in answers]}
