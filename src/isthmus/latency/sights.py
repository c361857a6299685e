"""How many patches an encoder sees of a picture, and how many tokens of it the language model reads."""

import math
from dataclasses import dataclass

from isthmus.errors import InputError
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles


@dataclass(frozen=True)
class Sight:
    """Of one picture. `views` of `patches` each go into the encoder; `tokens` reach the language model, with
    `announcing` tokens of text around them that the family writes by itself. `windows`: where some layers look within
    windows only, their sizes in patches."""

    views: int
    patches: int
    tokens: int
    announcing: int = 0
    windows: tuple[int, ...] = ()


def tiled(width: int, height: int, fit: Tiles, side: int) -> Sight:
    """LLaVA-NeXT: an overview and a grid of tiles of `side`² patches; rows of the whole picture end with a token of
    their own, and those that hold only padding are left out (connectors.tiles)."""
    rows, columns = fit.grid(width, height)
    high, wide = rows * side, columns * side
    if width / height > wide / high:
        high -= 2 * ((high - int(round(height * (wide / width), 7))) // 2)
    else:
        wide -= 2 * ((wide - int(round(width * (high / height), 7))) // 2)
    return Sight(1 + rows * columns, side**2, side**2 + high * (wide + 1))


def split(width: int, height: int, fit: Split, patches: int, tokens: int) -> Sight:
    """Idefics3: tiles of `patches` that become `tokens` each, announced by two tokens and followed by an overview that
    three announce; a row ends with a line, all rows with a blank one, which is one token with the last row's end."""
    rows, columns = fit.grid(width, height)
    tiles = rows * columns if (rows, columns) != (1, 1) else 0
    lines = rows if tiles else 0
    return Sight(1 + tiles, patches, (1 + tiles) * tokens, announcing=2 * tiles + lines + 3)


def native(width: int, height: int, *, patch: int, merge: int, least: int, most: int, window: int | None) -> Sight:
    """Qwen-VL: both sides in whole `merge` x `merge` blocks of patches, with `least` to `most` pixels in all; a token
    is a block, and two tokens stand around them. `window`: pixels of a window's side, where there are any.

    Source: Qwen2-VL (Wang et al., 2024), section 2.1, and the released code's resizing.
    """
    if max(width, height) > 200 * min(width, height):
        raise InputError(f"a picture of {width}x{height} is too narrow", why="one side is over 200 times the other")
    unit = patch * merge
    high, wide = round(height / unit) * unit, round(width / unit) * unit
    if high * wide > most:
        scale = math.sqrt(height * width / most)
        high = max(unit, math.floor(height / scale / unit) * unit)
        wide = max(unit, math.floor(width / scale / unit) * unit)
    elif high * wide < least:
        scale = math.sqrt(least / (height * width))
        high, wide = math.ceil(height * scale / unit) * unit, math.ceil(width * scale / unit) * unit
    rows, columns = high // patch, wide // patch
    sizes: tuple[int, ...] = ()
    if window is not None:
        step = window // unit * merge  # in patches: windows hold whole blocks
        sizes = tuple(
            min(step, rows - y) * min(step, columns - x) for y in range(0, rows, step) for x in range(0, columns, step)
        )
    return Sight(1, rows * columns, rows * columns // merge**2, announcing=2, windows=sizes)
