"""The six fits: shapes, boxes that point at what the view shows, fingerprints, JSON."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import InputError
from isthmus.images.boxes import patch_boxes
from isthmus.images.fit_json import AnyFit, from_json, to_json
from isthmus.images.fits import Crop, Letterbox, Native, Squash, native_grid
from isthmus.images.focus import Focus
from isthmus.images.open import open_picture
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles
from isthmus.images.views import Box, Fit, Picture, View

from .samples import encode, noise

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
FITS: list[AnyFit] = [
    Crop(size=48, **PLAIN),
    Crop(size=48, shortest=64, **PLAIN),
    Crop(size=64, shortest=48, **PLAIN),
    Squash(size=48, **PLAIN),
    Letterbox(size=48, fill=(0, 0, 0), **PLAIN),
    Tiles(size=32, **PLAIN),
    Split(size=32, longest=80, resample="bilinear", **PLAIN),
    Native(patch=8, max_tokens=40, **PLAIN),
    Focus(size=32, **PLAIN),
]
names = pytest.mark.parametrize("fit", FITS, ids=lambda fit: type(fit).__name__)
sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))


def picture(image: Image.Image) -> Picture:
    return Picture(image, *image.size)


def as_fit(fit: Fit) -> Fit:
    """mypy holds the classes to the protocol here; at run time a fit is returned as it is."""
    return fit


@names
@given(size=sizes)
def test_views_are_contiguous_float32_in_the_fits_shape(fit: AnyFit, size: tuple[int, int]) -> None:
    views = as_fit(fit)(picture(noise(*size)))
    assert (views.width, views.height) == size
    for view in views.views:
        assert view.pixels.dtype == np.float32
        assert view.pixels.flags.c_contiguous
        assert 0 <= view.pixels.min() <= view.pixels.max() <= 1
        if isinstance(fit, Native):
            _, height, width = view.pixels.shape
            assert height % fit.patch == width % fit.patch == 0
            assert (height // fit.patch) * (width // fit.patch) <= fit.max_tokens
        else:
            assert view.pixels.shape == (3, fit.size, fit.size)
    if isinstance(fit, Tiles):
        assert views.grid in fit.grids
        assert len(views.views) == 1 + math.prod(views.grid)
    elif isinstance(fit, Split):
        assert max(views.grid) == 3, "80 pixels in tiles of 32"
        assert len(views.views) == 1 + math.prod(views.grid)
        assert views.views[-1].box == Box(0, 0, *size)
    else:
        assert views.grid is None


def covered(view: View, mark: Box, beyond: int = 0) -> np.ndarray:
    """[H, W]: how much of each pixel of the view a rectangle of the original covers, going by the view's box alone;
    with `beyond` pixels more on every side."""
    _, height, width = view.pixels.shape
    x = view.box.left + (view.box.right - view.box.left) / width * np.arange(-beyond, width + beyond + 1)
    y = view.box.top + (view.box.bottom - view.box.top) / height * np.arange(-beyond, height + beyond + 1)
    across = np.clip(np.minimum(x[1:], mark.right) - np.maximum(x[:-1], mark.left), 0, None) / np.diff(x)
    down = np.clip(np.minimum(y[1:], mark.bottom) - np.maximum(y[:-1], mark.top), 0, None) / np.diff(y)
    return np.outer(down, across)


def all_around(inside: np.ndarray, reach: int) -> np.ndarray:
    """Of [H + 2 reach, W + 2 reach] the [H, W] whose neighbours up to `reach` away are True too."""
    window = 2 * reach + 1
    return np.lib.stride_tricks.sliding_window_view(inside, (window, window)).all(axis=(2, 3))


@names
@given(data=st.data())
def test_a_mark_in_the_picture_is_where_the_box_says(fit: AnyFit, data: st.DataObject) -> None:
    """A white rectangle on black: every view is white where its box puts it and black elsewhere, but for the pixels
    that the filter mixes along the edges; and their centres of mass agree to a tenth of a pixel."""
    width, height = data.draw(st.tuples(st.integers(40, 400), st.integers(40, 400)))
    w, h = data.draw(st.tuples(st.integers(8, width), st.integers(8, height)))
    left, top = data.draw(st.tuples(st.integers(0, width - w), st.integers(0, height - h)))
    image = Image.new("RGB", (width, height))
    image.paste((255, 255, 255), (left, top, left + w, top + h))
    mark = Box(left, top, left + w, top + h)
    for view in as_fit(replace(fit, resample="bilinear"))(picture(image)).views:
        seen = view.pixels[0]
        rows, columns = seen.shape
        # Where a view enlarges, its filter reaches one pixel of the original, which is several of its own.
        enlarged = max(1.0, columns / (view.box.right - view.box.left), rows / (view.box.bottom - view.box.top))
        # A Split resamples up to three times, and each time the filter reaches as far again.
        reach = (3 if isinstance(fit, Split) else 1) * (math.ceil(enlarged) + 1)
        share = covered(view, mark, reach)
        assert (seen[all_around(share > 0.999, reach)] > 0.99).all()
        assert (seen[all_around(share < 0.001, reach)] < 0.01).all()
        edge = covered(view, mark, 2)
        edge[2:-2, 2:-2] = 0
        inside_picture = (
            view.box.left >= 0 and view.box.top >= 0 and view.box.right <= width and view.box.bottom <= height
        )
        # At the picture's own edge the filter is cut off, which moves the mass.
        x, y = 2 * (view.box.right - view.box.left) / columns, 2 * (view.box.bottom - view.box.top) / rows
        touches = left < x or top < y or left + w > width - x or top + h > height - y
        # Of a mark narrower than two view pixels, the few samples that the filter takes decide.
        narrow = w < x or h < y
        if edge.sum() == 0 and inside_picture and not touches and not narrow and enlarged == 1:
            expected = covered(view, mark)
            assert bool(seen.any()) == bool(expected.any())
            for axis in (0, 1) if expected.any() else ():
                places = np.indices(seen.shape)[axis]
                assert abs(np.average(places, weights=seen) - np.average(places, weights=expected)) < 0.1


@names
def test_the_reduced_picture_gives_the_whole_ones_views(fit: AnyFit) -> None:
    """Boxes and grids are equal; pixels within 3 of 255, on a photo-like picture whose sides divide by nothing."""
    soft = noise(19, 13).resize((1613, 1201), Image.Resampling.BICUBIC)
    data = encode(soft, "PNG", compress_level=1)
    whole, reduced = open_picture(data), open_picture(data, at_least=fit.at_least)
    assert reduced.reduced > 1 or fit.at_least is None
    for a, b in zip(fit(whole).views, fit(reduced).views, strict=True):
        assert a.box == b.box
        assert np.abs(a.pixels - b.pixels).max() <= 3 / 255


def test_letterbox_of_a_very_long_picture_paints_no_square() -> None:
    """A strip whose square would be 30,000 pixels wide, against the small square it is a repetition of."""
    strip = picture(Image.new("RGB", (30_000, 40), (200, 100, 50)))
    pixels = Letterbox(size=100, fill=(0, 0, 0), **PLAIN)(strip).views[0].pixels
    total = pixels[0].sum(axis=0) * 255
    # 40 of 30,000 rows are 0.133 of a view's row: their brightness survives, split over neighbours.
    assert np.abs(total - 200 * 40 / 300).max() < 4


def test_crop_of_a_very_long_picture_computes_the_part() -> None:
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 40_000).astype(np.uint8)[None, :, None], (2, 1, 3)))
    view = Crop(size=64, **PLAIN)(picture(ramp)).views[0]
    middle = (view.box.left + view.box.right) / 2
    assert abs(middle - 20_000) < 1
    assert np.abs(view.pixels * 255 - 127).max() <= 1


def test_normalisation() -> None:
    fit = Squash(size=4, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    pixels = fit(picture(Image.new("RGB", (9, 9), (0, 51, 255)))).views[0].pixels
    expected = [(0 - 0.1) / 0.5, (0.2 - 0.2) / 1.0, (1 - 0.3) / 2.0]
    assert np.allclose(pixels, np.array(expected)[:, None, None], atol=1e-6)


# Tiles.


@pytest.mark.parametrize(
    ("size", "grid"),
    [((1000, 1000), (2, 2)), ((2000, 500), (1, 3)), ((500, 2000), (3, 1)), ((800, 400), (1, 2)), ((400, 800), (2, 1))],
)
def test_tiles_follow_the_pictures_shape(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert Tiles().grid(*size) == grid


@given(size=sizes)
def test_tiles_cover_the_picture_without_gaps(size: tuple[int, int]) -> None:
    fit = Tiles(size=32)
    views = fit(picture(noise(*size)))
    rows, columns = views.grid or (0, 0)
    overview, *tiles = [view.box for view in views.views]
    assert overview == Box(0, 0, *size)
    for i, tile in enumerate(tiles):
        if (i + 1) % columns:
            assert tile.right == tiles[i + 1].left
        if i + columns < len(tiles):
            assert tile.bottom == tiles[i + columns].top
    assert tiles[0].left <= 0 and tiles[0].top <= 0
    assert tiles[-1].right >= size[0] - 1e-9 and tiles[-1].bottom >= size[1] - 1e-9
    assert len(tiles) == rows * columns


# Native.


@given(size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)), budget=st.integers(1, 1024))
def test_native_grid_uses_the_budget(size: tuple[int, int], budget: int) -> None:
    rows, columns = native_grid(*size, 16, budget)
    assert 1 <= rows * columns <= budget
    # One more row or column at the same aspect ratio would have exceeded it, but for enlarging beyond 100 times.
    if max(size) * 100 > 16 * budget:
        assert (rows + 1) * (columns + 1) > budget or rows * columns > budget / 2


# Focus.


def textured(width: int, height: int, *spots: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", (width, height), (90, 120, 150))
    for i, (left, top) in enumerate(spots):
        image.paste(noise(40, 40, i), (left, top))
    return image


def test_focus_finds_the_detail() -> None:
    spots = [(600, 40), (30, 300), (420, 500)]
    views = Focus(size=64, count=3)(picture(textured(800, 600, *spots))).views
    assert views[0].box == Box(0, 0, 800, 600)
    found = [view.box for view in views[1:]]
    assert len(found) == 3
    for box, (left, top) in zip(found, spots, strict=True):  # reading order
        assert box.left <= left + 8 and box.right >= left + 32 and box.top <= top + 8 and box.bottom >= top + 32
        assert (box.right - box.left, box.bottom - box.top) == (64, 64)


def test_focus_shows_the_pictures_own_pixels() -> None:
    image = noise(300, 200)
    for view in Focus(size=64, **PLAIN)(picture(image)).views[1:]:
        own = image.crop(tuple(int(x) for x in (view.box.left, view.box.top, view.box.right, view.box.bottom)))
        assert np.abs(view.pixels - np.asarray(own).transpose(2, 0, 1) / 255).max() < 1e-6


@given(size=sizes, count=st.integers(0, 6))
def test_focus_regions_never_overlap_and_repeat_themselves(size: tuple[int, int], count: int) -> None:
    fit, image = Focus(size=48, count=count), picture(noise(*size))
    boxes = fit.choose(image)
    assert boxes == fit.choose(image)
    assert len(boxes) <= count
    for i, a in enumerate(boxes):
        assert (
            a.left >= 0 and a.top >= 0 and (a.right <= size[0] or a.left == 0) and (a.bottom <= size[1] or a.top == 0)
        )
        for b in boxes[:i]:
            assert a.left >= b.right or b.left >= a.right or a.top >= b.bottom or b.top >= a.bottom


def test_focus_on_given_regions() -> None:
    fit = Focus(size=64)
    image = picture(noise(400, 300))
    views = fit(image, [Box(100, 100, 110, 120), Box(0, 0, 200, 50), Box(390, 290, 400, 300)]).views
    assert len(views) == 4
    # Around a small region, no enlargement; a larger one whole; at the edge, moved inside.
    assert views[1].box == Box(73, 78, 137, 142)
    assert views[2].box == Box(0, 0, 200, 200)
    assert views[3].box == Box(336, 236, 400, 300)
    for outside in (Box(400, 0, 410, 10), Box(0, 0, 0, 10), Box(-5, -5, 0, 0)):
        with pytest.raises(InputError, match="no region"):
            fit(image, [outside])


def test_focus_has_no_regions_where_the_overview_shows_all() -> None:
    assert len(Focus(size=64)(picture(noise(64, 30))).views) == 1


# Boxes of patches.


def test_patch_boxes_divide_the_view_row_by_row() -> None:
    boxes = patch_boxes(Box(-10, 0, 10, 30), 3, 2)
    assert boxes.dtype == np.float32
    assert boxes.tolist()[:3] == [[-10, 0, 0, 10], [0, 0, 10, 10], [-10, 10, 0, 20]]
    assert boxes[-1].tolist() == [0, 20, 10, 30]


# Fingerprints and JSON.


def test_fingerprints_are_pinned() -> None:
    """Checkpoints carry them: a change here makes every saved model refuse its own Fit."""
    fits = (Crop(), Squash(), Letterbox(), Tiles(), Native(), Focus())
    assert {type(fit).__name__: fit.fingerprint for fit in fits} == {
        "Crop": "a73f6a4ca7f450fb",
        "Squash": "1341ccf8d2343248",
        "Letterbox": "9b19f66f6984f679",
        "Tiles": "a009e8b204bacf28",
        "Native": "76074ec7dc5c2e4c",
        "Focus": "a3c24f54924da00a",
    }


@names
def test_every_field_changes_the_fingerprint(fit: AnyFit) -> None:
    seen = {fit.fingerprint}
    for change in changes(fit):
        changed = replace(fit, **change)
        assert changed.fingerprint not in seen, change
        seen.add(changed.fingerprint)


def changes(fit: AnyFit) -> list[dict[str, object]]:
    """One changed value for each field."""
    other = {
        "resample": "lanczos", "mean": (0.1, 0.0, 0.0), "std": (1.0, 1.0, 0.9), "size": 40, "shortest": 41,
        "fill": (1, 2, 3), "grids": ((1, 2),), "patch": 4, "max_tokens": 9, "count": 1,
        "longest": 81, "tiles": False,
    }  # fmt: skip
    return [{name: other[name]} for name in fit.__dataclass_fields__]


def test_fingerprint_is_of_the_values_not_their_types() -> None:
    assert Squash(mean=[0, 0, 0]).fingerprint == Squash(mean=(0.0, 0.0, 0.0)).fingerprint  # type: ignore[arg-type]
    assert Squash(size=9, **PLAIN).fingerprint != Letterbox(size=9, **PLAIN).fingerprint


def test_fingerprint_is_the_same_in_another_process() -> None:
    code = "from isthmus.images.tiles import Tiles; print(Tiles().fingerprint)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert other.stdout.strip() == Tiles().fingerprint


@names
def test_json_round_trip(fit: AnyFit) -> None:
    for one in (fit, *(replace(fit, **change) for change in changes(fit))):
        again = from_json(to_json(one))
        assert again == one
        assert again.fingerprint == one.fingerprint


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "7", '{"fit": "Zoom"}', '{"fit": ["Crop"]}', '{"size": 3}', '{"fit": "Squash"}',
     to_json(Squash()).replace("224", '"x"'), to_json(Squash()).replace('"size"', '"sise"'),
     to_json(Squash()).replace("224", "0"), to_json(Squash()).replace("bicubic", "magic")],
)  # fmt: skip
def test_damaged_json_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        from_json(text)


def test_json_names_the_fit() -> None:
    assert json.loads(to_json(Native()))["fit"] == "Native"


@pytest.mark.parametrize(
    "make",
    [lambda: Crop(size=0), lambda: Crop(shortest=-1), lambda: Tiles(grids=()), lambda: Tiles(grids=((0, 1),)),
     lambda: Native(patch=0), lambda: Focus(count=-1), lambda: Squash(std=(1.0, 0.0, 1.0)),
     lambda: Squash(mean=(1.0, 0.0)), lambda: Squash(resample="nearest")],
)  # fmt: skip
def test_senseless_settings_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError):
        make()
