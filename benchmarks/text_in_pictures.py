"""How much of the text in pictures is read and found, and what is found that is not there; pictures per second of
one processor.

Pictures are drawn (`text_drawn`), so what is written in them is known. A line is read exactly if it is there letter by
letter (spaces aside), and found if the picture is among those that `matches` gives for it. Words are asked for in the
same way; a picture found for a word that it does not have is a false match.

    python -m benchmarks.text_in_pictures [--each 12] [--split report] [--json]

What is set in the code was chosen with --split tune.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import show
from benchmarks.text_drawn import LANGUAGES, SORTS, Drawn, Split, drawn, photograph, words

from isthmus.images.open import open_picture
from isthmus.photos.store import Library
from isthmus.photos.text import kept
from isthmus.photos.text.find import matches
from isthmus.photos.text.fold import words_of
from isthmus.photos.text.lines import Line
from isthmus.photos.text.ocr import DETECTED_AT, SHORTER_SIDE, Ocr


@dataclass(frozen=True)
class Read:
    """A drawn picture (None: one without text) and what was read in it; `seconds` of a processor, with decoding."""

    drawn: Drawn | None
    lines: tuple[Line, ...]
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=12, help="pictures of each sort and language")
    parser.add_argument("--split", choices=("tune", "report"), default="report")
    parser.add_argument("--shorter-side", type=int, default=SHORTER_SIDE, help="pixels that lines are cut out of")
    parser.add_argument(
        "--detected-at", type=int, default=DETECTED_AT, help="pixels of the longer side for the detector"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ocr = Ocr(shorter_side=options.shorter_side, detected_at=options.detected_at)
    reads = list(read_all(ocr, options.split, options.each))
    with tempfile.TemporaryDirectory() as name, Library.write(Path(name)) as library:
        keep(library, reads)
        rows = [*lines_found(library, reads)]
        total, false = false_matches(library, reads, options.split)
    nothing = [read for read in reads if read.drawn is None]
    notes = [
        f"false matches: {false} of {total} pictures that do not have the word that was asked for",
        f"{sum(bool(read.lines) for read in nothing)} of {len(nothing)} pictures without text were read as having "
        f"some; {len(nothing) / sum(read.seconds for read in nothing):.2f} of these a second",
    ]
    title = f"text in pictures, {options.split}, {options.shorter_side} and {options.detected_at} pixels"
    show(title, rows, notes, options.json)


def read_all(ocr: Ocr, split: Split, each: int) -> Iterator[Read]:
    """One after another, on one processor."""
    for sort in SORTS:
        for language in LANGUAGES:
            for seed in range(each):
                picture = drawn(split, sort, language, seed)
                yield read(ocr, picture, picture.jpeg)
    for seed in range(each):
        yield read(ocr, None, photograph(split, seed))


def read(ocr: Ocr, picture: Drawn | None, jpeg: bytes) -> Read:
    start = time.process_time()  # of a processor's, so that a busy machine says the same
    lines = ocr.read(open_picture(jpeg, at_least=ocr.at_least))
    print(".", end="", file=sys.stderr, flush=True)
    return Read(picture, lines, time.process_time() - start)


def keep(library: Library, reads: Sequence[Read]) -> None:
    """As photos 1, 2, ..."""
    with library.transaction() as database:
        for photo, each in enumerate(reads, 1):
            database.execute(
                "INSERT INTO photos (id, hash, width, height, added_at) VALUES (?, ?, 1, 1, 0)",
                (photo, photo.to_bytes(32)),
            )
            kept.write(database, photo, each.lines, "measured")


def lines_found(library: Library, reads: Sequence[Read]) -> Iterator[dict[str, object]]:
    """A row for each sort and language, and one for all."""
    groups = [(sort, language) for sort in SORTS for language in LANGUAGES]
    for sort, language in [*groups, ("all", "")]:
        exact = found = lines = asked = words_found = 0
        seconds = []
        for photo, each in enumerate(reads, 1):
            shown = each.drawn
            if shown is None or (sort != "all" and (shown.sort, shown.language) != (sort, language)):
                continue
            as_read = {"".join(line.text.split()) for line in each.lines}
            seconds.append(each.seconds)
            for line in shown.lines:
                lines += 1
                exact += "".join(line.split()) in as_read
                found += photo in matches(library, line, {photo})
                for word in line.split():
                    asked += 1
                    words_found += photo in matches(library, word, {photo})
        yield {
            "pictures": f"{sort} {language}".strip(),
            "lines": lines,
            "read exactly": exact / lines,
            "found": found / lines,
            "words found": words_found / asked,
            "pictures/s": len(seconds) / sum(seconds),
        }


def false_matches(library: Library, reads: Sequence[Read], split: Split, ask: int = 100) -> tuple[int, int]:
    """(pairs of a word and a picture that does not have it, those that were found), for words that are written in some
    picture and others of the same list. A picture has a word also where that is part of a longer one."""
    rng = random.Random(f"{split} asked")
    wrote = {photo: each.drawn.lines for photo, each in enumerate(reads, 1) if each.drawn}
    asked = rng.sample(sorted({word for lines in wrote.values() for line in lines for word in line.split()}), ask)
    for language in LANGUAGES:
        asked += rng.sample(words(split, language), ask)
    total = false = 0
    for word in asked:
        wanted = "".join(words_of(word))
        found = matches(library, word)
        for photo in range(1, len(reads) + 1):
            run = "".join(each for line in wrote.get(photo, ()) for each in words_of(line))
            if wanted not in run:
                total += 1
                false += photo in found
    return total, false


if __name__ == "__main__":
    main()
