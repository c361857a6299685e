import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.labs.notes import SUFFIX, Notes


def test_what_is_noted_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / f"lab{SUFFIX}"
    done: list[int] = []

    def work() -> list[float]:
        done.append(1)
        return [0.1, 0.2]

    first = Notes(path, {"steps": 3})
    assert first.once(work, "way", 0) == first.once(work, "way", 1) == [0.1, 0.2]
    assert len(done) == 2
    assert first.spent.cpu == 0
    again = Notes(path, {"steps": 3})
    assert again.once(work, "way", 0) == [0.1, 0.2]
    assert len(done) == 2
    assert again.spent.wall > 0
    again.once(work, "way", 2)
    assert len(done) == 3


def test_notes_about_other_settings_stay_and_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / f"lab{SUFFIX}"
    Notes(path, {"steps": 3}).once(lambda: 1, "a")
    assert Notes(path, {"steps": 4}).once(lambda: 2, "a") == 2
    assert Notes(path, {"steps": 3}).once(lambda: 3, "a") == 1


def test_without_a_file_nothing_is_kept() -> None:
    assert Notes().once(lambda: 1, "a") == 1


KILLED = """
import os, sys
from pathlib import Path
from isthmus.labs.notes import Notes
notes = Notes(Path(sys.argv[1]))
notes.once(lambda: "kept", "first")
notes.once(lambda: os.kill(os.getpid(), 9), "second")
"""


def test_a_killed_process_keeps_what_it_had_finished(tmp_path: Path) -> None:
    path = tmp_path / f"lab{SUFFIX}"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -9
    whole = path.stat().st_size
    Notes(path).once(lambda: "half written", "second")
    with path.open("r+") as file:
        file.truncate((whole + path.stat().st_size) // 2)
    notes = Notes(path)
    assert notes.once(lambda: pytest.fail("done again"), "first") == "kept"
    assert notes.once(lambda: "now", "second") == "now"
    assert Notes(path).once(lambda: pytest.fail("done again"), "second") == "now"
