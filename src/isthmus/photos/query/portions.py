"""Parts of a month, a year and longer: "early 2019", 月底."""

from calendar import monthrange
from datetime import date, timedelta
from typing import Literal

Portion = Literal["", "early", "middle", "late", "beginning", "end", "first half", "second half"]


def part_of(days: tuple[date, date], portion: Portion) -> tuple[date, date]:
    """The part of it that is meant: a third, a half, or its beginning or end.

    The thirds of a month are its first ten days, the next ten, and the rest; of a decade, three, four and three years.
    The beginning and the end are two months of a year, else a third.
    """
    start, end = days
    if not portion:
        return days
    length, months = (end - start).days, (end.year - start.year) * 12 + end.month - start.month
    if "half" in portion:
        middle = add_months(start, months // 2) if months > 1 else start + timedelta(days=length // 2)
        return (start, middle) if portion == "first half" else (middle, end)
    if portion in ("beginning", "end") and 300 < length < 400:
        cuts = [start, add_months(start, 2), add_months(end, -2), end]
    elif length <= 7:
        third = timedelta(days=max(1, length // 3))
        cuts = [start, start + third, end - third, end] if length > 2 else [start, end, end, end]
    elif length <= 31:
        cuts = [start, start + timedelta(days=10), start + timedelta(days=20), end]
    elif length > 400:
        cuts = [start, date(start.year + 3, 1, 1), date(start.year + 7, 1, 1), end]
    else:
        cuts = [start, add_months(start, months // 3), add_months(start, 2 * months // 3), end]
    which = {"early": 0, "beginning": 0, "middle": 1, "late": 2, "end": 2}[portion]
    return (cuts[which], cuts[which + 1]) if cuts[which] < cuts[which + 1] else days


def add_months(day: date, months: int) -> date:
    """The same day that many months on, or the month's last day where it has none such."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
