"""`make demo`: index the photographs that come with scikit-image and friends, and find four of them by sentences.

Every step is the command a user would type, shown before it runs.
"""

import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

HERE = Path("demo")
SENTENCES = ("a cat", "a cup of coffee", "an astronaut", "a rocket on its launch pad")
PICTURES = {"skimage": "data", "sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data"}


def main() -> None:
    photos = HERE / "photos"
    gather(photos)
    library = str(HERE / "library")
    run("photos", "index", str(photos), "--library", library)
    sheets = []
    for sentence in SENTENCES:
        sheet = HERE / f"{sentence.replace(' ', '-')}.png"
        run("photos", "search", sentence, "--top", "4", "--sheet", str(sheet), "--library", library)
        sheets.append(sheet)
    stack(sheets, HERE / "found.png")
    sys.stdout.write(f"\nThe four sheets in one picture: {HERE / 'found.png'}\n")


def gather(folder: Path) -> None:
    """Copies the pictures of installed packages, as a folder of a user's own might hold them."""
    folder.mkdir(parents=True, exist_ok=True)
    for module, inside in PICTURES.items():
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            continue
        for path in sorted((Path(spec.origin).parent / inside).iterdir()):
            if path.suffix in {".png", ".jpg", ".gif", ".tif"}:
                shutil.copy(path, folder / path.name)


def run(*words: str) -> None:
    """Shows the command and runs it; stops where it fails."""
    sys.stdout.write(f"\n$ isthmus {shlex.join(words)}\n")
    sys.stdout.flush()
    done = subprocess.run([sys.executable, "-m", "isthmus.cli.main", *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def stack(paths: list[Path], out: Path) -> None:
    """The sheets one below the other."""
    sheets = [Image.open(path).convert("RGB") for path in paths]
    whole = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white")
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    whole.save(out, optimize=True)


if __name__ == "__main__":
    main()
