"""Small texts of several kinds, to see what a language model finds likely.

english, chinese: prose written for Isthmus (`items/prose.json`). arithmetic, dialogue: made here by a seed.
documentation, code: read, never copied, from the Python that runs this: the reference manual's topics that `help()`
shows (`pydoc_data.topics`) and modules of the standard library, both under the PSF licence. They differ from one
version of Python to another, so only measurements of one version are comparable; the items' fingerprint sees to that.
A Python without its sources has no domain code.
"""

import importlib.util
import random
import re
from collections.abc import Mapping
from pathlib import Path

from isthmus.evaluation.items import read

PASSAGES = 12
LONGEST = 400
"""Characters of a passage."""
MODULES = ("textwrap", "heapq", "bisect", "fractions", "statistics", "shlex", "string", "colorsys", "calendar", "csv")


def domains(*, passages: int = PASSAGES, seed: int = 0) -> Mapping[str, tuple[str, ...]]:
    """By domain, its passages: `passages` of them, or as many as there are. The same for the same seed and Python."""
    prose = read("prose.json")["passages"]
    texts = {
        "english": [each["text"] for each in prose if each["domain"] == "english"],
        "chinese": [each["text"] for each in prose if each["domain"] == "chinese"],
        "documentation": _documentation(),
        "code": _code(),
        "arithmetic": _arithmetic(passages, seed),
        "dialogue": _dialogue(passages, seed),
    }
    return {name: _some(each, passages, f"{name} {seed}") for name, each in texts.items() if each}


def _some(texts: list[str], count: int, seed: str) -> tuple[str, ...]:
    if len(texts) <= count:
        return tuple(texts)
    chosen = random.Random(seed).sample(range(len(texts)), count)
    return tuple(texts[at] for at in sorted(chosen))


def _documentation() -> list[str]:
    """Paragraphs of plain prose in the manual: no tables, no code, no underlines."""
    from pydoc_data.topics import topics

    paragraphs = (" ".join(each.split()) for _, text in sorted(topics.items()) for each in text.split("\n\n"))
    prose = re.compile(r"[A-Z][^|=+]*\.")
    return [each[:LONGEST] for each in paragraphs if len(each) >= LONGEST // 2 and prose.fullmatch(each)]


def _code() -> list[str]:
    """Functions and classes of the standard library, from their first line on."""
    found = []
    for name in MODULES:
        spec = importlib.util.find_spec(name)
        path = Path(spec.origin) if spec and spec.origin else None
        if path is None or path.suffix != ".py" or not path.is_file():
            continue
        pieces = re.split(r"\n(?=(?:def|class) )", path.read_text(encoding="utf-8"))[1:]
        found += [piece.strip()[:LONGEST] for piece in pieces if len(piece) >= LONGEST // 2]
    return found


def _arithmetic(count: int, seed: int) -> list[str]:
    rng = random.Random(f"arithmetic {seed}")
    found = []
    for _ in range(count):
        lines = []
        for _ in range(8):
            a, b = rng.randint(2, 60), rng.randint(2, 60)
            lines.append(
                rng.choice([f"{a} + {b} = {a + b}", f"{a + b} - {b} = {a}", f"{a} * {b % 9 + 1} = {a * (b % 9 + 1)}"])
            )
        found.append("\n".join(lines))
    return found


_PLACES = ("the station", "the harbour", "the old town", "the hospital", "the museum", "the market")
_WAYS = (
    "the number nine tram",
    "the bus from across the street",
    "the road along the river",
    "the second street on the left",
)
_TIMES = ("five minutes", "a quarter of an hour", "half an hour", "an hour")
_ENDS = (
    "Thank you, that is very kind.",
    "Then I had better hurry.",
    "Good, I like to walk.",
    "I will ask again there.",
)


def _dialogue(count: int, seed: int) -> list[str]:
    rng = random.Random(f"dialogue {seed}")
    found = []
    for _ in range(count):
        place, way, other = rng.choice(_PLACES), *rng.sample(_WAYS, 2)
        found.append(
            f"A: Excuse me, how do I get to {place}?\n"
            f"B: Take {way}. It is about {rng.choice(_TIMES)}.\n"
            f"A: Is there no quicker way?\n"
            f"B: You could take {other}, but that is {rng.choice(('closed today', 'hard to find', 'no quicker'))}.\n"
            f"A: {rng.choice(_ENDS)}"
        )
    return found
