"""The plane of learning and forgetting, drawn: to the right what was learned, upwards what was forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.checkpoints.cache import written_whole
from isthmus.contrastive.metrics import Interval
from isthmus.errors import MissingPart
from isthmus.evaluation.forgetting import Gate


@dataclass(frozen=True)
class Place:
    """A model in the plane. `learned` None: nothing was asked of it. `gate`: against the model before."""

    name: str
    learned: Interval | None
    gate: Gate


def draw(places: Sequence[Place], path: Path, *, learned: str, budget: float) -> None:
    """Writes a PNG: each model where its mean loss puts it, its probes as small marks above and below, with the worst
    one's interval. `learned`: what the horizontal axis shows. Raises MissingPart without matplotlib, or where the disk
    refuses.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPart("the plane needs matplotlib", todo="pip install 'isthmus[evaluate]'") from None
    figure = Figure(figsize=(6.4, 4.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    axis.axhline(0, color="0.7", linewidth=0.8)
    axis.axhline(100 * budget, color="#d55e00", linestyle="--", linewidth=1, label=f"budget {100 * budget:g} %")
    xs = [place.learned.value if place.learned else 0.0 for place in places]
    axis.plot(xs, [100 * place.gate.mean for place in places], color="0.6", linewidth=0.8, zorder=1)
    for x, place in zip(xs, places, strict=True):
        worst = place.gate.worst.share
        for each in place.gate.losses:
            sure = each.share.low > 0 or each.share.high <= 0
            axis.scatter([x], [100 * each.share.value], s=12, facecolor="0.55" if sure else "none", edgecolor="0.55")
        axis.plot([x, x], [100 * worst.low, 100 * worst.high], color="0.75", linewidth=1)
        if place.learned:
            axis.plot([place.learned.low, place.learned.high], [100 * place.gate.mean] * 2, color="0.75", linewidth=1)
        colour = "#009e73" if place.gate.within else "#d55e00"
        axis.scatter([x], [100 * place.gate.mean], s=46, color=colour, zorder=3)
        axis.annotate(place.name, (x, 100 * place.gate.mean), xytext=(6, 5), textcoords="offset points", fontsize=9)
    axis.set_xlabel(learned)
    axis.set_ylabel("forgotten: share of each probe lost, %\n(large: mean over texts; hollow: may be none)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")
