"""The probes' own items, as JSON files: prose in English and Chinese, questions with choices, instructions.

All of them were written for Isthmus and are under its licence, Apache-2.0; each file says so in "origin".
"""

import hashlib
import json
from importlib.resources import files
from typing import Any


def read(name: str) -> Any:
    """The content of the file `name`."""
    return json.loads((files(__name__) / name).read_text(encoding="utf-8"))


def fingerprint(items: object) -> str:
    """Hex hash: measurements are compared only where they were made on equal items."""
    return hashlib.sha256(json.dumps(items, ensure_ascii=True).encode()).hexdigest()[:16]
