"""Writes what the docs show of measurements: the model card of the default embedder.

    python docs/make.py            # writes docs/models/embedder.md
    python docs/make.py --check    # exits 1 where the card is not what the measurements say

Reads the config.json beside the weights (written by training) and docs/models/embedder.json (written by
`python -m benchmarks.embedder --json FILE`).
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "src/isthmus/weights/embedder"
CARD, FIGURES = ROOT / "docs/models/embedder.md", ROOT / "docs/models/embedder.json"


def main() -> None:
    card = embedder_card(json.loads((WEIGHTS / "config.json").read_text()), json.loads(FIGURES.read_text()))
    if "--check" in sys.argv[1:]:
        if not CARD.is_file() or CARD.read_text() != card:
            sys.exit(f"{CARD} is not what the measurements say: run `make docs`")
    else:
        CARD.write_text(card)


def embedder_card(config: dict[str, Any], figures: dict[str, Any]) -> str:
    recipe, heads, here = config["recipe"], config["heads"], figures["machine"]
    own = "\n".join(
        f"| {name} | {entry['value']:.3f} | {entry['low']:.3f} to {entry['high']:.3f} |"
        for name, entry in config["held_out"].items()
    )
    keys = [key for key in figures["rows"][0] if key != "vectors"]
    table = "\n".join(
        f"| {row['vectors']} | " + " | ".join(str(row[key]) for key in keys) + " |" for row in figures["rows"]
    )
    sources = "; ".join(
        f"{name} (share {entry['share']}, {entry['views']} views)" for name, entry in recipe["sources"].items()
    )
    size = (WEIGHTS / "model.safetensors").stat().st_size
    return f"""# Model card: default/embedder

*Written by `make docs` from the measurements in `src/isthmus/weights/embedder/config.json` and
`docs/models/embedder.json`.*

Pictures and English sentences to one space of {heads["dim"] + heads["width_text"]} dimensions. Two frozen encoders
({config["encoder"]["name"]}, {config["text_encoder"]["name"]}) and two linear heads of {heads["dim"]} dimensions trained
here ({size / 1e6:.1f} MB), beside a prior that needs no training: the encoder's class probabilities, each times the
sentence vector of that class's name and WordNet definition.

## What it was trained on

{sources}; seed {recipe["seed"]}. Stamps are Debian's `tuxpaint-stamps-default` (GPL-2), clip art `openclipart-svg`
(public domain), emoji OpenMoji 17 (CC-BY-SA-4.0); scenes are composed from stamps. None of these pictures is in this
project. The encoders were trained by others, on ImageNet-1k and on sentence pairs from the web.

{len(config["held_out_concepts"])} concepts of stamps ({recipe["held_out"]} captions) were held out, with every picture
of the other sources that shares one; config.json lists them.

    isthmus train recipes/embedder.yaml --out embedder

## What it scores on what it never saw

These weights, held-out captions to held-out stamps; 95 % bootstrap interval over captions:

| | | interval |
|---|---|---|
{own}

The recipe, over {len(figures["seeds"])} splits, each with its own held-out concepts and training; mean ± half of the 95 %
interval over seeds. "photos": sentences in everyday words for photographs that come with scikit-image, scikit-learn
and matplotlib (`tests/photographs.py`):

| vectors | {" | ".join(keys)} |
|---|{"---|" * len(keys)}
{table}

    OPENMOJI=... python -m benchmarks.embedder --json docs/models/embedder.json

Measured on {figures["date"]}: {here["processor"]}, {here["cores"]} cores, torch {here["torch"]}, Python {here["python"]}.

## Limits

It knows what a thousand ImageNet classes and some drawings look like. It does not read text, count, tell left from
right, recognise people or places, or understand negation or languages other than English. Scores order pictures; they
are no probabilities. The encoders carry the biases of ImageNet and of the web.

Licence: Apache-2.0 for the heads; the encoders are Apache-2.0 (`isthmus models`).
"""


if __name__ == "__main__":
    main()
