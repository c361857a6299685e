"""llama.cpp in this process: the promises of a Backend on the real default model, what is read once, files that would
end the process, and token ids equal to those of transformers."""

import gc
import json
import os
import random
import re
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch

import isthmus
from isthmus.backends import llama_cpp_engine
from isthmus.backends.backend import Options, Reply, Tool, complete
from isthmus.backends.llama_cpp import LlamaCppBackend, _Answer, _body
from isthmus.backends.llama_cpp_engine import BATCH, find_gguf, physical_cores
from isthmus.backends.transformers import TransformersBackend
from isthmus.backends.wire import request
from isthmus.errors import CorruptPart, InputError, IsthmusError, MissingPart, PictureError
from isthmus.messages import Message, assistant, system, tool_result, user
from tests.backends import tiny_gguf
from tests.backends.conformance import CHECKS, Subject, picture
from tests.backends.llama_server import llama_server
from tests.backends.tiny_gguf import CHATML_WITH_TOOLS, IMAGE_TOKENS, save_chain, save_mmproj, save_random
from tests.evaluation.packages import default_part, required

pytestmark = pytest.mark.xdist_group("llama.cpp")

WEATHER = Tool(
    "weather", "of a place", {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
)
SHORT = Options(max_tokens=12)
CALL = ["<tool_call>", '\n{"name": "weather", "argu', 'ments": {"place": "Ba', 'sel"}}\n', "</tool_call>"]
"""A call as a model writes it, in words that end anywhere."""


@pytest.fixture(scope="module", autouse=True)
def _package() -> None:
    required("xllamacpp", "llama")


@pytest.fixture(scope="module")
def smollm2() -> LlamaCppBackend:
    default_part("default/smollm2")
    return LlamaCppBackend("default/smollm2", threads=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds random.gguf, its mmproj.gguf, and calls.gguf, which calls the weather whatever it is asked."""
    folder = tmp_path_factory.mktemp("gguf")
    save_random(folder / "random.gguf")
    save_mmproj(folder / "mmproj.gguf")
    save_chain(folder / "calls.gguf", CALL, more=CALL, template=CHATML_WITH_TOOLS)
    return folder


@pytest.fixture(scope="module")
def seeing(files: Path) -> LlamaCppBackend:
    """Its weights are float32, which are added up in another order where a prompt was partly kept."""
    return LlamaCppBackend(str(files / "random.gguf"), mmproj=files / "mmproj.gguf", threads=1, reuse=False)


@pytest.fixture(scope="module")
def calling(files: Path) -> LlamaCppBackend:
    return LlamaCppBackend(str(files / "calls.gguf"), threads=1)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_default_model_keeps_the_promises(smollm2: LlamaCppBackend, check: Callable[[Subject], None]) -> None:
    question = user("Tell me about the sea and its fish.")
    check(Subject(smollm2, sees=False, steps=lambda: count(smollm2, "n_decode_total"), question=question))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_model_that_sees_keeps_the_promises(seeing: LlamaCppBackend, check: Callable[[Subject], None]) -> None:
    check(Subject(seeing, sees=True, steps=lambda: count(seeing, "n_decode_total")))


def test_pictures_are_counted_in_the_prompt(seeing: LlamaCppBackend) -> None:
    none, two = (
        complete(seeing, [user(*shown, "what?")], Options(max_tokens=1)).usage
        for shown in ((), (picture(0), picture(1)))
    )
    assert (none.picture_tokens, two.picture_tokens) == (0, None)
    assert two.prompt_tokens == none.prompt_tokens + 2 * IMAGE_TOKENS


def test_pictures_for_a_model_that_sees_none_are_refused(smollm2: LlamaCppBackend) -> None:
    assert "takes no pictures (give its mmproj" in refused(smollm2, [user(picture(0), "what?")])


def test_a_next_turn_reads_only_what_is_new(smollm2: LlamaCppBackend) -> None:
    asked = [system("You speak of the sea."), user("Tell me about whales, of all kinds and sizes.")]
    first, read = reading(smollm2, asked)
    assert sum(read) == first.usage.prompt_tokens
    second, (new, kept) = reading(smollm2, [*asked, assistant(first.text), user("And seals?")])
    assert new + kept == second.usage.prompt_tokens
    assert second.usage.cached_tokens == kept
    # all that was read, all that was answered but the last token, which was never read
    assert kept >= first.usage.prompt_tokens + first.usage.completion_tokens - 1
    assert new < 20


def test_another_dialogue_does_not_push_this_one_out(smollm2: LlamaCppBackend) -> None:
    one, other = [user("Count the boats in the harbour, slowly. " * 8)], [user("Who baked this bread? " * 12)]
    reply, _ = reading(smollm2, one)
    reading(smollm2, other)
    _, (new, kept) = reading(smollm2, [*one, assistant(reply.text), user("And now?")])
    assert kept > 0.8 * reply.usage.prompt_tokens
    assert new < 40


def test_without_reuse_an_answer_does_not_depend_on_what_was_asked_before(files: Path, seeing: LlamaCppBackend) -> None:
    asked = [user("Tell me about the wind. " * 5), assistant("It blows."), user("From where does it blow?")]
    options = Options(max_tokens=60)
    expected = complete(LlamaCppBackend(str(files / "random.gguf"), threads=1), asked, options)
    complete(seeing, asked[:1], options)
    reply, (_, kept) = reading(seeing, asked, options)
    assert kept == 0
    assert reply.text == expected.text


def test_closing_while_the_prompt_is_read_ends_the_reading(smollm2: LlamaCppBackend) -> None:
    options, answer = Options(), _Answer(())
    answer.cancelled.set()
    before = count(smollm2, "n_decode_total")
    body = request("", [user("Never mind the tide. " * (6 * BATCH // 5))], None, options)
    smollm2._run(_body(body, options, reuse=True), answer)
    assert count(smollm2, "n_decode_total") - before <= 1
    assert count(smollm2, "requests_processing") == 0


def test_a_character_made_of_two_tokens_comes_whole(tmp_path: Path) -> None:
    first, second = "é".encode()
    halves = [tiny_gguf.BYTES[first], tiny_gguf.BYTES[second]]
    speaker = LlamaCppBackend(str(save_chain(tmp_path / "e.gguf", ["n", *halves, "e"])), threads=1)
    pieces = [delta.text for delta in speaker.stream([user("?")], options=Options())]
    assert pieces == ["n", "é", "e", ""]
    cut = complete(speaker, [user("?")], Options(max_tokens=2))
    assert (cut.text.rstrip("\ufffd"), cut.reason, cut.usage.completion_tokens) == ("n", "length", 2)


def test_draws_come_from_the_whole_distribution(seeing: LlamaCppBackend) -> None:
    """llama.cpp by itself draws among the 40 likeliest, and drops those far below the first."""

    def draw(seed: int, top_p: float = 1.0) -> str:
        options = Options(max_tokens=100, temperature=100.0, seed=seed, top_p=top_p)
        return complete(seeing, [user("go on")], options).text

    letters = {letter for seed in range(8) for letter in draw(seed) if letter.isascii()}
    assert len(letters) > 80
    assert draw(1, top_p=1e-6) == complete(seeing, [user("go on")], Options(max_tokens=100)).text


@pytest.mark.parametrize("seed", [-1, 2**32 - 1, 2**70 + 3])
def test_every_seed_is_one(seeing: LlamaCppBackend, seed: int) -> None:
    options = Options(max_tokens=20, temperature=1.5, seed=seed)
    assert complete(seeing, [user("go on")], options) == complete(seeing, [user("go on")], options)


def test_json_is_kept_to(smollm2: LlamaCppBackend) -> None:
    options = Options(max_tokens=120, json=True)
    read = json.loads(complete(smollm2, [user("Name a town and a river, as JSON with two texts.")], options).text)
    assert isinstance(read, dict)


def test_a_schema_is_kept_to(seeing: LlamaCppBackend) -> None:
    """By random weights, which know nothing of JSON."""
    schema = {
        "type": "object",
        "properties": {"sure": {"type": "boolean"}, "colour": {"enum": ["red", "blue"]}},
        "required": ["sure", "colour"],
        "additionalProperties": False,
    }
    for shown in ((), (picture(0),)):
        reply = complete(seeing, [user(*shown, "what?")], Options(max_tokens=300, json=schema))
        read = json.loads(reply.text)
        assert set(read) == {"sure", "colour"}
        assert read["colour"] in ("red", "blue")


def test_a_schema_that_means_nothing_is_refused(seeing: LlamaCppBackend) -> None:
    assert "nonsense" in refused(seeing, [user("what?")], Options(json={"type": "nonsense"}))


def test_calls_are_read_and_their_results_told(calling: LlamaCppBackend) -> None:
    asked = user("Is it raining in Basel?")
    reply = complete(calling, [asked], Options(), tools=[WEATHER])
    [call] = reply.tool_calls
    assert (reply.text, reply.reason, call.name, call.id != "") == ("", "tool_calls", "weather", True)
    assert json.loads(call.arguments) == {"place": "Basel"}
    told = [asked, Message("assistant", (), reply.tool_calls), tool_result(call, "it rains")]
    next_one = complete(calling, told, Options(), tools=[WEATHER])
    assert next_one.usage.prompt_tokens > reply.usage.prompt_tokens + len("it rains")


def test_a_call_that_was_cut_is_none(calling: LlamaCppBackend) -> None:
    reply = complete(calling, [user("Is it raining?")], Options(max_tokens=3), tools=[WEATHER])
    assert (reply.reason, reply.tool_calls) == ("length", ())


def test_tools_for_a_template_without_a_place_for_them_are_refused(smollm2: LlamaCppBackend) -> None:
    with pytest.raises(InputError, match="asked to use tools"):
        complete(smollm2, [user("Is it raining?")], Options(), tools=[WEATHER])


def test_a_prompt_longer_than_the_context_is_refused(files: Path) -> None:
    small = LlamaCppBackend(str(files / "random.gguf"), context=256, threads=1)
    assert re.match(r"the prompt has 3\d\d tokens: .+ takes 256 with its answer", refused(small, [user("a" * 300)]))
    for letters, made in ((200, 37), (236, 1)):  # 19 tokens are the template's
        reply = complete(small, [user("a" * letters)], Options())
        assert (reply.reason, reply.usage.prompt_tokens) == ("length", letters + 19)
        assert reply.usage.completion_tokens == made
    assert "the prompt has 256 tokens" in refused(small, [user("a" * 237)])


def test_the_context_is_at_most_the_models_own(seeing: LlamaCppBackend) -> None:
    assert f"takes {tiny_gguf.CONTEXT} with its answer" in refused(seeing, [user("a" * 3000)])


def test_text_that_is_no_unicode_is_refused_in_one_line(seeing: LlamaCppBackend) -> None:
    refused(seeing, [user("\ud800")])
    assert complete(seeing, [user("a\0b")], Options(max_tokens=1)).text


def test_prompt_ids_are_those_of_transformers_and_answers_mostly(smollm2: LlamaCppBackend) -> None:
    """Here four bits are multiplied as they are, by activations in eight; there everything is float32."""
    theirs = TransformersBackend("default/smollm2")
    dialogues = [
        [user("What is the capital of France?")],
        [system("Answer in one word."), user("What colour is snow?")],
        [user("Hello!"), assistant("Hello, how can I help?"), user("Name three fruits, with <|im_end|> between.")],
        [user("Ünïcödé, 中文, 🙂 and\ttabs\n\nand lines: ```x = 1```  twice  spaced")],
    ]
    equal = made = 0
    for said in dialogues:
        ids = prompt_ids(smollm2, said)
        assert ids == theirs._prompt(said)["input_ids"][0].tolist()
        ours, expected = (complete(each, said, SHORT) for each in (smollm2, theirs))
        assert ours.usage.prompt_tokens == expected.usage.prompt_tokens == len(ids)
        a, b = (theirs.tokenizer(each.text)["input_ids"] for each in (ours, expected))
        same = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        equal, made = equal + same, made + max(len(a), len(b))
    assert equal / made > 0.3


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], type[IsthmusError], str]] = {
    "empty": (lambda _: b"", CorruptPart, "failed to read magic"),
    "another kind": (lambda _: random.Random(0).randbytes(5000), CorruptPart, "invalid magic"),
    "cut in the header": (lambda whole: whole[:3000], CorruptPart, ""),
    "cut in the weights": (lambda whole: whole[: len(whole) // 2], CorruptPart, "not within the file bounds"),
    "nothing but a beginning": (lambda whole: whole[:4] + random.Random(1).randbytes(5000), CorruptPart, ""),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_one_line(files: Path, tmp_path: Path, kind: str) -> None:
    damage, error, why = DAMAGE[kind]
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damage((files / "random.gguf").read_bytes()))
    assert why in unloadable(path, error)


@pytest.mark.parametrize(
    ("changed", "error", "why"),
    [
        ({"architecture": "perceptron"}, InputError, "unknown model architecture: 'perceptron'"),
        ({"block_count": 0}, CorruptPart, "GGML_ASSERT"),  # this one and the next end the process they are loaded in
        ({"layer_norm_rms_epsilon": -1.0}, CorruptPart, "GGML_ASSERT"),
        ({"block_count": 5}, CorruptPart, "blk.2"),
        ({"chat_template": "{% for"}, CorruptPart, ""),
    ],
)
def test_a_header_that_lies_is_one_line(
    tmp_path: Path, changed: dict[str, Any], error: type[IsthmusError], why: str
) -> None:
    assert why in unloadable(save_random(tmp_path / "lies.gguf", **changed), error)


def test_a_file_is_tried_once_for_each_of_its_states(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    tried: list[str] = []
    run = subprocess.run

    def noted(command: list[str], **given: Any) -> Any:
        tried.append(command[2])
        return run(command, **given)

    monkeypatch.setattr(subprocess, "run", noted)
    path = tmp_path / "model.gguf"
    path.write_bytes((files / "random.gguf").read_bytes())
    for _ in range(2):
        LlamaCppBackend(str(path), threads=1)
    assert tried == [llama_cpp_engine.__name__]
    path.write_bytes(path.read_bytes()[:9000])
    unloadable(path, CorruptPart)
    assert len(tried) == 2


def test_a_processor_without_the_instructions_is_said_to_be_one() -> None:
    said = str(llama_cpp_engine._refusal("a model", -4, ""))
    assert said.startswith("llama.cpp cannot run on this processor: it was built for AVX2")


def test_nobody_else_can_speak_to_the_engine(files: Path) -> None:
    backend = LlamaCppBackend(str(files / "random.gguf"), threads=1)
    address = urlsplit(backend.engine.listening_address)
    folder = Path(address.path).parent
    assert address.scheme == "unix"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    del backend
    gc.collect()
    assert not folder.exists()


def test_one_model_goes_and_another_goes_on(files: Path, seeing: LlamaCppBackend) -> None:
    expected = complete(seeing, [user("who?")], Options(max_tokens=20))
    other = LlamaCppBackend(str(files / "random.gguf"), threads=1)
    stream = other.stream([user("who?")], options=Options(max_tokens=1000))
    next(stream)
    assert complete(seeing, [user("who?")], Options(max_tokens=20)) == expected
    del stream, other
    gc.collect()
    assert complete(seeing, [user("who?")], Options(max_tokens=20)) == expected


def test_without_the_package_one_line_says_how_to_get_it(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingPart, match=r"pip install 'isthmus\[llama\]'"):
        LlamaCppBackend(str(files / "random.gguf"))


@pytest.mark.parametrize("name", ["nowhere.gguf", "default/minilm", "."])
def test_what_is_no_gguf_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        find_gguf(name)


def test_settings_that_cannot_be_had_are_refused(files: Path) -> None:
    path = str(files / "random.gguf")
    for settings in ({"context": 0}, {"threads": 0}):
        with pytest.raises(InputError):
            LlamaCppBackend(path, **settings)
    if not llama_cpp_engine.has_gpu():
        with pytest.raises(InputError, match="there is no GPU"):
            LlamaCppBackend(path, gpu=True)


def test_threads_are_the_cores_this_process_may_use() -> None:
    assert 1 <= physical_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize("prefix", ["llama.cpp:", ""])
def test_it_is_loaded_by_its_name(files: Path, prefix: str) -> None:
    path = str(files / "random.gguf")
    model = isthmus.load(f"{prefix}{path}")
    assert isinstance(model.backend, LlamaCppBackend)
    assert model.name == path
    assert model.ask([], "who?", max_tokens=3).usage.completion_tokens == 3
    for wrong in ({"dtype": torch.bfloat16}, {"device": "mars"}):
        with pytest.raises(InputError):
            isthmus.load(f"{prefix}{path}", **wrong)


def test_a_question_on_the_command_line_needs_no_torch(files: Path) -> None:
    code = (
        "import sys; from isthmus.cli.main import main\n"
        f"sys.argv = ['isthmus', 'ask', 'who?', '--model', {str(files / 'random.gguf')!r}, '--max-tokens', '3']\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr == ""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with llama_server() as address:
        yield address


def test_the_real_server_speaks_the_api(address: str) -> None:
    body = request("a model", [user("Say hello.")], None, Options(max_tokens=4))
    asked = urllib.request.Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as response:
        lines = [line.removeprefix("data: ") for line in response.read().decode().split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    assert json.loads(lines[-2])["usage"]["completion_tokens"] == 4


def count(backend: LlamaCppBackend, what: str) -> int:
    """One of llama.cpp's own counts since it was started."""
    lines = (line.split() for line in backend.engine.handle_metrics().splitlines() if not line.startswith("#"))
    return int(float({name: value for name, value in lines}[f"llamacpp:{what}"]))


def reading(
    backend: LlamaCppBackend, messages: list[Message], options: Options = SHORT
) -> tuple[Reply, tuple[int, int]]:
    """The answer, and how many tokens of its prompt were read, and how many were known."""
    what = ("prompt_tokens_total", "prompt_tokens_cached_total")
    before = [count(backend, each) for each in what]
    reply = complete(backend, messages, options)
    new, kept = (count(backend, each) - was for each, was in zip(what, before, strict=True))
    return reply, (new, kept)


def prompt_ids(backend: LlamaCppBackend, messages: list[Message]) -> list[int]:
    asked = {"messages": request("", messages, None, Options())["messages"]}
    prompt = backend._http.post("/apply-template", json=asked).json()["prompt"]
    read = {"content": prompt, "add_special": True, "parse_special": True}
    ids: list[int] = backend._http.post("/tokenize", json=read).json()["tokens"]
    return ids


def refused(backend: LlamaCppBackend, messages: list[Message], options: Options | None = None) -> str:
    before = count(backend, "n_decode_total")
    with pytest.raises(InputError) as caught:
        complete(backend, messages, options or Options())
    assert not isinstance(caught.value, PictureError)
    assert len(str(caught.value).splitlines()) == 1
    assert count(backend, "n_decode_total") == before
    return str(caught.value)


def unloadable(path: Path, error: type[IsthmusError]) -> str:
    with pytest.raises(error) as caught:
        LlamaCppBackend(str(path), threads=1)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)
    return str(caught.value)
