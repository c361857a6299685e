"""Several conversations in one row are read as each alone, or refused."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5ForConditionalGeneration,
)

from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.messages import assistant, user
from isthmus.vision.features import Features
from isthmus.vlm.blip_templates import Blip2T5
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.packing import require_packing
from isthmus.vlm.seq2seq import Seq2SeqModel
from isthmus.vlm.sequence import Sample
from isthmus.vlm.template import Blip2

from . import models
from .test_blip2_t5 import t5, tokenizer

SIZES = {
    "vocab_size": 600, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 256, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
}  # fmt: skip
LANGUAGE_MODELS = {
    "llama": models.llama,
    "qwen2": lambda: models.disturbed(Qwen2ForCausalLM(Qwen2Config(**SIZES, num_key_value_heads=2)), 0),
    "gpt-neox": lambda: models.disturbed(GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES)), 0),
    # A window shorter than a conversation: the mask is to keep both.
    "mistral": lambda: models.disturbed(
        MistralForCausalLM(MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=9)), 0
    ),
}
PICTURES = [models.picture(seed) for seed in range(3)]
SAID = [
    [user(PICTURES[0], "what is it?"), assistant("a cat on a table")],
    [user("how many dogs are there?"), assistant("two"), user("sure?"), assistant("yes")],
    [user(PICTURES[1], PICTURES[2], "how many?"), assistant("two dogs run along the beach")],
    [assistant("un chien noir")],
]
ROWS = (3, 1)


def model(name: str) -> VisionLanguageModel:
    return models.model(language_model=LANGUAGE_MODELS[name]())


def batch(model: VisionLanguageModel) -> tuple[list[Sample], Features]:
    features = model.encode([Picture(each, *each.size) for each in PICTURES])
    one, two, three = model.extents(features)
    extents = [[one], [], [two, three], []]
    return [model.sample(said, own) for said, own in zip(SAID, extents, strict=True)], features


def encoder_decoder() -> Seq2SeqModel:
    language = models.disturbed(T5ForConditionalGeneration(t5()), 0)
    return Seq2SeqModel(models.encoder(), models.connector(), language, tokenizer(), Blip2T5()).eval()


def token_losses(model: VisionLanguageModel, *given: Any, **how: Any) -> Tensor:
    out = model(*given, **how)
    return F.cross_entropy(out.logits, out.targets, reduction="none")


def only(features: Features, *which: int) -> Features:
    at = list(which)
    frames = tuple(features.frames[i] for i in at)
    return Features(features.tokens[at], features.mask[at], features.boxes[at], features.pooled[at], frames)


@pytest.mark.parametrize("rows", [(4,), (3, 1), (1, 3)], ids=str)
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_packed_row_gives_each_token_the_loss_it_has_alone(name: str, rows: tuple[int, ...]) -> None:
    made = model(name)
    require_packing(made)
    samples, features = batch(made)
    with torch.no_grad():
        packed = token_losses(made, samples, features, rows=rows)
        alone = [
            token_losses(made, [samples[0]], only(features, 0)),
            token_losses(made, [samples[1]]),
            token_losses(made, [samples[2]], only(features, 1, 2)),
            token_losses(made, [samples[3]]),
        ]
    assert [len(each) for each in alone] == [sample.trained for sample in samples]
    torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-5, atol=1e-5)


def test_the_connectors_gradient_is_that_of_the_conversations_apart() -> None:
    made = model("llama")
    samples, features = batch(made)
    gradients = []
    for rows in (None, ROWS):
        made.zero_grad()
        made(samples, features, rows=rows).loss.backward()
        gradients.append([p.grad.clone() for p in made.connector.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_rows_hold_their_samples_one_behind_the_other() -> None:
    made = model("llama")
    samples, features = batch(made)
    spliced = made.splice(samples, made.connect(features), rows=ROWS)
    lengths = [len(sample.ids) for sample in samples]
    assert spliced.packed and spliced.lengths == (sum(lengths[:3]), lengths[3])
    assert spliced.positions[0].tolist() == [at for length in lengths[:3] for at in range(length)]
    assert spliced.targets.tolist() == [label for s in samples for label in s.labels[1:] if label != -100]
    with pytest.raises(ValueError, match="rows of 3 samples"):
        made.splice(samples, made.connect(features), rows=(2, 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_what_keeps_them_apart_passes_and_is_left_as_it_was(name: str, dtype: torch.dtype) -> None:
    made = model(name).to(dtype).train()
    require_packing(made)
    assert made.training and made.connector.training and not made.language_model.training
    assert all(p.grad is None for p in made.parameters())


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: models.model("blip2-opt"), "opt, lets a conversation see the one before it"),
        (encoder_decoder, "t5, is an encoder-decoder"),
        (
            lambda: models.model(
                language_model=MambaForCausalLM(MambaConfig(vocab_size=600, hidden_size=48, num_hidden_layers=1)),
                template=Blip2(),
            ),
            "mamba, takes no positions",
        ),
    ],
    ids=["opt", "t5", "mamba"],
)
def test_what_cannot_is_refused_in_a_line(make: Any, why: str) -> None:
    with pytest.raises(InputError, match=f"cannot have several conversations in a row: .*{why}.*arrange: length"):
        require_packing(make())


def test_an_encoder_decoder_takes_no_packed_rows() -> None:
    made = encoder_decoder()
    features = made.encode([Picture(each, *each.size) for each in PICTURES[:2]])
    asked = [[user(each, "how many?"), assistant("two")] for each in PICTURES[:2]]
    samples = [made.sample(said, [extent]) for said, extent in zip(asked, made.extents(features), strict=True)]
    assert made(samples, features, rows=(1, 1)).loss.isfinite()
    with pytest.raises(InputError, match="reads one conversation a row"):
        made(samples, features, rows=(2,))


def test_the_check_finds_positions_that_do_not_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept apart, but read as if they stood further on: told from what stands alone by absolute positions."""
    made = models.model(language_model=gpt2())
    require_packing(made)
    base = made.language_model.base_model
    forward = base.forward

    def counting_on(inputs_embeds: Tensor, position_ids: Tensor, **more: Any) -> Any:
        begin = position_ids.diff(prepend=position_ids[:, :1] - 1, dim=1).ne(1).any()
        return forward(inputs_embeds=inputs_embeds, position_ids=position_ids + 3 * int(begin), **more)

    monkeypatch.setattr(base, "forward", counting_on)
    with pytest.raises(InputError, match="reads a conversation otherwise behind another one"):
        require_packing(made)


def gpt2() -> Any:
    config = GPT2Config(vocab_size=600, n_embd=48, n_layer=2, n_head=4, n_positions=256)
    return models.disturbed(GPT2LMHeadModel(config), 0)
