"""`isthmus photos` as a user meets it: output, one-line errors, exit codes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from isthmus import contrastive
from isthmus.cli.main import main
from isthmus.errors import MissingPart
from isthmus.images.views import Views

from .fakes import ColourEmbedder, paint, rows

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cheap_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model is the cheap one, and there is another of its kind."""

    def load(name: str, **_: object) -> ColourEmbedder:
        if name not in ("default/embedder", "test/colour"):
            if name != "test/other":
                raise MissingPart(f"no model is named {name}", todo="check --model")
            return ColourEmbedder(name=name, fingerprint="ff" * 32)
        return ColourEmbedder()

    monkeypatch.setattr(contrastive, "load_embedder", load)
    monkeypatch.setattr("isthmus.contrastive.words.load_words_first", lambda *_: None)


@pytest.fixture
def run(
    cheap_models: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Run:
    """(exit code, stdout, stderr) of a command."""

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["isthmus", "photos", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(end.value.code or 0), out, err

    return command


def test_index_search_and_status(run: Run, tmp_path: Path, folder: Path) -> None:
    library = ("--library", tmp_path / "lib")
    code, out, err = run("index", folder, *library)
    assert (code, out.splitlines()[2]) == (0, "5 photos in 5 files")
    assert out.splitlines()[1].startswith("5 photos looked at closer")
    assert "indexing: 5/5" in err
    code, out, _ = run("search", "red", "--top", 2, *library)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[0].split()[0] == "1"
    assert lines[0].endswith("a/red.png  64x48")
    code, out, _ = run("status", *library)
    assert (code, "sound" in out, "5 photos in 5 files" in out) == (0, True, True)


def test_a_backup_is_restored(run: Run, tmp_path: Path, folder: Path) -> None:
    library = ("--library", tmp_path / "lib")
    run("index", folder, *library)
    code, out, _ = run("backup", tmp_path / "copy.sqlite", *library)
    assert (code, "sound, 5 vectors" in out) == (0, True)
    spoil(tmp_path / "lib")
    assert run("search", "red", *library)[0] == 2
    code, out, _ = run("restore", tmp_path / "copy.sqlite", *library)
    assert (code, out.startswith("restored: 5 vectors"), "library-before-" in out) == (0, True, True)
    assert run("search", "red", *library)[0] == 0
    assert json.loads(run("restore", tmp_path / "copy.sqlite", *library, "--json")[1])["vectors"] == 5


def test_a_sentence_is_said_as_it_was_read(run: Run, tmp_path: Path, folder: Path) -> None:
    library = ("--library", tmp_path / "lib")
    run("index", folder, *library)
    code, out, err = run("search", "something red in 2019", *library)
    assert (code, out) == (1, "")
    assert err.splitlines() == ["shows: something red; time: 2019 (0 of 5 photos fit)", "without “2019” 5 would"]
    told = json.loads(run("search", "something red in 2019", *library, "--json")[1])
    assert (told["fitting"], told["photos"], told["without"]) == (0, 5, [{"chip": 1, "fitting": 5}])
    assert [chip["label"] for chip in told["read_as"]["query"]["chips"]] == ["something red", "2019"]


def test_json_is_one_document_on_stdout(run: Run, tmp_path: Path, folder: Path) -> None:
    library = ("--library", tmp_path / "lib", "--json")
    (folder / "words.jpg").write_text("words")
    done = json.loads(run("index", folder, *library)[1])
    assert (done["run"]["embedded"], done["run"]["unread"]) == (5, {"not a picture": 1})
    assert done["unread"][0]["path"] == str(folder / "words.jpg")
    found = json.loads(run("search", "red", *library)[1])
    assert [hit["rank"] for hit in found["results"]] == [1, 2, 3, 4, 5]
    assert set(found["results"][0]) == {"rank", "photo", "score", "path", "width", "height", "copies", "available",
                                         "taken", "box", "video"}  # fmt: skip
    state = json.loads(run("status", "--unread", *library)[1])
    assert state["known"] == 5
    assert state["unread_files"] == done["unread"]


def test_quiet_says_nothing_on_stderr(run: Run, tmp_path: Path, folder: Path) -> None:
    assert run("index", folder, "--quiet", "--library", tmp_path / "lib")[2] == ""


def test_a_sheet_is_written(run: Run, tmp_path: Path, folder: Path) -> None:
    run("index", folder, "--library", tmp_path / "lib")
    assert run("search", "red", "--sheet", tmp_path / "s.png", "--library", tmp_path / "lib")[0] == 0
    assert Image.open(tmp_path / "s.png").format == "PNG"


def test_nothing_indexed_is_exit_1(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda _: tmp_path / "default")
    for command in (("search", "red"), ("status",)):
        code, out, err = run(*command)
        assert (code, out) == (1, "")
        assert "isthmus photos index FOLDER" in err
    (tmp_path / "empty").mkdir()
    run("index", tmp_path / "empty")
    code, out, err = run("search", "red", "--json")
    assert (code, json.loads(out)["results"]) == (1, [])
    assert len(err.splitlines()) == 1


def spoil(library: Path) -> None:
    (library / "library.sqlite").write_bytes(os.urandom(20_000))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("index", "{tmp}/absent"), "there is no folder"),
        (("index", "{tmp}/photos/white.png"), "is not a folder"),
        (("index", "{tmp}/photos", "--model", "no/such"), "no model is named no/such"),
        (("search", " "), "the query is empty"),
        (("search", "red", "--model", "no/such"), "no model is named no/such"),
        (("search", "red", "--model", "test/other"), "was indexed with test/colour"),
        (("search", "red", "--library", "{tmp}/absent"), "there is no folder"),
        (("status", "--library", "{tmp}/absent"), "there is no folder"),
        (("search", "red", "--sheet", "{tmp}/absent/s.png"), "there is no folder"),
        (("search", "red", "--library", "{tmp}/spoiled"), "is damaged"),
        (("index", "{tmp}/photos", "--library", "{tmp}/spoiled"), "is damaged"),
        (("status", "--library", "{tmp}/spoiled"), "is damaged"),
    ],
)
def test_bad_input_is_one_line_and_exit_2_and_loses_nothing(
    run: Run, tmp_path: Path, folder: Path, words: Sequence[str], says: str
) -> None:
    run("index", folder, "--library", tmp_path / "lib")
    (tmp_path / "spoiled").mkdir()
    spoil(tmp_path / "spoiled")
    spoiled = (tmp_path / "spoiled/library.sqlite").read_bytes()
    before = rows(tmp_path / "lib")
    words = [word.format(tmp=tmp_path) for word in words]
    if "--library" not in words:
        words += ["--library", str(tmp_path / "lib")]
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert says in err
    assert "(" in err  # what to do
    assert rows(tmp_path / "lib") == before
    assert (tmp_path / "spoiled/library.sqlite").read_bytes() == spoiled


def test_the_library_remembers_its_model(run: Run, tmp_path: Path, folder: Path) -> None:
    library = ("--library", tmp_path / "lib")
    run("index", folder, "--model", "test/other", *library)
    assert run("search", "red", *library)[0] == 0
    paint(folder / "new.png", "black")
    run("index", folder, *library)
    assert [row[0] for row in rows(tmp_path / "lib")["vectors"]] == ["ff" * 32] * 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_batch_and_says_how_to_go_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    class Interrupted(ColourEmbedder):
        def images(self, views: Sequence[Views]) -> Tensor:
            if len(self.batches) == 1:
                signal.raise_signal(number)
            return super().images(views)

    for seed in range(40):
        paint(tmp_path / f"p/{seed}.png", seed=seed)
    before = signal.getsignal(number)  # Python's own, or of a library that an earlier test used
    with monkeypatch.context() as patch:
        patch.setattr(contrastive, "load_embedder", lambda *_, **__: Interrupted())
        code, _, err = run("index", tmp_path / "p", "--batch", 4, "--library", tmp_path / "lib")
    assert code == 128 + number
    assert "go on with the same command" in err
    saved = len(rows(tmp_path / "lib")["vectors"])
    assert 8 <= saved < 40
    assert signal.getsignal(number) == before
    code, out, _ = run("index", tmp_path / "p", "--library", tmp_path / "lib")
    assert (code, out.startswith(f"{40 - saved} photos embedded")) == (0, True)


@pytest.mark.usefixtures("cheap_models")
def test_names_that_are_not_text_are_printed_as_they_are(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = paint(tmp_path / "x.png")
    (tmp_path / "p").mkdir()
    os.rename(os.fsencode(source), os.fsencode(tmp_path / "p") + b"/\xff\n\x1b[31mred.png")  # noqa: PTH104

    def raw(*words: object) -> bytes:
        monkeypatch.setattr(sys, "argv", ["isthmus", "photos", *map(str, words), "--library", str(tmp_path / "lib")])
        with pytest.raises(SystemExit):
            main()
        return capfdbinary.readouterr().out

    raw("index", tmp_path / "p")
    assert b"/p/\xff\\n\\x1b[31mred.png" in raw("search", "red")
    found = json.loads(raw("search", "red", "--json"))["results"][0]["path"]
    assert Path(found).exists()


def process(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus.cli.main", "photos", *map(str, words)]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_a_reader_that_closes_the_pipe_is_no_error(run: Run, tmp_path: Path, folder: Path) -> None:
    run("index", folder, "--library", tmp_path / "lib")
    reading, writing = os.pipe()
    os.close(reading)
    done = process("status", "--json", "--library", tmp_path / "lib", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_and_status_do_not_import_torch(run: Run, tmp_path: Path, folder: Path) -> None:
    run("index", folder, "--library", tmp_path / "lib")
    commands = [["--help"], ["search", "--help"], ["status", "--library", str(tmp_path / "lib")], ["search", ""]]
    code = f"""
import sys
from isthmus.cli.main import main
for words in {commands!r}:
    sys.argv[1:] = ["photos", *words]
    try:
        main()
    except SystemExit:
        pass
    assert "torch" not in sys.modules, words
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
