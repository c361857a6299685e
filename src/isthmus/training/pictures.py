"""Pictures with questions, their frozen features computed once: what the default models learn from.

Split by source file: the stamps held out, whole, show things that training sees in other files only.
"""

import hashlib
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeVar

import torch
from PIL import Image
from torch import Tensor

from isthmus.images.views import Picture
from isthmus.progress import progress
from isthmus.training.data.augmentation import WHITE, augmented, on_colour
from isthmus.training.data.forms import Form, Line, form_of_one, form_of_scene
from isthmus.training.data.names import common_names, endings, is_lettering, shared_name
from isthmus.training.data.questions import EASY_VQA, KEPT, Question, questions, questions_of_one
from isthmus.training.data.scenes import SIDE, Cutout, compose, ground
from isthmus.training.data.sources import Sample, render
from isthmus.training.kept import kept
from isthmus.vision.depths import DepthsEncoder

Thing = TypeVar("Thing")
Told: TypeAlias = "list[list[list[tuple[str, ...]]]]"

DRAWN = 2
"""Raise it when what is drawn from the same names and seeds changes: older features are not taken from the cache."""
VIEWED = 2
"""As DRAWN, for the views of single drawings alone."""
OFTEN = 3
"""Stamps, fewer than emoji and truer to life, stand in scenes that many times as often."""
SHARED = 20
"""A title that more pictures share is a collection's, not the name of what is drawn."""


@dataclass(frozen=True)
class Pictures:
    """stored [V, N, C] float16 as the encoder keeps them; asked[v]: the questions about picture v; forms[v]: what the
    picture shows, () where that is not known."""

    stored: Tensor
    asked: tuple[tuple[Question, ...], ...]
    forms: tuple[Form, ...]

    def every(self, step: int) -> "Pictures":
        """Every step-th picture."""
        return Pictures(self.stored[::step], self.asked[::step], self.forms[::step])


@dataclass(frozen=True)
class Split:
    """Named samples. `held`: stamps of which no file is trained on, each called like one that is."""

    train: dict[Sample, str]
    chosen: dict[Sample, str]
    """Held out too, for choosing settings: `held` is looked at once, at the end."""
    held: dict[Sample, str]


def split_files(stamps: Sequence[Sample], others: Sequence[Sample]) -> Split:
    """A fifth of the files of each head noun that several stamps share; PNG and SVG of one drawing are one file.

    Fixed by the files' names, so that every run and every model holds out the same. What each is called is the part of
    its name that several drawings to train on share.
    """
    named = common_names([*stamps, *others])
    times: defaultdict[str, int] = defaultdict(int)
    for sample, name in named.items():
        times[name] += sample.source != "stamps"
    files: defaultdict[str, defaultdict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample, name in named.items():
        if sample.source == "stamps":
            files[_head(name)][_drawing(sample)].append(sample)
    held: dict[Sample, str] = {}
    chosen: dict[Sample, str] = {}
    for head in sorted(files):
        drawings = sorted(files[head], key=lambda d: hashlib.sha256(d.encode()).hexdigest())
        tenth = -(-len(drawings) // 10) if len(drawings) > 2 else 0
        fifth = -(-len(drawings) // 5) if len(drawings) > 1 else 0
        for out, part in ((held, drawings[:fifth]), (chosen, drawings[fifth : fifth + tenth])):
            out |= {sample: named[sample] for drawing in part for sample in files[head][drawing]}
    train = {
        sample: name
        for sample, name in named.items()
        if sample not in held and sample not in chosen and (sample.source == "stamps" or times[name] <= SHARED)
    }
    bearing = borne(train)
    return Split(
        *({sample: shared_name(name, bearing) for sample, name in part.items()} for part in (train, chosen, held))
    )


def borne(named: Mapping[Sample, str]) -> Counter[str]:
    """Of each ending of their names, how many drawings bear it."""
    return Counter(
        ending for _, ending in {(_drawing(s), ending) for s, name in named.items() for ending in endings(name)}
    )


def singles(
    encoder: DepthsEncoder, samples: dict[Sample, str], label: str, views: int, *, quiet: bool = False
) -> Pictures:
    """`views` augmented pictures of each named sample (0: one, as it is) and the questions about each."""
    jobs = [(sample, name, view) for sample, name in samples.items() for view in range(max(views, 1))]
    names = sorted(set(samples.values()))

    @lru_cache(maxsize=8)  # the views of a sample follow each other
    def rendered(sample: Sample) -> Image.Image:
        return render(sample, SIDE)

    def draw(job: tuple[Sample, str, int]) -> Image.Image:
        sample, name, view = job
        try:
            image = rendered(sample)
        except (ValueError, OSError):
            return Image.new("RGB", (SIDE, SIDE), WHITE)  # an SVG its renderer refuses: dropped below
        if not views:
            return on_colour(image, WHITE)
        return augmented(image, random.Random(f"{sample.path}:{view}"), whole=is_lettering(name))

    key = [label, VIEWED, views, [f"{sample.path}:{sample.concept}" for sample in samples]]
    stored = _kept(encoder, key, lambda: _encoded(encoder, label, len(jobs), map_threads(draw, jobs), quiet=quiet))
    asked = tuple(tuple(questions_of_one(name, names, i)) for i, (_, name, _) in enumerate(jobs))
    return Pictures(stored, asked, tuple(form_of_one(name) for _, name, _ in jobs))


def scenes(
    encoder: DepthsEncoder,
    samples: dict[Sample, str],
    count: int,
    start: int,
    grounds: Sequence[Path],
    *,
    names: Sequence[str] = (),
    quiet: bool = False,
) -> Pictures:
    """Scenes of seeds `start` to `start + count` from the samples' cut-outs. `names`: what else is asked for."""
    cutouts = [Cutout(s, name) for s, name in samples.items() for _ in range(OFTEN if s.source == "stamps" else 1)]
    seeds = range(start, start + count)
    asked_for = sorted(set(names) | set(samples.values()))
    truth: dict[int, tuple[list[Question], Form]] = {}

    def draw(seed: int) -> Image.Image:
        image, scene = compose(cutouts, seed, grounds=grounds)
        truth[seed] = questions(scene, asked_for, seed), form_of_scene(scene)
        return image

    key = [
        "scenes and forms",
        start,
        count,
        [f"{cut.sample.path}:{cut.name}" for cut in cutouts],
        [str(g) for g in grounds],
    ]
    key += [list(asked_for), [[*answered, share] for answered, share in KEPT.items()]]

    def make() -> tuple[Tensor, Told]:
        stored = _encoded(encoder, "scenes", count, map_threads(draw, seeds), quiet=quiet)
        told = [truth[seed] for seed in seeds]
        return stored, [[[astuple(q) for q in asked], [line.fields for line in form]] for asked, form in told]

    stored, told = _kept_with_words(encoder, key, make)
    asked = tuple(tuple(Question(*each) for each in one) for one, _ in told)
    return Pictures(stored, asked, tuple(tuple(Line(*fields) for fields in form) for _, form in told))


def grounds(encoder: DepthsEncoder, count: int, photographs: Sequence[Path], *, quiet: bool = False) -> Pictures:
    """Scenes with nothing in them, in which a class may be imagined."""

    def draw(seed: int) -> Image.Image:
        return ground(random.Random(f"ground {seed}"), photographs, SIDE)

    key = ["grounds", count, [str(path) for path in photographs]]
    images = map_threads(draw, range(count))
    stored = _kept(encoder, key, lambda: _encoded(encoder, "grounds", count, images, quiet=quiet))
    return unknown([Pictures(stored, ((),) * count, ((),) * count)])


def unknown(pictures: Sequence[Pictures]) -> Pictures:
    """All of them, as if it were not known what they show."""
    stored = torch.cat([each.stored for each in pictures])
    nothing = questions_of_one("nothing", ("anything",), 0)
    return Pictures(stored, (tuple(nothing),) * len(stored), ((),) * len(stored))


def easy_vqa(encoder: DepthsEncoder, part: str, *, quiet: bool = False) -> Pictures:
    """The pictures of easy-vqa with their questions; part "train" or "test". Raises MissingPart."""
    from isthmus.errors import MissingPart

    try:
        import easy_vqa as package
    except ImportError:
        raise MissingPart("easy-vqa is not installed", todo="pip install easy-vqa==1.0") from None
    paths = package.get_train_image_paths() if part == "train" else package.get_test_image_paths()
    texts, answers, ids = package.get_train_questions() if part == "train" else package.get_test_questions()
    asked: defaultdict[int, list[Question]] = defaultdict(list)
    for text, answer, number in zip(texts, answers, ids, strict=True):
        asked[number].append(Question(EASY_VQA, text[0].upper() + text[1:], answer))
    order = sorted(asked)

    def draw(number: int) -> Image.Image:
        with Image.open(paths[number]) as image:
            return image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)

    stored = _kept(
        encoder,
        ["easy-vqa", part],
        lambda: _encoded(encoder, f"easy-vqa {part}", len(order), map_threads(draw, order), quiet=quiet),
    )
    return Pictures(
        stored,
        tuple(tuple(asked[number]) for number in order),
        tuple(_shape_told(asked[number]) if part == "train" else () for number in order),
    )


def _shape_told(asked: Sequence[Question]) -> Form:
    """What easy-vqa's open questions and their answers tell together: a blue rectangle."""
    open_ones = " ".join(f"{q.text} {q.answer}".lower() for q in asked if q.text.startswith("What"))
    said = set(re.findall(r"[a-z]+", open_ones))
    colour = next((c for c in ("teal", "black", "green", "blue", "gray", "yellow", "red", "brown") if c in said), None)
    shape = next((s for s in ("rectangle", "circle", "triangle") if s in said), None)
    return form_of_one(shape, colour) if colour and shape else ()


def map_threads(draw: Callable[[Thing], Image.Image], jobs: Sequence[Thing]) -> Iterator[Image.Image]:
    """The pictures in order, two drawn at a time and few ahead."""
    with ThreadPoolExecutor(2) as threads:
        waiting = iter(jobs)
        ahead = [threads.submit(draw, job) for job in islice(waiting, 64)]
        while ahead:
            yield ahead.pop(0).result()
            ahead += [threads.submit(draw, job) for job in islice(waiting, 1)]


def _encoded(encoder: DepthsEncoder, label: str, count: int, images: Iterator[Image.Image], *, quiet: bool) -> Tensor:
    parts = []
    with progress(label, count, "pictures", quiet=quiet) as reporter:
        while batch := list(islice(images, 32)):
            parts.append(encoder.stored([encoder.fit(Picture(image, *image.size)) for image in batch]).cpu())
            reporter.advance(len(batch))
    return torch.cat(parts)


def _kept(encoder: DepthsEncoder, key: list[object], make: Callable[[], Tensor]) -> Tensor:
    return _kept_with_words(encoder, key, lambda: (make(), []))[0]


def _kept_with_words(
    encoder: DepthsEncoder, key: list[object], make: Callable[[], tuple[Tensor, Told]]
) -> tuple[Tensor, Told]:
    def tensors() -> dict[str, Tensor]:
        stored, words = make()
        return {"stored": stored, "words": torch.tensor(list(json.dumps(words).encode()), dtype=torch.uint8)}

    read = kept([encoder.fingerprint, DRAWN, SIDE, *key], tensors)
    return read["stored"], json.loads(bytes(read["words"].tolist()))


def _head(name: str) -> str:
    return name if is_lettering(name) else name.split()[-1]


def _drawing(sample: Sample) -> str:
    """A stamp's file without its ending: its PNG and its SVG are one drawing."""
    return str(sample.path.with_suffix(""))
