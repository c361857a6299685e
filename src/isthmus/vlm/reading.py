"""Reading on: what a causal language model has read, kept, so that what comes next is read alone.

Notation: B conversations, S positions, D width, V vocabulary. A Reading is of one conversation and outlives its turns;
a BatchReading is of many and of one answer each.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch
from torch import Tensor
from transformers import Cache

from isthmus.stopwatch import part
from isthmus.vlm.cache import bytes_of_cache, growing_cache
from isthmus.vlm.last_position import last_position_alone
from isthmus.vlm.splice import Batch

if TYPE_CHECKING:
    from isthmus.vlm.model import VisionLanguageModel

Read: TypeAlias = int | tuple[str, int]
"""What stood at a position: a token's id, or (a picture's content key, the number of its token)."""


class Reading(Protocol):
    """What one conversation's language model has read."""

    @property
    def nbytes(self) -> int:
        """What is held of it."""

    def keep(self, read: Sequence[Read]) -> int:
        """Forget all but the beginning shared with this prompt; how many positions that is. One position is always left
        to read, for the answer's first logits come from it."""

    def begin(self, embeds: Tensor, read: Sequence[Read]) -> Tensor:
        """Read the rest of the prompt, embeds [1, S, D], behind what is kept -> logits [1, V] of the first token."""

    def step(self, token: int) -> Tensor:
        """Read the token just generated -> logits [1, V] of the next."""


class BatchReading(Protocol):
    """What the language model has read of many conversations."""

    def begin(self, batch: Batch) -> Tensor:
        """Read the prompts -> logits [B, V] of the first tokens."""

    def step(self, tokens: Tensor) -> Tensor:
        """Read the tokens [B] just generated -> logits [B, V] of the next."""


class CausalReading:
    """Reading by a KV cache that is cropped to what the next prompt shares with it."""

    def __init__(self, model: "VisionLanguageModel") -> None:
        self._model = model
        self._cache: Cache
        self._read: list[Read]
        self._forget()

    def keep(self, read: Sequence[Read]) -> int:
        if not self._whole:
            self._forget()
        common = 0
        for before, now in zip(self._read, read[:-1], strict=False):
            if before != now:
                break
            common += 1
        if common == 0:
            self._forget()
        elif common < len(self._read):
            self._cache.crop(common - len(self._read))
            del self._read[common:]
        return common

    @torch.no_grad()
    def begin(self, embeds: Tensor, read: Sequence[Read]) -> Tensor:
        with part("prefill"), last_position_alone(self._model.language_model):
            states = self._read_on({"inputs_embeds": embeds}, read)
        with part("sample"):
            return self._model.head(states)

    @torch.no_grad()
    def step(self, token: int) -> Tensor:
        device = next(self._model.language_model.parameters()).device
        with part("sample"):
            return self._model.head(self._read_on({"input_ids": torch.tensor([[token]], device=device)}, [token]))

    @property
    def nbytes(self) -> int:
        return bytes_of_cache(self._cache)

    @property
    def length(self) -> int:
        """How many positions were read."""
        return len(self._read)

    def beginning(self, count: int) -> Cache:
        """A copy of what was read at the first `count` positions."""
        copied = growing_cache()
        for at, layer in enumerate(_layers(self._cache)):
            copied.update(layer.keys[:, :, :count].clone(), layer.values[:, :, :count].clone(), at)
        return copied

    def adopt(self, read: Sequence[Read], cache: Cache) -> None:
        """This, and nothing else, was read, by another reading of the same model. The cache is not changed."""
        self._forget()
        for at, layer in enumerate(_layers(cache)):
            self._cache.update(layer.keys, layer.values, at)
        self._read = list(read)

    def lend(self) -> Cache:
        """What was read, to be read on elsewhere until `take_back`; until then this is of no use by itself."""
        lent, self._cache, self._whole = self._cache, growing_cache(), False
        return lent

    def has_read(self, token: int) -> None:
        """While lent: one token more."""
        self._read.append(token)

    def take_back(self, cache: Cache) -> None:
        self._cache, self._whole = cache, True

    def _read_on(self, inputs: dict[str, Tensor], read: Sequence[Read]) -> Tensor:
        """[1, D]: the last position's state."""
        # An interrupt in the middle leaves some layers longer than others: such a cache is not used again.
        self._whole = False
        out = self._model.language_model.base_model(**inputs, past_key_values=self._cache, use_cache=True)
        self._read += read
        self._whole = True
        states: Tensor = out.last_hidden_state[:, -1]
        return states

    def _forget(self) -> None:
        self._cache = growing_cache()
        self._read = []
        self._whole = True


class CausalBatchReading:
    """BatchReading by a KV cache with a mask over the padding, on either side."""

    def __init__(self, model: "VisionLanguageModel") -> None:
        self._model, self._cache = model, growing_cache()

    def begin(self, batch: Batch) -> Tensor:
        device = batch.embeds.device
        states = self._model.hidden(batch, self._cache)
        self._mask, self._positions = batch.mask, torch.tensor(batch.lengths, device=device)[:, None]
        rows = torch.arange(len(batch.lengths), device=device)
        return self._model.head(states[rows, torch.tensor(batch.last, device=device)])

    def step(self, tokens: Tensor) -> Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        out = self._model.language_model.base_model(
            input_ids=tokens[:, None],
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._positions = self._positions + 1
        return self._model.head(out.last_hidden_state[:, -1])


class JoinedReadings:
    """The readings of several conversations side by side, so that one step reads a token of each.

    Caches are padded on the left, where a mask hides it. A reading that was added is read by `step` alone, until it is
    removed again. A step that is interrupted leaves all as it was.
    """

    def __init__(self, model: "VisionLanguageModel") -> None:
        self._model = model
        self._cache, self._rows = growing_cache(), list[CausalReading]()

    def __len__(self) -> int:
        return len(self._rows)

    @torch.no_grad()
    def add(self, reading: CausalReading) -> None:
        """As the last row. Its cache is moved here."""
        if not self._rows:
            self._cache = reading.lend()
            self._rows.append(reading)
            return
        columns = max(self._columns, reading.length)
        joined = growing_cache()
        for at, new in enumerate(_layers(reading.lend())):
            keys, values = _padded(new.keys, columns), _padded(new.values, columns)
            if self._rows:
                old = _layers(self._cache)[at]
                keys, values = (torch.cat([_padded(old.keys, columns), keys]),
                                torch.cat([_padded(old.values, columns), values]))  # fmt: skip
            joined.update(keys, values, at)
        self._cache = joined
        self._rows.append(reading)

    @torch.no_grad()
    def remove(self, at: int) -> None:
        """Its cache is given back to it, and the rows behind it move up."""
        reading = self._rows[at]
        rest = [row for row in range(len(self._rows)) if row != at]
        if rest:
            mine = self._part([at], reading.length)
            theirs = self._part(rest, max(self._rows[row].length for row in rest))
        else:
            mine, theirs = self._cache, growing_cache()
        reading.take_back(mine)
        self._cache = theirs
        del self._rows[at]

    @torch.no_grad()
    def step(self, tokens: Sequence[int]) -> Tensor:
        """Reads one token of each row -> logits [B, V] of the next ones."""
        device = next(self._model.language_model.parameters()).device
        lengths, columns = torch.tensor([row.length for row in self._rows]), self._columns
        mask = None
        if int(lengths.min()) < columns:
            mask = torch.arange(columns + 1) >= columns - lengths[:, None]
        try:
            out = self._model.language_model.base_model(
                input_ids=torch.tensor(tokens)[:, None].to(device),
                attention_mask=None if mask is None else mask.long().to(device),
                position_ids=lengths[:, None].to(device),
                past_key_values=self._cache,
                use_cache=True,
            )
        except BaseException:
            for layer in _layers(self._cache):
                layer.keys, layer.values = layer.keys[:, :, :columns], layer.values[:, :, :columns]
            raise
        for row, token in zip(self._rows, tokens, strict=True):
            row.has_read(token)
        return self._model.head(out.last_hidden_state[:, -1])

    @property
    def _columns(self) -> int:
        return max((row.length for row in self._rows), default=0)

    def _part(self, rows: Sequence[int], columns: int) -> Cache:
        """The last `columns` of these rows, in memory of their own."""
        cache = growing_cache()
        for at, layer in enumerate(_layers(self._cache)):
            index = torch.tensor(rows, device=layer.keys.device)
            keys, values = (each[:, :, each.shape[2] - columns :] for each in (layer.keys, layer.values))
            cache.update(keys.index_select(0, index), values.index_select(0, index), at)
        return cache


def _layers(cache: Cache) -> list[Any]:
    """With `keys` and `values` [B, heads, n, D], n growing."""
    return cache.layers


def _padded(states: Tensor, columns: int) -> Tensor:
    """[B, heads, n, D] -> [B, heads, columns, D], zeros in front."""
    return torch.nn.functional.pad(states, (0, 0, columns - states.shape[2], 0))
