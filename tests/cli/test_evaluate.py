"""`isthmus evaluate` as a user meets it. Most data come from memory: what `--data` reads is tested where it is read."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.cli import evaluate
from isthmus.evaluation import instructions, probes, subject
from tests.cli.conftest import Run
from tests.cli.processes import stdout_without
from tests.evaluation.changed import change_weights
from tests.evaluation.packages import required
from tests.evaluation.sources import InMemory, question

HEAVY = ("torch", "numpy", "transformers", "PIL", "matplotlib")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few items of every probe: what they measure is tested elsewhere."""
    domains, read = probes.domains, probes.read
    monkeypatch.setattr(probes, "domains", lambda *, passages=2, seed=0: domains(passages=min(2, passages), seed=seed))
    monkeypatch.setattr(probes, "read", lambda name: {**read(name), "items": read(name)["items"][:6]})
    monkeypatch.setattr(instructions, "MAX_TOKENS", 4)
    monkeypatch.setattr(subject, "TRAIN", 2)
    monkeypatch.setattr(subject, "HELD", 2)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(*examples: Any) -> None:
        monkeypatch.setattr(evaluate, "open_examples", lambda _: InMemory(examples, name="pairs.json"))

    use(*(question(at, kind="what" if at % 2 else "who") for at in range(4)))
    return use


@pytest.fixture(scope="session")
def changed(model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return change_weights(model, tmp_path_factory.mktemp("changed") / "model", 1.0, part="")


def test_help_needs_no_torch() -> None:
    assert "--budget" in stdout_without(HEAVY, "evaluate", "--help")


@pytest.mark.usefixtures("data")
def test_answers_beside_their_controls(run: Run, model: str, tmp_path: Path) -> None:
    words = ("evaluate", model, "--data", "pairs.json", "--controls", "blind,shuffled", "--seeds", 2, "--max-tokens", 4)
    code, out, err = run(*words, "--out", tmp_path / "out")
    assert code == 0
    assert f"{model} on pairs.json" in out
    assert "exact match, all" in out
    assert "exact match, who" in out
    assert "blind: pictures removed" in out
    assert "shuffled: another question's pictures, mean over 2 seeds" in out
    assert "asking: 16/16 answers" in err or "asking:" in err
    value = json.loads((tmp_path / "out" / "result.json").read_text())
    assert value["seeds"] == [0, 1]
    assert value["command"] == ["isthmus", *map(str, words), "--out", str(tmp_path / "out")]
    assert value["model"]["fingerprint"]
    assert value["model"]["fit"]
    assert {"isthmus", "torch", "python"} <= {*value["versions"], "isthmus"}
    assert (value["confidence"], value["resamples"]) == (0.95, 1000)


@pytest.mark.usefixtures("data")
def test_json_is_all_that_is_on_stdout_and_a_second_run_asks_nothing(
    run: Run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("evaluate", model, "--data", "x", "--max-tokens", 4, "--out", tmp_path, "--json", "--quiet")
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    from isthmus.vlm.model import VisionLanguageModel

    monkeypatch.setattr(VisionLanguageModel, "answers", None)
    assert json.loads(run(*words)[1]) == json.loads(out)
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 4


def test_findings_beside_what_is_found_blind(run: Run, model: str, tmp_path: Path, data: Callable[..., None]) -> None:
    data(*(question(at, answer=("a cat", "no cat, a dog")[at % 2]) for at in range(4)))
    words = ("evaluate", model, "--data", "x", "--metric", "findings", "--controls", "blind", "--max-tokens", 4)
    (tmp_path / "findings.txt").write_text("cat|kitten\ndog\nhorse\n")
    code, out, err = run(*words, "--findings", tmp_path / "findings.txt", "--out", tmp_path / "out", "--quiet")
    assert (code, err) == (0, "")
    for said in ("recall, micro, all", "specificity, macro, all", "sensitivity above blind", "findings.txt"):
        assert said in out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith(("cat", "dog", "horse"))}
    assert [rows[name][0] for name in ("cat", "dog", "horse")] == ["2", "2", "0"]
    assert rows["horse"][2] == "-", "never there: no sensitivity"
    value = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [each["name"] for each in value["findings"]["terms"]] == ["cat", "dog", "horse"]
    assert run(*words, "--out", tmp_path / "out", "--quiet")[0] == 0
    code, _, err = run(*words, "--findings", tmp_path / "none.txt", "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)


def test_what_is_left_out_is_named(run: Run, model: str, tmp_path: Path, data: Callable[..., None]) -> None:
    from isthmus.errors import InputError

    data(question(1), InputError("pairs.json, record 2 is not JSON"), question(3))
    code, out, _ = run("evaluate", model, "--data", "x", "--max-tokens", 4, "--out", tmp_path, "--quiet")
    assert code == 0
    assert "left out: 1\n  pairs.json, record 2 is not JSON" in out
    value = json.loads((tmp_path / "result.json").read_text())
    assert value["left_out"] == [{"place": "pairs.json, example 2", "why": "pairs.json, record 2 is not JSON"}]


def test_the_language_model_alone(run: Run, model: str, tmp_path: Path) -> None:
    code, out, err = run("evaluate", model, "--language", "--out", tmp_path)
    assert code == 0
    for name in ("bits per byte: english", "bits per byte: code", "choices", "instructions"):
        assert name in out
    assert "0.250" in out
    assert "probing" in err
    value = json.loads((tmp_path / "result.json").read_text())
    assert {each["name"] for each in value["probes"]} >= {"choices", "instructions", "bits per byte: chinese"}


@pytest.mark.usefixtures("data")
def test_a_language_model_is_probed_without_a_picture(run: Run, tmp_path: Path) -> None:
    from tests.backends import tiny

    folder = tiny.save_text_only(tmp_path / "model")
    code, out, _ = run("evaluate", folder, "--language", "--out", tmp_path / "out", "--dtype", "float32")
    assert code == 0
    assert "choices" in out
    code, out, err = run("evaluate", folder, "--data", "x", "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "answers no questions about pictures (leave out --data" in err


@pytest.mark.usefixtures("data")
def test_a_model_forgot_exactly_nothing_of_itself(run: Run, model: str, tmp_path: Path) -> None:
    words = ("--data", "x", "--max-tokens", 4, "--budget", "0%", "--out", tmp_path, "--json", "--quiet")
    code, out, err = run("evaluate", "--before", model, "--after", model, *words)
    assert (code, err) == (0, "")
    value = json.loads(out)
    assert value["forgetting"]["within"]
    assert {"linear probe", "choices"} <= {each["probe"] for each in value["forgetting"]["probes"]}
    assert all(each["loss"] == {"value": 0, "low": 0, "high": 0} for each in value["forgetting"]["probes"])
    assert value["learned"]["exact match"] == {"value": 0, "low": 0, "high": 0}
    assert (tmp_path / "plane.png").is_file()


def test_more_than_the_budget_is_exit_code_1(run: Run, model: str, changed: str, tmp_path: Path) -> None:
    code, out, _ = run(
        "evaluate", "--before", model, "--after", changed, "--budget", "1%", "--out", tmp_path, "--quiet"
    )
    assert code == 1
    assert "over the budget: " in out
    assert "to mend it, measure the models between the two: add --mend" in out
    value = json.loads((tmp_path / "result.json").read_text())
    over = [each["probe"] for each in value["forgetting"]["probes"] if each["over"]]
    assert over
    assert "linear probe" not in over, "the encoder is the same, bit for bit"
    code, out, _ = run(
        "evaluate", "--before", model, "--after", changed, "--budget", "100%", "--out", tmp_path, "--quiet", "--mend"
    )
    assert code == 0
    assert "within the budget" in out
    assert len(json.loads((tmp_path / "result.json").read_text())["plane"]) == 2, "there was nothing to mend"


@pytest.mark.usefixtures("data")
def test_mending_keeps_what_is_furthest_along_within_the_budget(
    run: Run, model: str, changed: str, tmp_path: Path
) -> None:
    required("matplotlib")
    words = ("--mend", "--data", "x", "--max-tokens", 3, "--out", tmp_path, "--quiet", "--json")
    code, out, _ = run("evaluate", "--before", model, "--after", changed, "--budget", "1%", *words)
    assert code == 1
    value = json.loads(out)
    assert [each["model"] for each in value["plane"]] == ["before", "0.25", "0.5", "0.75", "after"]
    assert value["plane"][0]["forgotten"] == 0
    within = [each["within"] for each in value["plane"]]
    reached = within.index(False) - 1
    if value["mended"] is None:
        assert reached == 0
    else:
        assert value["mended"]["alpha"] == reached / 4
        assert (tmp_path / "mended" / "model.safetensors").is_file()
    assert not list(tmp_path.glob("mixed-*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "there is nothing to measure (give --data, --language, or --before and --after)"),
        (["--metric", "bleurt", "--language"], "there is no metric 'bleurt'"),
        (["--controls", "deaf", "--data", "x"], "there is no control 'deaf'"),
        (["--controls", "blind"], "controls without questions"),
        (["--metric", "findings", "--language"], "findings without questions"),
        (["--findings", "f.txt", "--data", "x"], "findings for the metric auto (give --metric findings)"),
        (["--before", "a"], "one model is missing"),
        (["--after", "a"], "one model is missing"),
        (["m", "--before", "a", "--after", "b"], "m is one model too many"),
        (["--before", "a", "--after", "b", "--budget", "0.01"], "the budget '0.01' is no percentage"),
        (["no such model", "--language"], "no model 'no such model'"),
        (["default/none", "--language"], "no part default/none"),
        (["default/embedder", "--device", "tpu"], "there is no device 'tpu'"),
        (["default/embedder", "--dtype", "int8"], "there is no dtype 'int8'"),
    ],
)
def test_mistakes_are_one_line(run: Run, tmp_path: Path, words: list[str], says: str) -> None:
    code, out, err = run("evaluate", *words, "--out", tmp_path)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_data_are_read_from_files_as_people_have_them(run: Run, model: str, tmp_path: Path, photo: Path) -> None:
    """With a BOM, CRLF, Chinese, a missing picture and an upper-case suffix."""
    photo.rename(photo.with_suffix(".PNG"))
    rows = [
        {
            "image": name,
            "conversations": [{"from": "human", "value": f"<image>\n{asks}"}, {"from": "gpt", "value": "一只猫"}],
        }
        for name, asks in (("photo.PNG", "这是什么？"), ("lost.jpg", "what?"), ("photo.PNG", "what is it?"))
    ]
    lines = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "pairs.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    words = ("--max-tokens", 4, "--out", tmp_path / "out", "--quiet", "--json")
    code, out, err = run("evaluate", model, "--data", tmp_path / "pairs.jsonl", *words)
    assert (code, err) == (0, "")
    value = json.loads(out)
    assert (value["data"]["questions"], value["metric"]) == (2, "exact")
    assert "lost.jpg" in value["left_out"][0]["why"]


@pytest.mark.parametrize("words", [["no such folder/x.json"], [""]])
def test_data_that_are_not_there_are_said_before_a_model_is_loaded(run: Run, tmp_path: Path, words: list[str]) -> None:
    code, out, err = run("evaluate", "no such model", "--data", *words, "--out", tmp_path)
    assert (code, out) == (2, "")
    assert "no such model" not in err
    assert err.count("\n") == 1


def test_a_stream_cannot_be_judged(monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path) -> None:
    monkeypatch.setattr("isthmus.data.open.open_data", lambda _: iter(()))
    code, _, err = run("evaluate", "default/vlm", "--data", "parts.tar", "--out", tmp_path)
    assert code == 2
    assert "parts.tar can only be read from front to back" in err


@pytest.mark.usefixtures("data")
def test_ctrl_c_keeps_the_answers_and_the_same_command_goes_on(
    run: Run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.vlm.model import VisionLanguageModel

    answers, calls = VisionLanguageModel.answers, iter(range(9))

    def stopped(*args: Any, **named: Any) -> Any:
        if next(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return answers(*args, **named)

    words = ("evaluate", model, "--data", "x", "--max-tokens", 4, "--batch", 2, "--quiet", "--json")
    with monkeypatch.context() as patched:
        patched.setattr(VisionLanguageModel, "answers", stopped)
        code, out, err = run(*words, "--out", tmp_path / "a")
    assert (code, out) == (130, "")
    assert "the same command goes on" in err
    assert len((tmp_path / "a" / "answers.jsonl").read_text().splitlines()) == 2
    code, out, _ = run(*words, "--out", tmp_path / "a")
    assert code == 0
    whole = json.loads(run(*words, "--out", tmp_path / "b")[1])
    assert json.loads(out)["scores"] == whole["scores"]
    assert (tmp_path / "a" / "answers.jsonl").read_bytes() == (tmp_path / "b" / "answers.jsonl").read_bytes()
