"""Moves and renames a share of a made library's files, as people do after indexing; truth.jsonl follows.

python -m benchmarks.photo_library.move OUT [--share 0.1] [--seed 0]
"""

import argparse
import random
from dataclasses import replace
from pathlib import Path

from benchmarks.photo_library.make import PHOTOS
from benchmarks.photo_library.truth import Library, Photo, moved, read

from isthmus.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made", type=Path, metavar="OUT", help="what `make` made")
    parser.add_argument("--share", type=float, default=0.1, help="of all files")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    library = move(options.made, options.share, options.seed)
    print(f"{library.counts()['moved']} of {len(library.photos)} files are not where they were made")


def move(made: Path, share: float, seed: int) -> Library:
    """Half are renamed where they are, half go into another folder; sidecars go along. Raises InputError."""
    if not 0 <= share <= 1:
        raise InputError(f"a share of {share} of all files cannot be moved", todo="give 0 to 1")
    library = read(made)
    rng = random.Random(f"move {seed}")
    chosen = rng.sample(range(len(library.photos)), round(share * len(library.photos)))
    photos = list(library.photos)
    now_at = {}
    for at in sorted(chosen):
        path = _new_path(rng, photos[at], at)
        now_at[photos[at].path] = path
        _rename(made, photos[at].path, path)
        photos[at] = moved(photos[at], path)
    photos = [replace(photo, copy_of=now_at.get(photo.copy_of, photo.copy_of)) for photo in photos]
    library = Library(library.about, tuple(sorted(photos, key=lambda photo: photo.path)))
    library.write(made)
    return library


def _new_path(rng: random.Random, photo: Photo, number: int) -> str:
    """What the name or the folder said of time and place must not be lost with it, or the truth would be another."""
    folder, _, name = photo.path.rpartition("/")
    stem, _, kind = name.rpartition(".")
    if rng.random() < 0.5:
        return f"{folder}/{stem} edited {number}.{kind}"
    inside = folder.removeprefix(f"{PHOTOS}/")
    return f"{PHOTOS}/sorted/{inside}/{stem}_{number}.{kind}"


def _rename(made: Path, before: str, after: str) -> None:
    source, target = made / before, made / after
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    for old, new in (
        (source.with_suffix(".xmp"), target.with_suffix(".xmp")),
        (source.with_name(f"{source.name}.xmp"), target.with_name(f"{target.name}.xmp")),
    ):
        if old.is_file():
            old.rename(new)


if __name__ == "__main__":
    main()
