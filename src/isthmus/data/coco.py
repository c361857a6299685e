"""COCO captions: one JSON file of `images` and `annotations`, one Example a picture with all its captions.

Source: Chen et al., Microsoft COCO Captions, 2015, section 3, and the data's published format.
"""

import re
from pathlib import Path
from typing import Any

from isthmus.data.example import Example, named
from isthmus.data.json_file import members
from isthmus.data.picture_files import existing, folder_with
from isthmus.data.rows import captioned
from isthmus.errors import InputError
from isthmus.messages import ImagePart


class CocoCaptions:
    """Pictures in the order of their ids; those without a caption are left out. All captions are held, no picture."""

    def __init__(self, path: Path, *, folder: Path | None = None) -> None:
        """`folder`: of the pictures; None looks where COCO is usually unpacked (beside the file, its folder or its
        parent, in `images`, or in the folder of the year the file's name says). Raises InputError."""
        self.name = path.name
        files: dict[int, str] = {}
        captions: dict[int, list[str]] = {}
        for key, each in members(path, "images", "annotations"):
            match each:
                case {"id": int(image), "file_name": str(name)} if key == "images":
                    files[image] = name
                case {"image_id": int(image), "caption": str(caption)} if key == "annotations":
                    captions.setdefault(image, []).append(caption)
                case _:
                    raise InputError(f"{path.name} is no file of captions", why=_strange(key, each))
        if not captions:
            raise InputError(f"{path.name} holds no caption")
        self._files = files
        self._captions = [(image, tuple(captions[image])) for image in sorted(captions)]
        known = [files[image] for image, _ in self._captions[:100] if image in files]
        self.folder, _ = (folder, "") if folder else folder_with(known, usual_folders(path), path.name)

    def __len__(self) -> int:
        return len(self._captions)

    def __getitem__(self, at: int) -> Example:
        image, captions = self._captions[at]
        place = f"{self.name}, image {image}"
        try:
            if image not in self._files:
                raise InputError("no file_name is given for it")
            return captioned([ImagePart(existing(self.folder / self._files[image]))], captions, place)
        except InputError as error:
            raise named(place, error) from None


def usual_folders(path: Path) -> list[Path]:
    """Where the pictures of an annotation file are usually unpacked, the likeliest first."""
    near = [path.parent, path.parent.parent]
    years = re.findall(r"(?:train|val|test)(?:20)?\d\d", path.name)
    named_so = [root / inside / year for year in years for root in near for inside in ("", "images")]
    return [*named_so, *(root / "images" for root in near), *near]


def _strange(key: str, each: Any) -> str:
    if isinstance(each, dict) and key == "annotations" and "image_id" in each:
        return f"an annotation has {', '.join(each)} and no caption"
    return f"{key} holds {str(each)[:60]}"
