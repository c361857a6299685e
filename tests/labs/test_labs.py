import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from isthmus import labs
from isthmus.cli.main import app
from isthmus.errors import InputError, MissingPart
from isthmus.labs import (
    LABS,
    aspect,
    compress,
    distill,
    forgetting,
    frozen,
    information,
    negatives,
    objectives,
    patches,
    question,
    run,
    scarce,
    search,
    stages,
    ttft,
)
from isthmus.labs.work import one_thread
from tests.cli.processes import stdout_without

from .adapted import tiny_clothes, tiny_start
from .test_aspect import TINY as TINY_ASPECT
from .test_compress import TINY as TINY_COMPRESS
from .test_compress import tiny_language_model
from .test_distill import TINY as TINY_DISTILL
from .test_distill import tiny_teacher
from .test_forgetting import TINY as TINY_FORGETTING
from .test_frozen import TINY as TINY_FROZEN
from .test_frozen import tiny_parts
from .test_information import TINY as TINY_INFORMATION
from .test_negatives import TINY as TINY_NEGATIVES
from .test_objectives import TINY as TINY_OBJECTIVES
from .test_patches import TINY as TINY_PATCHES
from .test_question import TINY as TINY_QUESTION
from .test_scarce import TINY as TINY_SCARCE
from .test_search import TINY as TINY_SEARCH
from .test_stages import TINY as TINY_STAGES
from .test_stages import tiny_stages
from .test_ttft import TINY as TINY_TTFT


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(negatives, "Settings", lambda: TINY_NEGATIVES)
    monkeypatch.setattr(patches, "Settings", lambda: TINY_PATCHES)
    monkeypatch.setattr(ttft, "Settings", lambda: TINY_TTFT)
    monkeypatch.setattr(compress, "Settings", lambda: TINY_COMPRESS)
    monkeypatch.setattr(compress, "load_language_model", tiny_language_model)
    monkeypatch.setattr(information, "Settings", lambda: TINY_INFORMATION)
    monkeypatch.setattr(objectives, "Settings", lambda: TINY_OBJECTIVES)
    monkeypatch.setattr(aspect, "Settings", lambda: TINY_ASPECT)
    monkeypatch.setattr(frozen, "Settings", lambda: TINY_FROZEN)
    tiny_parts(monkeypatch)
    monkeypatch.setattr(question, "Settings", lambda: TINY_QUESTION)
    monkeypatch.setattr(distill, "Settings", lambda: TINY_DISTILL)
    tiny_teacher(monkeypatch)
    monkeypatch.setattr(forgetting, "Settings", lambda: TINY_FORGETTING)
    monkeypatch.setattr(scarce, "Settings", lambda: replace(TINY_SCARCE, pairs=(10,)))
    monkeypatch.setattr(search, "Settings", lambda: TINY_SEARCH)
    tiny_clothes(tmp_path, monkeypatch)
    tiny_start(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(stages, "Settings", lambda: TINY_STAGES)
    tiny_stages(monkeypatch)


def test_listing_imports_neither_torch_nor_matplotlib() -> None:
    out = stdout_without({"torch", "matplotlib", "sklearn", "numpy"}, "lab").splitlines()
    assert [line.split()[0] for line in out] == [lab.name for lab in LABS]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", [lab.name for lab in LABS])
def test_a_lab_writes_its_plot_and_figures(name: str, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    result = run(name, out, seeds=3, quiet=True)
    assert result.lab == name
    assert result.plot == out / f"{name}.png"
    assert result.plot.read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / f"{name}.json").read_text()) == result.to_json() | {
        "settings": json.loads(json.dumps(result.to_json()["settings"]))
    }
    assert result.spent.wall > 0
    assert f"verdict: the claim {result.verdict}" in result.to_text()


@pytest.mark.usefixtures("tiny")
def test_command_line_gives_json_on_stdout(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["lab", "negatives", "--json", "--out", str(tmp_path)], catch_exceptions=False)
    assert found.exit_code == 0
    read = json.loads(found.stdout)
    assert (read["lab"], read["seeds"]) == ("negatives", [0, 1, 2])
    assert "negatives: " in found.stderr


def test_unknown_lab_names_the_labs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"'nothing' .*{', '.join(lab.name for lab in LABS)}"):
        run("nothing", tmp_path, seeds=3)


def test_too_few_seeds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 3"):
        run("negatives", tmp_path, seeds=2)


def test_a_file_is_no_folder_for_results(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="folder"):
        run("negatives", tmp_path / "file", seeds=3)


@pytest.mark.parametrize("package", ["matplotlib", "sklearn"])
def test_without_the_extra_one_line_says_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPart, match=rf"need {package}.*pip install 'isthmus\[labs\]'"):
        labs.run("negatives", tmp_path / "new", seeds=3)
    assert not (tmp_path / "new").exists()


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with pytest.raises(RuntimeError, match="stop"), one_thread():
            assert torch.get_num_threads() == 1
            raise RuntimeError("stop")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
