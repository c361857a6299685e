"""How well an embedder finds a picture by its caption and a caption by its picture, over the Examples of a source."""

import hashlib
from collections.abc import Sequence

import torch

from isthmus.contrastive.embedder import Embedder
from isthmus.contrastive.metrics import Retrieval, retrieval
from isthmus.data.example import Bad, Examples
from isthmus.errors import InputError
from isthmus.images.open import picture_of
from isthmus.progress import SILENT, Progress

BATCH = 32


@torch.no_grad()
def evaluate_retrieval(
    embedder: Embedder, examples: Examples, *, seed: int = 0, reporter: Progress = SILENT
) -> tuple[Retrieval, tuple[Bad, ...]]:
    """Figures of both directions (`contrastive.metrics`), and the records that were left out.

    An Example's first picture is found by what its assistant says last, or by each of its `answers`. Equal vectors of
    pictures, bit for bit, are one picture with all its captions. Raises InputError where fewer than two are left.
    """
    gallery: dict[str, int] = {}
    vectors: list[torch.Tensor] = []
    captions: list[str] = []
    owner: list[int] = []
    bad: list[Bad] = []
    for at in range(len(examples)):
        try:
            example = examples[at]
            sources = [part.source for message in example.messages for part in message.pictures]
            if not sources:
                raise InputError(f"{example.place} has no picture")
            said = [each for each in example.answers or (example.messages[-1].text,) if each.strip()]
            picture = picture_of(sources[0], at_least=embedder.fit.at_least)
        except InputError as error:
            bad.append(Bad(f"{examples.name}, example {at + 1}", error))
            continue
        finally:
            reporter.advance()
        vector = embedder.images([embedder.fit(picture)])[0].cpu()
        key = hashlib.sha256(vector.numpy().tobytes()).hexdigest()
        if key not in gallery:
            gallery[key] = len(vectors)
            vectors.append(vector)
        captions += said
        owner += [gallery[key]] * len(said)
    if len(vectors) < 2 or not captions:
        raise InputError(f"{examples.name} has {len(vectors)} pictures to find", todo="give at least two with captions")
    return retrieval(torch.stack(vectors), _texts(embedder, captions), owner, seed=seed), tuple(bad)


def _texts(embedder: Embedder, captions: Sequence[str]) -> torch.Tensor:
    parts = [embedder.texts(captions[start : start + BATCH]).cpu() for start in range(0, len(captions), BATCH)]
    return torch.cat(parts)
