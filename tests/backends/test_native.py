"""Our own models as a Backend: what was read is not read again, whoever asks and in whatever order."""

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from types import FunctionType, ModuleType

import pytest
import torch
from PIL import Image
from transformers import Cache

from isthmus.backends import idle
from isthmus.backends.backend import Options, Reply, Tool, complete
from isthmus.backends.native import NativeBackend
from isthmus.backends.together import Row
from isthmus.errors import InputError, IsthmusError, PictureError
from isthmus.images.views import Fit, Picture
from isthmus.messages import Message, assistant, system, user
from isthmus.vlm import pictures
from isthmus.vlm.conversation import Conversation
from isthmus.vlm.llava import load_llava
from isthmus.vlm.pictures import content_key
from isthmus.vlm.template import Vicuna
from tests.backends.conformance import CHECKS, Subject
from tests.backends.tiny_native import PICTURE_TOKENS, Steps, save_native_llava
from tests.vlm import models

A, B = models.picture(1), models.picture(2, 30, 60)
FEW = Options(max_tokens=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_native_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture
def backend(folder: str) -> NativeBackend:
    return NativeBackend(load_llava(folder))


@pytest.fixture
def steps(backend: NativeBackend) -> Iterator[list[int]]:
    seen = Steps(backend.model)
    yield seen.lengths
    seen.hook.remove()


@pytest.fixture(scope="module")
def shared(folder: str) -> NativeBackend:
    """Without Vicuna's opening sentence, which a system message replaces: a prompt with one is to be the longer."""
    return NativeBackend(load_llava(folder, template=Vicuna(system=None)))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(shared: NativeBackend, check) -> None:  # type: ignore[no-untyped-def]
    seen = Steps(shared.model)
    try:
        check(Subject(shared, sees=True, steps=lambda: len(seen.lengths)))
    finally:
        seen.hook.remove()


def fresh(folder: str, messages: list[Message], options: Options = FEW) -> Reply:
    """As a backend answers that has read nothing."""
    return complete(NativeBackend(load_llava(folder)), messages, options)


def caches() -> int:
    """How many KV caches this process holds."""
    gc.collect()
    return sum(issubclass(type(each), Cache) for each in gc.get_objects())


def held(backend: NativeBackend) -> int:
    """Bytes of all tensors that are reached from what it remembers, its model left out."""
    found: dict[int, int] = {}
    waiting: list[object] = [backend._idle._held, backend._idle._openings]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, torch.nn.Module | type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        if isinstance(each, torch.Tensor):
            storage = each.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        else:
            waiting += gc.get_referents(each)
    return sum(found.values())


def test_the_reply_is_the_models_answer(folder: str, backend: NativeBackend) -> None:
    reply = complete(backend, [user(A, B, "which?")], FEW)
    answer = load_llava(folder).answer([user(A, B, "which?")], max_tokens=6)
    assert (reply.text, reply.model, reply.reason) == (answer.text, folder, answer.finish)
    assert reply.usage.prompt_tokens == answer.tokens_in
    assert reply.usage.completion_tokens == answer.tokens_out
    assert reply.usage.picture_tokens == 2 * PICTURE_TOKENS
    assert reply.seconds_to_first > 0


def test_a_picture_shown_twice_counts_twice(backend: NativeBackend) -> None:
    assert complete(backend, [user(A, A, "alike?")], FEW).usage.picture_tokens == 2 * PICTURE_TOKENS


def test_a_second_question_about_a_picture_reads_its_own_words(
    folder: str, backend: NativeBackend, steps: list[int]
) -> None:
    first = complete(backend, [user(A, "what is it?")], FEW)
    steps.clear()
    second = complete(backend, [user(A, "how many dogs?")], FEW)
    assert second.usage.picture_tokens == PICTURE_TOKENS
    assert steps[0] < second.usage.prompt_tokens - PICTURE_TOKENS - 10  # nor the opening sentence
    assert set(steps[1:]) == {1}
    assert second == fresh(folder, [user(A, "how many dogs?")])
    assert second.text != first.text


def test_a_picture_is_hashed_once_a_question(backend: NativeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Picture] = []

    def note(picture: Picture, fit: Fit) -> str:
        hashed.append(picture)
        return content_key(picture, fit)

    monkeypatch.setattr(pictures, "content_key", note)
    for asked in ("what is it?", "and where?"):
        complete(backend, [user(A, asked)], FEW)
    assert len(hashed) == 2


def test_a_next_turn_reads_what_was_added(folder: str, backend: NativeBackend, steps: list[int]) -> None:
    told = [user(A, "what is it?")]
    told += [assistant(complete(backend, told, FEW).text), user("and?")]
    steps.clear()
    reply = complete(backend, told, FEW)
    assert steps[0] < reply.usage.prompt_tokens / 2
    assert reply == fresh(folder, told)


def test_two_dialogues_in_turn_keep_what_each_has_read(folder: str, backend: NativeBackend, steps: list[int]) -> None:
    dialogues = [[user(A, "what is it?")], [user(B, "what is it?")]]
    for told in dialogues:
        told.append(assistant(complete(backend, told, FEW).text))
    for told in dialogues:
        steps.clear()
        reply = complete(backend, [*told, user("and?")], FEW)
        assert steps[0] < reply.usage.prompt_tokens / 2
        assert reply == fresh(folder, [*told, user("and?")])


def test_the_conversation_that_shares_most_is_taken(backend: NativeBackend, steps: list[int]) -> None:
    """And not another one of the same picture that was used later."""
    told = [user(A, "what is it?")]
    longer, other = backend.stream(told, options=FEW), backend.stream([user(A, "how many dogs?")], options=FEW)
    begun = [next(longer).text, next(other).text]  # side by side, so that each has a conversation of its own
    told += [assistant(begun[0] + "".join(delta.text for delta in longer)), user("and?")]
    list(other)
    steps.clear()
    reply = complete(backend, told, FEW)
    words = complete(backend, [user("how many dogs?")], FEW).usage.prompt_tokens
    assert steps[0] < reply.usage.prompt_tokens - PICTURE_TOKENS - words


def test_dialogues_that_share_the_systems_words_alone_do_not_take_each_others(
    backend: NativeBackend, steps: list[int]
) -> None:
    first = [system("be brief"), user(A, "what is it?")]
    told = [*first, assistant(complete(backend, first, FEW).text), user("and?")]
    complete(backend, [system("be brief"), user("why?")], FEW)
    steps.clear()
    reply = complete(backend, told, FEW)
    assert steps[0] < reply.usage.prompt_tokens / 2


def test_no_more_bytes_are_kept_than_were_allowed_and_those_used_last_stay(folder: str, backend: NativeBackend) -> None:
    complete(backend, [user(A, "a?")], FEW)
    most = 5 * backend.remembers // 2
    few = NativeBackend(backend.model, remembered=most)
    for at in range(5):
        complete(few, [user(models.picture(at), "what is it?")], FEW)
        assert held(few) == few.remembers <= most
    assert 1 <= len(few._idle) <= 2
    seen = Steps(few.model)
    reply = complete(few, [user(models.picture(4), "what is it?")], FEW)
    seen.hook.remove()
    assert seen.lengths[0] == 1  # read already, but for the position that gives the answer's first logits
    assert reply.usage.cached_tokens == reply.usage.prompt_tokens - 1
    assert reply == fresh(folder, [user(models.picture(4), "what is it?")])


def test_no_more_conversations_are_kept_than_can_be_compared(
    backend: NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "MOST", 2)
    for question in "abcd":
        complete(backend, [user(question)], FEW)
    assert len(backend._idle) == 2


def test_nothing_at_all_is_kept_where_no_bytes_are_allowed(backend: NativeBackend) -> None:
    none = NativeBackend(backend.model, remembered=0)
    for question in "abc":
        complete(none, [user(A, question)], FEW)
    assert len(none._idle) == none.remembers == held(none) == 0


def test_what_is_remembered_makes_room_for_an_answer(folder: str, backend: NativeBackend) -> None:
    complete(backend, [user(A, "what is it?")], FEW)
    failed: list[int] = []

    def fail(*_: object) -> None:
        if not failed:
            failed.append(backend.remembers)
            raise torch.OutOfMemoryError("no room for 2 GB")

    handle = backend.model.language_model.model.layers[1].register_forward_pre_hook(fail)
    assert complete(backend, [user(B, "and?")], FEW) == fresh(folder, [user(B, "and?")])
    handle.remove()
    assert failed[0] > 0


def test_an_answer_that_has_begun_is_not_begun_again(backend: NativeBackend) -> None:
    complete(backend, [user(A, "what is it?")], FEW)
    stream = backend.stream([user(B, "and?")], options=Options(max_tokens=20))
    next(stream)

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("no room for 2 GB")

    handle = backend.model.language_model.model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(IsthmusError, match="ran out of memory"):
        list(stream)
    handle.remove()
    assert backend.remembers == 0


def test_streams_read_in_turn_are_each_what_they_are_alone(folder: str, backend: NativeBackend) -> None:
    asked = [[user(A, "what is it?")], [user(A, "how many dogs?")], [user(B, "what is it?")]]
    streams = [backend.stream(each, options=FEW) for each in asked]
    texts = ["", "", ""]
    for _ in range(20):
        for at, stream in enumerate(streams):
            delta = next(stream, None)
            texts[at] += delta.text if delta else ""
    assert texts == [fresh(folder, each).text for each in asked]


def test_a_stream_that_was_broken_off_spoils_nothing_and_is_read_on(
    folder: str, backend: NativeBackend, steps: list[int]
) -> None:
    stream = backend.stream([user(A, "what is it?")], options=FEW)
    said = next(stream).text
    del stream
    gc.collect()
    assert len(backend._idle) == 1
    told = [user(A, "what is it?"), assistant(said), user("go on")]
    steps.clear()
    reply = complete(backend, told, FEW)
    assert steps[0] < reply.usage.prompt_tokens / 2
    assert reply == fresh(folder, told)


def test_ctrl_c_within_a_step_spoils_nothing(folder: str, backend: NativeBackend) -> None:
    layer = backend.model.language_model.model.layers[1]
    handle = layer.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        complete(backend, [user(A, "what is it?")], FEW)
    handle.remove()
    assert complete(backend, [user(A, "and?")], FEW) == fresh(folder, [user(A, "and?")])


@pytest.mark.parametrize(
    ("kind", "text", "said", "traced"),
    [
        (torch.OutOfMemoryError, "no room for 2 GB", "ran out of memory: no room", False),
        (RuntimeError, "a\nb", "failed while answering: RuntimeError: a b", True),
    ],
)
def test_what_torch_raises_is_one_line_and_what_was_kept_is_let_go(
    folder: str, backend: NativeBackend, kind: type[RuntimeError], text: str, said: str, traced: bool
) -> None:
    def fail(*_: object) -> None:
        raise kind(text)

    before = caches()
    complete(backend, [user(A, "what is it?")], FEW)
    handle = backend.model.language_model.model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(IsthmusError, match=said) as raised:
        complete(backend, [user(A, "and?")], FEW)
    handle.remove()
    assert isinstance(raised.value.__cause__, kind) == traced
    assert raised.value.__context__ is None
    assert traced or caches() == before  # of what there was no room for, nothing is held by the error
    assert len(backend._idle) == 0
    assert complete(backend, [user(A, "and?")], FEW) == fresh(folder, [user(A, "and?")])


def test_an_opened_image_that_cannot_be_read_is_refused(backend: NativeBackend, tmp_path: Path) -> None:
    models.picture(3, 200, 200).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError, match="cannot be read"):
        complete(backend, [user(Image.open(tmp_path / "cut.png"), "what?")], FEW)


def test_without_a_seed_each_answer_is_another(backend: NativeBackend) -> None:
    drawn = Options(max_tokens=12, temperature=1.5)
    assert len({complete(backend, [user("what?")], drawn).text for _ in range(4)}) > 1


def test_tools_are_refused(backend: NativeBackend) -> None:
    with pytest.raises(InputError, match="asked to use tools"):
        next(backend.stream([user("?")], tools=[Tool("search", "", {})], options=FEW))


def test_streams_read_at_the_same_time_share_their_steps(folder: str, backend: NativeBackend, steps: list[int]) -> None:
    asked = [[user(A, "what is it?")], [user("why?")], [user(B, "how many dogs?")]]
    options = Options(max_tokens=20)
    streams = [backend.stream(each, options=options) for each in asked]
    said = [next(stream).text for stream in streams]
    said = [text + "".join(delta.text for delta in stream) for text, stream in zip(said, streams, strict=True)]
    assert steps.count(1) < 1.5 * options.max_tokens  # and not three times as many
    assert said == [fresh(folder, each, options).text for each in asked]


def test_more_than_have_a_place_wait(folder: str, backend: NativeBackend, steps: list[int]) -> None:
    one = NativeBackend(backend.model, together=1)
    first = one.stream([user("why?")], options=FEW)
    begun = next(first).text
    second = complete(one, [user("what is it?")], FEW)
    assert second == fresh(folder, [user("what is it?")])
    assert steps[:8] != [1] * 8
    assert begun + "".join(delta.text for delta in first) == fresh(folder, [user("why?")]).text
    third, fourth = (one.stream([user(each)], options=FEW) for each in ("a", "b"))
    next(third)
    waiting = Thread(target=lambda: next(fourth, None))
    third.close()
    waiting.start()
    waiting.join(60)
    assert not waiting.is_alive()


def test_who_leaves_is_read_no_further(backend: NativeBackend) -> None:
    stays, leaves = (backend.stream([user(each)], options=Options(max_tokens=30)) for each in ("why?", "what?"))
    next(stays), next(leaves)
    widths: list[int] = []
    layer = backend.model.language_model.model.layers[0]
    handle = layer.register_forward_pre_hook(lambda _, given: widths.append(len(given[0])))
    next(stays), next(stays)  # the first piece was there already
    leaves.close()
    together = len(widths)
    list(stays)
    handle.remove()
    assert set(widths[:together]) == {2}
    assert set(widths[together:]) == {1}


def test_a_common_step_that_fails_ends_all_and_the_next_answer_is_whole(folder: str, backend: NativeBackend) -> None:
    streams = [backend.stream([user(each)], options=Options(max_tokens=30)) for each in ("why?", "what?")]
    for stream in streams:
        next(stream)

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    handle = backend.model.language_model.model.layers[1].register_forward_pre_hook(fail)
    for stream in streams:
        with pytest.raises(IsthmusError, match="failed while answering"):
            list(stream)
    handle.remove()
    assert complete(backend, [user("why?")], FEW) == fresh(folder, [user("why?")])


def test_a_newcomer_that_cannot_be_read_spoils_nobodys_answer(folder: str, backend: NativeBackend) -> None:
    goes_on = backend.stream([user("why?")], options=FEW)
    begun = next(goes_on).text
    with pytest.raises(InputError, match="reads at most"):
        complete(backend, [user("so " * 3000)], FEW)
    assert begun + "".join(delta.text for delta in goes_on) == fresh(folder, [user("why?")]).text


def test_ctrl_c_while_another_is_let_in_costs_the_other_nothing(folder: str, backend: NativeBackend) -> None:
    mine = backend.stream([user("why?")], options=FEW)
    begun = next(mine).text
    other = Row(Conversation(backend.model), [user("what?")], FEW)
    backend._together.ask(other)
    layer = backend.model.language_model.model.layers[1]
    handle = layer.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        list(mine)  # lets the other in first
    handle.remove()
    text = ""
    while (piece := backend._together.next(other)) is not None:
        text += piece
    assert text == fresh(folder, [user("what?")]).text
    assert fresh(folder, [user("why?")]).text.startswith(begun)


def test_many_threads_get_each_their_own(folder: str) -> None:
    backend = NativeBackend(load_llava(folder), together=3)
    questions = [user(f"what is {at}?") for at in range(12)]
    alone = [fresh(folder, [each]) for each in questions]
    with ThreadPoolExecutor(12) as threads:
        together = list(threads.map(lambda each: complete(backend, [each], FEW), questions))
    assert together == alone
