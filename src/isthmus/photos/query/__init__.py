"""A sentence becomes a query: when, where, who, with which camera, of what kind, and what is left for the vector.

>>> from datetime import datetime
>>> query = parse("red car in Paris last summer, no people", datetime(2024, 7, 17))
>>> [chip.label for chip in query.chips]
['red car', 'Paris (within 29.2 km)', '2023-06-01 to 2023-08-31', 'people']
>>> query.vector_text, query.negative
('red car', ('people',))
"""

from datetime import datetime

from isthmus.photos.query.edit import as_words, inverted, with_alternative, with_value, without
from isthmus.photos.query.explain import explain
from isthmus.photos.query.model import Camera, Chip, Name, Query, Settings, Vocabulary
from isthmus.photos.query.serial import from_json, to_json

__all__ = [
    "Camera",
    "Chip",
    "Name",
    "Query",
    "Settings",
    "Vocabulary",
    "as_words",
    "explain",
    "from_json",
    "inverted",
    "parse",
    "to_json",
    "with_alternative",
    "with_value",
    "without",
]

_NO_VOCABULARY, _DEFAULTS = Vocabulary(), Settings()


def parse(
    sentence: str, now: datetime, *, vocabulary: Vocabulary = _NO_VOCABULARY, settings: Settings = _DEFAULTS
) -> Query:
    """What `sentence` asks for. Never raises for any text.

    `now` is naive local wall time; "yesterday" is the day before it. `vocabulary` has the names and cameras of the
    library. The first call compiles the grammar and loads the gazetteer, which takes a few tenths of a second.
    """
    # Imported here so that whoever only edits or shows queries does not wait for the grammar.
    from isthmus.photos.query import sentence as reader

    return reader.read(sentence, now, vocabulary, settings)
