"""What a photo's file says about it: when, where, with what, who and which words. `metadata_of`, `Metadata`.

>>> found = metadata_of(b"", name="IMG_20180503_142530.jpg")
>>> found.taken.isoformat(), found.taken_from, found.problems
('2018-05-03T14:25:30', 'name', ('the file is empty',))
"""

from isthmus.photos.metadata.beside import is_motion_pair, sidecars_for
from isthmus.photos.metadata.model import MOTION_PHOTO, Metadata, Precision, Region, Source
from isthmus.photos.metadata.read import metadata_of

__all__ = [
    "MOTION_PHOTO",
    "Metadata",
    "Precision",
    "Region",
    "Source",
    "is_motion_pair",
    "metadata_of",
    "sidecars_for",
]
