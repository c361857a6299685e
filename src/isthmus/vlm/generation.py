"""Answers to many conversations at once: equal, token for token, to asking one by one, whichever side is padded.

Notation: B conversations.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from isthmus.connectors.connector import Tokens
from isthmus.images.open import picture_of
from isthmus.messages import Message
from isthmus.options import Options
from isthmus.vlm.answer import Answer
from isthmus.vlm.conversation import room_for_answer, see
from isthmus.vlm.decoding import Chooser
from isthmus.vlm.splice import Side
from isthmus.vlm.writing import Writing

if TYPE_CHECKING:
    from isthmus.vlm.model import VisionLanguageModel


@torch.no_grad()
def answers(
    model: "VisionLanguageModel",
    conversations: Sequence[Sequence[Message]],
    options: Options,
    *,
    padding: Side = "left",
) -> list[Answer]:
    """One answer to each conversation; all pictures are encoded in one batch. `seconds_to_first` is the batch's.

    Raises InputError and PictureError as `Conversation.stream` does.
    """
    started = time.perf_counter()
    sources = [[part.source for message in each for part in message.pictures] for each in conversations]
    pictures = [picture_of(source, at_least=model.encoder.fit.at_least) for each in sources for source in each]
    questions = [question for messages in conversations for question in model.questions(messages)]
    seen = see(model, pictures, questions) if pictures else []
    left = iter(seen)
    samples = [
        model.sample(messages, [next(left).extent for _ in each], prompt=True)
        for messages, each in zip(conversations, sources, strict=True)
    ]
    batch = model.splice(samples, _padded([each.rows for each in seen]), side=padding)
    room = [room_for_answer(model, length, options.max_tokens) for length in batch.lengths]
    choose, reading = Chooser(options, batch.embeds.device), model.batch_reading()
    tokens = choose(reading.begin(batch))
    writing = [Writing(model, options, most) for most in room]
    first = time.perf_counter() - started
    while True:
        for each, token in zip(writing, tokens.tolist(), strict=True):
            each.push(token)
        if all(each.finish is not None for each in writing):
            break
        # Rows that are done go on, unheard, until the last one is: their tokens can reach no other row.
        tokens = choose(reading.step(tokens))
    return [each.answer(sample, 0, first) for each, sample in zip(writing, samples, strict=True)]


def _padded(rows: Sequence[Tensor]) -> Tokens | None:
    """[M_i, D] of each picture -> Tokens, None where there is no picture."""
    if not rows:
        return None
    tokens = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    counts = torch.tensor([len(each) for each in rows], device=tokens.device)
    return Tokens(tokens, torch.arange(tokens.shape[1], device=tokens.device) < counts[:, None])
