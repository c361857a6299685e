"""The loop: one way through all training, on one process or on many, that can be stopped anywhere and goes on exactly.

A step takes `accumulate` batches on every rank. Each batch weighs as much as it has tokens (or pairs) in the loss: all
are divided by the number over the whole step, so that neither accumulation nor the number of ranks changes what is
learned. What is trained, sharded or not, is up to `accelerate` and its configuration alone.
"""

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import get_cosine_schedule_with_warmup

from isthmus.errors import InputError, IsthmusError
from isthmus.precision import fast_dtype
from isthmus.progress import Progress, progress
from isthmus.training.average import Average, put, shown
from isthmus.training.checkpoint import Checkpoints, Kept
from isthmus.training.tracking import Tracker, begin_tracking, end_tracking, require_tracker, track

LOG = "log.jsonl"
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
Batch = TypeVar("Batch", contravariant=True)
Given = TypeVar("Given", covariant=True)


class Task(Protocol[Batch]):
    """What is trained: it owns the model, its loss and what a batch is.

    `module(batch, count)` gives scalars by name, "loss" among them: the sum over the batch divided by `count`.
    """

    module: nn.Module
    counted: str
    """What `weight` counts, as progress says it."""

    def groups(self) -> list["Group"]:
        """All that is trained. Called before the loop wraps or shards anything."""

    def weight(self, batch: Batch) -> int:
        """How much of the step's count is this batch's: its labelled tokens, or its pairs."""

    def places(self, batch: Batch) -> Sequence[str]:
        """Where its records come from, in words."""


class Batches(Protocol[Given]):
    """This rank's batches, without end."""

    def __next__(self) -> Given: ...

    def state(self) -> dict[str, Any]:
        """Where the reading stands, as JSON."""

    def resume(self, state: dict[str, Any]) -> None:
        """The next batch is the one that would have followed `state`."""


@dataclass(frozen=True)
class Group:
    """Parameters that learn at one `rate` (of AdamW, at its height). Weight decay is for matrices alone."""

    name: str
    parameters: tuple[nn.Parameter, ...]
    rate: float
    weight_decay: float = 0.0


@dataclass(frozen=True)
class LoopSettings:
    """`accumulate`: batches a step on every rank; `clip`: the longest gradient of all parameters together (0: any);
    `warmup`: share of the steps in which rates rise, before a cosine down to nothing; `average`: decay of a moving
    average of what is trained (None: none), which is then what is evaluated and what the training ends with.
    `checkpoint_every` and `evaluate_every`: steps (None: at the end alone); `patience`: so many evaluations without a
    better "loss" end the training, and it ends with the best (None: never). `track`: a tracker of `accelerate` beside
    the log in JSON lines."""

    steps: int
    accumulate: int = 1
    clip: float = 1.0
    warmup: float = 0.03
    betas: tuple[float, float] = (0.9, 0.98)
    precision: Precision = "auto"
    average: float | None = None
    checkpoint_every: int | None = None
    evaluate_every: int | None = None
    patience: int | None = None
    track: Tracker | None = None


@dataclass(frozen=True)
class Ended:
    """After `step` steps; `why`: "done", "stopped" (a signal: go on with resume) or "no better" (patience).
    `best`: the lowest loss of an evaluation."""

    step: int
    why: Literal["done", "stopped", "no better"]
    best: float | None = None


class Diverged(IsthmusError):
    """The loss or the gradient is no number. What was learned before that step is kept."""

    exit_code = 1


def train(
    task: Task[Any],
    batches: Batches[Any],
    settings: LoopSettings,
    out: Path,
    *,
    seed: int = 0,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Ended:
    """Trains `task` and keeps its checkpoints and log in `out`. With `resume`, goes on behind the newest good one.

    `evaluate`: figures by name, called on all ranks with the module in eval mode; lower "loss" is better.
    SIGINT and SIGTERM end the step at hand, keep a checkpoint and return. Raises Diverged, naming the batch; InputError
    where `out` has checkpoints and `resume` was not asked for, or nothing is trained; MissingPart where the disk
    refuses, which leaves the checkpoints before untouched, or the tracker is not installed.
    """
    require_tracker(settings.track)
    run = _Run(task, batches, settings, out, seed)
    start = run.resumed() if resume else run.begun()
    try:
        with _signals() as stop, progress("training", settings.steps, "steps", quiet=quiet or not run.main) as reporter:
            reporter.advance(start)
            return run.steps_from(start, stop, evaluate, reporter)
    finally:
        end_tracking(run.accelerator)


class _Run:
    def __init__(self, task: Task[Any], batches: Batches[Any], settings: LoopSettings, out: Path, seed: int) -> None:
        self.task, self.batches, self.settings, self.out = task, batches, settings, out
        device = next(task.module.parameters()).device
        self.device = device.type
        self.dtype = fast_dtype(device) if settings.precision == "auto" else getattr(torch, settings.precision)
        self.accelerator = Accelerator(
            # its own is one for the whole process; two trainings in one may differ
            mixed_precision="no",
            cpu=device.type == "cpu",
            log_with=settings.track,
            project_dir=out if settings.track else None,
        )
        self.main = self.accelerator.is_main_process
        torch.manual_seed(seed + self.accelerator.process_index)  # dropout: other channels on other ranks
        optimiser = torch.optim.AdamW(_adamw_groups(task.groups()), betas=settings.betas)
        wrapped, prepared = self.accelerator.prepare(task.module, optimiser)
        self.module: nn.Module = wrapped
        self.optimiser: torch.optim.Optimizer = prepared.optimizer
        self.schedule = get_cosine_schedule_with_warmup(
            self.optimiser, round(settings.warmup * settings.steps), settings.steps
        )
        self.trained = [p for p in self.module.parameters() if p.requires_grad]
        self.average = Average(self.trained, settings.average) if settings.average else None
        self.copies: dict[str, list[Tensor]] = {}
        if self.average is not None:
            self.copies["average"] = self.average.values
        if settings.patience is not None:
            self.copies["best"] = [p.detach().clone() for p in self.trained]
        self.checkpoints = Checkpoints(out / "checkpoints", self.accelerator)
        self.best, self.worse = math.inf, 0
        begin_tracking(self.accelerator, asdict(settings))

    def begun(self) -> int:
        if self.checkpoints.steps():
            raise InputError(
                f"{self.out} holds a training already",
                todo="go on with it by --resume, or give another folder",
            )
        if self.main:
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / LOG).write_text("")
        return 0

    def resumed(self) -> int:
        kept = self.checkpoints.load(self.module, self.optimiser, self.copies)
        if kept is None:
            return self.begun()
        self.schedule.load_state_dict(kept.schedule)
        self.batches.resume(kept.batches)
        self.best, self.worse = kept.best, kept.worse
        if self.main:
            _forget_after(self.out / LOG, kept.step)
        return kept.step

    def steps_from(
        self,
        start: int,
        stop: threading.Event,
        evaluate: Callable[[], Mapping[str, float]] | None,
        reporter: Progress,
    ) -> Ended:
        settings = self.settings
        self.module.train()
        for step in range(start + 1, settings.steps + 1):
            if self._no_better():
                return self._ended(step - 1, "no better")
            begun = time.perf_counter()
            before = self.batches.state()
            drawn = [next(self.batches) for _ in range(settings.accumulate)]
            count = int(self._over_ranks([sum(self.task.weight(each) for each in drawn)])[0])
            values, norm, stopping = self._step(drawn, count, stop)
            if not (math.isfinite(values["loss"]) and math.isfinite(norm)):
                self._keep(step - 1, before)
                places = ", ".join(place for each in drawn for place in self.task.places(each))
                raise Diverged(
                    f"step {step}: the loss is {values['loss']:g} and its gradient {norm:g}",
                    why=f"of {places}",
                    todo=f"look at these records, or lower the rate; step {step - 1} is kept in {self.out}",
                )
            spent = time.perf_counter() - begun
            self._log({"step": step, **values, "norm": norm, "rate": self._rates(), "count": count, "seconds": spent})
            reporter.advance(note=f"loss {values['loss']:.3f}, {count / spent:.0f} {self.task.counted}/s")
            if evaluate is not None and (step == settings.steps or _every(settings.evaluate_every, step)):
                self._evaluate(step, evaluate)
            stopping = stopping and step < settings.steps
            if stopping or self._no_better() or step == settings.steps or _every(settings.checkpoint_every, step):
                self._keep(step, self.batches.state())
            if stopping:
                return Ended(step, "stopped", self._best())
        return self._ended(settings.steps, "done")

    def _no_better(self) -> bool:
        return self.settings.patience is not None and self.worse >= self.settings.patience

    def _best(self) -> float | None:
        return None if math.isinf(self.best) else self.best

    def _ended(self, step: int, why: Literal["done", "no better"]) -> Ended:
        """With the best of what was evaluated, or with the average, where there is one."""
        values = self.copies.get("best") if self._best() is not None else None
        if values or self.average is not None:
            put(values or self.copies["average"], self.trained)
        return Ended(step, why, self._best())

    def _step(self, drawn: Sequence[Any], count: int, stop: threading.Event) -> tuple[dict[str, float], float, bool]:
        """One step; no parameter changes where the loss or the gradient is no number."""
        ranks = self.accelerator.num_processes
        sums: dict[str, Tensor] = {}
        for at, batch in enumerate(drawn):
            alone = self.accelerator.no_sync(self.module) if at + 1 < len(drawn) else nullcontext()
            with alone:
                with torch.autocast(self.device, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
                    losses = self.module(batch, count)
                # gradients are averaged over ranks, and are to be summed
                self.accelerator.backward(losses["loss"] * ranks)
            for name, each in losses.items():
                sums[name] = sums.get(name, 0) + each.detach().float()
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.settings.clip or math.inf)
        told = self._over_ranks([*(float(each) for each in sums.values()), float(stop.is_set())])
        values, length = dict(zip(sums, told, strict=False)), float(_whole(norm))
        if math.isfinite(values["loss"]) and math.isfinite(length):
            self.optimiser.step()
            self.schedule.step()
            if self.average is not None:
                self.average.update()
        self.optimiser.zero_grad()
        return values, length, bool(told[-1])

    def _over_ranks(self, values: Sequence[float]) -> list[float]:
        """Their sums over all ranks."""
        if self.accelerator.num_processes == 1:
            return list(values)
        mine = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        dist.all_reduce(mine)
        summed: list[float] = mine.tolist()
        return summed

    def _evaluate(self, step: int, evaluate: Callable[[], Mapping[str, float]]) -> None:
        self.module.eval()
        values = self.copies.get("average")
        with torch.no_grad(), shown(values, self.trained) if values else nullcontext():
            figures = dict(evaluate())
            if "loss" in figures:
                better = figures["loss"] < self.best
                self.best, self.worse = min(self.best, figures["loss"]), 0 if better else self.worse + 1
                if better and "best" in self.copies:
                    put(self.trained, self.copies["best"])
        self.module.train()
        self._log({"step": step, "evaluated": figures})

    def _keep(self, step: int, reading: dict[str, Any]) -> None:
        kept = Kept(step, reading, self.schedule.state_dict(), self.best, self.worse)
        self.checkpoints.save(kept, self.module, self.optimiser, self.copies)

    def _rates(self) -> dict[str, float]:
        return {group["name"]: group["lr"] for group in self.optimiser.param_groups}

    def _log(self, line: dict[str, Any]) -> None:
        if self.main:
            with (self.out / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        track(self.accelerator, line)


def _adamw_groups(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Matrices and the rest of each group apart. Raises InputError where nothing is trained."""
    made = []
    for group in groups:
        for what, decay in (("", group.weight_decay), (", no decay", 0.0)):
            own = [p for p in group.parameters if p.requires_grad and (p.ndim > 1) == (what == "")]
            if own:
                made.append({"params": own, "lr": group.rate, "weight_decay": decay, "name": group.name + what})
    if not made:
        raise InputError("nothing is trained", why="every part is frozen", todo="give a part a rate")
    return made


def _whole(norm: Tensor | float) -> Tensor | float:
    """A gradient's length, of which each rank may hold its part."""
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


def _every(every: int | None, step: int) -> bool:
    return every is not None and step % every == 0


def _forget_after(log: Path, step: int) -> None:
    """Lines of steps that were run but not kept go: they are run again."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    kept = [line for line in lines if line and json.loads(line)["step"] <= step]
    log.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Set by the first SIGINT or SIGTERM; a second one interrupts as ever."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    def asked(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            signal.signal(number, before[signal.Signals(number)])
            raise KeyboardInterrupt
        stop.set()

    for each in before:
        signal.signal(each, asked)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
