"""Named boxes in the picture: faces and pets of MWG regions and of Microsoft's people tags."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isthmus.photos.metadata.model import Region
from isthmus.photos.metadata.text import KEYWORD, Problems, clean
from isthmus.photos.metadata.xmp import Node

MAX_REGIONS = 200
SAME_BOX = 0.05
"""Programs write both kinds of tag, rounded differently: boxes of one name this near each other are one."""

KINDS = ("face", "pet", "focus", "barcode")

_TURNS = {
    1: lambda x, y: (x, y), 2: lambda x, y: (1 - x, y), 3: lambda x, y: (1 - x, 1 - y), 4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x), 6: lambda x, y: (1 - y, x), 7: lambda x, y: (1 - y, 1 - x), 8: lambda x, y: (y, 1 - x),
}  # fmt: skip
"""Where a point of the stored picture is once it is upright, by EXIF orientation (EXIF 3.0, tag 274)."""


@dataclass(frozen=True)
class Box:
    """Centre and size, shares of the picture as it is stored."""

    x: float
    y: float
    w: float
    h: float


def regions_of(packet: Node, turn: int, size: tuple[int, int] | None, problems: Problems) -> tuple[Region, ...]:
    """The regions that have a name, upright. `turn`: EXIF orientation; `size`: (width, height) as stored.

    MWG boxes are in the stored picture (MWG 2.0). Some programs turn them with the picture and say so
    by the dimensions they were made for: then they are upright already.
    """
    found: list[Region] = []
    for region in (*_mwg(packet, turn, size, problems), *_microsoft(packet, turn, problems)):
        if len(found) == MAX_REGIONS:
            problems.add(f"more than {MAX_REGIONS} regions: the first {MAX_REGIONS} are kept")
            break
        if not any(_is_same(region, other) for other in found):
            found.append(region)
    return tuple(found)


def people_of(regions: Sequence[Region], packet: Node) -> Iterator[str]:
    """Names of faces and pets, then those said to be in the picture without a place (IPTC Extension)."""
    yield from (region.name for region in regions if region.kind in ("face", "pet"))
    yield from packet.get("Iptc4xmpExt:PersonInImage").words()
    for person in packet.get("Iptc4xmpExt:PersonInImageWDetails").items:
        yield person.get("Iptc4xmpExt:PersonName").string()
    # People without a box: Windows' tags have no other place for them.
    for region in packet.get("MP:RegionInfo").get("MPRI:Regions").items:
        yield region.get("MPReg:PersonDisplayName").string()


def _mwg(packet: Node, turn: int, size: tuple[int, int] | None, problems: Problems) -> Iterator[Region]:
    info = packet.get("mwg-rs:Regions")
    made_for = info.get("mwg-rs:AppliedToDimensions")
    if _is_turned(made_for, turn, size):
        turn = 1
    for region in info.get("mwg-rs:RegionList").items:
        name = clean(region.get("mwg-rs:Name").string(), KEYWORD)
        area = region.get("mwg-rs:Area")
        if not name or not area.fields:
            continue
        numbers = [_number(area.get(f"stArea:{side}").text) for side in "xywh"]
        if area.get("stArea:unit").text == "pixel" and size:
            numbers = [value / size[at % 2] if value is not None else None for at, value in enumerate(numbers)]
        kind = region.get("mwg-rs:Type").text.strip().lower()
        yield from _upright(name, kind if kind in KINDS else "", numbers, turn, problems)


def _microsoft(packet: Node, turn: int, problems: Problems) -> Iterator[Region]:
    """Rectangles "left, top, width, height" (Windows Imaging Component, people tagging)."""
    for region in packet.get("MP:RegionInfo").get("MPRI:Regions").items:
        name = clean(region.get("MPReg:PersonDisplayName").string(), KEYWORD)
        text = region.get("MPReg:Rectangle").text
        if not name or not text.strip():
            continue
        numbers = [_number(part) for part in text[:200].split(",")]
        if len(numbers) == 4 and None not in numbers:
            x, y, w, h = (value or 0.0 for value in numbers)
            numbers = [x + w / 2, y + h / 2, w, h]
        yield from _upright(name, "face", numbers, turn, problems)


def _upright(name: str, kind: str, numbers: list[float | None], turn: int, problems: Problems) -> Iterator[Region]:
    """The region with these numbers, x y of the centre, w h; none where they are no box in the picture."""
    known = [value for value in numbers if value is not None]
    if kind == "focus" and len(known) == 2:
        return  # a point
    if len(known) != 4 or len(numbers) != 4:
        problems.add(f"region of “{name}” is no box")
        return
    x, y, w, h = known
    left, top, right, bottom = (min(max(v, 0.0), 1.0) for v in (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    if left >= right or top >= bottom:
        problems.add(f"region of “{name}” is not in the picture")
        return
    (x0, y0), (x1, y1) = _TURNS[turn](left, top), _TURNS[turn](right, bottom)
    yield Region(name, kind, min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))


def _is_turned(made_for: Node, turn: int, size: tuple[int, int] | None) -> bool:
    width, height = (_number(made_for.get(f"stDim:{side}").text) for side in "wh")
    if turn < 5 or not size or not width or not height or size[0] == size[1]:
        return False
    return (width > height) != (size[0] > size[1]) and width != height


def _is_same(one: Region, other: Region) -> bool:
    sides = ((one.x, other.x), (one.y, other.y), (one.w, other.w), (one.h, other.h))
    return one.name.casefold() == other.name.casefold() and all(abs(a - b) <= SAME_BOX for a, b in sides)


def _number(text: str) -> float | None:
    text = text.strip()
    if not text or len(text) > 40:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= 1e6 else None
