"""Train the heads of the default embedder, and measure them on concepts no training picture showed.

The two encoders are frozen, so each picture's features and each caption's vector are computed once; what trains is
two linear maps under the contrastive loss, with the class-name prior's similarity added to the learned one.
"""

import dataclasses
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from isthmus.checkpoints import resolve
from isthmus.checkpoints.cache import written_whole
from isthmus.contrastive.default import Heads
from isthmus.contrastive.heads import HeadsConfig
from isthmus.contrastive.losses import InfoNCE
from isthmus.contrastive.metrics import Interval, bootstrap, first_rank, median
from isthmus.contrastive.sentence import SentenceEncoder, load_minilm
from isthmus.precision import fast_dtype
from isthmus.progress import progress
from isthmus.training.data.sources import Sample, clipart, concept_of, emoji, emoji_folder, stamps
from isthmus.training.features import Described, described, scene_features
from isthmus.training.recipe import EmbedderRecipe
from isthmus.vision.efficientnet import EfficientNetEncoder, load_efficientnet
from isthmus.vision.imagenet import imagenet_classes


@dataclass(frozen=True)
class Split:
    """`held` concepts; `test`: the stamps (PNG only) that show them, which nothing trains on."""

    held: frozenset[str]
    test: tuple[Sample, ...]

    def keeps(self, sample: Sample) -> bool:
        """Whether training may see it: neither its concept nor any of its captions is held out."""
        return sample.concept not in self.held and not any(concept_of(c) in self.held for c in sample.captions)


@dataclass(frozen=True)
class Material:
    """One source's features and captions. captions[i]: rows of `Texts` for sample i, fullest first."""

    share: float
    features: Described
    captions: tuple[tuple[int, ...], ...]
    allowed: Tensor
    """[V] indices of the views that training may see."""


def train_embedder(recipe: EmbedderRecipe, out: Path, *, quiet: bool = False) -> dict[str, Interval]:
    """Follows the recipe, writes model.safetensors and config.json to `out`, returns the held-out figures.

    The figures go into config.json too. Raises MissingPart where a source or a part is not installed.
    """
    encoder = load_efficientnet(resolve(recipe.encoder), dtype=fast_dtype("cpu"))
    sentences = load_minilm(resolve(recipe.text_encoder))
    sources = read_sources(recipe)
    split = split_stamps(sources["stamps"], recipe.held_out, recipe.seed)
    heads = train_heads(recipe, sources, split, encoder, sentences, quiet=quiet)
    figures = measure(heads, split, encoder, sentences, quiet=quiet)
    _save(heads, recipe, split, figures, out)
    return figures


def read_sources(recipe: EmbedderRecipe) -> dict[str, list[Sample]]:
    """The installed samples of each source the recipe names; always the stamps, which are the test."""
    found = {"stamps": stamps()}
    if "clipart" in recipe.sources:
        found["clipart"] = clipart()
    if "emoji" in recipe.sources:
        found["emoji"] = emoji(emoji_folder(recipe.openmoji))
    return found


def split_stamps(samples: Sequence[Sample], captions: int, seed: int) -> Split:
    """Holds out whole concepts, in an order drawn by `seed`, until `captions` different captions are."""
    pictures = [sample for sample in samples if sample.path.suffix == ".png"]
    concepts = sorted({sample.concept for sample in pictures})
    random.Random(seed).shuffle(concepts)
    held: set[str] = set()
    unseen: set[str] = set()
    for concept in concepts:
        if len(unseen) >= captions:
            break
        held.add(concept)
        unseen |= {sample.captions[0] for sample in pictures if sample.concept == concept}
    return Split(frozenset(held), tuple(sample for sample in pictures if sample.concept in held))


def train_heads(
    recipe: EmbedderRecipe,
    sources: dict[str, list[Sample]],
    split: Split,
    encoder: EfficientNetEncoder,
    sentences: SentenceEncoder,
    *,
    quiet: bool = False,
) -> Heads:
    """The heads, trained on what the split leaves. Deterministic by the recipe's seed on one machine."""
    texts, materials = _materials(recipe, sources, split, encoder, sentences, quiet=quiet)
    seen = torch.cat([m.features.features[m.allowed].float() for m in materials])
    heads = Heads(
        HeadsConfig(width_image=seen.shape[1], dim=recipe.dim, prior_weight=recipe.prior_training, centre=recipe.centre)
    )
    torch.manual_seed(recipe.seed)
    for head in (heads.image, heads.text):
        head.reset_parameters()
    heads.mean.copy_(seen.mean(0))
    heads.std.copy_(seen.std(0) + 1e-3)
    said = sorted({m.captions[int(i)][0] for m in materials for i in m.features.picture[m.allowed]})
    heads.centre.copy_(recipe.centre * texts[torch.tensor(said)].mean(0))
    heads.classes.copy_(class_vectors(sentences))
    with torch.no_grad():
        prior = heads.prior(encoder.classify(seen[:, : encoder.width]))
    _fit(recipe, heads, materials, seen, prior, texts, quiet=quiet)
    heads.config = dataclasses.replace(heads.config, prior_weight=recipe.prior)
    return heads.eval()


@torch.no_grad()
def measure(
    heads: Heads,
    split: Split,
    encoder: EfficientNetEncoder,
    sentences: SentenceEncoder,
    *,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Interval]:
    """Held-out captions against held-out pictures, each caption one query; the pictures as a user's would be seen."""
    features = described(encoder, "held-out stamps", split.test, 0, quiet=quiet)
    seen = features.features.float()
    pictures = heads.images(seen, heads.prior(encoder.classify(seen[:, : encoder.width])))
    captions = sorted({sample.captions[0] for sample in split.test})
    said = heads.texts(sentences.encode(captions))
    shown = [split.test[i].captions[0] for i in features.picture.tolist()]
    relevant = torch.tensor([[caption == other for other in shown] for caption in captions])
    rank = first_rank(said @ pictures.T, relevant)
    figures = {f"R@{k}": bootstrap((rank <= k).double(), seed=seed) for k in (1, 5, 10)}
    return figures | {"median rank": bootstrap(rank, seed=seed, statistic=median)}


def _materials(
    recipe: EmbedderRecipe,
    sources: dict[str, list[Sample]],
    split: Split,
    encoder: EfficientNetEncoder,
    sentences: SentenceEncoder,
    *,
    quiet: bool,
) -> tuple[Tensor, list[Material]]:
    """Vectors of all captions [T, 384], and each source with the rows its captions have there."""
    entries = {str(name): entry for name, entry in recipe.sources.items()}
    samples: dict[str, list[Sample]] = {name: sources[name] for name in recipe.sources if name != "scenes"}
    features = {
        name: described(encoder, name, members, entries[name].views, quiet=quiet) for name, members in samples.items()
    }
    if "scenes" in recipe.sources:
        cutouts = [s for s in sources["stamps"] if s.path.suffix == ".png" and split.keeps(s)]
        samples["scenes"], features["scenes"] = scene_features(
            encoder, cutouts, recipe.scenes, recipe.seed, quiet=quiet
        )
    said = sorted({caption for members in samples.values() for sample in members for caption in sample.captions})
    row = {caption: i for i, caption in enumerate(said)}
    materials = []
    for name, members in samples.items():
        keep = torch.tensor([split.keeps(sample) for sample in members])
        allowed = keep[features[name].picture].nonzero().flatten()
        captions = tuple(tuple(row[c] for c in sample.captions) for sample in members)
        materials.append(Material(entries[name].share, features[name], captions, allowed))
    return _encode_texts(sentences, said, quiet=quiet), materials


def _fit(
    recipe: EmbedderRecipe,
    heads: Heads,
    materials: Sequence[Material],
    seen: Tensor,
    prior: Tensor,
    texts: Tensor,
    *,
    quiet: bool,
) -> None:
    """AdamW with one cycle of the rate; each batch mixes the sources by their shares."""
    total = 1 + recipe.prior_training  # similarity is the weighted mean of two cosines: the scale makes it their sum
    loss = InfoNCE(scale=recipe.scale * total, most=100 * total)
    groups = [
        {"params": [heads.image.weight, heads.text.weight], "weight_decay": recipe.weight_decay},
        {"params": loss.parameters(), "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, recipe.steps, pct_start=0.1)
    shares = torch.tensor([m.share for m in materials])
    sizes = (shares / shares.sum() * recipe.batch).long().tolist()
    starts = [0]
    for m in materials:
        starts.append(starts[-1] + len(m.allowed))
    # every view's first and last caption
    first, last = (
        torch.cat([torch.tensor([c[at] for c in m.captions])[m.features.picture[m.allowed]] for m in materials])
        for at in (0, -1)
    )
    heads.train()
    with progress("heads", recipe.steps, "steps", quiet=quiet) as reporter:
        for _ in range(recipe.steps):
            picks = [
                start + torch.randint(len(m.allowed), (n,))
                for m, n, start in zip(materials, sizes, starts, strict=False)
            ]
            rows = torch.cat(picks)
            caption = torch.where(torch.rand(len(rows)) < recipe.keywords, last[rows], first[rows])
            images = heads.images(seen[rows], prior[rows], dropout=recipe.dropout)
            value = loss(images, heads.texts(texts[caption]), same=caption)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            reporter.advance(note=f"loss {value.item():.3f}")


def class_vectors(sentences: SentenceEncoder) -> Tensor:
    """[1000, 384]: what each class is called and what it is."""
    return sentences.encode([f"{c.names[0]}: {c.gloss}" for c in imagenet_classes()])


def _encode_texts(sentences: SentenceEncoder, texts: Sequence[str], *, quiet: bool) -> Tensor:
    vectors = []
    with progress("captions", len(texts), "texts", quiet=quiet) as reporter:
        for start in range(0, len(texts), 512):
            vectors.append(sentences.encode(texts[start : start + 512]))
            reporter.advance(len(vectors[-1]))
    return torch.cat(vectors)


def _save(heads: Heads, recipe: EmbedderRecipe, split: Split, figures: dict[str, Interval], out: Path) -> None:
    encoder, sentences = resolve(recipe.encoder), resolve(recipe.text_encoder)
    with written_whole(out / "model.safetensors") as temporary:
        # half precision: vectors move by 1e-4, and the file is half as large
        save_file({key: value.half().contiguous() for key, value in heads.state_dict().items()}, temporary)
    config = {
        "model_type": "isthmus-embedder",
        "heads": asdict(heads.config),
        "encoder": {"name": encoder.name, "fingerprint": encoder.fingerprint},
        "text_encoder": {"name": sentences.name, "fingerprint": sentences.fingerprint},
        "fit": load_efficientnet(encoder).fit.fingerprint,
        "recipe": asdict(recipe),
        "held_out_concepts": sorted(split.held),
        "held_out": {name: asdict(figure) for name, figure in figures.items()},
    }
    with written_whole(out / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
