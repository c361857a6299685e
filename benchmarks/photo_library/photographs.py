"""Whole photographs that come with installed packages, and what each shows, written down by looking at it.

`tuxpaint/...` are of Debian `tuxpaint-data` (GPL-2), the others of the Python packages named first. None is kept here.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from isthmus.errors import MissingPart

TUXPAINT = Path("/usr/share/tuxpaint/templates")
LARGEST = 960
"""Pixels of the longer side that are kept of a photograph."""


@dataclass(frozen=True)
class Photograph:
    """`shows` and `maybe`: names of concepts, what is in it and what some would say is. `ground`: things can be pasted
    on it; `faint`: what is then hard to make out. `alone`: it can be a photo of its own. `people`: how many."""

    name: str
    shows: tuple[str, ...]
    maybe: tuple[str, ...] = ()
    ground: bool = False
    alone: bool = True
    people: int = 0
    faint: tuple[str, ...] = ()


PHOTOGRAPHS = (
    Photograph("tuxpaint/cliff.jpg", ("cliff", "rocks"), ("tree", "clouds", "plant"), ground=True),
    Photograph("tuxpaint/corn_maze.jpg", ("cornfield",), ("leaves", "grass"), ground=True),
    Photograph("tuxpaint/ocean_waves.jpg", ("sea",), (), ground=True),
    Photograph("tuxpaint/ocean_splash.jpg", ("sea",), (), ground=True),
    Photograph("tuxpaint/sheep.jpg", ("sheep", "grass"), ("clouds",), ground=True, faint=("sheep",)),
    Photograph("tuxpaint/spiders_web.jpg", ("spider web",), ("insect", "leaves"), ground=True, faint=("spider web",)),
    Photograph("tuxpaint/sun_behind_clouds.jpg", ("clouds",), ("sun",), ground=True),
    Photograph("tuxpaint/sun_behind_leaves.jpg", ("leaves",), ("tree", "sun"), ground=True),
    Photograph("tuxpaint/redwoods_above.jpg", ("tree",), ("leaves",), ground=True),
    Photograph("tuxpaint/trees_above.jpg", ("tree", "clouds"), ("leaves",), ground=True),
    Photograph("tuxpaint/trees_at_dusk.jpg", ("tree",), ("clouds",), ground=True),
    Photograph("tuxpaint/wool_mill_machine.jpg", ("gears",), ("tool",), ground=True),
    Photograph("tuxpaint/rocks.jpg", ("pebbles",), ("rocks",), ground=True),
    Photograph("tuxpaint/mudstone.jpg", ("rocks",), ("pebbles", "sea", "cliff"), ground=True),
    Photograph("tuxpaint/mossy_log.jpg", ("moss",), ("bark", "leaves", "tree"), ground=True),
    Photograph("tuxpaint/mossy_bark.jpg", ("bark",), ("moss", "tree"), ground=True),
    Photograph("tuxpaint/burnt_bark.jpg", ("bark",), ("tree", "fire"), ground=True),
    Photograph("tuxpaint/lighthouse.jpg", ("lighthouse",), ("brick wall",)),
    Photograph("tuxpaint/jellyfish.jpg", ("jellyfish",), ("sea",)),
    Photograph("skimage/data/brick.png", ("brick wall",), (), ground=True, alone=False),
    Photograph("skimage/data/grass.png", ("grass",), ("plant",), ground=True, alone=False),
    Photograph("skimage/data/gravel.png", ("pebbles",), ("rocks",), ground=True, alone=False),
    Photograph("skimage/data/hubble_deep_field.jpg", ("stars",), (), ground=True),
    Photograph("skimage/data/moon.png", ("moon",), ("rocks", "earth")),
    Photograph("skimage/data/chelsea.png", ("cat",)),
    Photograph("skimage/data/coffee.png", ("coffee", "cup"), ("food",)),
    Photograph("skimage/data/coins.png", ("coins",), ("button",)),
    Photograph("skimage/data/astronaut.png", ("astronaut",), ("rocket", "flag", "clothes", "photographer"), people=1),
    Photograph("skimage/data/camera.png", ("photographer", "camera", "grass"), ("tower", "building"), people=1),
    Photograph("skimage/data/motorcycle_left.png", ("motorcycle",), ("tool", "brick wall", "building")),
    Photograph("skimage/data/rocket.jpg", ("rocket",), ("tower", "building")),
    Photograph("sklearn/datasets/images/china.jpg", ("temple", "tree"), ("sea", "clouds", "leaves")),
    Photograph("sklearn/datasets/images/flower.jpg", ("flower",), ("leaves", "rose", "hibiscus")),
)  # fmt: skip


def file_of(photograph: Photograph) -> Path:
    """Raises MissingPart where its package is not installed."""
    package, _, inside = photograph.name.partition("/")
    if package == "tuxpaint":
        path, todo = TUXPAINT / inside, "apt-get install tuxpaint-data"
    else:
        spec = find_spec(package)
        root = Path(spec.origin).parent if spec and spec.origin else Path(package)
        path, todo = root / inside, "pip install scikit-image scikit-learn"
    if not path.is_file():
        raise MissingPart(f"no photograph {photograph.name}", why=f"no {path}", todo=todo)
    return path


@cache
def alone() -> dict[str, tuple[Photograph, ...]]:
    """Concept -> the photographs of which it is the first thing shown."""
    found: dict[str, tuple[Photograph, ...]] = {}
    for photograph in PHOTOGRAPHS:
        if photograph.alone:
            found[photograph.shows[0]] = (*found.get(photograph.shows[0], ()), photograph)
    return found


def grounds() -> tuple[Photograph, ...]:
    return tuple(photograph for photograph in PHOTOGRAPHS if photograph.ground)


@lru_cache(len(PHOTOGRAPHS))
def load(photograph: Photograph) -> Image.Image:
    """RGB, at most LARGEST pixels long. Not to be drawn on."""
    with Image.open(file_of(photograph)) as image:
        picture = image.convert("RGB")
    if photograph.name.endswith("mossy_bark.jpg"):  # it has black bars above and below
        picture = picture.crop((0, 45, picture.width, picture.height - 45))
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture
