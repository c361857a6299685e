"""`isthmus ask` as a user meets it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from isthmus.messages import user
from isthmus.vlm.llava import load_llava
from tests.cli.conftest import Run
from tests.cli.processes import start, stdout_without
from tests.vlm import models

QUESTION = "what is in the picture?"
FOREVER = ("--max-tokens", 90_000)


@pytest.fixture(scope="module")
def expected(model: str) -> str:
    return load_llava(model).ask(models.picture(1), QUESTION, max_tokens=8).text


def test_the_answer_is_on_stdout_and_nothing_else(run: Run, model: str, photo: Path, expected: str) -> None:
    for words in ((), ("--stream",), ("--no-stream",)):
        assert run("ask", photo, QUESTION, "--model", model, "--max-tokens", 8, *words) == (0, f"{expected}\n", "")


def test_several_pictures_in_their_order(run: Run, model: str, photo: Path, tmp_path: Path) -> None:
    other = models.picture(2)
    other.save(tmp_path / "other.png")
    _, out, _ = run("ask", photo, tmp_path / "other.png", QUESTION, "--model", model, "--max-tokens", 8)
    message = user(models.picture(1), other, QUESTION)
    assert out == load_llava(model).answer([message], max_tokens=8).text + "\n"


def test_without_a_picture_the_language_model_answers(run: Run, model: str) -> None:
    code, out, _ = run("ask", "why?", "--model", model, "--max-tokens", 8)
    assert (code, out) == (0, load_llava(model).answer([user("why?")], max_tokens=8).text + "\n")


def test_json_says_who_spoke_and_what_it_took(run: Run, model: str, photo: Path, expected: str) -> None:
    code, out, err = run("ask", photo, QUESTION, "--model", model, "--max-tokens", 8, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["answer"], found["model"], found["finish"]) == (expected, model, "length")
    assert found["usage"]["picture_tokens"] == 16
    assert found["usage"]["completion_tokens"] == 8
    assert 0 < found["seconds_to_first"] <= found["seconds"]


def test_draws_follow_the_seed(run: Run, model: str, photo: Path) -> None:
    drawn = ("ask", photo, QUESTION, "--model", model, "--max-tokens", 8, "--temperature", 1.5, "--seed")
    assert run(*drawn, 1)[1] == run(*drawn, 1)[1] != run(*drawn, 2)[1]


def test_a_model_of_transformers_answers_by_its_prefix(run: Run, photo: Path, tmp_path: Path) -> None:
    from tests.backends import tiny

    folder = tiny.save_llava(tmp_path / "model")
    code, out, err = run("ask", photo, "what?", "--model", f"transformers:{folder}", "--max-tokens", 4, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["model"] == folder


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["photo.png"], "the question is missing: photo.png is a file's name"),
        (["what is it?", "photo.png"], "the question is missing: photo.png is a file's name"),
        (["photo.png", "Photo2.JPG"], "the question is missing: Photo2.JPG is a file's name"),
        (["photo.png", "notes.txt"], "the question is missing: notes.txt is a file's name"),
        (["photo.png", " "], "the question is empty"),
        (["nowhere.png", "what?"], "nowhere.png does not exist (check the path, and put the question in quotes)"),
        (["photo.png", "what", "is it?"], "what does not exist"),
        (["notes.txt", "what?"], "notes.txt"),
        ([".", "what?"], ". is a folder"),
        (["cut.png", "what?"], "cut.png is cut short"),
        (["photo.png", "what?", "--model", "no such model"], "no model 'no such model'"),
        (["photo.png", "what?", "--model", "default/none"], "no part default/none"),
        (["photo.png", "what?", "--device", "tpu"], "there is no device 'tpu'"),
        (["photo.png", "what?", "--dtype", "int8"], "there is no dtype 'int8'"),
        (["photo.png", "x" * 5000, "--model", "no such model"], "no model"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_mistakes_are_one_line(
    run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("notes.txt").write_text("no picture")
    Path("cut.png").write_bytes(photo.read_bytes()[:500])
    code, out, err = run("ask", *words)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_picture_where_the_model_needs_one_is_asked_for(
    run: Run, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.vlm import load

    monkeypatch.setattr(load, "load_vlm", lambda *_, **__: models.model("blip2-opt"))
    code, out, err = run("ask", "why?", "--model", model)
    assert (code, out) == (2, "")
    assert err == "isthmus: BLIP-2 was asked without a picture (give one: it answers about pictures only)\n"


def test_ctrl_c_ends_it_with_what_was_said(model: str, photo: Path) -> None:
    """In a process of its own, reading a pipe: the first words come long before the last."""
    process = start("ask", photo, QUESTION, "--model", model, *FOREVER)
    assert process.stdout is not None
    first = process.stdout.read(10)
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b""
    assert (first + rest).endswith(b"\n")
    said = first.decode(errors="ignore")
    assert said
    assert load_llava(model).ask(Image.open(photo), QUESTION, max_tokens=30).text.startswith(said)


def test_ctrl_c_leaves_whole_json(run: Run, model: str, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus.backends.together import Together

    steps, read_on = iter([0] * 5), Together._step

    def step(self: Together) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        read_on(self)

    monkeypatch.setattr(Together, "_step", step)
    code, out, _ = run("ask", photo, QUESTION, "--model", model, "--json")
    found = json.loads(out)
    assert (code, found["finish"], found["usage"]) == (130, "cancelled", None)
    assert load_llava(model).ask(Image.open(photo), QUESTION, max_tokens=30).text.startswith(found["answer"])
    assert found["answer"]


def test_on_a_terminal_one_dim_line_says_who_spoke(
    run: Run, model: str, photo: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, out, err = run("ask", photo, QUESTION, "--model", model, "--max-tokens", 8)
    assert (code, out) == (0, f"{expected}\n")
    assert err.splitlines() == [f"\x1b[2mloading {model}\x1b[0m", f"\x1b[2mmodel: {model}\x1b[0m"]


def test_the_small_default_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus.cli import answering

    said: list[str] = []
    monkeypatch.setattr(answering, "remark", said.append)
    answering.remark_who_spoke("default/vlm")
    answering.remark_who_spoke("owner/name")
    assert said == [f"model: default/vlm (small; a larger one: --model {answering.LARGER})",
                    "model: owner/name"]  # fmt: skip


def test_a_terminal_shows_control_characters_and_does_not_obey_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from isthmus.cli import answering

    answering.write("a\x1b[2Jb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    answering.write("\x1b[2J é猫\n\t\x9b")
    assert capsys.readouterr().out == "a\x1b[2Jb" + "\\x1b[2J é猫\n\t\\x9b"


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    code = (
        "import sys, typer\n"
        "from isthmus.cli import answering\n"
        "try:\n"
        "    while True: answering.write('words ' * 1000)\n"
        "except typer.Exit as end: sys.exit(end.exit_code)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(5) == b"words"
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, b"")
    process.stderr.close()


@pytest.mark.parametrize("name", ["openai:a-model@http://127.0.0.1:9/v1", "a/file.gguf", "llama.cpp:default/nothing"])
def test_a_model_that_torch_does_not_run_imports_no_transformers(name: str, photo: Path) -> None:
    stdout_without({"torch", "transformers"}, "ask", photo, "what is it?", "--model", name, code=2)
