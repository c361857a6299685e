"""Any image-text-to-text or text model of transformers as a Backend, by its name or folder."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from textwrap import shorten
from threading import Event, Lock, get_ident
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    PreTrainedConfig,
    StoppingCriteria,
)

from isthmus.backends.backend import (
    Delta,
    Finish,
    Options,
    Reason,
    Stream,
    Tool,
    Usage,
    check_abilities,
    check_messages,
)
from isthmus.backends.processor import load_processor, load_tokenizer
from isthmus.backends.prompt import PicturePrompt, TextPrompt
from isthmus.backends.sampling import logits_processors
from isthmus.checkpoints import Checkpoint, resolve
from isthmus.errors import CorruptPart, InputError, IsthmusError, MissingPart
from isthmus.messages import Message
from isthmus.stopwatch import Watch, current, part, watching
from isthmus.text_stream import Detokenizer, StopStrings


class TransformersBackend:
    """A model of transformers that answers in its own chat template.

    One thread of its own runs the model: answers are made one after the other, and while one is read it runs ahead of
    its reader. Closing a stream waits for the step under way: one token, or the reading of the prompt.
    What the model's authors set in generation_config.json counts (end tokens, repetition penalty), except how tokens
    are drawn: Options say that.
    """

    def __init__(
        self, name_or_folder: str, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
    ) -> None:
        """dtype None is float32. Raises MissingPart, CorruptPart as `resolve` and `load_processor`; InputError for an
        architecture that neither reads pictures and text nor continues text, and for one without a chat template."""
        checkpoint = resolve(name_or_folder)
        config = _read_config(checkpoint)
        self.name = name_or_folder
        self._prompt: PicturePrompt | TextPrompt
        if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            processor = load_processor(checkpoint, config)
            self.tokenizer, self._prompt = processor.tokenizer, PicturePrompt(self.name, processor)
            models = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        elif type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
            self.tokenizer = load_tokenizer(checkpoint)
            self._prompt = TextPrompt(self.name, self.tokenizer)
            models = MODEL_FOR_CAUSAL_LM_MAPPING
        else:
            raise InputError(
                f"{self.name} is a {config.model_type}", why="it answers no text", todo="name another model"
            )
        self.model = _placed(_load(checkpoint, models, config, dtype or torch.float32), device, self.name)
        self._ends = _end_tokens(self.model.generation_config.eos_token_id, self.tokenizer.eos_token_id)
        self._picture_token: int | None = getattr(config, "image_token_id", None)
        self._context: int | None = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
        self._reading = Lock()
        """Held while a prompt is made: tokenizers may not be used by two threads before they are set up."""
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="isthmus-transformers")

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        """See Backend. Raises InputError for tools and JSON: calls cannot be read from these models yet."""
        check_messages(messages)
        check_abilities(self.name, tools, options, messages)
        with self._reading:
            inputs = self._prompt(messages)
        ids = inputs["input_ids"]
        room = self._room(ids.shape[1])
        answer = _Answer(self.tokenizer, self._ends, options.stop)
        running = self._worker.submit(
            self._generate, inputs, answer, options, min(options.max_tokens, room), current(), time.perf_counter()
        )
        running.add_done_callback(lambda _: answer.pieces.put(None))
        del inputs  # pixels are large, and the worker has them
        try:
            while (text := answer.pieces.get()) is not None:
                if text:
                    yield Delta(text)
            _raise_from(running, self.name)
            usage = Usage(ids.shape[1], self._count_pictures(ids), answer.tokens, 0)
            yield Delta(finish=Finish(answer.reason, usage))
        finally:
            answer.cancelled.set()
            # Waits, so that nothing runs any more when `close` returns; not where it is the worker that closes: its
            # garbage collection may come upon a stream that was let go.
            if not running.cancel() and answer.thread != get_ident():
                running.exception()

    def _room(self, prompt: int) -> int:
        """Tokens that fit behind a prompt of that many."""
        if self._context is None:
            return 2**31
        if prompt >= self._context:
            raise InputError(
                f"the prompt has {prompt} tokens",
                why=f"{self.name} takes {self._context} with its answer",
                todo="give fewer or smaller pictures, or less text",
            )
        return self._context - prompt

    def _count_pictures(self, ids: Tensor) -> int | None:
        if isinstance(self._prompt, TextPrompt):
            return 0
        return None if self._picture_token is None else int((ids == self._picture_token).sum())

    def _generate(
        self, inputs: Any, answer: "_Answer", options: Options, most: int, watch: Watch | None, asked: float
    ) -> None:
        answer.thread = get_ident()
        if watch is not None:
            watch.add("queue", time.perf_counter() - asked)
        with watching(watch):
            # one after the other: device, then dtype, which touches floating point tensors only
            self.model.generate(
                **inputs.to(self.model.device).to(self.model.dtype),
                max_new_tokens=most,
                do_sample=False,
                num_beams=1,
                eos_token_id=self._ends or None,
                logits_processor=logits_processors(options, self.model.device),
                stopping_criteria=[answer],
            )
            answer.end()


class _Answer(StoppingCriteria):
    """What generate asks after every token whether to stop; on the way the token becomes text in `pieces`.

    No streamer: that would see a token after the decision to go on, so a stop string would cost one step more.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int], stops: Sequence[str]) -> None:
        self._text = Detokenizer(
            lambda ids: tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )
        self._stops, self._ends = StopStrings(stops), frozenset(ends)
        self.pieces: SimpleQueue[str | None] = SimpleQueue()
        """Text as it becomes certain; None: no more."""
        self.cancelled = Event()
        self.thread: int | None = None
        """Ident of the one that generates."""
        self.reason: Reason = "length"
        self.tokens = 0

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:  # noqa: ARG002
        if self.reason != "stop":  # on some devices generate makes one token more than it was asked to
            with part("sample"):
                self._take(int(input_ids[0, -1]))
        done = self.reason == "stop" or self.cancelled.is_set()
        return torch.full((len(input_ids),), done, dtype=torch.bool, device=input_ids.device)

    def _take(self, token: int) -> None:
        self.tokens += 1
        if token in self._ends:
            self.reason = "stop"
        else:
            self._add(self._text.add(token))

    def end(self) -> None:
        """No token comes any more: what was held back is text after all."""
        self._add(self._text.end())
        self.pieces.put(self._stops.end())

    def _add(self, text: str) -> None:
        certain = self._stops.add(text)
        self.pieces.put(certain)
        watch = current()
        if certain and watch is not None:
            watch.open = False
        if self._stops.found:
            self.reason = "stop"


def _read_config(checkpoint: Checkpoint) -> PreTrainedConfig:
    _ = checkpoint.config  # raises in our words where it is missing or no JSON
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
    except ImportError as error:
        raise _missing(checkpoint, error) from error
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{checkpoint.name} cannot be read by transformers",
            why=shorten(str(error), 300),
            todo="use a model whose architecture is part of transformers; code in a repository is not run",
        ) from None
    return config


def _load(checkpoint: Checkpoint, models: Any, config: PreTrainedConfig, dtype: torch.dtype) -> Any:
    """The model, every weight of it read from the checkpoint: transformers would draw missing ones at random."""
    _ = checkpoint.shards  # raises in our words where there are none, or not all
    try:
        model, report = models[type(config)].from_pretrained(
            checkpoint.folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except ImportError as error:
        raise _missing(checkpoint, error) from error
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CorruptPart(
            f"{checkpoint.name} cannot be loaded", why=shorten(str(error), 300), todo="fetch it again"
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise CorruptPart(f"{checkpoint.name} lacks {missing[0]} and {len(missing) - 1} more", todo="fetch it again")
    return model.eval()


def _missing(checkpoint: Checkpoint, error: ImportError) -> MissingPart:
    return MissingPart(
        f"{checkpoint.name} needs a package that is not installed", why=shorten(str(error), 300), todo="install it"
    )


def _placed(model: Any, device: str | torch.device, name: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # out of memory, no such device, torch built without it
        todo = "use another device or a smaller dtype"
        raise InputError(f"{name} cannot be put on {device}", why=shorten(str(error), 300), todo=todo) from None


def _end_tokens(model: int | list[int] | None, tokenizer: int | None) -> list[int]:
    """The model's own, or where it names none its tokenizer's."""
    if model is None:
        return [] if tokenizer is None else [tokenizer]
    return [model] if isinstance(model, int) else list(model)


def _raise_from(running: "Future[None]", name: str) -> None:
    """What went wrong in the worker, in the reader's thread."""
    match running.exception():
        case None:
            return
        case torch.OutOfMemoryError() as error:
            todo = "give fewer or smaller pictures, a smaller dtype, or another device"
            # not `from error`: its frames hold the very tensors there was no room for
            raise IsthmusError(f"{name} ran out of memory", why=str(error), todo=todo)
        case error:
            raise IsthmusError(f"{name} failed while answering", why=f"{type(error).__name__}: {error}") from error
