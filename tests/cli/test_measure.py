"""`isthmus latency MODEL` as it is typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.errors import InputError
from isthmus.stopwatch import PARTS
from tests.backends.served import MODEL, serve
from tests.backends.tiny import save_llava
from tests.backends.tiny_native import save_native_llava

FEW = ["--picture", "40x56", "--text-tokens", "20", "--rounds", "3", "--tokens", "4", "--threads", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_native_llava(tmp_path_factory.mktemp("llava"))


def run(*arguments: str) -> str:
    """What it writes. Exit code 1 is that parts and total differ: of a tiny model on a busy machine they may."""
    result = CliRunner().invoke(app, ["latency", *arguments])
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code in (0, 1), result.output
    return result.stdout


def test_the_ledger_of_one_of_our_models(folder: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    found = json.loads(run(folder, *FEW, "--json", "--html", str(page)))
    assert [line["part"] for line in found["lines"]] == [
        *(part for part in PARTS if part not in ("send", "wait")),
        "unattributed",
    ]
    assert (found["rounds"], found["picture_tokens"], found["cache"]) == (3, 16, "off")
    assert set(found["verdict"].values()) <= {"yes", "no", "cannot say"}
    assert found["floors"]["prefill"] > 0
    assert found["machine"]["torch_threads"] == 1
    assert "waterfall" in page.read_text()


def test_a_second_question_about_the_same_picture(folder: str) -> None:
    found = json.loads(run(folder, *FEW, "--cache", "hit", "--json", "--batch", "3"))
    assert not {"encoder", "connector"} & {line["part"] for line in found["lines"]}
    assert found["floors"]["encoder"] == 0
    assert len(found["together"]["first"]) == 3
    assert found["together"]["tokens_per_second"] > 0


def test_a_server_is_timed_as_far_as_it_can_be_seen_from_outside() -> None:
    with serve() as served:
        found = json.loads(run(f"openai:{MODEL}@{served.url}", *FEW, "--json", "--batch", "2"))
    parts = [line["part"] for line in found["lines"]]
    assert parts == ["preprocess", "send", "wait", "unattributed"]
    assert found["floors"] == {}
    assert found["prompt_tokens"] > 20


def test_a_transformers_model_and_text_alone(folder: str, tmp_path: Path) -> None:
    name = f"transformers:{save_llava(tmp_path)}"
    text = run(name, *FEW)
    assert "encoder" in text and "unattributed" in text and "equal questions" in text
    assert "encoder" not in run(folder, "--picture", "none", *FEW[2:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--picture", "5by5"], "'5by5' is neither a picture's size nor a file"),
        (["--picture", "99999x99999"], "no picture of 99999x99999 is made"),
        (["--cache", "warm"], "no cache mode"),
        (["--html", "/nowhere/at/all/x.html"], "cannot be written"),
    ],
)
def test_bad_input_is_refused_before_a_model_is_loaded(arguments: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run("no/such-model", *arguments)


def test_a_change_is_predicted_and_measured_where_it_can_be(folder: str) -> None:
    found = json.loads(run(folder, *FEW, "--json", "--what-if", "text=120 cache=prefix"))["what_if"]
    assert 0 < found["predicted"] < 2
    assert not {"encoder"} & {line["part"] for line in found["after"]["lines"]}
    assert found["after"]["prompt_tokens"] > 100
    text = run(folder, *FEW, "--what-if", "tokens=4")
    assert "not measured" in text and "is predicted" in text
    assert " ms, then " in run(folder, *FEW, "--what-if", "picture=56x40")
