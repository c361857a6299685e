"""Indexes a made library, asks all questions, and says how good the answers are, by kind.

Questions to which a small library has no answer, though the full one has, are left out, and that is said.

    python -m benchmarks.photo_library.run OUT [--index FOLDER] [--side dev|test] [--whole] [--json]
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import show
from benchmarks.photo_library.make import PHOTOS
from benchmarks.photo_library.questions import Question, questions
from benchmarks.photo_library.score import Answer, Row, Score, score, summary, verdicts
from benchmarks.photo_library.story import NOW

from benchmarks.photo_library import truth
from isthmus.contrastive import Embedder, load_embedder
from isthmus.contrastive.metrics import Interval
from isthmus.photos import paths
from isthmus.photos.index import index
from isthmus.photos.regions import look_closer
from isthmus.photos.search import Searcher
from isthmus.photos.store import Library
from isthmus.progress import progress

Ask = Callable[[str], Answer]
"""A sentence -> files relative to the made library's folder, best first, and how many are sure."""

DEEP = 200
"""How far down the order is looked at, at least."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made", type=Path, metavar="OUT", help="what `make` made")
    parser.add_argument("--index", type=Path, help="where the index is kept; default: a new one, in a temporary folder")
    parser.add_argument("--model", default="default/embedder")
    parser.add_argument("--side", choices=("dev", "test"), help="only the questions to choose by, or those held out")
    parser.add_argument("--whole", dest="closer", action="store_false", help="do not look at regions of photos")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    library = truth.read(options.made)
    asked = [question for question in questions() if options.side in (None, question.side)]
    with tempfile.TemporaryDirectory() as temporary:
        kept = options.index or Path(temporary)
        with todays_search(options.made, kept, load_embedder(options.model), options.closer) as ask:
            scores, without = ask_all(ask, library, asked, quiet=options.json)
    report(summary(scores), library, without, as_json=options.json)


@contextmanager
def todays_search(made: Path, kept: Path, embedder: Embedder, closer: bool) -> Iterator[Ask]:
    """`isthmus.photos.search` over the made library, indexed here where it is not yet. The one place to change when the
    search can do more."""
    with Library.write(kept) as store:
        index(store, [made / PHOTOS], embedder)
        if closer:
            look_closer(store, embedder)
    with Library.read(kept) as store:
        searcher = Searcher(store, embedder)
        # the index knows real paths
        root = os.fsencode(made.resolve())
        names = {
            photo: os.fsdecode(os.path.relpath(paths.join(folder, path), root))
            for photo, folder, path in store.query(
                "SELECT f.photo, r.path, f.path FROM files f JOIN roots r ON r.id = f.root WHERE f.photo IS NOT NULL"
            )
        }

        def ask(sentence: str) -> Answer:
            ranking = searcher.rank(searcher.read(sentence, NOW))
            # Without words whatever fits is right.
            sure = ranking.fitting if ranking.sure is None else ranking.sure
            best = ranking.first(max(sure, DEEP))
            return Answer(tuple(names[photo] for photo in best.photos.tolist()), min(sure, len(best.photos)))

        yield ask


def ask_all(
    ask: Ask, library: truth.Library, asked: Sequence[Question], *, quiet: bool = False
) -> tuple[list[Score], list[Question]]:
    """The scores, and the questions that were left out because this library has no answer to them."""
    pictures = {photo.path: photo.picture for photo in library.photos}
    scores, without = [], []
    with progress("questions", len(asked), "questions", quiet=quiet) as bar:
        for question in asked:
            judged = verdicts(library, question.rule)
            if question.answerable != (True in judged.values()):
                without.append(question)
            else:
                scores.append(score(question, ask(question.sentence), judged, pictures))
            bar.advance()
    return scores, without


def report(rows: Sequence[Row], library: truth.Library, without: Sequence[Question], *, as_json: bool) -> None:
    table = [
        {
            "questions": row.what,
            "asked": row.questions,
            "set-F1": _told(row.f1, as_json),
            "nDCG@10": _told(row.ndcg, as_json),
            "wrongly empty": _told(row.wrongly_empty, as_json),
            "rejected": _told(row.rejected, as_json),
        }
        for row in rows
    ]
    notes = [f"{len(library.photos)} files, seed {library.about['seed']}; mean [95 % interval over questions]"]
    if lacking := sum(question.answerable for question in without):
        notes.append(f"left out: {lacking} questions whose answers are in a larger library only")
    if against := [question.sentence for question in without if not question.answerable]:
        notes.append(f"left out: what should be in no photo and is: {against}")
    if not rows:
        print("\n".join(notes), file=sys.stderr)
        sys.exit("no question can be asked of this library: make a larger one")
    show("made photo library", table, notes, as_json)


def _told(figure: Interval | None, as_json: bool) -> object:
    if as_json:
        return figure and figure.as_json()
    return str(figure) if figure else "-"


if __name__ == "__main__":
    main()
