"""VisionLanguageModel: encoder, connector and language model, composed.

Notation: B samples, S positions, N tokens of the encoder, M tokens of the connector, D widths, L labels, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus import stopwatch
from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.trainable import working_dtype
from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.messages import Message
from isthmus.options import Options
from isthmus.vision.features import Encoder, Features
from isthmus.vlm import generation
from isthmus.vlm.answer import Answer
from isthmus.vlm.conversation import Conversation
from isthmus.vlm.prompt_tokenizer import PromptTokenizer
from isthmus.vlm.questions import LastQuestion, Question, QuestionTokenizer, text_of
from isthmus.vlm.reading import BatchReading, CausalBatchReading, CausalReading, JoinedReadings, Reading
from isthmus.vlm.recompute import Recomputed
from isthmus.vlm.sequence import Extent, Layout, Sample, build, in_a_row
from isthmus.vlm.splice import Batch, Side, splice
from isthmus.vlm.template import Piece, Template, TextPiece

Part: TypeAlias = Literal["connector", "language_model"]
PARTS: tuple[Part, ...] = ("connector", "language_model")


@dataclass(frozen=True)
class Output:
    """loss: scalar float32. logits [L, V] and targets [L]: of the labelled tokens alone, sample after sample."""

    loss: Tensor
    logits: Tensor
    targets: Tensor


class VisionLanguageModel(nn.Module):
    """Any encoder, any connector, any causal language model of `transformers`: used as they are, never patched.

    The encoder stays on its device and is always frozen; features come to the connector's device and dtype, tokens to
    the language model's. Frozen parts are in eval mode and without gradients, whatever `train()` says.
    Sources: BLIP-2 (Li et al., 2023); LLaVA (Liu et al., 2023).
    """

    def __init__(
        self,
        encoder: Encoder,
        connector: Any,
        language_model: Any,
        tokenizer: Any,
        template: Template,
        *,
        name: str = "unnamed",
        layout: Layout = in_a_row,
        trainable: Sequence[Part] = ("connector",),
        question_tokenizer: QuestionTokenizer | LastQuestion | None = None,
    ) -> None:
        """`connector`: a Connector that is an nn.Module. `trainable`: as in `set_trainable`. `question_tokenizer`: of a
        connector that reads the question beside the picture.

        Raises InputError where the parts do not fit together.
        """
        super().__init__()
        self.encoder, self.connector, self.language_model = encoder, connector, language_model
        self.tokenizer, self.template, self.layout, self.name = tokenizer, template, layout, name
        self.prompts, self.question_tokenizer = PromptTokenizer(tokenizer), question_tokenizer
        self._check_parts()
        self._own = {
            "connector": frozenset(name for name, each in connector.named_parameters() if each.requires_grad),
            "language_model": _adapters_or_all(language_model),
        }
        self._recomputed: Recomputed | None = None
        self.set_trainable(*trainable)

    def set_trainable(self, *parts: Part) -> None:
        """These parts get gradients and follow `train()`; all others are frozen.

        What a connector froze itself when it was made stays frozen. Of a language model that comes with trainable
        adapters these are trained, of one that comes frozen as a whole all parameters.
        """
        unknown = sorted(set(parts) - set(PARTS))
        if unknown:
            raise InputError(f"there is no trainable part {unknown[0]!r}", todo=f"parts are {', '.join(PARTS)}")
        self.trainable = frozenset(parts)
        for part, child in self.named_children():
            for name, parameter in child.named_parameters():
                parameter.requires_grad_(part in self.trainable and name in self._own.get(part, ()))
        self.train(self.training)

    def set_learning(self, part: Part, names: frozenset[str]) -> None:
        """Which of a part's parameters get gradients where `set_trainable` names it."""
        self._own[part] = names

    def set_recomputed(self, on: bool) -> None:
        """Whether in training the language model's layers are computed again in the backward pass instead of kept.

        Raises InputError where they cannot be.
        """
        if self._recomputed is not None:
            self._recomputed.end()
        self._recomputed = Recomputed(self.language_model) if on else None
        self.train(self.training)

    def train(self, mode: bool = True) -> "VisionLanguageModel":
        """Training mode for the trainable parts; the frozen ones stay in eval mode."""
        self.training = mode
        for name, child in self.named_children():
            child.train(mode and name in self.trainable)
        if self._recomputed is not None:
            self._recomputed.follow(mode, "language_model" in self.trainable)
        return self

    @property
    def hints(self) -> int:
        """So many of a picture's last tokens, and no others, depend on the question (HintConnector); mostly 0."""
        return getattr(self.connector, "hints", 0)

    @property
    def context(self) -> int | None:
        """How many tokens the language model reads at most, where its config says so."""
        limit = getattr(self.language_model.config, "max_position_embeddings", None)
        return int(limit) if limit else None

    def encode(self, pictures: Sequence[Picture]) -> Features:
        """All pictures through their Fit and the encoder, in one batch."""
        with stopwatch.part("preprocess"):
            views = [self.encoder.fit(picture) for picture in pictures]
        with stopwatch.part("encoder"):
            return self.encoder.encode(views)

    def extents(self, features: Features) -> list[Extent]:
        """How many tokens the connector will make of each picture; nothing is computed."""
        counts: list[int] = features.mask.sum(1).tolist()
        frames = features.frames or (None,) * len(counts)
        return [
            Extent(self.connector.num_tokens(n, frame), frame.grid if frame else None)
            for n, frame in zip(counts, frames, strict=True)
        ]

    def questions(self, messages: Sequence[Message]) -> tuple[Question, ...]:
        """For each picture what the connector reads beside it: all that the user says. Empty where it reads no text."""
        pictures = sum(len(message.pictures) for message in messages)
        asked = self.question_tokenizer(messages) if self.question_tokenizer and pictures else ()
        return (asked,) * pictures

    def sample(self, messages: Sequence[Message], extents: Sequence[Extent] = (), *, prompt: bool = False) -> Sample:
        """The conversation as a Sample; with `prompt`, up to where the answer begins. An assistant's message alone is a
        text to learn from, nobody's turn: it is read as it is.

        Raises InputError where pictures and extents differ in number, or the whole exceeds the context.
        """
        if len(messages) == 1 and messages[0].role == "assistant" and not prompt:
            pieces: tuple[Piece, ...] = (TextPiece(messages[0].text, "assistant", trained=True),)
        else:
            pieces = self.template.pieces(messages, prompt=prompt)
        sample = build(pieces, extents, self.prompts, layout=self.layout, limit=self.context)
        return replace(sample, questions=self.questions(messages))

    def connect(self, features: Features, text: Text | None = None) -> Tokens:
        """features [B, N, D] on any device -> tokens [B, M, D_llm] on the connector's, in its dtype."""
        if text is not None:
            place = next(self.connector.parameters()).device
            text = Text(text.ids.to(place), text.mask.to(place))
        tokens: Tokens = self.connector(self._moved(features), text)
        return tokens

    def look(self, features: Features) -> Tokens:
        """As `connect`, but what depends on a question (HintConnector's last tokens) is left out."""
        if not self.hints:
            return self.connect(features)
        tokens: Tokens = self.connector.look(self._moved(features))
        return tokens

    def _moved(self, features: Features) -> Features:
        """On the connector's device, in its dtype."""
        place = next(self.connector.parameters())
        return replace(
            features,
            tokens=features.tokens.to(place.device, working_dtype(place)),
            mask=features.mask.to(place.device),
            boxes=features.boxes.to(place.device),
            pooled=features.pooled.to(place.device, place.dtype),
        )

    def forward(
        self,
        samples: Sequence[Sample],
        features: Features | None = None,
        *,
        count: int | None = None,
        rows: Sequence[int] | None = None,
    ) -> Output:
        """Loss and logits at the labelled tokens. `features`: of all pictures in reading order, computed now or before.
        `rows`: how many samples each row holds (None: one); several only of a model that `require_packing` lets pass.

        The loss is the sum over labelled tokens divided by `count`: None for those of this batch; for gradient
        accumulation, those of all batches of a step, so that each token weighs the same.
        Raises InputError where a sample has no label at all, or pictures and slots differ.
        """
        for at, sample in enumerate(samples):
            if not sample.trained:
                raise InputError(
                    f"sample {at} has no label: all its tokens are masked",
                    why="nothing in it is an assistant's answer",
                    todo="give it one; isthmus inspect shows each token's label",
                )
        tokens = None
        if features is not None:
            asked = [question for sample in samples for question in sample.questions]
            tokens = self.connect(features, text_of(asked, features.tokens.device))
        states, targets = self.predictions(samples, tokens, rows)
        # The head is the widest matrix of all: it sees only the positions that are trained.
        logits = self.head(states).float()
        loss = F.cross_entropy(logits, targets, reduction="sum") / (count or len(targets))
        if features is None:
            loss = loss + self._untouched()
        return Output(loss, logits, targets)

    def predictions(
        self, samples: Sequence[Sample], tokens: Tokens | None, rows: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The last states [L, D] from which the labelled tokens are predicted, and these tokens [L]."""
        batch = self.splice(samples, tokens, rows=rows)
        return self.hidden(batch).flatten(0, 1)[batch.predicting], batch.targets

    def splice(
        self,
        samples: Sequence[Sample],
        tokens: Tokens | None,
        *,
        side: Side = "right",
        rows: Sequence[int] | None = None,
    ) -> Batch:
        """Embeddings of samples and picture tokens, padded on `side`."""
        return splice(samples, tokens, self.language_model.get_input_embeddings(), side=side, rows=rows)

    def hidden(self, batch: Batch, cache: Any = None) -> Tensor:
        """[B, S, D]: the language model's last states, before its head. `cache`: a `transformers` Cache to fill."""
        out = self.language_model.base_model(
            inputs_embeds=batch.embeds,
            # Without padding the model counts positions itself and attention takes its fast causal path. In packed rows
            # positions that begin again are what `transformers` parts attention by, if no mask is given; padding behind
            # is one more such part.
            attention_mask=batch.mask if batch.padded and not batch.packed else None,
            position_ids=batch.positions if batch.padded or batch.packed else None,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        states: Tensor = out.last_hidden_state
        return states

    def head(self, states: Tensor) -> Tensor:
        """[.., D] -> [.., V]."""
        logits: Tensor = self.language_model.get_output_embeddings()(states)
        return logits

    def reading(self) -> Reading:
        """How one conversation is read on."""
        return CausalReading(self)

    def joined_readings(self) -> JoinedReadings | None:
        """For reading several conversations on, each of its own age; None where each must be read alone."""
        return JoinedReadings(self)

    def batch_reading(self) -> BatchReading:
        """How many conversations are read, to one answer each."""
        return CausalBatchReading(self)

    def conversation(self) -> Conversation:
        """A conversation that remembers: a picture or a text it has read is not read again."""
        return Conversation(self)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Iterator[str]:
        """The answer's text as it comes. Arguments as in Options, errors as in `Conversation.stream`."""
        return self.conversation().stream(messages, Options(max_tokens, temperature, top_p, tuple(stop), seed))

    def answer(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Answer:
        """The whole answer. Arguments as in Options, errors as in `Conversation.stream`."""
        return self.conversation().answer(messages, Options(max_tokens, temperature, top_p, tuple(stop), seed))

    def answers(
        self,
        conversations: Sequence[Sequence[Message]],
        options: Options | None = None,
        *,
        padding: Side = "left",
    ) -> list[Answer]:
        """One answer to each conversation, generated together: without temperature the same as one by one."""
        return generation.answers(self, conversations, options or Options(), padding=padding)

    def ask(self, pictures: Sequence[Any] | Any, question: str, *, max_tokens: int = 256) -> Answer:
        """A question about one picture or several: paths, bytes of files, PIL images or images.Picture."""
        return self.conversation().ask(pictures, question, Options(max_tokens))

    def _untouched(self) -> Tensor:
        """0, with a gradient of 0 for every trained parameter of the connector: a batch of texts alone must not leave
        other processes waiting for gradients that never come."""
        zero = torch.zeros((), device=next(self.language_model.parameters()).device)
        if "connector" in self.trainable:
            for parameter in self.connector.parameters():
                zero = zero + parameter.sum().to(zero) * 0.0
        return zero

    def _check_parts(self) -> None:
        width = self.language_model.get_input_embeddings().weight.shape[1]
        if (self.connector.width_in, self.connector.width_out) != (self.encoder.width, width):
            raise InputError(
                f"the connector maps {self.connector.width_in} to {self.connector.width_out}",
                why=f"the encoder's tokens have {self.encoder.width} and the language model's {width}",
            )
        self._check_language_model()

    def _check_language_model(self) -> None:
        config = self.language_model.config
        changes = ("final_logit_softcapping", "logit_scale", "logits_scaling")
        found = next((name for name in changes if getattr(config, name, None) not in (None, 1, 1.0)), None)
        if found is not None:
            raise InputError(
                f"the language model {config.model_type} cannot be used", why=f"it changes its logits by {found}"
            )
        if getattr(config, "is_encoder_decoder", False):
            raise InputError(
                f"the language model {config.model_type} cannot be used",
                why="it is an encoder-decoder, not a causal one",
            )


def _adapters_or_all(language_model: nn.Module) -> frozenset[str]:
    named = list(language_model.named_parameters())
    return frozenset(name for name, each in named if each.requires_grad) or frozenset(name for name, _ in named)
