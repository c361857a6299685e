"""What a lab of hours has finished, noted at once: ended early, it goes on from there when it is run again."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus import __version__
from isthmus.labs.work import Spent

SUFFIX = ".notes.jsonl"


@dataclass
class Notes:
    """A line of JSON for each piece of work. `about`: what the lab is run with (settings, ways); lines about anything
    else, or of another version, are left alone and not read. `path` None: nothing is kept."""

    path: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    """On the pieces that were found noted."""

    def __post_init__(self) -> None:
        told = json.dumps([__version__, self.about], sort_keys=True, default=str)
        self._about = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._found = {} if self.path is None or not self.path.exists() else self._read(self.path)

    def once(self, work: Callable[[], Any], *key: str | int) -> Any:
        """What `work` gives, plain values, computed or as it was noted under this key."""
        name = json.dumps(key)
        if name in self._found:
            line = self._found[name]
            self.spent = Spent(self.spent.wall + line["seconds"], self.spent.cpu + line["cpu_seconds"])
            return line["found"]
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        line = {
            "about": self._about,
            "key": key,
            "found": found,
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
        }
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(line))  # where a process was killed as it wrote, its line has no end
        return found

    def _read(self, path: Path) -> dict[str, Any]:
        found = {}
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue  # none, or half of one
            if line["about"] == self._about:
                found[json.dumps(line["key"])] = line
        return found
