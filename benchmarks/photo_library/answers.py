"""Writes all questions with their meaning and their right answers in a made library to OUT/questions.jsonl.

python -m benchmarks.photo_library.answers OUT
"""

import argparse
import json
from pathlib import Path

from benchmarks.photo_library.questions import Question, questions
from benchmarks.photo_library.score import verdicts

from benchmarks.photo_library import truth
from isthmus.progress import progress

FILE = "questions.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made", type=Path, metavar="OUT", help="what `make` made")
    print(write(parser.parse_args().made))


def write(made: Path, *, quiet: bool = False) -> Path:
    """One line of JSON a question; the file's path."""
    library, asked = truth.read(made), questions()
    path = made / FILE
    with path.open("w", encoding="utf-8") as file, progress("questions", len(asked), "questions", quiet=quiet) as bar:
        for question in asked:
            file.write(json.dumps(_told(question, library), ensure_ascii=False) + "\n")
            bar.advance()
    return path


def _told(question: Question, library: truth.Library) -> dict[str, object]:
    """`right` has every file of a right picture; `unknown` those that count neither way."""
    judged = verdicts(library, question.rule)
    return {
        "sentence": question.sentence,
        "language": question.language,
        "kind": question.kind,
        "side": question.side,
        "answerable": question.answerable,
        "unseen": question.unseen,
        "meaning": repr(question.rule),
        "right": [photo.path for photo in library.photos if judged[photo.picture]],
        "unknown": [photo.path for photo in library.photos if judged[photo.picture] is None],
    }


if __name__ == "__main__":
    main()
