"""One runnable experiment per claim of the field's textbooks: figures over seeds, a verdict, a plot.

Importing this loads neither torch nor matplotlib, so the labs are listed at once.
"""

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import InputError, MissingPart

if TYPE_CHECKING:
    from isthmus.labs.result import Result

FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Lab:
    """`claim`: what a textbook says, in a sentence, before anything is measured."""

    name: str
    claim: str


PATCHES = Lab("patches", "one discrete ID per patch cannot work; a linear projection of its pixels can")
NEGATIVES = Lab("negatives", "without negatives all embeddings collapse to one point")
FROZEN = Lab("frozen", "training only the connector is far cheaper and keeps quality")
COMPRESS = Lab("compress", "32 query tokens instead of hundreds cut the language model's cost and lose little")
INFORMATION = Lab("information", "kept information: cross-attention > Q-Former > linear map")
OBJECTIVES = Lab("objectives", "ITC aligns globally, ITM finely, ITG makes it speak")
ASPECT = Lab("aspect", "squashing distorts, padding shrinks, tiles lose the whole; the native aspect ratio is best")
QUESTION = Lab("question", "queries that see the question fetch what it asks")
STAGES = Lab("stages", "align first, then instruct: two stages are better than one, and LoRA in the second is enough")
FORGETTING = Lab("forgetting", "full fine-tuning forgets, frozen parts cannot")
SCARCE = Lab("scarce", "with few pairs: freeze, train connector and LoRA; all of it, or from scratch, does worse")
SEARCH = Lab("search", "ten thousand photos are searched in milliseconds; approximate indexes cost little accuracy")
DISTILL = Lab(
    "distill",
    "a small student, taught by a teacher's answers on unlabelled pictures, comes close to it at a fraction of the "
    "cost, and beats the same student taught by the labels alone",
)
TTFT = Lab(
    "ttft",
    "LLaVA-7B's first token about a 512x512 picture and 100 tokens of text takes 300 to 600 ms on an A100: encoder 15 "
    "to 25 %, projector below 5 %, prefill 70 to 80 %",
)
LABS = (
    PATCHES,
    NEGATIVES,
    FROZEN,
    COMPRESS,
    INFORMATION,
    OBJECTIVES,
    ASPECT,
    QUESTION,
    STAGES,
    FORGETTING,
    SCARCE,
    DISTILL,
    SEARCH,
    TTFT,
)


def run(name: str, out: Path, *, seeds: int, quiet: bool = False) -> "Result":
    """Measure one claim with seeds 0 to `seeds` - 1; `out` receives NAME.png and NAME.json.

    torch works on one thread meanwhile. A lab of hours notes what is finished in NAME.notes.jsonl and goes on from it
    when it is run again; the file goes when the result is written. Raises InputError for an unknown name, too few seeds
    or an `out` that is no folder, before any work is done; MissingPart without the packages of the extra `labs`.
    """
    if name not in {lab.name for lab in LABS}:
        raise InputError(f"there is no lab {name!r}", todo=f"the labs are {', '.join(lab.name for lab in LABS)}")
    if seeds < FEWEST_SEEDS:
        raise InputError(f"{seeds} seeds are too few for an interval", todo=f"take at least {FEWEST_SEEDS}")
    _require_packages(*(("faiss",) if name == SEARCH.name else ()))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made a folder for the results", why=error.strerror or "") from error
    # from here on torch and matplotlib are needed
    from isthmus.labs.notes import SUFFIX
    from isthmus.labs.work import Spent, one_thread, stopwatch

    lab = importlib.import_module(f"isthmus.labs.{name}")
    plot = out / f"{name}.png"
    with one_thread(), stopwatch() as spent:
        result: Result = lab.run(lab.Settings(), range(seeds), plot, quiet=quiet)
    earlier = result.spent
    result = replace(result, spent=Spent(earlier.wall + spent.wall, earlier.cpu + spent.cpu))
    (out / f"{name}.json").write_text(json.dumps(result.to_json(), indent=2) + "\n", encoding="utf-8")
    plot.with_suffix(SUFFIX).unlink(missing_ok=True)
    return result


def _require_packages(*more: str) -> None:
    for package in ("matplotlib", "sklearn", *more):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingPart(f"the labs need {package}", why=str(error), todo="pip install 'isthmus[labs]'") from error
