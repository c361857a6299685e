"""A query as JSON and back, without loss."""

import json
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from isthmus.errors import InputError
from isthmus.photos.query import model
from isthmus.photos.query.model import Query

_VERSION = 1
_TYPES = {
    cls.__name__: cls
    for cls in (
        model.Interval,
        model.Time,
        model.Place,
        model.Places,
        model.Names,
        model.Camera,
        model.Kind,
        model.Text,
        model.Count,
        model.Sort,
        model.Words,
        model.Alternative,
        model.Chip,
        model.Unsure,
        model.Query,
    )
}


def to_json(query: Query) -> str:
    """One JSON object; every dataclass in it says its type under "is"."""
    return json.dumps({"version": _VERSION, "query": _plain(query)}, ensure_ascii=False)


def from_json(text: str) -> Query:
    """The query that `to_json` wrote. Raises InputError for anything else."""
    try:
        data = json.loads(text)
        query = _object(data["query"]) if data["version"] == _VERSION else None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError("this is no query in JSON", why=str(error)) from error
    if not isinstance(query, Query):
        raise InputError("this is no query in JSON", why="of another version, or not a query")
    return query


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        filled = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"is": type(value).__name__} | filled
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    return value


def _object(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_object(item) for item in value)
    if isinstance(value, dict):
        if "at" in value:
            return datetime.fromisoformat(value["at"])
        kind = _TYPES[value["is"]]
        return kind(**{name: _object(item) for name, item in value.items() if name != "is"})
    return value
