"""A composed model whose language model is an encoder-decoder (T5): the encoder reads pictures and prompt, the decoder
writes the answer.

Notation: B samples, S positions of the encoder, T of the decoder, L labels, D width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, EncoderDecoderCache

from isthmus.connectors.connector import Tokens
from isthmus.errors import InputError
from isthmus.vlm.cache import bytes_of, bytes_of_cache
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.reading import BatchReading, Read, Reading
from isthmus.vlm.sequence import IGNORE, Sample
from isthmus.vlm.splice import Batch


class Seq2SeqModel(VisionLanguageModel):
    """As VisionLanguageModel, over a T5 of `transformers`. Its template writes one answer, behind all that is read.

    The encoder sees the whole prompt at once, so a new question is read whole; pictures are still looked at once.
    Sources: BLIP-2 (Li et al., 2023), section 3.3; T5 (Raffel et al., 2020).
    """

    def predictions(
        self, samples: Sequence[Sample], tokens: Tokens | None, rows: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """As the base's. Raises InputError for a sample with something to read behind its first label, and for rows of
        several samples."""
        if rows is not None and max(rows) > 1:
            raise InputError("an encoder-decoder reads one conversation a row", why="its encoder sees all of a row")
        split = [_split(at, sample) for at, sample in enumerate(samples)]
        batch = self.splice([prompt for prompt, _ in split], tokens)
        device = batch.embeds.device
        answers = [torch.tensor(answer, device=device) for _, answer in split]
        padded = pad_sequence(answers, batch_first=True, padding_value=IGNORE)
        # What is written is predicted from what was written before, and the first token from the start token.
        before = torch.cat([self.starts(len(answers)), padded[:, :-1].clamp(min=0)], dim=1)
        out = self.language_model.decoder(
            input_ids=before,
            encoder_hidden_states=self.read(batch.embeds, batch.mask),
            encoder_attention_mask=batch.mask,
            use_cache=False,
        )
        written = padded != IGNORE
        return out.last_hidden_state[written], padded[written]

    def read(self, embeds: Tensor, mask: Tensor) -> Tensor:
        """embeds [B, S, D], mask [B, S] -> the encoder's states [B, S, D]."""
        states: Tensor = self.language_model.encoder(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
        return states

    def starts(self, rows: int) -> Tensor:
        """[rows, 1] int64: the token every answer begins behind."""
        start: int = self.language_model.config.decoder_start_token_id
        return torch.full((rows, 1), start, device=self.language_model.device)

    def head(self, states: Tensor) -> Tensor:
        config = self.language_model.config
        # T5 of 2020 shares head and embeddings and scales for it; FLAN-T5 does neither.
        return super().head(states * config.d_model**-0.5 if config.scale_decoder_outputs else states)

    def reading(self) -> Reading:
        return Seq2SeqReading(self)

    def joined_readings(self) -> None:
        """Their decoders would have to look at encoders of their own."""
        return

    def batch_reading(self) -> BatchReading:
        return Seq2SeqBatchReading(self)

    def _check_language_model(self) -> None:
        config = self.language_model.config
        if config.model_type != "t5":
            raise InputError(f"the language model {config.model_type} cannot be used", why="it is no T5")


class Seq2SeqReading:
    """Reading that keeps nothing: whatever the prompt adds changes how its beginning is seen."""

    def __init__(self, model: Seq2SeqModel) -> None:
        self._model = model
        self._writing: _Writing | None = None

    @property
    def nbytes(self) -> int:
        return 0 if self._writing is None else self._writing.nbytes

    def keep(self, read: Sequence[Read]) -> int:  # noqa: ARG002  the protocol's
        return 0

    @torch.no_grad()
    def begin(self, embeds: Tensor, read: Sequence[Read]) -> Tensor:  # noqa: ARG002  the protocol's
        mask = torch.ones(embeds.shape[:2], dtype=torch.long).to(embeds.device)
        self._writing = _Writing(self._model, embeds, mask)
        return self._writing.step(self._model.starts(1))

    @torch.no_grad()
    def step(self, token: int) -> Tensor:
        assert self._writing is not None
        return self._writing.step(torch.tensor([[token]], device=self._model.language_model.device))


class Seq2SeqBatchReading:
    """BatchReading of prompts padded on either side; answers need no padding."""

    def __init__(self, model: Seq2SeqModel) -> None:
        self._model = model

    def begin(self, batch: Batch) -> Tensor:
        self._writing = _Writing(self._model, batch.embeds, batch.mask)
        return self._writing.step(self._model.starts(len(batch.lengths)))

    def step(self, tokens: Tensor) -> Tensor:
        return self._writing.step(tokens[:, None])


class _Writing:
    """The decoder over prompts that the encoder has read, and its KV cache."""

    def __init__(self, model: Seq2SeqModel, embeds: Tensor, mask: Tensor) -> None:
        self._model, self._mask = model, mask
        self._memory = model.read(embeds, mask)
        self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

    @property
    def nbytes(self) -> int:
        caches = (self._cache.self_attention_cache, self._cache.cross_attention_cache)
        return bytes_of([self._memory, self._mask]) + sum(bytes_of_cache(each) for each in caches)

    def step(self, tokens: Tensor) -> Tensor:
        """[B, 1] -> logits [B, V]."""
        out = self._model.language_model.decoder(
            input_ids=tokens,
            encoder_hidden_states=self._memory,
            encoder_attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
        )
        return self._model.head(out.last_hidden_state[:, -1])


def _split(at: int, sample: Sample) -> tuple[Sample, tuple[int, ...]]:
    """What the encoder reads, and the labels that the decoder writes."""
    first = next(place for place, label in enumerate(sample.labels) if label != IGNORE)
    answer = sample.labels[first:]
    if IGNORE in answer:
        raise InputError(
            f"sample {at} has something to read behind an answer",
            why="an encoder-decoder reads first, then writes one answer",
            todo="give one sample to each answer, or use the template of an encoder-decoder",
        )
    read = replace(
        sample,
        ids=sample.ids[:first],
        labels=sample.labels[:first],
        roles=sample.roles[:first],
        slots=tuple(slot for slot in sample.slots if slot.start < first),
    )
    return read, answer
