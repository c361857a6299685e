"""Rehearsal: while a language model learns, its next words stay as likely as they were, on texts of its own making.

No text of others is needed: before anything is learned the model writes some, half of them as what a user says and what
comes of it, half behind a token drawn at random, and notes at every place its likeliest next tokens. A step then also
holds what it finds now against that.

Sources: Learning without Forgetting (Li and Hoiem, 2016): old answers as targets; LLM-QAT (Liu et al., 2023), section
2.1: a model's own texts, begun at random tokens; Magpie (Xu et al., 2024): begun as a user's turn. Notation: R texts, T
tokens of each, K likeliest of V, L places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from isthmus.data.chance import chance
from isthmus.errors import InputError
from isthmus.messages import user
from isthmus.progress import SILENT, Progress
from isthmus.training.strict import STRICT, Count
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.prompt_tokenizer import PromptTokenizer
from isthmus.vlm.sequence import build
from isthmus.vlm.template import Template, TextPiece

KEPT = 64
"""Likeliest tokens noted at a place; all others count as one."""
WRITING = 64
"""Texts written at once."""
TINY = 1e-8


@dataclass(frozen=True)
class Rehearse:
    """`weight`: of a token's divergence beside a labelled token's loss. `texts` of `tokens` each are written, and
    `batch` of them rehearsed beside every batch of the data."""

    __pydantic_config__ = STRICT
    weight: Annotated[float, Field(gt=0)] = 1.0
    texts: Count = 64
    tokens: Annotated[int, Field(ge=3)] = 64
    batch: Count = 4


@dataclass(frozen=True)
class Rehearsal:
    """What a language model wrote, and found likely next. ids [R, T]; likeliest [R, T - 1, K] token ids, and their log
    probabilities `logs`, float32."""

    settings: Rehearse
    ids: Tensor
    likeliest: Tensor
    logs: Tensor

    def divergence(self, language_model: Any, *key: int | str) -> Tensor:
        """Mean over places of the KL divergence, in nats, from what was likely to what is likely now; of `batch` texts
        that the key draws. Never more than the divergence over all V tokens, since what is not noted counts as one."""
        rows = torch.tensor(
            [chance(*key, turn) % len(self.ids) for turn in range(self.settings.batch)], device=self.ids.device
        )
        ids, likeliest, before = self.ids[rows], self.likeliest[rows], self.logs[rows]
        logits = language_model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        now = logits.log_softmax(-1).gather(-1, likeliest)
        others_before, others_now = (_log_rest(each) for each in (before, now))
        noted = (before.exp() * (before - now)).sum(-1)
        divergence: Tensor = (noted + others_before.exp() * (others_before - others_now)).mean()
        return divergence


@torch.no_grad()
def remember(
    language_model: Any,
    tokenizer: Any,
    settings: Rehearse,
    *,
    seed: int,
    turn: Sequence[int] = (),
    reporter: Progress = SILENT,
) -> Rehearsal:
    """Lets a causal model write and notes what it found likely. The same seed gives the same texts. `turn`: the ids a
    user's turn begins with (see `opening_turn`); where there are none, or more than half a text, all texts begin at a
    drawn token. `reporter` advances by one for each. Raises InputError where the model is an encoder-decoder."""
    if getattr(language_model.config, "is_encoder_decoder", False):
        raise InputError(
            "this language model cannot rehearse",
            why="it is an encoder-decoder, which writes no text without one to read",
            todo="leave `rehearsal` out of the recipe's stages",
        )
    device = language_model.device
    said = settings.texts // 2 if 0 < len(turn) <= settings.tokens // 2 else 0
    ids = []
    training = language_model.training
    language_model.eval()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        drawn = torch.randint(len(tokenizer), (settings.texts - said, 1), device=device)
        before = torch.tensor(tokenizer("")["input_ids"], dtype=torch.long, device=device)
        begun = [torch.cat([before.expand(len(drawn), -1), drawn], dim=1)]
        if said:
            begun.append(torch.tensor(turn, device=device).expand(said, -1))
        for part in (few for each in begun for few in torch.split(each, WRITING)):
            written = language_model.generate(
                part,
                attention_mask=torch.ones_like(part),
                do_sample=True,
                top_k=0,
                top_p=1.0,
                temperature=1.0,
                max_new_tokens=settings.tokens - part.shape[1],
                eos_token_id=None,  # what follows the end of a turn is rehearsed, too
                pad_token_id=tokenizer.pad_token_id or 0,
            )
            ids.append(written)
            reporter.advance(len(part))
    found = []
    for part in torch.split(torch.cat(ids), settings.batch):
        logits = language_model(input_ids=part, use_cache=False).logits[:, :-1].float()
        found.append(logits.log_softmax(-1).topk(min(KEPT, logits.shape[-1]), dim=-1))
    language_model.train(training)
    likeliest, logs = torch.cat([each.indices for each in found]), torch.cat([each.values for each in found])
    return Rehearsal(settings, torch.cat(ids), likeliest, logs)


def remember_own(
    model: VisionLanguageModel, settings: Rehearse, *, seed: int, reporter: Progress = SILENT
) -> Rehearsal:
    """Of a composed model's language model, in the words of its template. Raises as `remember`."""
    turn = opening_turn(model.template, model.prompts)
    return remember(model.language_model, model.tokenizer, settings, seed=seed, turn=turn, reporter=reporter)


def opening_turn(template: Template, prompts: PromptTokenizer) -> tuple[int, ...]:
    """The ids of what stands before a user's first words. None where these and their surroundings are one piece of
    text, or a picture has to come first."""
    words = "(words)"
    try:
        pieces = template.pieces([user(words)], prompt=False)
    except InputError:
        return ()
    before = [*takewhile(lambda piece: not (isinstance(piece, TextPiece) and words in piece.text), pieces)]
    return build(before, (), prompts).ids if len(before) < len(pieces) else ()


def _log_rest(logs: Tensor) -> Tensor:
    """[.., K] -> [..]: log of what is left beside these probabilities."""
    return (1 - logs.exp().sum(-1)).clamp(min=TINY).log()
