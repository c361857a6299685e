"""`make demo`: photographs that come with scikit-image and friends; four are found by sentences, two are asked about.

Every step is the command a user would type, shown before it runs.
"""

import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path("demo")
SENTENCES = ("a cat", "a cup of coffee", "an astronaut", "a rocket on its launch pad")
ASKED = {
    "chelsea.png": ("What is this?", "Is there a dog?", "How many cats are there?"),
    "coffee.png": ("What is this?", "Is there a cup?", "Is there a dog?"),
}
SIDE, LINE, MARGIN = 440, 26, 16
"""Pixels: a picture asked about, a line of text below it, around all."""
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
    said = {name: [ask(photos / name, question) for question in questions] for name, questions in ASKED.items()}
    write_answers(photos, said, HERE / "asked.png")
    sys.stdout.write(f"\nIn two pictures: {HERE / 'found.png'}, {HERE / 'asked.png'}\n")


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


def run(*words: str) -> str:
    """Shows the command and what it says, which is returned; stops where it fails."""
    sys.stdout.write(f"\n$ isthmus {shlex.join(words)}\n")
    sys.stdout.flush()
    done = subprocess.run([sys.executable, "-m", "isthmus.cli.main", *words], check=False, stdout=subprocess.PIPE)
    said = done.stdout.decode()
    sys.stdout.write(said)
    if done.returncode:
        sys.exit(done.returncode)
    return said.strip()


def ask(photo: Path, question: str) -> str:
    return run("ask", str(photo), question)


def stack(paths: list[Path], out: Path) -> None:
    """The sheets one below the other."""
    sheets = [Image.open(path).convert("RGB") for path in paths]
    whole = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white")
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    whole.save(out, optimize=True)


def write_answers(photos: Path, said: dict[str, list[str]], out: Path) -> None:
    """Each picture with its questions and answers below it."""
    font = ImageFont.load_default(17)
    lines = max(len(answers) for answers in said.values())
    shown = {name: Image.open(photos / name).convert("RGB") for name in said}
    for photo in shown.values():
        photo.thumbnail((SIDE, SIDE))
    height = max(photo.height for photo in shown.values())
    size = MARGIN + len(said) * (SIDE + MARGIN), 2 * MARGIN + height + 8 + lines * LINE
    whole = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(whole)
    for at, (name, answers) in enumerate(said.items()):
        left = MARGIN + at * (SIDE + MARGIN)
        photo = shown[name]
        whole.paste(photo, (left, MARGIN + height - photo.height))
        for line, (question, answer) in enumerate(zip(ASKED[name], answers, strict=True)):
            top = MARGIN + height + 8 + line * LINE
            draw.text((left, top), question, "#6f6f6a", font)
            draw.text((left + font.getlength(question + "  "), top), answer, "#1c1c1a", font)
    whole.save(out, optimize=True)


if __name__ == "__main__":
    main()
