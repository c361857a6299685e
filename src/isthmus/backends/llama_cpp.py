"""llama.cpp in this process as a Backend, for GGUF files."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from shutil import rmtree
from tempfile import mkdtemp
from textwrap import shorten
from threading import Event, get_ident
from typing import Any
from weakref import finalize

import httpx

from isthmus.backends.backend import (
    Delta,
    Finish,
    Options,
    Reason,
    Stream,
    Tool,
    ToolCall,
    Usage,
    check_abilities,
    check_messages,
)
from isthmus.backends.chunks import Calls
from isthmus.backends.llama_cpp_engine import EngineSettings, find_gguf, has_gpu, physical_cores, start
from isthmus.backends.wire import request
from isthmus.errors import InputError, IsthmusError
from isthmus.messages import Message
from isthmus.text_stream import StopStrings

REASONS: Mapping[str, Reason] = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}
SEEDS = 2**32 - 1
"""llama.cpp takes the seed after the last of these for none."""


class LlamaCppBackend:
    """A GGUF file that answers in the chat template it carries.

    One thread of its own runs the model: answers are made one after the other, and while one is read it runs ahead of
    its reader. Closing a stream waits for the step under way: one token, or a part of the prompt. What was read of the
    dialogue before is kept, so a next turn reads only what is new; of dialogues before that, in as much memory as
    `KEPT_MIB`. What a model thinks before it answers is no part of the answer.
    """

    def __init__(
        self,
        name_or_path: str,
        *,
        mmproj: str | Path | None = None,
        context: int = 8192,
        threads: int | None = None,
        gpu: bool | None = None,
        reuse: bool = True,
    ) -> None:
        """`default/smollm2` or a path. `mmproj`: the GGUF of the part that sees, for pictures. `context`: tokens of
        prompt and answer, at most as many as the model was trained with. threads None: one for each physical core that
        this process may use. gpu None: as many layers as there is room for, where there is a GPU and a build for it.
        `reuse` False: every prompt is read from its beginning, so that an answer does not depend, by its rounding, on
        what was asked before.

        Raises MissingPart without xllamacpp or the part, CorruptPart for a file that cannot be loaded, InputError for
        one of an unknown architecture and for settings that cannot be had."""
        if context < 1 or (threads is not None and threads < 1):
            raise InputError("context and threads are counted from 1", todo="leave them out, or give more")
        with_gpu = has_gpu()
        if gpu and not with_gpu:
            todo = "install a build of xllamacpp for it, or leave it out"
            raise InputError("there is no GPU that llama.cpp can use", todo=todo)
        settings = EngineSettings(
            model=str(find_gguf(name_or_path)),
            mmproj=None if mmproj is None else str(find_gguf(str(mmproj))),
            context=context,
            threads=threads or physical_cores(),
            gpu=with_gpu if gpu is None else gpu,
        )
        self.name, self._reuse = name_or_path, reuse
        folder = mkdtemp(prefix="isthmus-")  # which no other user may enter
        finalize(self, rmtree, folder, ignore_errors=True)
        socket = Path(folder) / "engine.sock"
        self.engine = start(settings, self.name, socket)
        """xllamacpp's Server; its handle_metrics counts what was read and made."""
        transport = httpx.HTTPTransport(uds=str(socket))
        self._http = httpx.Client(transport=transport, base_url="http://llama.cpp", timeout=None, trust_env=False)
        told = self._http.get("/props").raise_for_status().json()
        self._sees: bool = told["modalities"]["vision"]
        self._calls: bool = told["chat_template_caps"]["supports_tools"]
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="isthmus-llama-cpp")

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        """See Backend. Raises InputError for pictures without an mmproj, and for tools where the template has no place
        for them. JSON is kept to by a grammar."""
        check_messages(messages)
        if not self._calls:
            check_abilities(self.name, tools, replace(options, json=False), messages)
        pictures = sum(len(message.pictures) for message in messages)
        if pictures and not self._sees:
            raise InputError(f"{self.name} takes no pictures", todo="give its mmproj, or ask a vision-language model")
        body = _body(request(self.name, messages, tools, options), options, self._reuse)
        answer = _Answer(options.stop)
        running = self._worker.submit(self._run, body, answer)
        running.add_done_callback(lambda _: answer.pieces.put(None))
        del body  # pictures are large, and the worker has them
        try:
            while (text := answer.pieces.get()) is not None:
                yield Delta(text)
            running.result()
            assert answer.reason is not None
            if answer.tool_calls:
                yield Delta(tool_calls=answer.tool_calls)
            yield Delta(finish=Finish(answer.reason, answer.usage(pictures)))
        finally:
            answer.cancelled.set()
            _settle(running, answer)

    def _run(self, body: dict[str, Any], answer: "_Answer") -> None:
        answer.thread = get_ident()
        try:
            self.engine.handle_chat_completions(body, answer.take)
        except (RuntimeError, ValueError) as error:  # what C++ threw before it began
            raise InputError(f"{self.name} cannot answer this", why=shorten(str(error), 300)) from None
        if answer.left:
            # llama.cpp was told and does not wait. This question it answers between two steps alone.
            self._http.get("/lora-adapters").raise_for_status()
        elif answer.reason is None:
            raise _failure(self.name, answer.error or {"message": "the answer ended without saying why"})
        answer.end()


class _Answer:
    """What llama.cpp says chunk by chunk, on the way to the reader."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = StopStrings(stops)
        self._timings: Mapping[str, Any] = {}
        self._calls = Calls()
        self.pieces: SimpleQueue[str | None] = SimpleQueue()
        """Text as it becomes certain, no piece empty; None: no more."""
        self.reason: Reason | None = None
        self.error: Mapping[str, Any] | None = None
        self.cancelled = Event()
        self.left = False
        """Whether llama.cpp was told to end before it had."""
        self.thread: int | None = None
        """Ident of the one that runs the model."""

    def take(self, chunk: Mapping[str, Any]) -> bool:
        """Whether it is enough. It must not raise: xllamacpp would take that for enough."""
        self.error = chunk.get("error", self.error)
        self._timings = chunk.get("timings", self._timings)
        for choice in chunk.get("choices", ()):
            delta = choice["delta"]
            self._add(self._stops.add(delta.get("content") or ""))
            for piece in delta.get("tool_calls") or ():
                self._calls.add(piece)
            self.reason = REASONS.get(choice["finish_reason"], self.reason)
        if self._stops.found:
            self.reason = "stop"
        self.left = self._stops.found or self.cancelled.is_set()
        return self.left

    def end(self) -> None:
        """Nothing comes any more: what was held back is text after all."""
        self._add(self._stops.end())

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """None where the length cut them: the last may not be whole."""
        return self._calls.whole() if self.reason == "tool_calls" else ()

    def usage(self, pictures: int) -> Usage:
        """llama.cpp counts the tokens of pictures among the prompt's and not by themselves."""
        cached = self._timings["cache_n"]
        prompt = cached + self._timings["prompt_n"]
        return Usage(prompt, None if pictures else 0, self._timings["predicted_n"], cached)

    def _add(self, text: str) -> None:
        if text:
            self.pieces.put(text)


def _body(body: dict[str, Any], options: Options, reuse: bool) -> dict[str, Any]:
    """The request in llama.cpp's own words where the API has none: draws from the model's distribution as Options say,
    without the top-k, min-p and penalties that it would add."""
    body.pop("stop", None)  # which of several is completed first, we say
    body |= {
        "samplers": ["temperature", "top_p"],
        "max_tokens": min(options.max_tokens, 2**31 - 1),
        "cache_prompt": reuse,
        "timings_per_token": True,
        "return_progress": True,  # so that a stream can be closed while its prompt is read
    }
    if options.seed is not None:
        body["seed"] = options.seed % SEEDS
    return body


def _settle(running: "Future[None]", answer: _Answer) -> None:
    """Waits, so that nothing runs any more when `close` returns; not where it is the worker that closes: its garbage
    collection may come upon a stream that was let go."""
    if not running.cancel() and answer.thread != get_ident():
        running.exception()


def _failure(name: str, error: Mapping[str, Any]) -> IsthmusError:
    why = shorten(str(error.get("message", error)), 300)
    match error:
        case {"type": "exceed_context_size_error", "n_prompt_tokens": prompt, "n_ctx": context}:
            what, why = f"the prompt has {prompt} tokens", f"{name} takes {context} with its answer"
            return InputError(what, why=why, todo="give fewer or smaller pictures, or less text")
        case {"type": "invalid_request_error"}:
            return InputError(f"{name} cannot answer this", why=why)
    return IsthmusError(f"{name} failed while answering", why=why)
