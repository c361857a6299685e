"""What a recipe file may say, checked before anything runs: every mistake is named with its key and line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from isthmus.errors import InputError
from isthmus.training.contrast_recipe import ContrastRecipe, QFormerRecipe
from isthmus.training.data.questions import EASY_VQA, KINDS
from isthmus.training.strict import STRICT, Count, Rate, Share
from isthmus.training.tune_recipe import TuneRecipe

UNION = ("embedder", "vlm", "model", "dual-encoder", "qformer", "QFormerShape", "MlpShape", "[key]")
"""What pydantic puts into the place of a mistake, beside the keys of the file."""
SourceName: TypeAlias = Literal["stamps", "clipart", "emoji", "icons", "glyphs", "scenes", "imagined", "easy-vqa"]


@dataclass(frozen=True)
class SourceShare:
    """`share` of a batch (relative to the others'); `views`: augmented versions made of each picture."""

    __pydantic_config__ = STRICT
    share: Share
    views: Annotated[int, Field(ge=0)] = 1


@dataclass(frozen=True)
class EmbedderRecipe:
    """The heads of the default embedder; recipes/embedder.yaml says what each field means."""

    __pydantic_config__ = STRICT
    makes: Literal["embedder"]
    seed: int
    encoder: str
    text_encoder: str
    held_out: Count
    sources: Annotated[dict[Literal["stamps", "clipart", "emoji", "scenes"], SourceShare], Field(min_length=1)]
    scenes: Annotated[int, Field(ge=0)]
    openmoji: str | None
    dim: Count
    steps: Count
    batch: Count
    rate: Rate
    weight_decay: Share
    dropout: Annotated[float, Field(ge=0, lt=1)]
    keywords: Annotated[float, Field(ge=0, lt=1)]
    scale: Annotated[float, Field(gt=0, le=100)]
    prior_training: Share
    prior: Share
    centre: Share


@dataclass(frozen=True)
class Stage:
    """One stage of training: AdamW, warm-up, then a cosine down to nothing.

    `feature_dropout`: share of the encoder's channels left out, others for each picture; `questions`: of one picture,
    at most; `kinds`: which are asked (empty: all). Stage 1 of BLIP-2 asks none: its
    captions are the answers of the kind "describe". `words`: weight of the loss on words beside the answers';
    `prompt_rate`: of the soft prompt, where it is not the rest's. `shares`: of the sources in a batch, where they are
    not the recipe's; sources left out are not drawn from. `told`: accounts of scenes nobody has drawn, beside a batch's
    pictures, where hints are learned.
    """

    __pydantic_config__ = STRICT
    steps: Count
    batch: Count
    rate: Rate
    weight_decay: Share = 0.05
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.05
    feature_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    questions: Count = 6
    kinds: tuple[Literal[(*KINDS, EASY_VQA)], ...] = ()  # type: ignore[valid-type]  # texts known at run time
    words: Share = 0.0
    prompt_rate: Rate | None = None
    shares: Annotated[dict[SourceName, Share], Field(min_length=1)] | None = None
    told: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class QFormerShape:
    """A Q-Former started from `layers` of the text encoder `start`."""

    __pydantic_config__ = STRICT
    start: str
    layers: Annotated[tuple[int, ...], Field(min_length=1)]
    queries: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class MlpShape:
    """`pool` r: the mean of each r x r cells is one token, beside the overviews'."""

    __pydantic_config__ = STRICT
    layers: Count
    pool: Count = 1


@dataclass(frozen=True)
class VlmRecipe:
    """A default model that answers about pictures; recipes/vlm.yaml says what each field means.

    With a Q-Former `first` is BLIP-2's stage 1, without a language model; with an MLP it is LLaVA's alignment. In
    `words`, behind the one and before the other, the connector learns the language model's words, without running it
    (training/words.py);
    in `names`, from overviews of single things alone, what they are called (connectors/names.py); in `hints`, what in
    these words to say to a question (connectors/hint.py); in `prompt`, the soft prompt and the cue around them learn to
    have the language model answer so.
    """

    __pydantic_config__ = STRICT
    makes: Literal["vlm"]
    seed: int
    encoder: str
    size: Count
    language_model: str
    connector: QFormerShape | MlpShape
    soft_prompt: Annotated[str, Field(min_length=1)]
    """As many learned tokens as these words have, and begun as they."""
    cue: str
    """As many more before the hint, if there are hints."""
    sources: Annotated[dict[SourceName, SourceShare], Field(min_length=1)]
    scenes: Count
    openmoji: str | None
    first: Stage | None
    words: Stage | None
    hints: Stage | None
    prompt: Stage | None
    second: Stage
    blind: Stage | None
    """Of the control that sees nothing: as many tokens as a picture has, the same for all, learn from the answers alone
    what can be guessed."""
    icons: str | None = None
    names: Stage | None = None
    measured: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the held-out scenes and of easy-vqa's test that is asked about at the end."""

    def __post_init__(self) -> None:
        if self.hints is not None and self.words is None:
            raise ValueError("hints are given in words, of which words says nothing")
        if self.names is not None and self.words is None:
            raise ValueError("names are said in words, of which words says nothing")
        if isinstance(self.connector, MlpShape) and (self.hints or self.names):
            raise ValueError("hints and names need a form, and an MLP's tokens, in the order of the grid, fill none")
        if bool(self.cue) != (self.hints is not None):
            raise ValueError("a cue stands before hints, and hints behind a cue: give both or neither")
        for name, stage in vars(self).items():
            unknown = sorted(set(stage.shares or ()) - set(self.sources)) if isinstance(stage, Stage) else []
            if unknown:
                raise ValueError(f"{name} draws from {', '.join(unknown)}, of which sources says nothing")


AnyRecipe: TypeAlias = EmbedderRecipe | VlmRecipe | TuneRecipe | ContrastRecipe | QFormerRecipe
Recipe: TypeAlias = Annotated[AnyRecipe, Field(discriminator="makes")]


def read_recipe(path: Path, *, seed: int | None = None, changes: Sequence[str] = ()) -> AnyRecipe:
    """The recipe in `path`; `seed` replaces its own. `changes`: "key=value" with dots between nested keys and YAML for
    the value ("stages.instruct.batch=4", or "stages.0.batch=4"). Raises InputError with the key and line at fault."""
    try:
        text = path.read_text(encoding="utf-8")
        read = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"cannot read {path}", why=error.strerror or "", todo="recipes are in recipes/") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML", why=str(error)) from None
    if not isinstance(read, dict):
        raise InputError(f"{path} is no recipe", why="it holds no keys")
    for change in changes:
        _change(read, change)
    try:
        # as JSON, where a list may stand for a tuple but "3" is no number
        recipe: AnyRecipe = TypeAdapter(Recipe).validate_json(json.dumps(read, default=str))
    except ValidationError as error:
        raise InputError(f"{path} is no recipe", why=_said(error, text), todo="compare those in recipes/") from None
    return recipe if seed is None else replace(recipe, seed=seed)


def _change(read: Any, change: str) -> None:
    """In place. Raises InputError for a change that is none."""
    path, equals, value = change.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise InputError(f"--set {change} is no change", todo="write key=value, as in stages.0.batch=4")
    node: Any = read
    own: Any = ""
    try:
        for at, key in enumerate(keys):
            own = _place(node, key) if isinstance(node, list) else key
            if at + 1 < len(keys):
                node = node[own] if isinstance(node, list) else node.setdefault(own, {})
        node[own] = yaml.safe_load(value)
    except (ValueError, IndexError, TypeError, AttributeError):
        raise InputError(f"--set {change}: there is no {'.'.join(keys[: at + 1])}", todo="look at the recipe") from None
    except yaml.YAMLError as error:
        raise InputError(f"--set {change}: the value is not YAML", why=str(error)) from None


def _place(nodes: list[Any], key: str) -> int:
    """Of the stage so numbered, or so named. Raises ValueError where there is none."""
    if key.isdecimal():
        return int(key)
    return [isinstance(node, dict) and node.get("name") == key for node in nodes].index(True)


def _said(error: ValidationError, text: str) -> str:
    """The first mistake: where, what, and what stands there."""
    first = error.errors(include_url=False)[0]
    keys = [str(part) for part in first["loc"] if str(part) not in UNION]
    line = _line(text, keys)
    where = ".".join(keys) + (f", line {line}" if line else "")
    what = first["msg"][0].lower() + first["msg"][1:]
    stands = "" if first["type"] == "missing" or not keys else f", not {first['input']!r}"
    return f"{where}: {what}{stands}" if where else what


def _line(text: str, keys: list[str]) -> int | None:
    """The line, from 1, of the deepest of the nested keys that the file has."""
    node, line = yaml.compose(text), None
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and key.isdecimal() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
            continue
        if not isinstance(node, yaml.MappingNode):
            break
        found = next(((k, v) for k, v in node.value if k.value == key), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
