"""How well are things found that were named by a few pictures? On photos of a made library.

    python -m benchmarks.photo_library.naming OUT --index LIBRARY [--things 60] [--seeds 3]

Things are cut-outs that lie in 8 to 25 photos each, at any size, before any background. Some of these are examples,
the rest of them is to be found among all photos of the library. Every second thing was used to choose by (the
threshold of `recognise`); figures are of the others. `another`: the examples are of another thing, which is the blind
control; `plain`: by cosine, without evening the space out.
"""

import argparse
import json
import os
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.contrastive import load_embedder
from isthmus.contrastive.metrics import average_precision, bootstrap
from isthmus.images.views import Box
from isthmus.photos.matrix import load_matrix
from isthmus.photos.naming import views_of
from isthmus.photos.recognise import Space, prototype, shows
from isthmus.photos.regions import part_of
from isthmus.photos.source import Source
from isthmus.photos.store import Library

from .truth import Photo, read

FEWEST, MOST = 8, 25
WAYS = {"1 boxed": (1, True), "3": (3, False), "3 boxed": (3, True), "5": (5, False)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--index", type=Path, required=True)
    arguments.add_argument("--things", type=int, default=60)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    found = measure(given.out, given.index, given.things, given.seeds)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    print("examples | mAP | mAP plain | F1 | precision | recall | F1, examples of another")
    for way, row in found.items():
        print(" | ".join([way, *row.values()]))


def measure(out: Path, folder: Path, things: int, seeds: int) -> dict[str, dict[str, str]]:
    """[way][figure], each with its interval over things."""
    embedder = load_embedder("default/embedder")
    made = read(out)
    with Library.read(folder) as library:
        model = library.model(embedder.fingerprint)
        assert model is not None
        whole, closer = load_matrix(library, model), load_matrix(library, model, "regions")
        looked = np.intersect1d(whole.photos, closer.photos)
        rows, photos, _ = views_of(whole, closer)
        rows, photos = rows[np.isin(photos, looked)], photos[np.isin(photos, looked)]
        number = _numbers(library, out)
        seen = set(looked.tolist())
        where = _things(made.photos, {path for path, id in number.items() if id in seen})
        chosen = sorted(random.Random(0).sample(sorted(where), min(things, len(where))))
        shown = {photo.path: {thing.source for thing in photo.things} for photo in made.photos}
        has = {
            source: np.array(
                sorted({id for path, id in number.items() if id in seen and source in shown.get(path, ())})
            )
            for source in chosen
        }
        space, source = Space.of(rows), Source(library)
        order = np.unique(photos)
        figures: dict[str, dict[str, list[float]]] = {way: defaultdict(list) for way in WAYS}
        for thing, other in zip(chosen[1::2], [*chosen[3::2], chosen[1]], strict=True):
            for way, (count, boxed) in WAYS.items():
                sums: dict[str, list[float]] = defaultdict(list)
                for seed in range(seeds):
                    examples, used = _examples(embedder, source, where[thing], number, count, boxed, seed, rows, photos)
                    right = np.setdiff1d(has[thing], used)
                    rest = ~np.isin(order, used)
                    gain = torch.from_numpy(np.isin(order[rest], right).astype(np.float32))[None]
                    for name, scores in (
                        ("mAP", _best(space.unit(rows) @ space.even @ prototype(space, examples), photos, order)),
                        (
                            "mAP plain",
                            _best(rows.astype(np.float32) @ np.mean([e[0] for e in examples], 0), photos, order),
                        ),
                    ):
                        sums[name].append(float(average_precision(torch.from_numpy(scores[rest])[None], gain)))
                    got = np.setdiff1d(shows(space, rows, photos, examples).photos, used)
                    hit = len(np.intersect1d(got, right))
                    sums["F1"].append(2 * hit / max(1, len(got) + len(right)))
                    sums["precision"].append(hit / len(got) if len(got) else 1.0)
                    sums["recall"].append(hit / len(right))
                    blind, used = _examples(embedder, source, where[other], number, count, boxed, seed, rows, photos)
                    got, right = (
                        np.setdiff1d(each, used) for each in (shows(space, rows, photos, blind).photos, has[thing])
                    )
                    sums["blind"].append(2 * len(np.intersect1d(got, right)) / max(1, len(got) + len(right)))
                for name, values in sums.items():
                    figures[way][name].append(float(np.mean(values)))
    return {
        way: {name: str(bootstrap(torch.tensor(values), seed=0)) for name, values in row.items()}
        for way, row in figures.items()
    }


def _numbers(library: Library, out: Path) -> dict[str, int]:
    """The photo of each path, as the truth writes it."""
    roots = {id: Path(os.fsdecode(path)) for id, path in library.query("SELECT id, path FROM roots")}
    return {
        (roots[root] / os.fsdecode(path)).relative_to(out.resolve()).as_posix(): photo
        for root, path, photo in library.query(
            "SELECT root, path, photo FROM files WHERE photo IS NOT NULL AND gone_at IS NULL"
        )
    }


def _things(photos: Sequence[Photo], there: set[str]) -> dict[str, dict[str, Box]]:
    """[thing][path]: where it is."""
    found: dict[str, dict[str, Box]] = defaultdict(dict)
    for photo in photos:
        if photo.copy_of or photo.burst is not None or photo.path not in there:
            continue
        for thing in photo.things:
            if thing.box is not None:
                found[thing.source][photo.path] = Box(*thing.box)
    return {source: where for source, where in found.items() if FEWEST <= len(where) <= MOST}


def _examples(
    embedder: object, source: Source, where: dict[str, Box], number: dict[str, int], count: int, boxed: bool, seed: int,
    rows: NDArray[np.float16], photos: NDArray[np.int64],
) -> tuple[list[NDArray[np.float16]], list[int]]:  # fmt: skip
    """Their views, and the photos they are."""
    paths = random.Random(seed).sample(sorted(where), count)
    used = [number[path] for path in paths]
    if not boxed:
        return [rows[photos == id] for id in used], used
    parts = [embedder.fit(part_of(source.picture(number[path], None), where[path])) for path in paths]  # type: ignore[attr-defined]
    return list(embedder.images(parts).numpy().astype(np.float16)[:, None]), used  # type: ignore[attr-defined]


def _best(scores: NDArray[np.float32], photos: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of each photo in `order`: its best view's."""
    best = np.full(len(order), -np.inf, np.float32)
    np.maximum.at(best, np.searchsorted(order, photos), scores)
    return best


if __name__ == "__main__":
    main()
