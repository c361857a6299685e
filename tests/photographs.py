"""Real photographs that come with installed packages, and sentences for each in everyday words.

Written by looking at the photographs, before any embedder was tried on them, and not in ImageNet's class names where
another word comes as easily.
"""

from importlib.util import find_spec
from pathlib import Path

PHOTOGRAPHS = {
    "skimage/data/astronaut.png": ("an astronaut", "a smiling woman in an orange space suit"),
    "skimage/data/brick.png": ("a brick wall", "masonry"),
    "skimage/data/camera.png": ("a man taking a picture with a tripod", "a photographer at work"),
    "skimage/data/cell.png": ("a cell under the microscope",),
    "skimage/data/chelsea.png": ("a cat", "my ginger pet looking at me", "whiskers and pointed ears"),
    "skimage/data/coffee.png": ("a cup of coffee", "a hot drink with a spoon on the table", "espresso in the cafe"),
    "skimage/data/coins.png": ("old coins", "ancient money"),
    "skimage/data/grass.png": ("grass", "a lawn seen from above"),
    "skimage/data/gravel.png": ("gravel", "small stones on the ground"),
    "skimage/data/hubble_deep_field.jpg": ("galaxies in space", "the universe through a telescope"),
    "skimage/data/ihc.png": ("stained tissue under the microscope",),
    "skimage/data/moon.png": ("the moon", "craters on a planet"),
    "skimage/data/motorcycle_left.png": ("a motorcycle", "a motorbike in a garage", "a vehicle with two wheels"),
    "skimage/data/page.png": ("a page of text", "a scanned book"),
    "skimage/data/retina.jpg": ("the inside of an eye", "a medical picture of a retina"),
    "skimage/data/rocket.jpg": ("a rocket", "a spacecraft on its launch pad"),
    "sklearn/datasets/images/china.jpg": ("a temple", "a chinese palace with a curved roof", "asian architecture"),
    "sklearn/datasets/images/flower.jpg": ("a flower", "a blossom in orange and red"),
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": ("a woman in uniform", "an officer of the navy"),
}
"""Path below site-packages -> what one might ask."""


def photograph(name: str) -> Path:
    """The file of that name. Raises LookupError where its package is not installed."""
    module, _, inside = name.partition("/")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"{module} is not installed")
    return Path(spec.origin).parent / inside
