"""A photo's pixels and what is where on them, by its seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from benchmarks.photo_library.concepts import concepts, cutouts, held_out
from benchmarks.photo_library.content import Content, Item
from benchmarks.photo_library.photographs import Photograph, grounds, load
from benchmarks.photo_library.plan import Shot
from benchmarks.photo_library.truth import Box, Seen
from PIL import Image

from benchmarks.photo_library import written
from isthmus.training.data.scenes import background
from isthmus.training.data.sources import Sample, render

MOST_ENLARGED = 2.8
"""Times a cut-out's own pixels, so that nothing is a blur."""


@dataclass(frozen=True)
class Drawn:
    """An upright RGB picture and its truth; `maybe`: what some would say is to be seen as well."""

    image: Image.Image
    things: tuple[Seen, ...]
    maybe: tuple[str, ...] = ()
    people: int = 0
    text: tuple[str, ...] = ()


def draw(shot: Shot) -> Drawn:
    """Frames of a burst and pictures saved again are drawn as their first and then changed."""
    shown = shot.content
    rng = random.Random(f"draw {shown.seed.library} {shown.seed.photo}")
    size = _size(shot)
    if shown.writing:
        drawn = _written(rng, shot, size)
    elif shown.whole:
        drawn = _whole(rng, shown.whole, size)
    else:
        drawn = _composed(rng, shown, size)
    if not shown.scanned:
        drawn = replace(drawn, image=_light(rng, drawn.image, shot.time.hour))
    if shot.frame:
        drawn = _cropped(drawn, random.Random(f"frame {shown.seed} {shot.frame}"))
    return _smaller(drawn, 0.75) if shot.resaved else drawn


def _size(shot: Shot) -> tuple[int, int]:
    match shot.content.kind:
        case "panorama":
            return 1280, 400
        case "screenshot":
            return 360, 640
        case "document":
            return 460, 640
        case _:
            return (480, 640) if shot.portrait else (640, 480)


def _composed(rng: random.Random, shown: Content, size: tuple[int, int]) -> Drawn:
    image, behind, maybe = _ground(rng, shown, size)
    seen, taken = list(behind), list[Box]()
    large = [item for item in shown.items if not item.small]
    for item, slots in zip(large, _slots(rng, large, size), strict=True):
        sample = rng.choice(cutouts()[item.name])
        mirrored = rng.random() < 0.4
        for left, top, width, height in slots:
            cut = _fit(_cutout(sample), rng.uniform(0.8, 1) * width, rng.uniform(0.8, 1) * height)
            at = left + rng.random() * (width - cut.width), top + rng.random() * (height - cut.height)
            taken.append(_paste(image, cut, at, mirrored))
            seen.append(_seen(item.name, sample, taken[-1]))
    for item in shown.items:
        if item.small:
            sample = rng.choice(cutouts()[item.name])
            side = rng.uniform(0.055, 0.115) * max(size)
            cut = _fit(_cutout(sample), side, side)
            at = _free(rng, size, cut.size, taken)
            taken.append(_paste(image, cut, at, rng.random() < 0.4))
            seen.append(_seen(item.name, sample, taken[-1]))
    people = sum("person" in concepts()[thing.name].kinds for thing in seen)
    return Drawn(image, tuple(seen), maybe, people)


def _whole(rng: random.Random, photograph: Photograph, size: tuple[int, int]) -> Drawn:
    """Most of the photograph, at the shape that loses least of it."""
    picture = load(photograph)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Drawn(
        _part(rng, picture, size, 0.86 if photograph.people else 0.72), _whole_seen(photograph), photograph.maybe,
        photograph.people,
    )  # fmt: skip


def _written(rng: random.Random, shot: Shot, size: tuple[int, int]) -> Drawn:
    writing = shot.content.writing
    assert writing is not None
    match writing.sort:
        case "sign":
            image, behind, maybe = _ground(rng, shot.content, size)
            return Drawn(written.sign(rng, writing, image), behind, maybe, text=writing.lines)
        case "receipt":
            table = background(rng, max(size)).crop((0, 0, *size))
            return Drawn(written.receipt(rng, writing, table), (), text=writing.lines)
        case "whiteboard":
            return Drawn(written.whiteboard(rng, writing, size), (), text=writing.lines)
        case "screen":
            clock = f"{shot.time:%H:%M}"
            return Drawn(written.screen(rng, writing, size, clock), (), text=(*writing.lines, clock))
        case "paper":
            return Drawn(written.paper(rng, writing, size), (), text=writing.lines)


def _ground(
    rng: random.Random, shown: Content, size: tuple[int, int]
) -> tuple[Image.Image, tuple[Seen, ...], tuple[str, ...]]:
    """What is behind things, to be drawn on: part of a photograph mostly, else a drawn one."""
    if rng.random() < 0.4:
        side = max(size)
        return background(rng, min(side, 640)).resize((side, side)).crop((0, 0, *size)), (), ()
    photograph = rng.choice([p for p in grounds() if shown.seaside or "sea" not in p.shows])
    picture = load(photograph)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    seen = tuple(thing for thing in _whole_seen(photograph) if thing.name not in photograph.faint)
    return _part(rng, picture, size, 0.5), seen, photograph.maybe + photograph.faint


def _part(rng: random.Random, picture: Image.Image, size: tuple[int, int], least: float) -> Image.Image:
    """A part of that shape, `least` to 1 of the largest there is, at that size."""
    share = rng.uniform(least, 1) * min(picture.width / size[0], picture.height / size[1])
    width, height = share * size[0], share * size[1]
    left, top = rng.random() * (picture.width - width), rng.random() * (picture.height - height)
    return picture.resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))


def _whole_seen(photograph: Photograph) -> tuple[Seen, ...]:
    return tuple(Seen(name, concepts()[name].chinese, photograph.name) for name in photograph.shows)


def _seen(name: str, sample: Sample, box: Box) -> Seen:
    parts = sample.path.parts
    source = "/".join(parts[parts.index("stamps") + 1 :])
    drawn = "cartoon" in parts or "easter" in parts or "Santa" in source or "christmas/tree" in source
    return Seen(name, concepts()[name].chinese, source, box, sample.concept in held_out(), drawn)


def _slots(
    rng: random.Random, items: Sequence[Item], size: tuple[int, int]
) -> Iterator[list[tuple[float, float, float, float]]]:
    """(left, top, width, height) for each copy of each item: side by side along the longer side."""
    count = sum(item.copies for item in items)
    width, height = size
    along = max(size) / max(count, 1)
    across = min(size)
    places = list(range(count))
    rng.shuffle(places)
    for item in items:
        slots = []
        for _ in range(item.copies):
            start = places.pop() * along
            room = min(along * 0.96, across * (rng.uniform(0.6, 0.95) if count == 1 else rng.uniform(0.75, 0.95)))
            free_along, free_across = rng.random() * (along - room), rng.random() * (across - room)
            left, top = (start + free_along, free_across) if width >= height else (free_across, start + free_along)
            slots.append((left, top, room, room))
        yield slots


@lru_cache(512)
def _cutout(sample: Sample) -> Image.Image:
    """RGBA, cut to what is not transparent, so that a box is the thing's own."""
    image = render(sample, 420)
    return image.crop(image.getchannel("A").point(lambda a: 255 if a > 24 else 0).getbbox())


def _fit(cut: Image.Image, width: float, height: float) -> Image.Image:
    share = min(width / cut.width, height / cut.height, MOST_ENLARGED)
    return cut.resize((max(8, round(cut.width * share)), max(8, round(cut.height * share))), Image.Resampling.BICUBIC)


def _paste(image: Image.Image, cut: Image.Image, at: tuple[float, float], mirrored: bool) -> Box:
    """With a faint shadow."""
    left = min(max(0, round(at[0])), image.width - cut.width)
    top = min(max(0, round(at[1])), image.height - cut.height)
    if mirrored:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    shift = max(1, cut.width // 40)
    image.paste((0, 0, 0), (left + shift, top + shift), cut.getchannel("A").point(lambda a: a * 3 // 10))
    image.paste(cut, (left, top), cut)
    return left, top, left + cut.width, top + cut.height


def _free(rng: random.Random, size: tuple[int, int], cut: tuple[int, int], taken: Sequence[Box]) -> tuple[int, int]:
    """A place that hides nothing, where one is found."""
    for _ in range(60):
        left, top = rng.randint(0, size[0] - cut[0]), rng.randint(0, size[1] - cut[1])
        if all(left + cut[0] <= b[0] or left >= b[2] or top + cut[1] <= b[1] or top >= b[3] for b in taken):
            break
    return left, top


def _light(rng: random.Random, image: Image.Image, hour: int) -> Image.Image:
    """The light of the hour: warm in the evening, dim and blue at night; exposure a little off."""
    exposure = rng.uniform(0.88, 1.08)
    red, green, blue = (1.0, 1.0, 1.0)
    if 17 <= hour < 20:
        red, green, blue = 1.04, 0.95, 0.82
    elif hour >= 20 or hour < 6:
        red, green, blue = 0.72, 0.74, 0.85
    table = [min(255, round(level * exposure * tone)) for tone in (red, green, blue) for level in range(256)]
    return image.point(table)


def _cropped(drawn: Drawn, rng: random.Random) -> Drawn:
    """The camera moved a little."""
    width, height = drawn.image.size
    share = rng.uniform(0.955, 0.985)
    left, top = rng.random() * (1 - share) * width, rng.random() * (1 - share) * height
    part = (left, top, left + share * width, top + share * height)
    image = drawn.image.resize((width, height), Image.Resampling.BICUBIC, part)

    def moved(box: Box) -> Box:
        x0, y0, x1, y1 = ((at - start) / share for at, start in zip(box, (left, top, left, top), strict=True))
        return max(0, round(x0)), max(0, round(y0)), min(width, round(x1)), min(height, round(y1))

    things = tuple(replace(thing, box=thing.box and moved(thing.box)) for thing in drawn.things)
    return replace(drawn, image=image, things=things)


def _smaller(drawn: Drawn, share: float) -> Drawn:
    size = round(drawn.image.width * share), round(drawn.image.height * share)

    def scaled(box: Box) -> Box:
        x0, y0, x1, y1 = (round(at * share) for at in box)
        return x0, y0, x1, y1

    things = tuple(replace(thing, box=thing.box and scaled(thing.box)) for thing in drawn.things)
    return replace(drawn, image=drawn.image.resize(size, Image.Resampling.BICUBIC), things=things)
