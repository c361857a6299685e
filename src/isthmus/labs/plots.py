"""The labs' plots: one look, no global state of matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from isthmus.labs.result import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by colour-blind eyes too (Okabe and Ito, 2008)."""


def canvas(panels: int, rows: int = 1) -> tuple[Canvas, list[Axes]]:
    """`panels` side by side, in `rows` rows, read from left to right."""
    columns = -(-panels // rows)
    figure = Canvas(figsize=(4.6 * columns, 3.7 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(panels)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", alpha=0.25)
    return figure, axes


def bands(axis: Axes, xs: Sequence[float], lines: Mapping[str, Sequence[Figure]]) -> None:
    """A line for each name through the means, inside a band of its intervals."""
    for colour, (name, figures) in zip(COLOURS, lines.items(), strict=False):
        axis.plot(xs, [figure.mean for figure in figures], label=name, color=colour, marker=".", linewidth=1.4)
        low, high = [figure.low for figure in figures], [figure.high for figure in figures]
        axis.fill_between(xs, low, high, color=colour, alpha=0.18, linewidth=0)


def bars(axis: Axes, rows: Mapping[str, Mapping[str, Figure]], columns: Sequence[str]) -> None:
    """A group of bars for each column, one bar for each row, with intervals."""
    width = 0.8 / len(rows)
    for i, (colour, (name, row)) in enumerate(zip(COLOURS, rows.items(), strict=False)):
        places = [place + (i - (len(rows) - 1) / 2) * width for place in range(len(columns))]
        figures = [row[column] for column in columns]
        axis.bar(
            places,
            [figure.mean for figure in figures],
            width * 0.92,
            yerr=[figure.half for figure in figures],
            label=name,
            color=colour,
            error_kw={"elinewidth": 1.0, "capsize": 2.0},
        )
    axis.set_xticks(range(len(columns)), list(columns))


def save(figure: Canvas, path: Path) -> None:
    figure.savefig(path, format="png")
