"""A default model from its recipe: data, connector, two stages, measurements, and the seal of what stayed frozen."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checkpoints import resolve
from isthmus.checkpoints.cache import written_whole
from isthmus.connectors.align import AlignConnector
from isthmus.connectors.hint import HintConnector, HintShape
from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.names import NamesConnector
from isthmus.connectors.objectives import Stage1
from isthmus.connectors.qformer import QFormerConnector, without_text
from isthmus.connectors.qformer_checkpoint import qformer_from_bert
from isthmus.connectors.soft_prompt import SoftPromptConnector
from isthmus.contrastive.metrics import Interval
from isthmus.contrastive.sentence import load_minilm
from isthmus.contrastive.tokenizer import load_tokenizer
from isthmus.errors import InputError
from isthmus.machine import machine
from isthmus.precision import fast_dtype
from isthmus.threads import keep_memory
from isthmus.training.batches import Source, names_of, words_of
from isthmus.training.data.names import class_names, icon_names
from isthmus.training.data.sources import (
    STAMPS,
    clipart,
    emoji,
    emoji_folder,
    glyphs,
    icons,
    icons_folder,
    photographs,
    stamps,
)
from isthmus.training.embedder import class_vectors
from isthmus.training.measure import commonest_answers, measure, nearest_captions
from isthmus.training.pictures import Pictures, Split, borne, easy_vqa, grounds, scenes, singles, split_files, unknown
from isthmus.training.recipe import MlpShape, QFormerShape, SourceName, Stage, VlmRecipe
from isthmus.training.vlm import train_answers, train_hints, train_names, train_stage1, train_words
from isthmus.training.words import NAMES
from isthmus.vision.depths import DepthsEncoder
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vision.imagenet import imagenet_classes
from isthmus.vlm.default import pooled_mlp, question_tokenizer_of, save_default_vlm
from isthmus.vlm.language_model import load_language_model
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.seal import require_seal, seal
from isthmus.vlm.template import ChatML

TEXT_ENCODER = "default/minilm"
CAPTION_TOKENS = 24
TEST_SCENES, CHOOSING_SCENES = 400, 400
EASY_VQA_STEP = 4
DRAWINGS: tuple[SourceName, ...] = ("stamps", "emoji", "clipart")
IMAGINED_STEP = 16
"""In every so many of the drawings classes are imagined too."""
# seeds of scenes: far enough apart that no set runs into another
TRAIN_SEED, TEST_SEED, CHOOSING_SEED = 1_000_000, 2_000_000, 3_000_000
TEST_GROUNDS = 6
GROUNDS = 600
STAGES = ("first", "words", "names", "hints", "prompt", "second", "blind")
STEERING = ("soft_prompt", "cue")
"""What of a recipe matters from the first SoftPromptConnector on."""
JUDGING = ("measured",)
"""What of it no stage depends on."""
WORD_SCALE = 0.35
"""What the last map's first weights are multiplied by."""


class Workshop:
    """Everything a recipe needs, made once: the frozen encoder, the split, the sources by name."""

    def __init__(self, recipe: VlmRecipe, *, quiet: bool = False) -> None:
        """Raises MissingPart where a source or a part is not installed, InputError without the emoji's folder."""
        keep_memory()
        self.recipe, self.quiet = recipe, quiet
        self.encoder = default_encoder(recipe.encoder, recipe.size)
        self.split: Split = split_files(stamps(), emoji(emoji_folder(recipe.openmoji)) + clipart())
        self.grounds = photographs()

    def train(self, name: str) -> Pictures:
        """The training side of a source: "stamps", "clipart", "emoji", "icons", "glyphs", "scenes", "imagined",
        "easy-vqa"."""
        encoder, quiet = self.encoder, self.quiet
        views = self.recipe.sources[name].views  # type: ignore[index]
        of = {sample: said for sample, said in self.split.train.items() if sample.source == name}
        match name:
            case "stamps" | "clipart" | "emoji":
                return singles(encoder, of, name, views, quiet=quiet)
            case "icons":
                found = icon_names(icons(icons_folder(self.recipe.icons)), borne(self.split.train))
                return singles(encoder, found, name, views, quiet=quiet)
            case "glyphs":
                return singles(encoder, {g: g.captions[0].lower() for g in glyphs()}, name, views, quiet=quiet)
            case "easy-vqa":
                return easy_vqa(encoder, "train", quiet=quiet)
            case "imagined":
                return grounds(encoder, GROUNDS, self.grounds[TEST_GROUNDS:], quiet=quiet)
            case "scenes":
                cut = {s: said for s, said in self.split.train.items() if s.source in ("stamps", "emoji")}
                return scenes(encoder, cut, self.recipe.scenes, TRAIN_SEED, self.grounds[TEST_GROUNDS:], quiet=quiet)
        raise InputError(f"no source {name!r}")

    def sources(self) -> dict[SourceName, Source]:
        """All the recipe's sources with their shares. Classes are imagined in drawings too: then the finer stages saw
        something else, so that it is learned whom to believe of photographs, of which there are none."""
        classes = class_names([each.names for each in imagenet_classes()], borne(self.split.train))
        made: dict[SourceName, Pictures] = {name: self.train(name) for name in self.recipe.sources}
        if "imagined" in made:
            drawn = [made[name].every(IMAGINED_STEP) for name in DRAWINGS if name in made]
            made["imagined"] = unknown([made["imagined"], *drawn])
        return {
            name: Source(made[name], entry.share, classes if name == "imagined" else ())
            for name, entry in self.recipe.sources.items()
        }

    def held(self, *, choosing: bool = False) -> dict[str, Pictures]:
        """What no training sees: stamps, scenes made of them on other grounds, and every EASY_VQA_STEP-th picture of
        easy-vqa's own test; of the latter two the recipe's share. `choosing`: the smaller side for comparing settings,
        whole."""
        encoder, quiet = self.encoder, self.quiet
        side = self.split.chosen if choosing else self.split.held
        count, seed = (CHOOSING_SCENES, CHOOSING_SEED) if choosing else (TEST_SCENES, TEST_SEED)
        names = sorted({said for s, said in self.split.train.items() if s.source == "stamps"})
        found = {
            "stamps": singles(encoder, side, "held-out stamps", 0, quiet=quiet),
            "scenes": scenes(encoder, side, count, seed, self.grounds[:TEST_GROUNDS], names=names, quiet=quiet),
        }
        if choosing:
            return found
        step = round(1 / self.recipe.measured)
        found["scenes"] = found["scenes"].every(step)
        return found | {"easy-vqa": easy_vqa(encoder, "test", quiet=quiet).every(EASY_VQA_STEP * step)}


def default_encoder(name: str, size: int | None = None) -> DepthsEncoder:
    """The default encoder read at all depths, its classes told apart by MiniLM's vectors of them."""
    classes = class_vectors(load_minilm(resolve(TEXT_ENCODER)))
    return DepthsEncoder(
        load_efficientnet(resolve(name), dtype=fast_dtype("cpu"), size=size), F.normalize(classes, dim=-1)
    )


def train_vlm(recipe: VlmRecipe, out: Path, *, quiet: bool = False) -> dict[str, dict[str, Interval]]:
    """Follows the recipe, writes the model to `out`, returns what it scores on what it never saw (see `measure`).

    Each finished stage is kept in `out`/stages; a recipe that begins alike goes on behind it.
    Raises MissingPart and InputError as Workshop, CorruptPart where a frozen part changed.
    """
    workshop = Workshop(recipe, quiet=quiet)
    encoder, named = workshop.encoder, workshop.sources()
    sources = list(named.values())

    def for_(stage: Stage) -> list[Source]:
        return sources if stage.shares is None else [replace(named[n], share=s) for n, s in stage.shares.items()]

    language = load_language_model(recipe.language_model, dtype=fast_dtype("cpu"))
    # torch's fused attention is slow backwards on a processor: a third of a step
    language.model.set_attn_implementation("eager" if language.model.device.type == "cpu" else "sdpa")
    before = seal(encoder.base.net, language.model)
    torch.manual_seed(recipe.seed)
    rows = language.model.get_input_embeddings().weight
    seeing = _connector(recipe, encoder.width, rows.shape[1])
    stages = _Stages(recipe, out / "stages")
    if isinstance(seeing, QFormerConnector):
        if recipe.first is not None:
            with stages("first", seeing) as run:
                if run:
                    _first(recipe, seeing, encoder, for_(recipe.first), recipe.first, quiet=quiet)
        seeing = without_text(seeing)

    def composed(connector: nn.Module) -> VisionLanguageModel:
        return VisionLanguageModel(
            encoder,
            connector,
            language.model,
            language.tokenizer,
            ChatML(),
            question_tokenizer=question_tokenizer_of(connector, language.tokenizer),
        )

    words = words_of(language.tokenizer, rows, sources, on_grid=isinstance(seeing, MlpConnector))
    speaking: nn.Module = seeing
    if recipe.words is not None:
        speaking = AlignConnector(words.table, seeing)
        with stages("words", speaking) as run:
            if run:
                train_words(
                    composed(speaking), encoder, for_(recipe.words), recipe.words, recipe.seed, words=words, quiet=quiet
                )
    if recipe.names is not None:
        assert isinstance(speaking, AlignConnector)
        names = names_of(sources)
        speaking = NamesConnector(speaking, words.spelled(names), NAMES)
        with stages("names", speaking) as run:
            if run:
                train_names(speaking, encoder, for_(recipe.names), recipe.names, recipe.seed, names=names, quiet=quiet)
    if recipe.hints is not None:
        assert isinstance(speaking, AlignConnector | NamesConnector)
        speaking = HintConnector(speaking, rows, HintShape())
        with stages("hints", speaking) as run:
            if run:
                train_hints(
                    composed(speaking), encoder, for_(recipe.hints), recipe.hints, recipe.seed, words=words, quiet=quiet
                )
    prompt, cue = (
        rows[torch.tensor(language.tokenizer(said)["input_ids"], dtype=torch.long, device=rows.device)]
        for said in (recipe.soft_prompt, recipe.cue)
    )
    connector = SoftPromptConnector(prompt, speaking, cue=cue)
    model = composed(connector)
    if recipe.prompt is not None:
        with stages("prompt", connector) as run:
            if run:
                train_answers(
                    model, encoder, for_(recipe.prompt), recipe.prompt, recipe.seed, steering=True, quiet=quiet
                )
    if recipe.first is not None and isinstance(seeing, MlpConnector):
        with stages("first", connector) as run:
            if run:
                train_answers(model, encoder, for_(recipe.first), recipe.first, recipe.seed, words=words, quiet=quiet)
    with stages("second", connector) as run:
        if run:
            train_answers(model, encoder, for_(recipe.second), recipe.second, recipe.seed + 1, words=words, quiet=quiet)
    blind = None
    if recipe.blind is not None:
        count = connector.num_tokens(encoder.num_tokens)
        guesser = SoftPromptConnector(_any_words(rows, count), width_in=encoder.width)
        blind = composed(guesser)
        with stages("blind", guesser) as run:
            if run:
                train_answers(blind, encoder, for_(recipe.blind), recipe.blind, recipe.seed + 2, quiet=quiet)
    require_seal(before, encoder.base.net, language.model)
    figures = measure(model, encoder, workshop.held(), blind=blind, commonest=commonest_answers(sources), quiet=quiet)
    figures["stamps"]["what, named, nearest caption"] = nearest_captions(workshop.split)
    about = {
        "lineage": {
            "recipe": asdict(recipe),
            "seal": before,
            "machine": {**machine(), "date": date.today().isoformat()},
            "held_out": {str(s.path.relative_to(STAMPS)): said for s, said in workshop.split.held.items()},
        },
        "measured": {name: {kind: asdict(f) for kind, f in each.items()} for name, each in figures.items()},
    }
    save_default_vlm(model, out, language_model=(language.name, language.fingerprint), about=about)
    return figures


def _any_words(rows: Tensor, count: int) -> Tensor:
    """Embeddings of that many words of the language model, drawn once for all."""
    drawn = torch.randint(len(rows), (count,), generator=torch.Generator().manual_seed(0))
    return rows[drawn.to(rows.device)]


class _Stages:
    """The connector as each finished stage left it, kept by all of the recipe that led to it."""

    def __init__(self, recipe: VlmRecipe, folder: Path) -> None:
        self._left, self._folder = asdict(recipe), folder
        self._led: dict[str, object] = {
            key: self._left.pop(key) for key in tuple(self._left) if key not in (*STAGES, *STEERING, *JUDGING)
        }

    @contextmanager
    def __call__(self, name: str, connector: nn.Module) -> Iterator[bool]:
        """Whether the stage is still to be run; if not, the connector is as it was behind it."""
        self._led[name] = self._left.pop(name)
        if isinstance(connector, SoftPromptConnector):
            self._led |= {key: self._left.pop(key) for key in STEERING if key in self._left}
        # the control is trained by itself: no stage led to it
        led = {key: each for key, each in self._led.items() if name != "blind" or key == name or key not in STAGES}
        key = hashlib.sha256(json.dumps(led, sort_keys=True).encode()).hexdigest()[:12]
        path = self._folder / f"{name}-{key}.safetensors"
        if path.is_file():
            connector.load_state_dict(load_file(path))
            yield False
            return
        yield True
        with written_whole(path) as temporary:
            save_file(
                {key: each.detach().cpu().contiguous() for key, each in connector.state_dict().items()}, temporary
            )


def _connector(recipe: VlmRecipe, width_in: int, width_out: int) -> QFormerConnector | MlpConnector:
    """New, its last map so small that its tokens are about as long as the language model's words."""
    shape = recipe.connector
    made: QFormerConnector | MlpConnector
    if isinstance(shape, MlpShape):
        made = pooled_mlp(width_in, width_out, layers=shape.layers, pool=shape.pool)
        last = made.maps[-1]
    else:
        made = qformer_from_bert(
            resolve(shape.start),
            width_in=width_in,
            width_out=width_out,
            queries=shape.queries,
            layers=shape.layers,
            dropout=shape.dropout,
        )
        last = made.project
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.mul_(WORD_SCALE)
    return made


def _first(
    recipe: VlmRecipe,
    connector: QFormerConnector,
    encoder: DepthsEncoder,
    sources: list[Source],
    stage: Stage,
    *,
    quiet: bool,
) -> None:
    """BLIP-2's stage 1, on all sources with captions."""
    assert isinstance(recipe.connector, QFormerShape)
    qformer = connector.qformer
    assert qformer.words is not None
    qformer.words.requires_grad_(False)  # they are the text encoder's, and most of the parameters
    stage1 = Stage1(qformer, start_token=connector.config.vocabulary - 1)
    tokenizer = load_tokenizer(resolve(recipe.connector.start), max_tokens=CAPTION_TOKENS)
    captioned = [source for source in sources if any(q.kind == "describe" for q in source.pictures.asked[0])]
    train_stage1(stage1, tokenizer, encoder, captioned, stage, recipe.seed, quiet=quiet)
