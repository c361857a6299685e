"""Made-up measurements."""

from isthmus.labs.result import Figure


def steady(value: float) -> Figure:
    """The same with every seed: an interval of no width."""
    return Figure((value, value, value))


def unsure(low: float, high: float) -> Figure:
    """Three seeds whose interval reaches beyond both ends."""
    return Figure((low, (low + high) / 2, high))
