"""Drawing the next token with a generator of its own: the process's random state is neither read nor changed."""

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from isthmus.backends.backend import Options


def logits_processors(options: Options, device: torch.device) -> LogitsProcessorList:
    """What turns greedy decoding into drawing as `options` say; empty where they ask for greedy."""
    chain = LogitsProcessorList()
    if options.temperature > 0:
        chain.append(TemperatureLogitsWarper(float(options.temperature)))
        if options.top_p < 1:
            chain.append(TopPLogitsWarper(float(options.top_p)))
        chain.append(Draw(options.seed, device))
    return chain


class Draw(LogitsProcessor):
    """Scores [B, V] -> 0 for the token drawn from their softmax and -inf for all others, so that greedy takes it."""

    def __init__(self, seed: int | None, device: torch.device) -> None:
        self._random = torch.Generator(device)
        if seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(seed)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 (transformers' signature)
        drawn = torch.multinomial(scores.float().softmax(-1), 1, generator=self._random)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)
