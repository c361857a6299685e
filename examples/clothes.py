"""Pictures with captions of a domain the default model does not know: small grey photographs of clothes.

    apt-get install dataset-fashion-mnist
    python examples/clothes.py clothes --pairs 50 --test 200

writes clothes/train and clothes/test: each picture beside a text file with its caption. Of the data set's own two parts
the first gives what is trained on, the second what is tested; of each kind as many. Source: Fashion-MNIST (Xiao et al.,
2017), MIT licence.
"""

import argparse
import sys
from pathlib import Path

from isthmus.errors import MissingPart
from isthmus.labs.clothes import CAPTIONS, Clothes, clothes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        write(options.folder / "train", clothes("train", options.pairs, seed=options.seed))
        write(options.folder / "test", clothes("test", options.test))
    except MissingPart as error:
        sys.exit(f"clothes: {error}")


def write(folder: Path, found: Clothes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for at, (picture, kind) in enumerate(zip(found.pictures, found.kinds, strict=True)):
        (folder / f"{at:04}.png").write_bytes(picture)
        (folder / f"{at:04}.txt").write_text(CAPTIONS[kind] + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found)} pictures with captions in {folder}\n")


if __name__ == "__main__":
    main()
