"""Files that belong to a photo and lie beside it: sidecars, and the video of a live photo."""

import re

from isthmus.photos.metadata.model import MOTION_PHOTO, Metadata

_VIDEOS = (".mov", ".mp4", ".m4v")


def sidecars_for(name: str) -> tuple[str, ...]:
    """Names of the sidecars a photo of that name may have, the surer first: "a.jpg.xmp" is of no other file than
    "a.jpg", "a.xmp" may be of "a.nef" as well.

    >>> sidecars_for("a.jpg")
    ('a.jpg.xmp', 'a.jpg.XMP', 'a.xmp', 'a.XMP')
    """
    stem, _ = _split(name)
    names = [base + ending for base in (name, stem) for ending in (".xmp", ".XMP")]
    return tuple(dict.fromkeys(names))


def is_motion_pair(still: Metadata, still_name: str, video_name: str, video_id: str = "") -> bool:
    """Whether the still and the video are the two halves of one live photo, lying in one folder.

    Where both carry Apple's content identifier, that decides; else the same name does, IMG_1234.HEIC and IMG_1234.MOV.
    """
    stem, _ = _split(still_name)
    video_stem, ending = _split(video_name)
    if ending.lower() not in _VIDEOS:
        return False
    still_id = "" if still.live_id == MOTION_PHOTO else still.live_id
    if still_id and video_id:
        return still_id.casefold() == video_id.strip("\0 ").casefold()
    return stem.casefold() == video_stem.casefold()


def _split(name: str) -> tuple[str, str]:
    """(stem, ending); a name that starts with its only dot has no ending."""
    match = re.fullmatch(r"(.*[^/\\])(\.[^./\\]*)", name, re.DOTALL)
    return (match[1], match[2]) if match else (name, "")
