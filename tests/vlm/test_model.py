"""The composed model: loss, logits, what trains and what never does."""

import pytest
import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.messages import Message, assistant, user
from isthmus.vision.features import Features, pad
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import IGNORE, Extent, Sample

from . import models
from .models import KINDS

PICTURES = [models.picture(seed) for seed in range(3)]
SAID: list[list[Message]] = [
    [user(PICTURES[0], "what is it?"), assistant("a cat")],
    [user(PICTURES[1], PICTURES[2], "how many?"), assistant("two dogs run"), user("sure?"), assistant("yes")],
]


def encoded(model: VisionLanguageModel) -> Features:
    return model.encode([Picture(each, *each.size) for each in PICTURES])


def batch(model: VisionLanguageModel) -> tuple[list[Sample], Features]:
    features = encoded(model)
    first, second, third = model.extents(features)
    return [model.sample(SAID[0], [first]), model.sample(SAID[1], [second, third])], features


def reference_loss(model: VisionLanguageModel, samples: list[Sample], features: Features) -> Tensor:
    """transformers' own loss on the full logits of the same embeddings."""
    spliced = model.splice(samples, model.connect(features))
    out = model.language_model(inputs_embeds=spliced.embeds, attention_mask=spliced.mask, labels=spliced.labels)
    return out.loss


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_that_of_the_whole_language_model(kind: str) -> None:
    model = models.model(kind)
    samples, features = batch(model)
    out = model(samples, features)
    torch.testing.assert_close(out.loss, reference_loss(model, samples, features), rtol=1e-5, atol=1e-5)
    assert len(out.logits) == len(out.targets) == sum(sample.trained for sample in samples)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_alone_or_in_a_batch_gives_the_same_logits(kind: str) -> None:
    model = models.model(kind)
    samples, features = batch(model)
    with torch.no_grad():
        together = model(samples, features).logits
        first = model(samples[:1], part(features, slice(0, 1))).logits
        second = model(samples[1:], part(features, slice(1, 3))).logits
    assert (together - torch.cat([first, second])).abs().max() <= 1e-4


def part(features: Features, which: slice) -> Features:
    return Features(features.tokens[which], features.mask[which], features.boxes[which], features.pooled[which])


def test_the_head_sees_the_labelled_positions_only() -> None:
    model = models.model()
    samples, features = batch(model)
    seen: list[int] = []
    model.language_model.lm_head.register_forward_hook(lambda _, given, __: seen.append(given[0].numel() // 48))
    model(samples, features)
    assert seen == [sum(sample.trained for sample in samples)]


def test_the_loss_weighs_every_token_the_same() -> None:
    """Two halves of a batch, each divided by the tokens of both, give the gradient of the whole."""
    model = models.model()
    samples, features = batch(model)
    assert samples[0].trained != samples[1].trained
    model(samples, features).loss.backward()
    whole = [each.grad.clone() for each in model.connector.parameters()]
    model.zero_grad()
    count = sum(sample.trained for sample in samples)
    model(samples[:1], part(features, slice(0, 1)), count=count).loss.backward()
    model(samples[1:], part(features, slice(1, 3)), count=count).loss.backward()
    for one, two in zip(whole, model.connector.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one, rtol=1e-4, atol=1e-6)


def test_features_kept_from_before_are_as_good() -> None:
    """Cached in half the memory they come back in the connector's dtype; no encoder is called."""
    model = models.model()
    samples, features = batch(model)
    calls = model.encoder.batches
    cached = Features(features.tokens.bfloat16(), features.mask, features.boxes, features.pooled)
    out = model(samples, cached)
    assert model.encoder.batches == calls
    torch.testing.assert_close(out.loss, model(samples, features).loss, rtol=0.05, atol=0.05)


def test_pictures_are_encoded_in_one_batch() -> None:
    model = models.model()
    encoded(model)
    assert (model.encoder.batches, model.encoder.pictures) == (1, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_connector_learns(kind: str) -> None:
    model = models.model(kind)
    model.train()
    samples, features = batch(model)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    model(samples, features).loss.backward()
    torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1).step()
    for name, each in model.state_dict().items():
        assert torch.equal(each, before[name]) == name.startswith("language_model."), name
    assert all(each.grad is None for each in model.language_model.parameters())


def test_frozen_parts_stay_in_eval_mode() -> None:
    """OPT's dropout would change what it says; train() must not reach it."""
    model = models.model("blip2-opt", connector=models.connector(dropout=0.5))
    samples, features = batch(model)
    model.train()
    assert model.training
    assert model.connector.training
    assert not any(each.training for each in model.language_model.modules())
    assert model(samples, features).loss != model(samples, features).loss  # the connector's dropout
    model.set_trainable("language_model")
    assert model.language_model.training
    assert not model.connector.training
    assert all(each.requires_grad for each in model.language_model.parameters())
    assert not any(each.requires_grad for each in model.connector.parameters())
    model.set_trainable()
    assert not any(each.requires_grad for each in model.parameters())
    assert not any(each.training for child in model.children() for each in child.modules())
    assert model(samples, features).loss == model(samples, features).loss
    model.eval()
    model.set_trainable("connector")
    assert not model.connector.training


def test_trainability_is_an_argument() -> None:
    model = models.model(trainable=("connector", "language_model"))
    assert all(each.requires_grad for each in model.parameters())
    with pytest.raises(InputError, match="there is no trainable part 'encoder'"):
        model.set_trainable("encoder")  # type: ignore[arg-type]


def test_what_a_part_froze_itself_stays_frozen() -> None:
    connector, language = models.connector(), models.llama()
    connector.maps[0].requires_grad_(False)
    language.requires_grad_(False)
    language.model.norm.weight.requires_grad_(True)  # as adapters are
    model = models.model(connector=connector, language_model=language, trainable=())
    model.set_trainable("connector", "language_model")
    assert [name for name, each in model.named_parameters() if each.requires_grad] == [
        "connector.maps.1.weight", "connector.maps.1.bias", "language_model.model.norm.weight",
    ]  # fmt: skip


def test_a_batch_of_texts_alone_gives_the_connector_zero_gradients() -> None:
    """Not none: processes that saw pictures would wait for them."""
    model = models.model()
    samples = [model.sample([user("what?"), assistant("a cat")])]
    model(samples).loss.backward()
    assert all(each.grad is not None and not each.grad.any() for each in model.connector.parameters())


def test_texts_and_pictures_mix_in_a_batch() -> None:
    model = models.model()
    samples, features = batch(model)
    text = model.sample([user("what?"), assistant("a cat")])
    with torch.no_grad():
        mixed = model([samples[0], text, samples[1]], features)
        apart = torch.cat([model(samples[:1], part(features, slice(0, 1))).logits, model([text]).logits])
    assert (mixed.logits[: len(apart)] - apart).abs().max() <= 1e-4


def test_pictures_of_different_lengths_go_together() -> None:
    """As encoders of native resolution give them: padding is never read."""
    model = models.model()
    torch.manual_seed(0)
    tokens = [torch.randn(n, 32) for n in (3, 7)]
    features = pad(tokens, [torch.zeros(len(each), 4) for each in tokens], torch.zeros(2, 32))
    samples = [model.sample([user(b"", "what?"), assistant("a cat")], [each]) for each in model.extents(features)]
    assert [sample.ids.count(-1) for sample in samples] == [3, 7]
    with torch.no_grad():
        together = model(samples, features).logits
        alone = [
            model([sample], pad([each], [torch.zeros(len(each), 4)], torch.zeros(1, 32))).logits
            for sample, each in zip(samples, tokens, strict=True)
        ]
    assert (together - torch.cat(alone)).abs().max() <= 1e-4


def test_all_labels_masked_is_an_error_in_one_line() -> None:
    model = models.model()
    samples, features = batch(model)
    masked = model.sample([user(b"", "what is it?")], model.extents(features)[:1])
    assert set(masked.labels) == {IGNORE}
    with pytest.raises(InputError) as raised:
        model([samples[0], masked], features)
    assert str(raised.value).startswith("sample 1 has no label: all its tokens are masked: nothing in it is")
    assert "\n" not in str(raised.value)


def test_features_that_do_not_fit_the_samples_are_refused() -> None:
    model = models.model()
    samples, features = batch(model)
    with pytest.raises(InputError, match="the samples show 3 pictures, but tokens of 2 are given"):
        model(samples, part(features, slice(0, 2)))
    with pytest.raises(InputError, match="the samples show 3 pictures, but tokens of 0 are given"):
        model(samples)
    wrong = [model.sample(SAID[0], [Extent(9)]), samples[1]]
    with pytest.raises(InputError, match="picture 0 of the batch has 16 tokens, but its slots have room for 9"):
        model(wrong, features)
    with pytest.raises(InputError, match="the language model reads at most 256"):
        model.sample([user("what " * 300)], prompt=True)


def test_parts_that_do_not_meet_are_refused() -> None:
    with pytest.raises(InputError, match=r"the connector maps 32 to 40: .* 32 and the language model's 48"):
        models.model(connector=models.connector(40))
    capped = models.llama()
    capped.config.final_logit_softcapping = 30.0
    with pytest.raises(InputError, match="it changes its logits by final_logit_softcapping"):
        models.model(language_model=capped)


def test_bfloat16_throughout() -> None:
    model = models.model(language_model=models.llama().bfloat16(), connector=models.connector().bfloat16())
    samples, features = batch(model)
    out = model(samples, features)
    assert out.loss.dtype == torch.float32
    out.loss.backward()
    assert {each.grad.dtype for each in model.connector.parameters()} == {torch.bfloat16}
    full = models.model()
    torch.testing.assert_close(out.loss, full(samples, features).loss, rtol=0.05, atol=0.05)


def test_a_connector_of_another_dtype_than_the_language_model() -> None:
    """A float32 connector trained in front of a half-precision language model."""
    model = models.model(language_model=models.llama().bfloat16())
    samples, features = batch(model)
    model(samples, features).loss.backward()
    assert {each.grad.dtype for each in model.connector.parameters()} == {torch.float32}


def test_a_text_alone_is_nobodys_turn() -> None:
    model = models.model("vicuna-llama")
    sample = model.sample([assistant("a cat on a table")])
    assert model.tokenizer.decode([id_ for id_ in sample.labels if id_ >= 0]).strip() == "a cat on a table"
    assert sample.trained >= len(sample.ids) - 1
    assert sample.slots == () and set(sample.roles) == {"assistant"}
