"""How many of the sentences in tests/photos/query/sentences are read exactly as written down there, by topic.

`python -m benchmarks.query_sentences [--wrong]`; `--wrong` prints those that are not, with both readings.
"""

import argparse
import time
from collections import Counter

from tests.photos.query.reading import read, tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wrong", action="store_true", help="print the sentences that are read otherwise")
    parser.add_argument("topics", nargs="*", help="default: all")
    options = parser.parse_args()
    right, total = Counter[str](), Counter[str]()
    read("Paris")  # the gazetteer is loaded once, and not counted
    begin = time.perf_counter()
    for topic, sentence, expected in tables():
        if options.topics and topic not in options.topics:
            continue
        got = read(sentence)
        total[topic] += 1
        right[topic] += got == expected
        if options.wrong and got != expected:
            print(f"{topic}: {sentence}\n    is   {got}\n    not  {expected}")
    seconds = time.perf_counter() - begin
    for topic in sorted(total):
        print(f"{topic:20} {right[topic]:4} of {total[topic]:4}  {right[topic] / total[topic]:6.1%}")
    everything = total.total()
    print(f"{'all':20} {right.total():4} of {everything:4}  {right.total() / everything:6.1%}")
    print(f"{seconds / everything * 1000:.2f} ms a sentence")


if __name__ == "__main__":
    main()
