"""Several questions about one picture in one sequence, each blind to the others: the picture is read once for all.

What the samples share (everything up to the picture's last token) stands first; behind it stand the branches, each
counting its positions on from the shared part and seeing that part and itself only. So every label is predicted as it
would be in a sequence of its own, for a fraction of the tokens.

Notation: G groups, S positions, D width, L labels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.connectors.connector import Tokens
from isthmus.errors import InputError
from isthmus.vlm.model import Output, VisionLanguageModel
from isthmus.vlm.questions import text_of
from isthmus.vlm.sequence import IGNORE, Sample
from isthmus.vlm.splice import embed


def forward_branches(model: VisionLanguageModel, groups: Sequence[Sequence[Sample]], tokens: Tokens) -> Output:
    """As `model(samples, features)` for all samples of all groups; `tokens`: of each group's one picture, as
    `model.look` gives them. Where the connector hints at each answer, the hint stands in its question's branch.

    Raises InputError where a group's samples do not begin alike, or have no label.
    """
    packed = [_pack(group, model.hints) for group in groups]
    longest = max(len(each.ids) for each in packed)
    ids = torch.zeros(len(packed), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORE)
    positions = torch.zeros_like(ids)
    branch = torch.full_like(ids, -1)  # padding
    for row, each in enumerate(packed):
        here = slice(0, len(each.ids))
        ids[row, here], labels[row, here] = torch.tensor(each.ids), torch.tensor(each.labels)
        positions[row, here], branch[row, here] = torch.tensor(each.positions), torch.tensor(each.branch)
    rows = _with_hints(model, groups, tokens) if model.hints else tokens.tokens[tokens.mask]
    embeds = embed(ids, rows, model.language_model.get_input_embeddings())
    out = model.language_model.base_model(
        inputs_embeds=embeds,
        attention_mask=_mask(branch).to(embeds),
        position_ids=positions.to(embeds.device),
        use_cache=False,
    )
    trained = labels.flatten().ne(IGNORE).nonzero().squeeze(1)
    targets = labels.flatten()[trained].to(embeds.device)
    logits = model.head(out.last_hidden_state.flatten(0, 1)[(trained - 1).to(embeds.device)]).float()
    return Output(F.cross_entropy(logits, targets), logits, targets)


class _Packed:
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.labels: list[int] = []
        self.positions: list[int] = []
        self.branch: list[int] = []

    def add(self, sample: Sample, start: int, stop: int, branch: int) -> None:
        self.ids += sample.ids[start:stop]
        self.labels += sample.labels[start:stop]
        self.positions += range(start, stop)
        self.branch += [branch] * (stop - start)


def _with_hints(model: VisionLanguageModel, groups: Sequence[Sequence[Sample]], tokens: Tokens) -> Tensor:
    """[K, D]: of each group its picture's tokens, then the hint of each of its samples."""
    owner = torch.tensor([at for at, group in enumerate(groups) for _ in group], device=tokens.tokens.device)
    text = text_of([sample.questions[0] for group in groups for sample in group], tokens.tokens.device)
    hint = model.connector.hint(Tokens(tokens.tokens[owner], tokens.mask[owner]), text).tokens.to(tokens.tokens)
    parts = []
    at = 0
    for group, seen, mask in zip(groups, tokens.tokens, tokens.mask, strict=True):
        parts += [seen[mask], hint[at : at + len(group)].flatten(0, 1)]
        at += len(group)
    return torch.cat(parts)


def _pack(samples: Sequence[Sample], hints: int) -> _Packed:
    if not samples or any(sample.pictures != 1 for sample in samples):
        raise InputError("a group of questions needs one picture that all of them are about")
    shared = samples[0].slots[-1].stop - hints
    packed = _Packed()
    packed.add(samples[0], 0, shared, 0)
    for at, sample in enumerate(samples, 1):
        if sample.ids[:shared] != samples[0].ids[:shared]:
            raise InputError(f"question {at} of a group does not begin as the others do", todo="ask it alone")
        if not sample.trained:
            raise InputError(f"question {at} of a group has no label: all its tokens are masked")
        packed.add(sample, shared, _spoken(sample), at)
    return packed


def _spoken(sample: Sample) -> int:
    """Where its last label ends: what stands behind it is predicted by nobody and predicts nothing."""
    return max(at for at, label in enumerate(sample.labels) if label != IGNORE) + 1


def _mask(branch: Tensor) -> Tensor:
    """[G, S] -> [G, 1, S, S]: 0 where position i sees position j, else as good as -inf, which every attention of
    `transformers` takes. Padding sees itself: a softmax over nothing would be no number."""
    before = torch.ones(branch.shape[1], branch.shape[1], dtype=torch.bool).tril()
    alike = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    real = (branch[:, None, :] >= 0) & (branch[:, :, None] >= 0)
    itself = torch.eye(branch.shape[1], dtype=torch.bool)
    seen = ((before & alike & real) | itself)[:, None]
    return torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.bfloat16).min)
