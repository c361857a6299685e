"""Models answer by name as transformers' own generate does, token for token; what goes wrong is said in one line."""

import gc
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    Cache,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from isthmus.backends.backend import Options, Tool, complete
from isthmus.backends.transformers import TransformersBackend
from isthmus.errors import InputError, IsthmusError
from isthmus.messages import Message, assistant, system, user
from tests.backends.conformance import picture

Folders = Callable[[str], str]
Backends = Callable[[str], TransformersBackend]

CONVERSATIONS: dict[str, list[Message]] = {
    "no picture": [user("who are you?")],
    "one picture": [user(picture(0), "what is this?")],
    "two pictures": [user(picture(0), "is this", picture(1), "the same?")],
    "several turns": [
        system("be brief"),
        user(picture(0), "what is this?"),
        assistant("noise"),
        user("and this?", picture(2)),
    ],
}
NEW = 30


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_llava_says_what_transformers_says(
    folder: Folders, backend: Backends, conversation: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = AutoProcessor.from_pretrained(folder("llava"))
    inputs = processor.apply_chat_template(
        [{"role": each.role, "content": _parts(each)} for each in conversation],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    expected = _generate(folder("llava"), dict(inputs))
    _same(backend("llava"), conversation, expected, processor.tokenizer, monkeypatch)


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("model", ["qwen2-vl", "qwen2.5-vl", "qwen3-vl"])
def test_qwen_says_what_transformers_says(
    folder: Folders,
    backend: Backends,
    model: str,
    conversation: list[Message],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its processor cannot be made without torchvision, so the reference's prompt is written here by hand."""
    tokenizer = AutoTokenizer.from_pretrained(folder(model))
    inputs: dict[str, Any] = {}
    counts: list[int] = []
    if pictures := _pictures(conversation):
        inputs = dict(Qwen2VLImageProcessorPil.from_pretrained(folder(model))(pictures, return_tensors="pt"))
        counts = [int(grid.prod()) // 4 for grid in inputs["image_grid_thw"]]
    shown = iter(counts)
    text = ""
    for each in conversation:
        text += f"<|im_start|>{each.role}\n"
        for part in _parts(each):
            pad = "<|image_pad|>" * next(shown) if part["type"] == "image" else ""
            text += f"<|vision_start|>{pad}<|vision_end|>" if pad else part["text"]
        text += "<|im_end|>\n"
    ids = tokenizer(text + "<|im_start|>assistant\n", return_tensors="pt")["input_ids"]
    inputs |= {"input_ids": ids, "mm_token_type_ids": (ids == tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()}
    usage = _same(backend(model), conversation, _generate(folder(model), inputs), tokenizer, monkeypatch)
    assert usage.prompt_tokens == ids.shape[1]
    assert usage.picture_tokens == sum(counts)


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_idefics3_says_what_transformers_says(
    folder: Folders, backend: Backends, conversation: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its AutoProcessor wants torchvision, too. Each picture is four views and the whole, four tokens each."""
    tokenizer = AutoTokenizer.from_pretrained(folder("idefics3"))
    inputs: dict[str, Any] = {}
    if pictures := _pictures(conversation):
        inputs = dict(Idefics3ImageProcessorPil.from_pretrained(folder("idefics3"))([pictures], return_tensors="pt"))
        assert inputs["pixel_values"].shape[1] == 5 * len(pictures)
    views = "".join(
        "".join(f"<fake_token_around_image><row_{row}_col_{column}>{'<image>' * 4}" for column in (1, 2)) + "\n"
        for row in (1, 2)
    )
    shown = f"{views}\n<fake_token_around_image><global-img>{'<image>' * 4}<fake_token_around_image>"
    text = "".join(
        f"<|im_start|>{each.role}\n"
        + "".join(shown if part["type"] == "image" else part["text"] for part in _parts(each))
        + "<|im_end|>\n"
        for each in conversation
    )
    inputs["input_ids"] = tokenizer(text + "<|im_start|>assistant\n", return_tensors="pt")["input_ids"]
    expected = _generate(folder("idefics3"), inputs)
    usage = _same(backend("idefics3"), conversation, expected, tokenizer, monkeypatch)
    assert usage.picture_tokens == 20 * len(pictures)


def test_a_model_of_texts_says_what_transformers_says(
    folder: Folders, backend: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("text only"))
    turns = [{"role": "user", "content": "who are you?"}]
    inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    model = AutoModelForCausalLM.from_pretrained(folder("text only"), dtype=torch.float32)
    expected = model.generate(**inputs, max_new_tokens=NEW, do_sample=False)
    _same(backend("text only"), [user("who are you?")], expected, tokenizer, monkeypatch)


def test_half_precision_answers(folder: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    half = TransformersBackend(folder("llava"), dtype=torch.bfloat16)
    assert {each.dtype for each in half.model.parameters()} == {torch.bfloat16}
    given: dict[str, Any] = {}
    generate = half.model.generate
    monkeypatch.setattr(half.model, "generate", lambda **inputs: given.update(inputs) or generate(**inputs))
    reply = complete(half, CONVERSATIONS["one picture"], Options(max_tokens=5))
    assert reply.usage.completion_tokens == 5
    assert given["pixel_values"].dtype == torch.bfloat16
    assert given["input_ids"].dtype == torch.int64


def test_the_models_end_token_ends_the_answer_and_is_not_said(folder: Folders) -> None:
    backend = TransformersBackend(folder("text only"))
    whole = complete(backend, [user("hello")], Options(max_tokens=20))
    assert whole.reason == "length"
    tokenizer = AutoTokenizer.from_pretrained(folder("text only"))
    said = tokenizer(whole.text, add_special_tokens=False)["input_ids"]
    last = next(each for each in said[4:] if said.index(each) >= 4)
    backend._ends = [last]
    reply = complete(backend, [user("hello")], Options(max_tokens=20))
    assert reply.reason == "stop"
    assert whole.text.startswith(reply.text)
    assert len(reply.text) < len(whole.text)
    assert tokenizer.decode([last]) not in reply.text[-1:]


def test_sampling_settings_of_the_checkpoint_do_not_make_greedy_random(folder: Folders, backend: Backends) -> None:
    sampling = TransformersBackend(folder("llava"))
    sampling.model.generation_config.do_sample = True
    sampling.model.generation_config.temperature = 5.0
    options = Options(max_tokens=20)
    question = CONVERSATIONS["one picture"]
    assert complete(sampling, question, options) == complete(backend("llava"), question, options)


def test_a_failure_in_the_worker_reaches_the_reader(backend: Backends) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a line\nand another")

    backend = backend("llava")
    pieces = []
    with pytest.raises(IsthmusError, match="failed while answering: ZeroDivisionError") as raised:
        stream = backend.stream([user("hello")], options=Options(max_tokens=20))
        pieces.append(next(stream))
        hook = backend.model.register_forward_pre_hook(fail)
        try:
            pieces += list(stream)
        finally:
            hook.remove()
    assert pieces
    assert len(str(raised.value).splitlines()) == 1
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert complete(backend, [user("hello")], Options(max_tokens=3)).usage.completion_tokens == 3


def test_running_out_of_memory_is_said_and_survived(backend: Backends) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 20 GiB")

    backend = backend("llava")
    hook = backend.model.register_forward_pre_hook(fail)
    with pytest.raises(IsthmusError, match="ran out of memory: tried to allocate 20 GiB"):
        complete(backend, [user("hello")], Options(max_tokens=3))
    hook.remove()
    assert complete(backend, [user("hello")], Options(max_tokens=3)).usage.completion_tokens == 3


def test_closing_frees_the_cache(backend: Backends) -> None:
    backend = backend("qwen2-vl")
    gc.collect()
    seen: list[bool] = []
    hook = backend.model.register_forward_hook(lambda *_: seen.append(_caches() > 0))
    stream = backend.stream(CONVERSATIONS["one picture"], options=Options(max_tokens=300))
    next(stream)
    stream.close()
    hook.remove()
    assert any(seen)
    gc.collect()
    assert _caches() == 0


def test_letting_go_of_a_stream_closes_it(backend: Backends) -> None:
    backend = backend("llava")
    steps: list[int] = []
    hook = backend.model.register_forward_hook(lambda *_: steps.append(1))
    next(backend.stream([user("hello")], options=Options(max_tokens=300)))
    gc.collect()
    stopped = len(steps)
    complete(backend, [user("hello")], Options(max_tokens=2))
    hook.remove()
    assert stopped < 300
    assert len(steps) - stopped <= 3


def test_a_stop_string_costs_no_step_more(backend: Backends) -> None:
    backend = backend("llava")
    whole = complete(backend, [user("hello")], Options(max_tokens=20)).text
    steps: list[int] = []
    hook = backend.model.register_forward_hook(lambda *_: steps.append(1))
    reply = complete(backend, [user("hello")], Options(max_tokens=20, stop=(whole[6:8],)))
    hook.remove()
    assert reply.reason == "stop"
    assert len(steps) == reply.usage.completion_tokens < 20


def test_tools_are_refused(backend: Backends) -> None:
    with pytest.raises(InputError, match="asked to use tools"):
        complete(backend("llava"), [user("hello")], Options(), tools=[Tool("search", "", {})])


def _generate(folder: str, inputs: dict[str, Any]) -> torch.Tensor:
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    ids: torch.Tensor = model.generate(**inputs, max_new_tokens=NEW, do_sample=False)
    return ids


def _same(
    backend: TransformersBackend,
    conversation: Sequence[Message],
    expected: torch.Tensor,
    tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Equal ids, prompt and answer, and the text of the answer; gives the usage."""
    made: list[torch.Tensor] = []
    generate = backend.model.generate

    def record(**inputs: Any) -> None:
        made.append(generate(**inputs))

    monkeypatch.setattr(backend.model, "generate", record)
    reply = complete(backend, conversation, Options(max_tokens=NEW))
    assert torch.equal(made[0], expected)
    answer = expected[0, reply.usage.prompt_tokens :]
    assert len(answer) == reply.usage.completion_tokens
    assert reply.text == tokenizer.decode(answer, skip_special_tokens=True)
    return reply.usage


def _parts(message: Message) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": part.text} if hasattr(part, "text") else {"type": "image", "image": _open(part.source)}
        for part in message.content
    ]


def _pictures(conversation: Sequence[Message]) -> list[Image.Image]:
    return [part["image"] for message in conversation for part in _parts(message) if part["type"] == "image"]


def _open(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def _caches() -> int:
    return sum(issubclass(type(each), Cache) for each in gc.get_objects())
