"""The command line as a whole: quick to answer, one line for what the user can mend."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import stdout_without

COMMANDS = (
    [],
    ["ask"],
    ["chat"],
    ["inspect"],
    ["photos"],
    ["photos", "index"],
    ["photos", "search"],
    ["photos", "status"],
    ["models"],
    ["train"],
    ["lab"],
)


def isthmus(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "isthmus")
def test_help_answers_without_torch(words: list[str]) -> None:
    heavy = ("torch", "numpy", "transformers", "PIL", "huggingface_hub", "matplotlib")
    assert "Usage:" in stdout_without(heavy, *words, "--help")


def test_listing_the_labs_needs_no_torch() -> None:
    assert "negatives" in stdout_without({"torch"}, "lab")


def test_models_lists_every_part_with_its_state() -> None:
    done = isthmus("models", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 0, done.stderr
    assert rows["default/embedder"]["state"] == rows["default/minilm"]["state"] == "verified"
    assert all({"from", "bytes", "licence", "sha256", "cached"} <= set(row) for row in rows.values())
    assert "default/minilm" in isthmus("models").stdout


def test_the_version_is_said() -> None:
    assert isthmus("--version").stdout.startswith("isthmus 0.")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ask", "no-such-picture.png", "what is this?"], "no-such-picture.png"),
        (["chat", "no-such-picture.png"], "no-such-picture.png"),
        (["inspect", "no-such-sample.json"], "no-such-sample.json"),
        (["photos", "index", "no-such-folder"], "no-such-folder"),
        (["photos", "search", " "], "empty"),
        (["photos", "index", ".", "--model", "no such model"], "no model"),
        (["train", "no-such-recipe.yaml", "--out", "x"], "no-such-recipe.yaml"),
        (["lab", "no-such-lab"], "no-such-lab"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(words: list[str], says: str, tmp_path: Path) -> None:
    library = ["--library", str(tmp_path / "library")] if words[0] == "photos" else []
    done = isthmus(*words, *library, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
