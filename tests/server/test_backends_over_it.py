"""Our own client at real servers: `isthmus serve` over one of our models, and llama.cpp's."""

import re
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from isthmus.backends.backend import Options, complete
from isthmus.backends.native import NativeBackend
from isthmus.backends.openai import OpenAIBackend, Patience
from isthmus.messages import user
from isthmus.server.settings import Settings
from isthmus.vlm.llava import load_llava
from isthmus.vlm.template import Vicuna
from tests.backends import conformance
from tests.backends.conformance import CHECKS, Subject
from tests.backends.llama_server import llama_server
from tests.backends.tiny_native import PICTURE_TOKENS, Steps, save_native_llava

from .serving import NAME, Served, served

SLOW = Patience(first=120)
QUESTION = user("Tell me about the sea and its fish.")


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> NativeBackend:
    folder = save_native_llava(tmp_path_factory.mktemp("llava"))
    return NativeBackend(load_llava(folder, template=Vicuna(system=None)))


@pytest.fixture(scope="module")
def ours(native: NativeBackend) -> Iterator[Served]:
    with served(native, Settings(slots=4)) as found:
        yield found


@pytest.fixture(autouse=True)
def key(ours: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_API_KEY", ours.token)


# Where tools cannot be called it is the server that refuses them, once it was asked.
AT_OURS = [check for check in CHECKS if check is not conformance.who_cannot_call_tools_refuses_them]


@pytest.mark.parametrize("check", AT_OURS, ids=lambda check: check.__name__)
def test_our_models_keep_every_promise_through_our_server(
    ours: Served, native: NativeBackend, check: Callable[[Subject], None]
) -> None:
    steps = Steps(native.model)

    def settled() -> int:
        ours.until(lambda: ours.engine.admission.busy == 0)
        return len(steps.lengths)

    try:
        check(Subject(OpenAIBackend(NAME, f"{ours.address}v1", patience=SLOW), sees=True, steps=settled))
    finally:
        steps.hook.remove()


def test_an_answer_through_the_server_is_the_models_own(ours: Served, native: NativeBackend) -> None:
    asked, options = [user(conformance.picture(1), "what is it?")], Options(max_tokens=12)
    through = complete(OpenAIBackend(NAME, f"{ours.address}v1", patience=SLOW), asked, options)
    alone = complete(native, asked, options)
    assert (through.text, through.reason, through.usage) == (alone.text, alone.reason, alone.usage)
    assert through.usage.picture_tokens == PICTURE_TOKENS
    again = complete(OpenAIBackend(NAME, f"{ours.address}v1", patience=SLOW), asked, options)
    assert again.usage.prompt_tokens is not None
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1


@pytest.fixture(scope="module")
def theirs() -> Iterator[str]:
    with llama_server() as address:
        yield address


NOT_LLAMA_CPPS = (
    conformance.who_cannot_call_tools_refuses_them,  # it takes tools whether or not its model can call any
    conformance.what_might_have_become_a_stop_string_is_not_lost,  # what it has kept of a prompt changes its rounding
    conformance.closing_ends_the_work,  # it notices a closed connection some tokens later
)
AT_LLAMA_CPP = [check for check in CHECKS if check not in NOT_LLAMA_CPPS]


@pytest.mark.parametrize("check", AT_LLAMA_CPP, ids=lambda check: check.__name__)
def test_llama_cpps_own_server_keeps_the_promises(theirs: str, check: Callable[[Subject], None]) -> None:
    def steps() -> int:
        with urllib.request.urlopen(f"{theirs}/metrics") as answer:
            found = re.search(r"^llamacpp:n_decode_total (\d+)", answer.read().decode(), re.M)
        assert found
        return int(found[1])

    backend = OpenAIBackend("default/smollm2", f"{theirs}/v1", patience=SLOW)
    check(Subject(backend, sees=False, steps=steps, question=QUESTION))
