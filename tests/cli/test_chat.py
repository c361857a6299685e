"""`isthmus chat`: turns on pipes and on a terminal."""

import time
from pathlib import Path

import pytest

from isthmus.messages import Message, assistant, user
from isthmus.options import Options
from isthmus.vlm.llava import load_llava
from tests.cli.conftest import Run
from tests.cli.processes import on_terminal
from tests.vlm import models

A, B = models.picture(1), models.picture(2, 30, 60)


class Expected:
    """What a dialogue with the model is."""

    def __init__(self, model: str) -> None:
        self.talk = load_llava(model).conversation()
        self.told: list[Message] = []

    def turn(self, *said: object, tokens: int = 6) -> str:
        self.told.append(user(*said))
        text = self.talk.answer(self.told, Options(tokens)).text
        self.told.append(assistant(text))
        return f"{text}\n"


@pytest.fixture
def chat(run: Run, model: str) -> Run:
    def command(*words: object, stdin: str) -> tuple[int, str, str]:
        return run("chat", *words, "--model", model, "--max-tokens", 6, stdin=stdin)

    return command


def test_lines_on_stdin_are_turns_with_a_history(chat: Run, model: str, photo: Path) -> None:
    dialogue = Expected(model)
    out = dialogue.turn(A, "what is it?") + dialogue.turn("and?") + dialogue.turn("sure?")
    assert chat(photo, stdin="what is it?\n\nand?\n sure? ") == (0, out, "")


def test_a_picture_is_shown_with_the_next_question_and_new_begins_again(
    chat: Run, model: str, photo: Path, tmp_path: Path
) -> None:
    other = tmp_path / "another one.png"
    B.save(other)
    dialogue, fresh = Expected(model), Expected(model)
    out = dialogue.turn("why?") + dialogue.turn(A, B, "which?") + fresh.turn("and?")
    typed = f"why?\n/picture {photo}\n/picture {other}\nwhich?\n/picture {photo}\n/new\nand?\n/exit\nnever asked\n"
    assert chat(stdin=typed) == (0, out, "")


def test_a_mistake_costs_its_turn_alone(chat: Run, model: str, photo: Path, tmp_path: Path) -> None:
    dialogue = Expected(model)
    out = dialogue.turn(A, "what is it?") + dialogue.turn("and?")
    typed = f"/picture {tmp_path / 'nowhere.png'}\n/help\n/picture\n/picture {photo}\nwhat is it?\nand?\n"
    code, found, err = chat(stdin=typed)
    assert (code, found) == (2, out)
    assert [line.split(" (")[0] for line in err.splitlines()] == [
        f"isthmus: {tmp_path / 'nowhere.png'} does not exist",
        "isthmus: /help is no command",
        "isthmus: /picture is no command",
    ]


def test_a_picture_that_has_gone_is_dropped(
    chat: Run, model: str, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.cli import answering

    monkeypatch.setattr(answering, "check_picture", lambda _: None)
    photo.unlink()
    code, out, err = chat(photo, stdin="what is it?\nwhy?\n")
    assert (code, out) == (2, Expected(model).turn("why?"))
    assert err == f"isthmus: {photo} does not exist (check the path)\n"


def test_a_picture_that_cannot_be_shown_is_refused_at_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    code, out, err = run("chat", tmp_path / "notes.txt")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_on_a_terminal_ctrl_c_stops_the_answer_and_ctrl_d_the_chat(model: str, photo: Path) -> None:
    """The answer would go on for 90,000 tokens; a line typed at the prompt is begun again by Ctrl-C."""
    terminal = on_terminal(["chat", photo, "--model", model, "--max-tokens", 90_000])
    assert f"model: {model}" in terminal.wait_for("/exit ends")
    terminal.wait_for("> ")
    terminal.type("what is it?\n")
    terminal.wait_for("what is it?\n")
    terminal.wait_for(load_llava(model).ask(A, "what is it?", max_tokens=30).text[:1])
    terminal.type("\x03")
    terminal.wait_for("stopped")
    terminal.wait_for("> ")
    terminal.type("half a line")
    terminal.wait_for("half a line")  # it is at the prompt
    time.sleep(1)  # and the prompt reads, however busy the machine is
    terminal.type("\x03")
    terminal.wait_for("> ")
    terminal.type("\x04")
    code, _ = terminal.end()
    assert code == 0
