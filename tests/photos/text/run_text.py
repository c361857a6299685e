"""Read the text of a library in a process of its own, which kills itself when it has done so many database statements.

    python -m tests.photos.text.run_text LIBRARY [KILL_AT]

Prints the number of statements when it comes to the end.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

from isthmus.photos.store import Library
from isthmus.photos.text.reading import read_text

from .fakes import Colours


def main(library: str, kill_at: int = 0) -> None:
    count = itertools.count(1)
    done = 0

    def statement(_: str) -> None:
        nonlocal done
        done = next(count)
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with Library.write(Path(library)) as store:
        store._database.set_trace_callback(statement)
        read_text(store, Colours(), workers=2, quiet=True)
    print(done, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
