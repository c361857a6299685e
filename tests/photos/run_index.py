"""Index a folder in a process of its own, which kills itself when it has done so many database statements.

    python -m tests.photos.run_index LIBRARY FOLDER [KILL_AT]
    python -m tests.photos.run_index LIBRARY --swap [KILL_AT]          another model comes to serve
    python -m tests.photos.run_index LIBRARY --name=FOLDER [KILL_AT]   pictures in FOLDER become examples of names
    python -m tests.photos.run_index LIBRARY --watch=FOLDER            watches it, until it is ended from outside

Prints the number of statements when it comes to the end. Does not import torch, so that starting it is cheap.
"""

import itertools
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.images.views import Views
from isthmus.photos.index import index
from isthmus.photos.matrix import load_matrix
from isthmus.photos.naming import teach
from isthmus.photos.pointed import Pointed
from isthmus.photos.store import Library
from isthmus.photos.swap import embed_all, serve_with
from isthmus.photos.watch import watch

from .fakes import ColourEmbedder


class Array:
    """What indexing asks of a tensor."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def float(self) -> "Array":
        return self

    cpu = float

    def numpy(self) -> np.ndarray:
        return self.values


class TorchFree(ColourEmbedder):
    def images(self, views: Sequence[Views]) -> Any:
        return Array(self.vectors(views))

    def texts(self, texts: Sequence[str]) -> Any:
        return np.tile(self.unit, (len(texts), 1))

    @property
    def unit(self) -> np.ndarray:
        return np.full(self.dim, self.dim**-0.5, np.float32)


def main(library: str, folder: str, kill_at: int = 0) -> None:
    what, _, named = folder.partition("=")
    if what == "--watch":
        for _ in watch(Path(library), [Path(named)], TorchFree(), batch=8, workers=2, closer=False, quiet=True):
            pass
    count = itertools.count(1)
    done = 0

    def statement(_: str) -> None:
        nonlocal done
        done = next(count)
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with Library.write(Path(library)) as store:
        store._database.set_trace_callback(statement)
        if folder == "--swap":
            other = TorchFree(name="test/other", fingerprint="ff" * 32)
            embed_all(store, other, batch=8, workers=2, quiet=True)
            serve_with(store, other)
            print(done, flush=True)
            return
        embedder = TorchFree()
        if what == "--name":
            pictures = sorted(Path(named).iterdir())
            for at, name in enumerate(("Ball", "Cup", "Hat")):
                right, wrong = pictures[4 * at : 4 * at + 3], pictures[4 * at + 3]
                teach(store, embedder, name, list(map(Pointed, right)), [Pointed(wrong)])
            print(done, flush=True)
            return
        index(store, [Path(folder)], embedder, batch=8, workers=2, quiet=True)
        load_matrix(store, store.models()[0])
    print(done, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
