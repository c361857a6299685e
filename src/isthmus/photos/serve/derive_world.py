"""Make `page/world.json`, the outline of land and borders that the map is drawn on, from the source named in NOTICE.

`python -m isthmus.photos.serve.derive_world countries-50m.json`, the file being that of the npm package world-atlas
2.0.2. Lines are thinned (Douglas and Peucker, 1973) to TOLERANCE degrees; islands below SMALLEST square degrees are
left out. Written: {"unit": degrees of a step, "land": [ring, ...], "borders": [line, ...]}, each a list of integers, x
and y by turns in such steps, the first point whole and each other as its distance from the one before.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

TOLERANCE = 0.09
SMALLEST = 0.12
UNIT = 0.05
"""Degrees of one step."""

Point = tuple[float, float]


def main() -> None:
    atlas = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    arcs = [_whole(arc, atlas["transform"]) for arc in atlas["arcs"]]
    land = [_closed(_unbroken(_ring(ring, arcs))) for ring in _rings(atlas["objects"]["land"])]
    used = Counter(arc if arc >= 0 else ~arc for ring in _rings(atlas["objects"]["countries"]) for arc in ring)
    rings = [_steps(_thinned(ring)) for ring in land if abs(_area(ring)) >= SMALLEST]
    world = {
        "unit": UNIT,
        "land": [ring for ring in rings if len(ring) >= 8],
        "borders": [_steps(_thinned(_unbroken(arcs[arc]))) for arc, times in used.items() if times > 1],
    }
    text = json.dumps(world, separators=(",", ":"))
    Path(__file__).with_name("page").joinpath("world.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(text) / 1000:.0f} kB", file=sys.stderr)  # noqa: T201


def _whole(arc: list[list[int]], transform: dict[str, Any]) -> list[Point]:
    """TopoJSON writes each point as its distance from the one before, in steps."""
    (step_x, step_y), (left, bottom) = transform["scale"], transform["translate"]
    x = y = 0
    points = []
    for dx, dy in arc:
        x, y = x + dx, y + dy
        points.append((x * step_x + left, y * step_y + bottom))
    return points


def _rings(object: dict[str, Any]) -> list[list[int]]:
    match object["type"]:
        case "GeometryCollection":
            return [ring for each in object["geometries"] for ring in _rings(each)]
        case "MultiPolygon":
            return [ring for polygon in object["arcs"] for ring in polygon]
        case "Polygon":
            return list(object["arcs"])
    return []


def _ring(ring: list[int], arcs: list[list[Point]]) -> list[Point]:
    """A negative arc is ~arc, backwards; each begins where the one before ends."""
    points: list[Point] = []
    for arc in ring:
        line = arcs[arc] if arc >= 0 else arcs[~arc][::-1]
        points += line[1:] if points else line
    return points


def _unbroken(line: list[Point]) -> list[Point]:
    """What crosses 180 degrees goes on beyond it: the map is drawn again to the left and the right of itself."""
    found = [line[0]]
    for x, y in line[1:]:
        found.append((x - 360 * round((x - found[-1][0]) / 360), y))
    return found


def _closed(ring: list[Point]) -> list[Point]:
    """Antarctica goes once around the pole: it is closed along the lower edge of the map."""
    (start, _), (end, y) = ring[0], ring[-1]
    return [*ring, (end, -90.0), (start, -90.0)] if abs(end - start) > 180 and y < 0 else ring


def _area(ring: list[Point]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True)) / 2


def _thinned(line: list[Point]) -> list[Point]:
    """Without the points that lie within TOLERANCE of the line through those that stay."""
    keep = {0, len(line) - 1}
    # A ring ends where it begins: its farthest point parts it in two.
    middle = max(range(len(line)), key=lambda at: _distance(line[at], line[0], line[0]))
    keep.add(middle)
    parts = [(0, middle), (middle, len(line) - 1)]
    while parts:
        start, end = parts.pop()
        if end - start < 2:
            continue
        far = max(range(start + 1, end), key=lambda at: _distance(line[at], line[start], line[end]))
        if _distance(line[far], line[start], line[end]) > TOLERANCE:
            keep.add(far)
            parts += [(start, far), (far, end)]
    return [line[at] for at in sorted(keep)]


def _distance(point: Point, start: Point, end: Point) -> float:
    (x, y), (x0, y0), (x1, y1) = point, start, end
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    along = 0.0 if not length else max(0.0, min(1.0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length))
    return float(((x - x0 - along * (x1 - x0)) ** 2 + (y - y0 - along * (y1 - y0)) ** 2) ** 0.5)


def _steps(line: list[Point]) -> list[int]:
    found: list[int] = []
    at = (0, 0)
    for x, y in line:
        here = (round(x / UNIT), round(y / UNIT))
        if found and here == at:
            continue
        found += [here[0] - at[0], here[1] - at[1]]
        at = here
    return found


if __name__ == "__main__":
    main()
