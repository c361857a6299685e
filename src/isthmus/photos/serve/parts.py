"""Parts of a photo in the API's shape."""

from isthmus.photos.regions import boxes
from isthmus.photos.serve.answers import Box

BOXES = [Box(x=box.left, y=box.top, w=box.right - box.left, h=box.bottom - box.top) for box in boxes(1, 1)]
"""The regions of every photo, in the library's order."""
