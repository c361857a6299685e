"""A sweep as a picture: the time to the first token, part upon part."""

from collections.abc import Sequence
from pathlib import Path

from isthmus.checkpoints.cache import written_whole
from isthmus.errors import MissingPart
from isthmus.latency.roofline import Prediction
from isthmus.latency.work import PARTS

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#56b4e9", "#e69f00")
"""Told apart by colour-blind eyes too (Okabe and Ito, 2008)."""


def draw_sweep(over: str, found: Sequence[tuple[int, Prediction]], path: Path) -> None:
    """Writes a PNG. Raises MissingPart without matplotlib, or where the disk refuses."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPart("the plot needs matplotlib", todo="pip install 'isthmus[evaluate]'") from None
    first = found[0][1]
    figure = Figure(figsize=(6.4, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    places = range(len(found))
    under = [0.0] * len(found)
    for part, colour in zip(PARTS, COLOURS, strict=True):
        times = [1e3 * each.parts[part].seconds for _, each in found]
        axis.bar(places, times, bottom=under, label=part, color=colour, width=0.8)
        under = [a + b for a, b in zip(under, times, strict=True)]
    floors = [1e3 * each.floor for _, each in found]
    axis.plot(places, floors, color="black", marker="_", markersize=16, linestyle="none", label="floor")
    axis.set_xticks(places, [str(value) for value, _ in found])
    axis.set_xlabel(over)
    axis.set_ylabel("first token, ms (predicted)")
    axis.set_title(f"{first.model} on {first.device.name}, {first.request.how.precision.name}", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")
