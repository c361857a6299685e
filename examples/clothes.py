"""Pictures with captions of a domain the default model does not know: small grey photographs of clothes.

    apt-get install dataset-fashion-mnist
    python examples/clothes.py clothes --pairs 50 --test 200

writes clothes/train and clothes/test: each picture beside a text file with its caption. Of the package's own two parts
the first gives what is trained on, the second what is tested; of each kind as many. Source: Fashion-MNIST (Xiao et al.,
2017), MIT licence.
"""

import argparse
import gzip
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path("/usr/share/datasets/fashion-mnist")
CAPTIONS = (
    "a T-shirt",
    "trousers",
    "a pullover",
    "a dress",
    "a coat",
    "a sandal",
    "a shirt",
    "a sneaker",
    "a bag",
    "an ankle boot",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not HERE.is_dir():
        sys.exit("clothes: there is no dataset-fashion-mnist here (apt-get install dataset-fashion-mnist)")
    for side, part, count in (("train", "train", options.pairs), ("test", "t10k", options.test)):
        write(options.folder / side, part, count, options.seed)
        sys.stdout.write(f"{count} pictures with captions in {options.folder / side}\n")


def write(folder: Path, part: str, count: int, seed: int) -> None:
    """`count` pictures of a part, "train" or "t10k", spread evenly over the kinds."""
    pictures, labels = pictures_of(part), labels_of(part)
    draw = random.Random(f"{part} {seed}")
    kinds = [draw.sample(np.flatnonzero(labels == kind).tolist(), -(-count // 10)) for kind in range(10)]
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(count):
        chosen = kinds[at % 10][at // 10]
        Image.fromarray(pictures[chosen]).save(folder / f"{at:04}.png")
        (folder / f"{at:04}.txt").write_text(CAPTIONS[labels[chosen]] + "\n", encoding="utf-8")


def pictures_of(part: str) -> np.ndarray:
    """[n, 28, 28] uint8, white on black."""
    return _read(f"{part}-images-idx3-ubyte.gz")[16:].reshape(-1, 28, 28)


def labels_of(part: str) -> np.ndarray:
    """[n] uint8, places in CAPTIONS."""
    return _read(f"{part}-labels-idx1-ubyte.gz")[8:]


def _read(name: str) -> np.ndarray:
    with gzip.open(HERE / name) as file:
        return np.frombuffer(file.read(), dtype=np.uint8)


if __name__ == "__main__":
    main()
