"""The default embedder on concepts it never saw, and on photographs.

Held-out stamps: for each seed the recipe trains anew with another 150 captions held out (by concept), so the interval
is over splits and trainings: Student's t over seeds. Photographs: sentences in other words than the class names', for
pictures that come with scikit-image, scikit-learn and matplotlib; the heads must not lose what the prior alone finds.

    OPENMOJI=folder python -m benchmarks.embedder [--recipe FILE] [--seeds 10 11 12 13 14] [--json FILE]

--json FILE also writes what the model card is made from.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from benchmarks.machine import show
from scipy.stats import t as student
from tests.photographs import PHOTOGRAPHS, photograph

from isthmus.checkpoints import resolve
from isthmus.contrastive.default import Heads
from isthmus.contrastive.sentence import SentenceEncoder, load_minilm
from isthmus.images.open import open_picture
from isthmus.machine import machine
from isthmus.training.embedder import measure, read_sources, split_stamps, train_heads
from isthmus.training.features import encode_pictures
from isthmus.training.recipe import read_recipe
from isthmus.vision.efficientnet import EfficientNetEncoder, load_efficientnet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/embedder.yaml"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12, 13, 14])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    recipe = read_recipe(options.recipe)
    encoder = load_efficientnet(resolve(recipe.encoder), dtype=torch.bfloat16)
    sentences = load_minilm(resolve(recipe.text_encoder))
    sources = read_sources(recipe)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in options.seeds:
        split = split_stamps(sources["stamps"], recipe.held_out, seed)
        heads = train_heads(dataclasses.replace(recipe, seed=seed), sources, split, encoder, sentences)
        for name, change in VARIANTS.items():
            kept = heads.config
            heads.config = dataclasses.replace(kept, prior_weight=change(kept.prior_weight))
            figures = {key: figure.value for key, figure in measure(heads, split, encoder, sentences).items()}
            figures |= on_photographs(heads, encoder, sentences)
            heads.config = kept
            found.setdefault(name, []).append(figures)
    rows: list[dict[str, object]] = [
        {"vectors": name, **{key: interval([figures[key] for figures in all_]) for key in all_[0]}}
        for name, all_ in found.items()
    ]
    notes = [f"seeds {options.seeds}: mean ± half of the 95 % interval (Student's t over seeds); {options.recipe}"]
    show("default embedder", rows, notes, as_json=False)
    if options.json:
        whole = {"date": date.today().isoformat(), "seeds": options.seeds, "machine": machine(), "rows": rows}
        options.json.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# 1e6 and 0 stand for "the prior alone" and "the heads alone"
VARIANTS: dict[str, Callable[[float], float]] = {
    "heads and prior": lambda weight: weight,
    "heads alone": lambda _: 0.0,
    "prior alone": lambda _: 1e6,
}


@torch.no_grad()
def on_photographs(heads: Heads, encoder: EfficientNetEncoder, sentences: SentenceEncoder) -> dict[str, float]:
    """R@1 and R@3 of the sentences of `tests.photographs`, each for its one photograph."""
    names = list(PHOTOGRAPHS)
    seen = encode_pictures(encoder, [open_picture(photograph(name)).image for name in names])
    pictures = heads.images(seen, heads.prior(encoder.classify(seen[:, : encoder.width])))
    asked = [(row, text) for row, name in enumerate(names) for text in PHOTOGRAPHS[name]]
    scores = heads.texts(sentences.encode([text for _, text in asked])) @ pictures.T
    right = torch.tensor([row for row, _ in asked])
    rank = (scores > scores.gather(1, right[:, None])).sum(1)
    return {f"photos R@{k}": (rank < k).double().mean().item() for k in (1, 3)}


def interval(values: list[float]) -> str:
    x = torch.tensor(values, dtype=torch.float64)
    half = student.ppf(0.975, len(x) - 1) * x.std().item() / len(x) ** 0.5 if len(x) > 1 else float("nan")
    return f"{x.mean():.3f} ± {half:.3f}"


if __name__ == "__main__":
    main()
