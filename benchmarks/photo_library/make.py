"""Makes the photo library: a folder of pictures as people have them, and truth.jsonl, which says what is known of each.

The same count and seed give the same bytes, with the same versions of Pillow, the stamps and the Chinese font.

    python -m benchmarks.photo_library.make OUT [--photos 10000] [--seed 0]
"""

import argparse
import os
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.photo_library.draw import Drawn, draw
from benchmarks.photo_library.metadata import encoded
from benchmarks.photo_library.plan import Shot, check_parts, plan
from benchmarks.photo_library.story import NOW, TOWNS
from benchmarks.photo_library.truth import Library, Photo
from benchmarks.photo_library.written import chinese_font

from isthmus.errors import InputError
from isthmus.progress import progress

PHOTOS = "photos"
"""The folder below OUT that is to be indexed."""
COPIED = datetime(2024, 5, 1, tzinfo=UTC).timestamp()
"""When the files came onto this disk: the modification time of those that tell no time of their own."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    library = make(options.out, options.photos, options.seed)
    for what, count in library.counts().items():
        print(f"{what:20} {count:6}")


def make(out: Path, count: int, seed: int, *, quiet: bool = False) -> Library:
    """Raises InputError where `out` is there already or the count is small, MissingPart where a part is not installed.

    A library that was begun and not finished has no truth.jsonl.
    """
    if out.exists():
        raise InputError(f"{out} is there already", todo="name a new folder")
    if count < 20:
        raise InputError(f"{count} photos are too few for copies and bursts", todo="give 20 or more")
    check_parts()
    photos: list[Photo] = []
    with progress("photos", count, "photos", quiet=quiet) as bar:
        # copies come last: what they are a copy of must be there
        for shot in sorted(plan(count, seed), key=lambda shot: shot.copy_of != ""):
            photos.append(_written(out / PHOTOS, shot))
            bar.advance()
    about = {
        "photos": count,
        "seed": seed,
        "now": NOW.isoformat(),
        "pillow": version("pillow"),
        "chinese font": chinese_font().name,
    }
    library = Library(about, tuple(sorted(photos, key=lambda photo: photo.path)))
    library.write(out)
    return library


def _written(root: Path, shot: Shot) -> Photo:
    path = root / shot.path
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = draw(shot)
    if shot.copy_of:
        shutil.copyfile(root / shot.copy_of, path)
    else:
        files = encoded(drawn.image, shot)
        path.write_bytes(files.picture)
        if files.sidecar:
            beside = path.with_suffix(".xmp") if files.ending else path.with_name(f"{path.name}.xmp")
            beside.write_bytes(files.sidecar)
    stamp = COPIED if shot.dated == "none" else shot.instant.timestamp()
    os.utime(path, (stamp, stamp))
    return _told(shot, drawn)


def _told(shot: Shot, drawn: Drawn) -> Photo:
    town, camera = TOWNS[shot.town], shot.camera
    return Photo(
        path=f"{PHOTOS}/{shot.path}",
        picture=shot.picture,
        kind=shot.content.kind,
        time=shot.time,
        offset=shot.offset,
        dated=shot.dated,
        town=town.name,
        chinese_town=town.chinese,
        country=town.country,
        latitude=shot.latitude,
        longitude=shot.longitude,
        placed=shot.placed,
        maker=camera.maker if camera else "",
        model=camera.model if camera else "",
        width=drawn.image.width,
        height=drawn.image.height,
        orientation=shot.orientation,
        things=drawn.things,
        maybe=drawn.maybe,
        people=drawn.people,
        text=drawn.text,
        keywords=shot.keywords,
        burst=shot.burst,
        copy_of=f"{PHOTOS}/{shot.copy_of}" if shot.copy_of else "",
    )


if __name__ == "__main__":
    main()
