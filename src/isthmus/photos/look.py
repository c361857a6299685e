"""Which photos show someone, or hold a text: by what their files say, and by the text that was read in them."""

from collections.abc import Sequence

import numpy as np

from isthmus.photos.facts import Facts, Mask
from isthmus.photos.store import Library
from isthmus.photos.text.find import matches


class Look:
    """Asks the library, and answers with a mask over the photos of `facts`."""

    def __init__(self, library: Library, facts: Facts) -> None:
        self._library, self.facts = library, facts

    def named(self, name: str) -> Mask:
        """By a file's tags, or by what the user showed (`naming.teach`)."""
        shown = self._library.query(
            "SELECT m.photo FROM named m JOIN names n ON n.id = m.name WHERE n.name = ?", (name,)
        )
        return self._of("t.kind = 'person' AND lower(t.value) = lower(?)", name) | self._mask(shown)

    def reads(self, text: str) -> Mask:
        """In the picture (`text.find`); in a title, a caption or a keyword, without case."""
        said = f"%{text.translate(_LITERALLY)}%"
        titled = self._library.query(
            r"""SELECT DISTINCT f.photo FROM files f JOIN facts s ON s.file = f.id WHERE f.gone_at IS NULL
            AND (s.title LIKE ? ESCAPE '\' OR s.caption LIKE ? ESCAPE '\')""",
            (said, said),
        )
        read = self._mask([(photo,) for photo in matches(self._library, text)])
        return read | self._mask(titled) | self._of(r"t.kind = 'keyword' AND t.value LIKE ? ESCAPE '\'", said)

    def _of(self, condition: str, value: str) -> Mask:
        return self._mask(
            self._library.query(
                f"""SELECT DISTINCT f.photo FROM files f JOIN tags t ON t.file = f.id
                WHERE f.gone_at IS NULL AND {condition}""",
                (value,),
            )
        )

    def _mask(self, photos: Sequence[tuple[int]]) -> Mask:
        return np.isin(self.facts.photos, [photo for (photo,) in photos])


_LITERALLY = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})
