"""BLIP-2's first stage: what must not leak does not, each loss is what its definition says, gradients arrive."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from isthmus.connectors import QFormer, Stage1, Text, load_qformer, load_stage1
from isthmus.connectors.masks import bidirectional, multimodal_causal
from isthmus.connectors.negatives import FLOOR, draw, noise, twins
from isthmus.errors import CorruptPart, InputError
from isthmus.gathering import Ranks

from . import reference
from .samples import SMALL, WORDS, disturb, features, largest, texts

LIMIT = 1e-5
M = SMALL.queries


def stage(**options):
    torch.manual_seed(4)
    return disturb(Stage1(QFormer(SMALL), 6, start_token=WORDS - 1, **options)).eval()


def read(model, batch):
    return model.qformer.read(batch.tokens, batch.mask)


lengths = st.lists(st.integers(1, 6), min_size=1, max_size=3)
seeds = st.integers(0, 99)
leaks = settings(max_examples=20)


@leaks
@given(counts=lengths, seed=seeds)
@torch.no_grad()
def test_itc_neither_side_sees_the_other(counts, seed):
    model, text, batch = stage(), texts(*counts, seed=seed), features(*counts, seed=seed)
    other_text = Text((text.ids + 1) % WORDS, text.mask)
    other_batch = features(*counts, seed=seed + 1)
    pictures, words = model.apart(read(model, batch), text)
    assert torch.equal(model.apart(read(model, batch), other_text)[0], pictures)
    assert torch.equal(model.apart(read(model, other_batch), text)[1], words)
    moved_pictures, moved_words = model.apart(read(model, other_batch), other_text)
    assert not torch.allclose(moved_pictures, pictures) and not torch.allclose(moved_words, words)


@leaks
@given(counts=lengths, seed=seeds, data=st.data())
@torch.no_grad()
def test_itg_no_token_sees_a_later_one_and_no_query_a_text(counts, seed, data):
    model, text, memory = stage(), texts(*counts, seed=seed), None
    memory = read(model, features(*counts, seed=seed))
    t = text.ids.shape[1]
    at = data.draw(st.integers(0, t - 1))
    changed = text.ids.clone()
    changed[:, at:] = (changed[:, at:] + 1) % WORDS
    words = model.qformer.words.weight
    logits = model.itg_head(model.caption(memory, text), words)
    again = model.itg_head(model.caption(memory, Text(changed, text.mask)), words)
    assert torch.equal(again[:, :at], logits[:, :at])
    if at > 0:  # the first token is replaced by the start token anyway
        real = text.mask[:, at]
        assert (again[real, at] != logits[real, at]).any(-1).all(), "a place does not see itself"
    mask = multimodal_causal(M, text.mask)
    queries = model.qformer(memory, text, mask).queries
    assert torch.equal(model.qformer(memory, Text(changed, text.mask), mask).queries, queries)
    other = read(model, features(*counts, seed=seed + 1))
    assert not torch.allclose(model.caption(other, text), model.caption(memory, text)), "text sees no queries"


@leaks
@given(counts=lengths, seed=seeds)
@torch.no_grad()
def test_itm_everybody_sees_everybody(counts, seed):
    model, text, memory = stage(), texts(*counts, seed=seed), read(stage(), features(*counts, seed=seed))
    mask = bidirectional(M, text.mask)
    states = model.qformer(memory, text, mask)
    changed = text.ids.clone()
    changed[:, 0] = (changed[:, 0] + 1) % WORDS
    moved = model.qformer(memory, Text(changed, text.mask), mask)
    assert (moved.queries != states.queries).any(-1).all(), "a query does not see the text"
    other = model.qformer(read(model, features(*counts, seed=seed + 1)), text, mask)
    assert (other.text != states.text).any(-1)[text.mask].all(), "a word does not see the queries"


@torch.no_grad()
def test_padding_of_pictures_and_texts_changes_no_loss():
    model = stage()
    batch, text = features(4, 2, 3, 7), texts(3, 2, 4, 6)
    first = model(batch, text, generator=torch.Generator().manual_seed(1))
    tokens = torch.where(batch.mask[..., None], batch.tokens, torch.tensor(9.0))
    longer = Text(F.pad(torch.where(text.mask, text.ids, 5), (0, 3), value=8), F.pad(text.mask, (0, 3)))
    again = model(replace(batch, tokens=tokens), longer, generator=torch.Generator().manual_seed(1))
    for part in ("itc", "itm", "itg", "similarity"):
        torch.testing.assert_close(getattr(again, part), getattr(first, part), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_itc_score_and_itm_logits_are_those_of_transformers(tmp_path):
    model = reference.retrieval()
    checkpoint = reference.saved(model, tmp_path)
    ours = load_stage1(checkpoint, load_qformer(checkpoint, width_out=7).qformer, start_token=WORDS - 1).eval()
    pixels = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    text = texts(3, 7, 5)
    asked = {"pixel_values": pixels, "input_ids": text.ids, "attention_mask": text.mask.long()}
    tokens = model.vision_model(pixels).last_hidden_state
    batch = replace(features(*[tokens.shape[1]] * 3), tokens=tokens)
    itc = largest(ours(batch, text).similarity, model(**asked).logits_per_image)
    matched = model(**asked, use_image_text_matching_head=True).logits_per_image
    itm = largest(ours.match(read(ours, batch), text), matched)
    print(f"Blip2ForImageTextRetrieval: ITC {itc:.1e}, ITM {itm:.1e}")
    assert itc <= LIMIT and itm <= LIMIT
    assert matched.std() > 0.01
    with pytest.raises(CorruptPart, match="shape"):
        load_stage1(checkpoint, QFormer(SMALL.__class__(12, 7, width=8, heads=2, vocabulary=9)), start_token=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@torch.no_grad()
def test_itc_is_smoothed_cross_entropy_both_ways(smoothing):
    model = stage(smoothing=smoothing, temperature=0.2)
    model.log_temperature.fill_(math.log(0.2))
    batch, text = features(4, 2, 3), texts(3, 2, 4)
    losses = model(batch, text)
    pictures, words = model.apart(read(model, batch), text)
    cosine = torch.stack([torch.stack([(each @ word).max() for word in words]) for each in pictures])
    torch.testing.assert_close(losses.similarity, cosine)
    ways = [F.cross_entropy(s / 0.2, torch.arange(3), label_smoothing=smoothing) for s in (cosine, cosine.T)]
    torch.testing.assert_close(losses.itc, sum(ways) / 2)


@torch.no_grad()
def test_equal_captions_are_no_choice_in_itc():
    """With pairs 0 and 2 alike, ITC is the cross entropy over what is left of each row."""
    model = stage(smoothing=0.0)
    batch, text = features(4, 2, 3), texts(3, 2, 4)
    losses = model(batch, text, torch.tensor([5, 1, 5]))
    logits = losses.similarity * model._scale()
    logits[0, 2] = logits[2, 0] = -math.inf
    ways = [F.cross_entropy(s, torch.arange(3)) for s in (logits, logits.T)]
    torch.testing.assert_close(losses.itc, sum(ways) / 2)
    assert losses.itc < model(batch, text).itc


@torch.no_grad()
def test_itm_asks_one_true_and_two_wrong_pairs_of_each():
    model = stage()
    model.itm_head.weight.zero_()
    model.itm_head.bias.copy_(torch.tensor([0.0, 1.5]))
    yes, no = math.log1p(math.exp(-1.5)), math.log1p(math.exp(1.5))
    assert float(model(features(4, 2, 3), texts(3, 2, 4)).itm) == pytest.approx((yes + 2 * no) / 3, rel=1e-6)


@torch.no_grad()
def test_itm_is_the_cross_entropy_of_the_pairs_that_were_drawn():
    """Pair by pair, alone and unpadded: the true ones, and the negatives the generator's state decides."""
    model = stage()
    batch, text = features(4, 2, 3, 5), texts(3, 2, 4, 6)
    losses = model(batch, text, generator=torch.Generator().manual_seed(3))
    ranks, random = Ranks(0, (4,), None), torch.Generator().manual_seed(3)
    logits = losses.similarity * model._scale()
    wrong_texts, wrong_pictures = (
        draw(each, torch.eye(4, dtype=torch.bool), noise(ranks, random, each.device)) for each in (logits, logits.T)
    )
    asked = [(i, i, 1) for i in range(4)]
    asked += [(i, int(wrong_texts[i]), 0) for i in range(4)] + [(int(wrong_pictures[i]), i, 0) for i in range(4)]
    total = 0.0
    for picture, caption, answer in asked:
        assert (picture == caption) == bool(answer)
        n, t = int(batch.mask[picture].sum()), int(text.mask[caption].sum())
        memory = model.qformer.read(batch.tokens[picture : picture + 1, :n], batch.mask[picture : picture + 1, :n])
        alone = Text(text.ids[caption : caption + 1, :t], text.mask[caption : caption + 1, :t])
        total += float(F.cross_entropy(model.match(memory, alone), torch.tensor([answer])))
    assert float(losses.itm) == pytest.approx(total / 12, rel=1e-5)


@torch.no_grad()
def test_itg_is_the_mean_over_every_captions_tokens():
    """Caption by caption, alone and unpadded, [DEC] in place of [CLS]: the next token at every place."""
    model = stage(smoothing=0.0)
    batch, text = features(4, 2, 3), texts(3, 2, 6)
    total, count = 0.0, 0
    for i in range(3):
        n, t = int(batch.mask[i].sum()), int(text.mask[i].sum())
        memory = model.qformer.read(batch.tokens[i : i + 1, :n], batch.mask[i : i + 1, :n])
        for at in range(1, t):
            known = torch.cat([torch.tensor([WORDS - 1]), text.ids[i, 1:at]])[None]
            seen = torch.ones_like(known).bool()
            states = model.qformer(memory, Text(known, seen), multimodal_causal(M, seen)).text
            logits = model.itg_head(states[0, -1], model.qformer.words.weight)
            total, count = total + float(F.cross_entropy(logits, text.ids[i, at])), count + 1
    assert count == 2 + 1 + 5
    assert float(model(batch, text).itg) == pytest.approx(total / count, rel=1e-5)
    first = text.ids.clone()
    first[:, 0] += 1
    assert torch.equal(model(batch, Text(first, text.mask)).itg, model(batch, text).itg)


REACHED = {
    "itc": {"picture_map", "text_map", "log_temperature", "qformer"},
    "itm": {"itm_head", "qformer"},
    "itg": {"itg_head", "qformer"},
    "total": {"picture_map", "text_map", "log_temperature", "itm_head", "itg_head", "qformer"},
}


@pytest.mark.parametrize("part", REACHED)
def test_gradients_reach_what_the_objective_trains(part):
    model = stage()
    getattr(model(features(4, 2, 3), texts(3, 2, 4)), part).backward()
    alive = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".")[0] for name in alive} == REACHED[part]
    inside = {name for name, _ in model.qformer.named_parameters(prefix="qformer")}
    dead = {name for name in inside if name not in alive}
    unread = {  # of the last layer: matching asks the queries only, generation the text only
        "itm": ("qformer.blocks.2.ffn_text.",),
        "itg": ("qformer.blocks.2.cross.", "qformer.blocks.2.ffn_queries."),
    }
    assert dead == {name for name in inside if name.startswith(unread.get(part, ("nothing",)))}


def test_it_learns_to_tell_pairs_apart():
    """Six pairs by heart. Knowing nothing costs 1.8 in ITC, .64 in ITM (one pair in three is true), 3.7 in ITG."""
    torch.manual_seed(0)
    model = Stage1(QFormer(SMALL), 6, start_token=WORDS - 1, smoothing=0.0)
    batch, text = features(*[4] * 6), texts(*[4] * 6)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    random = torch.Generator().manual_seed(0)
    for _ in range(250):
        optimiser.zero_grad()
        losses = model(batch, text, generator=random)
        losses.total.backward()
        optimiser.step()
    for part in ("itc", "itm", "itg"):
        assert getattr(losses, part) < 0.1, part
    assert torch.equal(losses.similarity.argmax(1), torch.arange(6))


def test_half_precision_keeps_the_losses_in_float32():
    batch, text = features(4, 2, 3), texts(3, 2, 4)
    whole = stage()(batch, text, generator=torch.Generator().manual_seed(1))
    for losses in (
        stage().to(torch.bfloat16)(batch, text, generator=torch.Generator().manual_seed(1)),
        _autocast(batch, text),
    ):
        for part in ("itc", "itg"):
            value = getattr(losses, part)
            assert value.dtype == torch.float32
            torch.testing.assert_close(value, getattr(whole, part), rtol=0.1, atol=0.1)
        assert losses.itm.dtype == torch.float32 and losses.itm.isfinite()


def _autocast(batch, text):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return stage()(batch, text, generator=torch.Generator().manual_seed(1))


def test_the_temperature_never_falls_below_a_hundredth():
    model = stage()
    with torch.no_grad():
        model.log_temperature.fill_(-20)
    assert float(model._scale().detach()) == pytest.approx(100, rel=1e-5)


@given(data=st.data(), b=st.integers(2, 6), seed=seeds)
def test_a_drawn_negative_is_never_the_own_or_an_equal_caption(data, b, seed):
    same = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=b, max_size=b)))
    ranks = Ranks(0, (b,), None)
    if len(same.unique()) == 1:
        with pytest.raises(InputError, match="no wrong pair"):
            twins(same, ranks, same.device)
        return
    random = torch.Generator().manual_seed(seed)
    excluded = twins(same, ranks, same.device) | torch.eye(b, dtype=torch.bool)
    logits = torch.randn(b, b, generator=random) * 1000  # softmax is 0 nearly everywhere
    drawn = draw(logits, excluded, noise(ranks, random, logits.device))
    assert (same[drawn] != same).all()


def test_negatives_are_drawn_by_similarity_and_decided_by_the_generator():
    logits = torch.tensor([[0.0, 2.0, 1.0, -1.0]]).repeat(20000, 1)
    excluded = torch.tensor([[True, False, False, False]]).repeat(20000, 1)
    draws = [
        draw(logits, excluded, torch.empty(20000, 4).exponential_(generator=torch.Generator().manual_seed(1)))
        for _ in range(2)
    ]
    assert torch.equal(*draws)
    chance = (logits[0].softmax(0) + FLOOR)[1:]
    share = torch.bincount(draws[0], minlength=4)[1:] / 20000
    torch.testing.assert_close(share, chance / chance.sum(), rtol=0, atol=0.015)  # four standard deviations


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda m: m(features(4), texts(3)), InputError, "a batch of 1 has no wrong pair"),
        (lambda m: m(features(4, 4), texts(3, 2), torch.tensor([1, 1])), InputError, "all its captions are the same"),
        (lambda m: m(features(4, 4), texts(1, 1)), InputError, "no caption of the batch has a word"),
        (lambda m: m(features(4, 4), texts(1, 2, 3)), ValueError, "2 pictures and 3 captions"),
        (lambda m: Stage1(m.qformer, start_token=WORDS), InputError, "40 is none of the 40 words"),
        (lambda m: Stage1(QFormer(replace(SMALL, vocabulary=0)), start_token=0), InputError, "without text side"),  # noqa: ARG005
    ],
)
def test_what_cannot_be_trained_on_is_refused(act, error, says):
    with pytest.raises(error, match=says) as caught:
        act(stage())
    assert "\n" not in str(caught.value)
