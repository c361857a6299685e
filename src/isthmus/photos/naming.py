"""Name a person, a pet or a thing by a few pictures of it; from then on sentences may ask for it. Nothing leaves the
machine.

What an example shows is kept in the library, small, so that it outlives its file and any later model can look at it.
Which photos show what is named is derived (`recognise.py`), and made again when photos, examples or the model change.
"""

import hashlib
import io
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.photos.database import damaged
from isthmus.photos.matrix import Matrix, load_matrix
from isthmus.photos.pointed import Shown
from isthmus.photos.recognise import Space, shows
from isthmus.photos.regions import boxes, first_row, part_of
from isthmus.photos.store import Library, Model

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder

SIDE = 640
"""Pixels of the longer side of a kept example."""
LONGEST = 80
"""Characters of a name."""


@dataclass(frozen=True)
class Named:
    """`examples` right ones and `wrong` ones; `photos` that were found to show it, the examples among them."""

    name: str
    examples: int
    wrong: int
    photos: int


def teach(
    library: Library,
    embedder: "Embedder",
    name: str,
    right: Sequence[Shown],
    wrong: Sequence[Shown] = (),
) -> Named:
    """Add examples to a name, new or known; what is `wrong` looks like it and is not. An example that was given before
    counts as it is given now.

    All or nothing. Raises InputError for a name without a right example, a picture that cannot be read, or where the
    library was not indexed with this model; PictureError, CorruptLibrary.
    """
    name = _proper(name)
    model = library.model(embedder.fingerprint)
    if model is None or not model.generation:
        raise InputError("no photos are indexed yet", todo="index some with: isthmus photos index FOLDER")
    looked = [_look(library, embedder, each, wrong=False) for each in right]
    looked += [_look(library, embedder, each, wrong=True) for each in wrong]
    known = library.query("SELECT id FROM names WHERE name = ?", (name,))
    has = known and library.query("SELECT 1 FROM examples WHERE name = ? AND NOT wrong", (known[0][0],))
    if not right and not has:
        raise InputError(f"{name} has no example yet", todo=f'give pictures that show it: photos name "{name}" FILE...')
    now = int(time.time())
    with library.transaction() as database:
        database.execute("INSERT OR IGNORE INTO names (name, added_at) VALUES (?, ?)", (name, now))
        (id,) = database.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()
        for each in looked:
            # The same picture given again.
            database.execute(
                "DELETE FROM examples WHERE name = ? AND (picture = ? OR (photo = ? AND NOT boxed))",
                (id, each.picture, each.photo),
            )
            (at,) = database.execute(
                """INSERT INTO examples (name, photo, wrong, boxed, picture, added_at)
                VALUES (?, ?, ?, ?, ?, ?) RETURNING id""",
                (id, each.photo, each.wrong, each.boxed, each.picture, now),
            ).fetchone()
            database.execute("INSERT INTO example_vectors VALUES (?, ?, ?, ?)", (at, model.id, *each.blob))
    recognise(library, embedder)
    return next(each for each in names(library) if each.name.lower() == name.lower())


def names(library: Library) -> list[Named]:
    """In alphabetical order."""
    rows = library.query(
        """SELECT n.name, (SELECT count(*) FROM examples e WHERE e.name = n.id AND NOT wrong),
            (SELECT count(*) FROM examples e WHERE e.name = n.id AND wrong),
            (SELECT count(*) FROM named m WHERE m.name = n.id) FROM names n ORDER BY n.name"""
    )
    return [Named(*row) for row in rows]


def rename(library: Library, name: str, new: str) -> None:
    """Raises InputError where there is no such name, or the new one is taken."""
    new = _proper(new)
    id = _id(library, name)
    if any(other != id for (other,) in library.query("SELECT id FROM names WHERE name = ?", (new,))):
        raise InputError(f"{new} is a name already", todo="forget one of the two first")
    with library.transaction() as database:
        database.execute("UPDATE names SET name = ? WHERE id = ?", (new, id))


def forget(library: Library, name: str) -> None:
    """The name and its examples. Raises InputError where there is no such name."""
    id = _id(library, name)
    with library.transaction() as database:
        database.execute("DELETE FROM names WHERE id = ?", (id,))


def recognise(library: Library, embedder: "Embedder") -> None:
    """Find again which photos show what is named, unless nothing has changed since. Raises CorruptLibrary."""
    model = library.model(embedder.fingerprint)
    if model is None:
        return
    _complete(library, embedder, model)
    state = _state(library, model)
    if library.query("SELECT state FROM named_of") == [(state,)]:
        return
    found = _found(library, model)
    with library.transaction() as database:
        database.execute("DELETE FROM named")
        database.execute("DELETE FROM named_of")
        database.executemany("INSERT INTO named VALUES (?, ?, ?, ?)", found)
        database.execute("INSERT INTO named_of VALUES (?)", (state,))


@dataclass(frozen=True)
class _Looked:
    """An example as it is kept."""

    photo: int | None
    wrong: bool
    boxed: bool
    picture: bytes
    blob: tuple[bytes, int]


def _look(library: Library, embedder: "Embedder", given: Shown, *, wrong: bool) -> _Looked:
    picture, digest = given.open_with_hash()
    photo = library.query("SELECT id FROM photos WHERE hash = ?", (digest,))
    image = picture.image.convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    kept = io.BytesIO()
    image.save(kept, "WEBP", quality=90)
    return _Looked(
        photo[0][0] if photo else None,
        wrong,
        given.box is not None,
        kept.getvalue(),
        _see(embedder, kept.getvalue(), boxed=given.box is not None),
    )


def _see(embedder: "Embedder", picture: bytes, *, boxed: bool) -> tuple[bytes, int]:
    """The vectors of a kept example, and their CRC-32. From what is kept, so that every model sees the same."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    whole = Picture(image, *image.size)
    views = [whole] if boxed else [whole, *(part_of(whole, box) for box in boxes(*image.size))]
    blob = embedder.images([embedder.fit(each) for each in views]).float().cpu().numpy().astype("<f2").tobytes()
    return blob, zlib.crc32(blob)


def _complete(library: Library, embedder: "Embedder", model: Model) -> None:
    """Examples that this model has not seen yet."""
    for id, boxed, picture in library.query(
        """SELECT e.id, e.boxed, e.picture FROM examples e
        WHERE NOT EXISTS (SELECT 1 FROM example_vectors v WHERE v.example = e.id AND v.model = ?)""",
        (model.id,),
    ):
        seen = _see(embedder, picture, boxed=bool(boxed))
        with library.transaction() as database:
            database.execute("INSERT OR IGNORE INTO example_vectors VALUES (?, ?, ?, ?)", (id, model.id, *seen))


def _state(library: Library, model: Model) -> str:
    """Of all that is found depends on."""
    examples = library.query("SELECT id, name, wrong FROM examples ORDER BY id")
    return hashlib.sha256(repr((model.fingerprint, model.generation, model.closer, examples)).encode()).hexdigest()


def _found(library: Library, model: Model) -> list[tuple[int, int, float, int]]:
    """(name, photo, score, part) of all names."""
    ids = [id for (id,) in library.query("SELECT id FROM names")]
    if not ids:
        return []
    whole = load_matrix(library, model)
    closer = load_matrix(library, model, "regions") if model.closer else None
    rows, photos, parts = views_of(whole, closer)
    space = Space.of(rows)
    found: list[tuple[int, int, float, int]] = []
    for id in ids:
        right, wrong = (_examples(library, model, id, is_wrong) for is_wrong in (False, True))
        if closer is None:  # like with like: whole pictures
            right, wrong = [each[:1] for each in right], [each[:1] for each in wrong]
        known = {photo: is_wrong for photo, is_wrong in library.query(
            "SELECT photo, wrong FROM examples WHERE name = ? AND photo IS NOT NULL ORDER BY id", (id,))}  # fmt: skip
        found += [(id, photo, 1.0, -1) for photo, is_wrong in known.items() if not is_wrong]
        if not right or not len(rows):
            continue
        shown = shows(space, rows, photos, right, wrong)
        for photo, score, row in zip(shown.photos.tolist(), shown.scores.tolist(), shown.rows.tolist(), strict=True):
            if photo not in known:
                found.append((id, photo, score, int(parts[row])))
    return found


def views_of(whole: Matrix, closer: Matrix | None) -> tuple[NDArray[np.float16], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of whole photos and regions; the photo of each; the part, -1 for the whole."""
    nowhere = np.full(len(whole.photos), -1, np.int64)
    if closer is None:
        return whole.vectors, whole.photos, nowhere
    numbers = np.arange(len(closer.photos))
    return (
        np.concatenate([whole.vectors, closer.vectors]),
        np.concatenate([whole.photos, closer.photos]),
        np.concatenate([nowhere, numbers - first_row(closer.photos, numbers)]),
    )


def _examples(library: Library, model: Model, name: int, wrong: bool) -> list[NDArray[np.float16]]:
    """[V, D] each."""
    found = []
    for id, blob, crc in library.query(
        """SELECT e.id, v.vectors, v.crc FROM examples e JOIN example_vectors v ON v.example = e.id
        WHERE e.name = ? AND e.wrong = ? AND v.model = ? ORDER BY e.id""",
        (name, wrong, model.id),
    ):
        if len(blob) % (2 * model.dim) or zlib.crc32(blob) != crc:
            raise damaged(library.path, f"the vectors of example {id} do not match their checksum")
        found.append(np.frombuffer(blob, "<f2").reshape(-1, model.dim))
    return found


def _proper(name: str) -> str:
    """Single spaces. Raises InputError."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST:
        raise InputError(f"{name or 'nothing'!r} is no name", todo=f"give 1 to {LONGEST} characters")
    return name


def _id(library: Library, name: str) -> int:
    rows = library.query("SELECT id FROM names WHERE name = ?", (" ".join(name.split()),))
    if not rows:
        known = ", ".join(each.name for each in names(library)) or "none"
        raise InputError(f"nothing is named {name}", why=f"names: {known}", todo="check it")
    return int(rows[0][0])
