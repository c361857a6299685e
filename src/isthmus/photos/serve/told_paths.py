"""Paths for JSON and for people: Unicode, and nothing of the name lost."""

import base64


def shown(path: bytes) -> str:
    r"""Bytes that are no UTF-8 as \xNN."""
    return path.decode("utf-8", "backslashreplace")


def raw(path: bytes) -> str | None:
    """Base64 of a path that `shown` changed."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(path).decode()
    return None
