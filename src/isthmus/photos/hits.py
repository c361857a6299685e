"""Found photos as a person sees them: their files, where these lie, and whether they are there now."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from isthmus.photos import paths
from isthmus.photos.clips import videos_of
from isthmus.photos.facts import load_facts
from isthmus.photos.ranking import Best
from isthmus.photos.regions import boxes
from isthmus.photos.store import Library

MANY = 500
"""Photos looked up by one SELECT."""


@dataclass(frozen=True)
class Hit:
    """A found photo. `path` is a `str` with the system's escapes; `copies`: other files with the same content.

    `photo`: its number in the library. `score` is the cosine of the query's words and the photo, None where it has
    none. `available` is False where the photo's folder is not there just now, say on a drive that is not mounted.
    `taken`: ISO 8601, local wall time, as exactly as it is known ("2018-05"). `box`: left, top, right, bottom in pixels
    of the upright photo, where a region was nearer to the words than the whole. `video`: the moving
    half of a live photo, in the form of `path`.
    """

    rank: int
    photo: int
    score: float | None
    path: str
    width: int
    height: int
    copies: tuple[str, ...] = ()
    available: bool = True
    taken: str | None = None
    box: tuple[float, float, float, float] | None = None
    video: str | None = None


class Folders:
    """The library's roots, and whether each is there now."""

    def __init__(self, library: Library) -> None:
        self.path: dict[int, bytes] = dict(library.query("SELECT id, path FROM roots"))
        self.there = {id: paths.is_folder(path) for id, path in self.path.items()}

    def whole(self, root: int, path: bytes) -> str | None:
        """None where the folder came since."""
        return os.fsdecode(paths.join(self.path[root], path)) if root in self.path else None


def hits(library: Library, folders: Folders, best: Best, rank: int) -> Iterator[Hit | None]:
    """One for each photo in this order, the first that is there ranked `rank`; None where all its files are gone though
    their folder is there."""
    photos = best.photos.tolist()
    for at in range(0, len(photos), MANY):
        some = photos[at : at + MANY]
        files, videos, facts = _files(library, some), videos_of(library, some), load_facts(library, some)
        for place, photo in enumerate(some, at):
            score = None if best.scores is None else float(best.scores[place])
            part = -1 if best.parts is None else int(best.parts[place])
            hit = _hit(folders, photo, files.get(photo, []), facts.told_time(photo), score, part, rank)
            rank += hit is not None
            yield hit if hit is None or photo not in videos else replace(hit, video=folders.whole(*videos[photo]))


_File = tuple[int, bytes, int, int]
"""Root, path in it, width and height of the photo."""


def _files(library: Library, photos: Sequence[int]) -> dict[int, list[_File]]:
    found: dict[int, list[_File]] = {}
    for photo, *file in library.query(
        f"""SELECT f.photo, f.root, f.path, p.width, p.height FROM files f JOIN photos p ON p.id = f.photo
        WHERE f.photo IN ({", ".join("?" * len(photos))}) AND f.gone_at IS NULL ORDER BY f.root, f.path""",
        photos,
    ):
        found.setdefault(photo, []).append((*file,))
    return found


def _hit(
    folders: Folders,
    photo: int,
    files: Sequence[_File],
    taken: str | None,
    score: float | None,
    part: int,
    rank: int,
) -> Hit | None:
    here: list[str] = []
    away: list[str] = []
    for root, path, _, _ in files:
        if root not in folders.path:
            continue  # a folder that came since
        whole = paths.join(folders.path[root], path)
        if not folders.there[root]:
            away.append(os.fsdecode(whole))
        elif paths.is_there(whole):
            here.append(os.fsdecode(whole))
    if not here and not away:
        return None
    first, *others = here + away
    width, height = files[0][2:]
    found = boxes(width, height)[part] if part >= 0 else None
    box = (found.left, found.top, found.right, found.bottom) if found else None
    return Hit(rank, photo, score, first, width, height, tuple(others), available=bool(here), taken=taken, box=box)
