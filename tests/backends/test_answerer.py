"""`isthmus.load`: pictures and a question in plain arguments, and turns with a history."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
import torch

import isthmus
from isthmus.backends.answerer import Answerer
from isthmus.backends.load import load_backend
from isthmus.backends.native import NativeBackend
from isthmus.backends.transformers import TransformersBackend
from isthmus.errors import InputError, MissingPart, PictureError
from isthmus.images.open import open_picture
from isthmus.messages import ImagePart, assistant, user
from isthmus.vlm.llava import load_llava
from tests.backends import tiny
from tests.backends.scripted import Scripted
from tests.backends.tiny_native import PICTURE_TOKENS, save_native_llava
from tests.vlm import models

A, B = models.picture(1), models.picture(2, 30, 60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_native_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def model(folder: str) -> Answerer:
    return isthmus.load(folder, device="cpu")


def test_importing_isthmus_imports_no_torch() -> None:
    code = "import sys, isthmus; assert callable(isthmus.load); assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_question_about_pictures(model: Answerer, folder: str) -> None:
    reply = model.ask([A, B], "which is the cat?", max_tokens=6)
    expected = load_llava(folder).answer([user(A, B, "which is the cat?")], max_tokens=6)
    assert str(reply) == reply.text == expected.text
    assert (reply.model, reply.reason) == (folder, "length")
    assert reply.usage.picture_tokens == 2 * PICTURE_TOKENS
    assert reply.seconds_to_first > 0


def test_a_picture_may_be_given_in_many_ways(model: Answerer, tmp_path: Path) -> None:
    path, data = tmp_path / "picture.png", BytesIO()
    A.save(path)
    A.save(data, "PNG")
    ways = [A, path, str(path), data.getvalue(), open_picture(path), ImagePart(path), [path], (A,)]
    assert len({model.ask(way, "what?", max_tokens=6).text for way in ways}) == 1
    assert model.ask(B, "what?", max_tokens=6).text != model.ask(A, "what?", max_tokens=6).text


def test_no_picture_asks_the_language_model_alone(model: Answerer) -> None:
    assert model.ask([], "why?", max_tokens=3).usage.picture_tokens == 0


def test_the_stream_is_the_answer_in_pieces(model: Answerer) -> None:
    *pieces, last = model.stream(A, "what?", max_tokens=8)
    reply = model.ask(A, "what?", max_tokens=8)
    assert "".join(piece.text for piece in pieces) == reply.text
    assert last.finish is not None
    assert last.finish.usage == reply.usage


def test_draws_follow_the_seed(model: Answerer) -> None:
    def draw(seed: int) -> str:
        return model.ask(A, "what?", max_tokens=8, temperature=1.5, seed=seed).text

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(4)}) > 1


def test_errors_are_the_backends(model: Answerer, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"nowhere\.png does not exist"):
        model.ask(tmp_path / "nowhere.png", "what?")
    with pytest.raises(InputError, match="the question is empty"):
        model.ask([], " ")
    with pytest.raises(InputError, match="max_tokens is 0"):
        model.ask(A, "what?", max_tokens=0)


def test_a_chat_remembers(model: Answerer, folder: str) -> None:
    chat = model.chat(max_tokens=6)
    first = chat.ask(A, "what is it?")
    second = chat.ask([], "and?")
    told = [user(A, "what is it?"), assistant(first.text), user("and?")]
    assert second.text == load_llava(folder).answer(told, max_tokens=6).text
    assert chat.messages == (*told, assistant(second.text))
    assert second.usage.picture_tokens == PICTURE_TOKENS


def test_an_answer_broken_off_is_remembered_as_far_as_it_came() -> None:
    chat = Answerer(Scripted()).chat(max_tokens=20)
    stream = chat.stream([], "why?")
    said = next(stream).text + next(stream).text
    assert chat.messages == ()
    stream.close()
    assert chat.messages == (user("why?"), assistant(said))


def test_a_turn_that_failed_leaves_no_trace(tmp_path: Path) -> None:
    chat = Answerer(Scripted()).chat(max_tokens=5)
    chat.ask([], "hello")
    before = chat.messages
    with pytest.raises(PictureError):
        chat.ask(tmp_path / "nowhere.png", "what?")
    chat.stream([], "never read").close()
    assert chat.messages == before


def test_the_name_chooses_the_backend(folder: str, tmp_path: Path) -> None:
    native = load_backend(folder)
    theirs = load_backend(f"transformers:{tiny.save_llava(tmp_path)}", "cpu", "bfloat16")
    assert isinstance(native, NativeBackend)
    assert isinstance(theirs, TransformersBackend)
    assert theirs.model.dtype == torch.bfloat16
    assert Answerer(theirs).ask(A, "what?", max_tokens=2).model == str(tmp_path)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_the_dtype_is_the_one_asked_for(folder: str, dtype: str | torch.dtype) -> None:
    loaded = load_backend(folder, dtype=dtype)
    assert isinstance(loaded, NativeBackend)
    assert {each.dtype for each in loaded.model.parameters()} == {torch.bfloat16}
    assert Answerer(loaded).ask(A, "what?", max_tokens=2).usage.completion_tokens == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"device": "tpu"}, "there is no device 'tpu'"), ({"dtype": "int8"}, "there is no dtype 'int8'")],
)
def test_devices_and_dtypes_there_are_none_of(folder: str, changes: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        isthmus.load(folder, **changes)  # type: ignore[arg-type]
    assert len(str(raised.value).splitlines()) == 1


def test_no_such_model() -> None:
    with pytest.raises(InputError, match="no model 'no such model'"):
        isthmus.load("no such model")
    with pytest.raises(MissingPart, match="default/none"):
        isthmus.load("default/none")
