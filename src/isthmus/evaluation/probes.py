"""Probes: what a model still can, item by item, so that two models can be compared pair by pair.

A language model alone is probed by the likelihood of texts of several kinds, by questions with choices, and by
instructions that a program can check.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from isthmus.contrastive.metrics import Interval
from isthmus.evaluation import instructions
from isthmus.evaluation.domains import PASSAGES, domains
from isthmus.evaluation.intervals import Combine, Rows, interval, mean, ratio
from isthmus.evaluation.items import fingerprint, read
from isthmus.evaluation.likelihood import likelihoods
from isthmus.evaluation.speaker import Speaker
from isthmus.progress import Progress

Better: TypeAlias = Literal["higher", "lower"]
COMBINES: dict[str, Combine] = {"mean": mean, "ratio": ratio}
CHOICES, INSTRUCTIONS, BITS = "choices", "instructions", "bits per byte"


@dataclass(frozen=True)
class Probe:
    """`rows` [N, K]: what is kept of each item, added up by COMBINES[`by`]. `kinds` [N]: what each is reported with.
    `chance`: what guessing gets, where that is known. `items`: a hash of what was asked."""

    name: str
    better: Better
    by: Literal["mean", "ratio"]
    rows: Rows
    kinds: tuple[str, ...]
    items: str
    chance: float | None = None

    def figure(self, *, seed: int = 0, kind: str | None = None) -> Interval:
        """Over all items, or those of one kind; items are drawn independently of each other."""
        chosen = [at for at, each in enumerate(self.kinds) if kind in (None, each)]
        return interval(self.rows[chosen], COMBINES[self.by], seed=seed)

    @property
    def perplexity(self) -> float | None:
        """Of a probe in bits: 2 to the bits per token."""
        return float(2 ** (self.rows[:, 0].sum() / self.rows[:, 2].sum())) if self.by == "ratio" else None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "better": self.better,
            "by": self.by,
            "chance": self.chance,
            "items": self.items,
            "kinds": list(self.kinds),
            "rows": self.rows.tolist(),
        }


def probe_from_json(value: Mapping[str, Any]) -> Probe:
    """What `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    rows = np.array(value["rows"], dtype=np.float64)
    return Probe(
        value["name"], value["better"], value["by"], rows, tuple(value["kinds"]), value["items"], value["chance"]
    )


def language_probes(
    speaker: Speaker, meter: Callable[[int], Any], *, passages: int = PASSAGES, seed: int = 0
) -> tuple[Probe, ...]:
    """All of them; instructions only of a model that can be asked. `meter(total)` gives a Progress as a context."""
    texts, questions, orders = domains(passages=passages, seed=seed), *_items()
    if speaker.template is None:
        orders = []
    total = sum(map(len, texts.values())) + sum(1 + len(each["wrong"]) for each in questions) + len(orders)
    with meter(total) as reporter:
        found = [bits_per_byte(speaker, name, each, reporter) for name, each in texts.items()]
        found.append(choices(speaker, questions, reporter))
        if orders:
            found.append(following(speaker, orders, reporter))
    return tuple(found)


def language_items(*, passages: int = PASSAGES, seed: int = 0) -> str:
    """A hash of all that `language_probes` asks here: of this version of Isthmus, under this version of Python."""
    return fingerprint([{name: list(each) for name, each in domains(passages=passages, seed=seed).items()}, *_items()])


def _items() -> tuple[list[Any], list[Any]]:
    return read("choices.json")["items"], read("instructions.json")["items"]


def bits_per_byte(speaker: Speaker, domain: str, texts: Sequence[str], reporter: Progress) -> Probe:
    """Rows: bits, bytes and tokens of each text, read at the beginning of a line with nothing before it.

    Bits per byte, unlike perplexity, compare models of different tokenizers.
    """
    found = likelihoods(speaker, [("\n", text) for text in texts], reporter=reporter)
    rows = np.array([[each.bits, each.bytes, each.tokens] for each in found])
    return Probe(f"{BITS}: {domain}", "lower", "ratio", rows, (domain,) * len(texts), fingerprint(list(texts)))


def choices(speaker: Speaker, questions: Sequence[Mapping[str, Any]], reporter: Progress) -> Probe:
    """Rows: whether the right choice has the most likelihood a byte, of all behind the question; a tie is wrong."""
    asked = [
        (f"Question: {each['question']}\nAnswer:", f" {choice}")
        for each in questions
        for choice in (each["right"], *each["wrong"])
    ]
    found = iter(likelihoods(speaker, asked, reporter=reporter))
    right = []
    for each in questions:
        costs = [one.bits / one.bytes for one in (next(found) for _ in (each["right"], *each["wrong"]))]
        right.append([float(costs[0] < min(costs[1:]))])
    chance = float(np.mean([1 / (1 + len(each["wrong"])) for each in questions]))
    kinds = tuple(str(each["subject"]) for each in questions)
    return Probe(CHOICES, "higher", "mean", np.array(right), kinds, fingerprint(list(questions)), chance)


def following(speaker: Speaker, orders: Sequence[Mapping[str, Any]], reporter: Progress) -> Probe:
    """Rows: whether the greedy answer follows the instruction."""
    said = instructions.answers(speaker, [each["prompt"] for each in orders], reporter=reporter)
    rows = [[float(instructions.follows(each["check"], text))] for each, text in zip(orders, said, strict=True)]
    kinds = tuple(str(each["check"]["kind"]) for each in orders)
    return Probe(INSTRUCTIONS, "higher", "mean", np.array(rows), kinds, fingerprint(list(orders)))
