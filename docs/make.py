"""Writes what the docs show of measurements: the model cards of the default parts that are trained here.

    python docs/make.py            # writes docs/models/*.md
    python docs/make.py --check    # exits 1 where a card is not what the measurements say

Reads the config.json beside the weights (written by training) and, for the embedder, docs/models/embedder.json (written
by `python -m benchmarks.embedder --json FILE`).
"""

import json
import sys
from pathlib import Path
from typing import Any

from isthmus.training.data.sources import ICONS

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "src/isthmus/weights"
CARDS = ROOT / "docs/models"


def main() -> None:
    figures = json.loads((CARDS / "embedder.json").read_text())
    cards = {"embedder": embedder_card(_config("embedder"), figures)}
    for name in ("vlm", "vlm-llava"):
        if (WEIGHTS / name).is_dir():
            cards[name] = vlm_card(name, _config(name))
    for name, card in cards.items():
        path = CARDS / f"{name}.md"
        if "--check" not in sys.argv[1:]:
            path.write_text(card)
        elif not path.is_file() or path.read_text() != card:
            sys.exit(f"{path} is not what the measurements say: run `make docs`")


def _config(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((WEIGHTS / name / "config.json").read_text())
    return config


SETS = {
    "stamps": "pictures of one thing: stamps of which no file was trained on, each of a kind that was",
    "scenes": "scenes composed of those stamps, on photographs and drawn grounds of their own",
    "easy-vqa": "easy-vqa's own test pictures",
}


STAGES = {
    "first": "stage 1: contrast, matching, captions (no language model)",
    "words": "words: its tokens become the words of a form (no language model)",
    "names": "names: what single things are called, as a whole (no language model)",
    "hints": "hints: what to say to a question about such a form (no language model)",
    "prompt": "prompt: the learned tokens around them alone, by the language model's loss on the answers",
    "second": "stage 2: all of it, by the same loss",
}
LLAVA = {
    "words": "words: its tokens say what there is, how many and its colour, where it is (no language model)",
    "first": "align: all of it, by the language model's loss on captions",
    "second": "instruct: all of it, by the same loss on answers",
}


def vlm_card(name: str, config: dict[str, Any]) -> str:
    recipe, here = config["lineage"]["recipe"], config["lineage"]["machine"]
    parts, part = {}, config["connector"]
    while part is not None:
        parts[part["kind"]] = part
        part = part.get("inner")
    prompt = parts["soft prompt"]
    if "qformer" in parts:
        qformer, align, names, hint = parts["qformer"], parts["align"], parts["names"], parts["hint"]
        between = f"""a
Q-Former of {qformer["layers"]} layers, {qformer["width"]} wide, whose {qformer["queries"]} queries become mixtures of
{align["words"]} of the language model's words, a linear map of rank {names["shape"]["rank"]} that weighs {names["names"]} names as wholes, a
transformer of {hint["shape"]["layers"]} layers that reads the question beside them and adds {hint["shape"]["tokens"]} words of a hint, and {prompt["tokens"]} + {prompt["cue"]} learned tokens before form and hint"""
        told = STAGES
    else:
        between = f"""an
MLP of {parts["mlp"]["layers"]} layers that makes of each {parts["mlp"]["pool"]} x {parts["mlp"]["pool"]} of the encoder's cells, and of its two overviews, a mixture
of {parts["align"]["words"]} of the language model's words, and {prompt["tokens"]} learned tokens before them"""
        told = LLAVA
    tables = "\n\n".join(_answers(SETS[held], figures) for held, figures in config["measured"].items())
    sources = "; ".join(
        f"{source} (share {entry['share']}" + (f", {entry['views']} views)" if entry["views"] > 1 else ")")
        for source, entry in recipe["sources"].items()
    )
    icons = f", {_icons()}" if "icons" in recipe["sources"] else ""
    size = (WEIGHTS / name / "model.safetensors").stat().st_size
    stages = "\n".join(
        f"| {said} | {recipe[stage]['steps']} | {recipe[stage]['batch']} | {recipe[stage]['rate']} |"
        for stage, said in told.items()
        if recipe[stage] is not None
    )
    control = (
        ""
        if recipe["blind"] is None
        else """ **Blind**: a model trained on the same questions with
learned tokens in the picture's place, so it answers as well as can be guessed."""
    )
    return f"""# Model card: default/{name}

*Written by `make docs` from the measurements in `src/isthmus/weights/{name}/config.json`.*

Questions about pictures, answered in a few words. A frozen encoder ({config["encoder"]["name"]}, read at all depths at
{config["encoder"]["size"]} pixels) and a frozen language model ({config["language_model"]["name"]}); between them {between}
({size / 1e6:.1f} MB, half precision). Frozen is meant to the bit: the
SHA-256 of both before training, `{config["lineage"]["seal"][:16]}…`, was found again behind it.

## What it was trained on

{sources}; {recipe["scenes"]} scenes; seed {recipe["seed"]}. Stamps are Debian's `tuxpaint-stamps-default` (GPL-2), clip art
`openclipart-svg` (public domain), emoji OpenMoji 17 (CC-BY-SA-4.0){icons}, glyphs
the DejaVu fonts of matplotlib, grounds the photographs of `lomiri-wallpapers`, easy-vqa the package of that name (MIT). None of these pictures is in this project.
"imagined" are empty scenes and drawings in whose features one of the encoder's thousand classes is imagined, so that
photographs of common things are named though none was trained on.

| | steps | batch | rate |
|---|---|---|---|
{stages}

    isthmus train recipes/{name}.yaml --out {name}

## What it scores on what it never saw

Share of answers that are the expected one word for word, or, where it says *named*, whose answer names the thing ("apple"
for a red apple); 95 % bootstrap interval over questions.{control} **Another picture**: this model, shown
the picture of another question. **Nearest caption**: the default embedder's, of all captions trained on. **Commonest**: if
the commonest answer of each kind were given always.

{tables}

Measured on {here["date"]}: {here["processor"]}, {here["cores"]} cores, torch {here["torch"]}, Python {here["python"]}.

## Limits

It was trained on drawings and compositions: it answers in one to five words of English, knows what
is common, and reads no text beyond single letters. What it says is a guess in the style of its training, also where it is wrong.
The parts it stands on carry the biases of ImageNet and of the web.

Licence: Apache-2.0 for the connector; the frozen parts are Apache-2.0 (`isthmus models`).
"""


def _icons() -> str:
    """ "icons the npm packages `@iconify-json/`: noto, noto-v1 (Apache-2.0); twemoji (CC-BY-4.0)"."""
    under: dict[str, list[str]] = {}
    for package, (_, licence) in ICONS.items():
        under.setdefault(licence, []).append(package)
    listed = "; ".join(f"{', '.join(packages)} ({licence})" for licence, packages in under.items())
    return f"icons the npm packages `@iconify-json/`: {listed}"


def _answers(told: str, figures: dict[str, dict[str, float]]) -> str:
    """A table of one set, a row for each kind of question."""

    def share(key: str, *, interval: bool = False) -> str:
        entry = figures.get(key)
        if entry is None:
            return ""
        return f"{entry['value']:.3f}" + (f" [{entry['low']:.3f}, {entry['high']:.3f}]" if interval else "")

    kinds = [key for key in figures if "," not in key]
    if len(kinds) == 2:
        kinds = kinds[:1]  # one kind and "all" are the same
    rows = []
    for kind in kinds:
        cells = [share(kind, interval=True), share(f"{kind}, above blind", interval=True)]
        cells += [share(f"{kind}, {control}") for control in ("blind", "another picture", "commonest")]
        rows.append(f"| {kind} | " + " | ".join(cells) + " |")
        if f"{kind}, named" in figures:
            cells = [share(f"{kind}, named", interval=True), "", share(f"{kind}, named, blind"), "", ""]
            if retrieved := share(f"{kind}, named, nearest caption"):
                cells[0] += f"; nearest caption {retrieved}"
            rows.append(f"| {kind}, *named* | " + " | ".join(cells) + " |")
    return (
        f"**{told[0].upper()}{told[1:]}**\n\n| | right | above blind | blind | another picture | commonest |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


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
    size = (WEIGHTS / "embedder/model.safetensors").stat().st_size
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
