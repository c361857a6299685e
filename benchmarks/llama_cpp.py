"""The default language model by llama.cpp, four bits as in its file, against transformers in float32, in one run.

Asked: a system's and a user's message of about 150 tokens in, 32 tokens out, greedy, by LlamaCppBackend and by
TransformersBackend; other words each time, from the first on, so that nothing read before is of use. Before anything is
timed, both are held to each other: equal prompt ids, and of the tokens one says, how many the other would say next.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.llama_cpp [--threads 1 2] [--pairs 9] [--quick] [--json]

Ratios are llama.cpp / transformers, each pair in random order, with a 95 % bootstrap interval of their median; below 1,
llama.cpp is faster. On shared cores CPU time holds where wall time does not. `--quick`: two pairs.
"""

import argparse
import os
import random
import statistics
import sys
from collections.abc import Sequence

import torch
import transformers
from benchmarks.machine import show
from benchmarks.vlm import Figure, Spent, compared, in_turns

from isthmus.backends.backend import Backend, Options
from isthmus.backends.llama_cpp import LlamaCppBackend
from isthmus.backends.transformers import TransformersBackend
from isthmus.backends.wire import request
from isthmus.messages import Message, system, user

NAME = "default/smollm2"
TOKENS = 32
THINGS = (
    "the sea", "a forest in winter", "bread and how it is baked", "the first trains", "a city at night", "bees",
    "mountains and who climbs them", "old clocks", "rivers of Asia", "how glass is made", "a school", "the moon",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    theirs = TransformersBackend(NAME)
    rows: list[dict[str, object]] = []
    note = ""
    for threads in options.threads:
        torch.set_num_threads(threads)
        ours = LlamaCppBackend(NAME, threads=threads)
        if not note:
            print("equal work", file=sys.stderr, flush=True)
            note = equal_work(ours, theirs, 2 if options.quick else 8)
        print(f"threads {threads}", file=sys.stderr, flush=True)
        rows += timed(ours, theirs, threads, 2 if options.quick else options.pairs)
    show(f"{NAME}: llama.cpp (Q4_1) against transformers (float32)", rows, [note], options.json)


def equal_work(ours: LlamaCppBackend, theirs: TransformersBackend, dialogues: int) -> str:
    """Raises AssertionError where the prompts differ."""
    alike = made = whole = 0
    for at in range(dialogues):
        said = dialogue(at)
        prompt = prompt_ids(ours, said)
        assert prompt == theirs._prompt(said)["input_ids"][0].tolist()
        inputs = torch.tensor([prompt])
        answer = theirs.model.generate(
            inputs, attention_mask=torch.ones_like(inputs), max_new_tokens=TOKENS, do_sample=False
        )[0, len(prompt) :].tolist()
        same = [next_token(ours, prompt + answer[:i]) == token for i, token in enumerate(answer)]
        alike, made, whole = alike + sum(same), made + len(same), whole + all(same)
    return (
        f"prompt ids equal in {dialogues} of {dialogues} dialogues; after the same words, the same token is the "
        f"likeliest in {alike} of {made} ({alike / made:.1%}); {whole} of {dialogues} answers are equal throughout"
    )


def timed(ours: Backend, theirs: Backend, threads: int, pairs: int) -> list[dict[str, object]]:
    draw, first, further = random.Random(threads), Figure(), Figure()
    for at in range(-1, pairs):
        said = dialogue(100 * threads + at)
        a, b = in_turns(draw, lambda said=said: ask(ours, said), lambda said=said: ask(theirs, said))
        if at < 0:
            continue  # warms up
        first.add(a[0], b[0])
        further.add(a[1], b[1])
    return [row(threads, "first token", first), row(threads, "further token", further)]


def ask(backend: Backend, said: Sequence[Message]) -> tuple[Spent, Spent]:
    """For the first token, and for each further one."""
    start = Spent.now()
    stream = backend.stream(said, options=Options(TOKENS))
    next(stream)
    first = Spent.now()
    *_, last = stream
    end = Spent.now()
    assert last.finish is not None
    return first.since(start), end.since(first, max(1, (last.finish.usage.completion_tokens or 0) - 1))


def dialogue(seed: int) -> list[Message]:
    things = random.Random(seed).sample(THINGS, len(THINGS))
    return [
        system(f"{seed}. You are a writer who tells stories in many words, of {', of '.join(things[:6])}."),
        user(f"Tell me a long story, with every detail, of {', and of '.join(things)}; begin with {things[7]}."),
    ]


def prompt_ids(backend: LlamaCppBackend, said: Sequence[Message]) -> list[int]:
    messages = request("", said, None, Options())["messages"]
    prompt = backend._http.post("/apply-template", json={"messages": messages}).json()["prompt"]
    read = {"content": prompt, "add_special": True, "parse_special": True}
    ids: list[int] = backend._http.post("/tokenize", json=read).json()["tokens"]
    return ids


def next_token(backend: LlamaCppBackend, ids: list[int]) -> int:
    body = {"prompt": ids, "n_predict": 1, "temperature": 0, "return_tokens": True, "samplers": ["temperature"]}
    made = backend._http.post("/completion", json=body).json()
    return int(made["tokens"][0]) if made["tokens"] else -1


def row(threads: int, what: str, figure: Figure) -> dict[str, object]:
    return {
        "threads": threads,
        "what": what,
        "llama.cpp ms": 1e3 * statistics.median(each.wall for each in figure.ours),
        "CPU ms": 1e3 * statistics.median(each.cpu for each in figure.ours),
        "transformers ms": 1e3 * statistics.median(each.wall for each in figure.theirs),
        "its CPU ms": 1e3 * statistics.median(each.cpu for each in figure.theirs),
        **compared(figure),
    }


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.utils.logging.disable_progress_bar()
    main()
