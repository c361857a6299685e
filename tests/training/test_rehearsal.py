"""Rehearsal: what a language model finds likely stays so while it learns something else."""

import copy

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.nn import functional as F
from transformers import T5Config, T5ForConditionalGeneration

from isthmus.errors import InputError
from isthmus.training.policy import Learns, LoraLearns, Policy
from isthmus.training.rehearsal import KEPT, Rehearse, opening_turn, remember
from isthmus.training.tune_recipe import TuneStage
from isthmus.vlm.template import Blip2, ChatML, Mistral, Template
from tests.vlm import models

SMALL = Rehearse(texts=6, tokens=12, batch=3)


@pytest.fixture(scope="module")
def written():
    language = models.llama()
    return language, remember(language, models.byte_bpe(), SMALL, seed=0)


def test_what_has_not_changed_diverges_by_nothing(written) -> None:
    language, rehearsal = written
    assert rehearsal.ids.shape == (6, 12)
    assert rehearsal.logs.shape == rehearsal.likeliest.shape == (6, 11, KEPT)
    assert rehearsal.divergence(language, "any").item() == pytest.approx(0, abs=1e-6)


def test_the_seed_decides_what_is_written(written) -> None:
    language, rehearsal = written
    state = torch.get_rng_state()
    again = remember(language, models.byte_bpe(), SMALL, seed=0)
    other = remember(language, models.byte_bpe(), SMALL, seed=1)
    assert torch.equal(again.ids, rehearsal.ids)
    assert torch.equal(again.logs, rehearsal.logs)
    assert not torch.equal(other.ids, rehearsal.ids)
    assert torch.equal(torch.get_rng_state(), state), "nothing else is drawn otherwise"


@torch.no_grad()
def test_it_is_never_more_than_the_divergence_over_all_tokens(written) -> None:
    language, rehearsal = written
    changed = copy.deepcopy(language)
    for parameter in changed.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    every = Rehearse(texts=6, tokens=12, batch=60)  # each text many times: the mean over all, nearly
    found = float(type(rehearsal)(every, rehearsal.ids, rehearsal.likeliest, rehearsal.logs).divergence(changed, "x"))
    before, now = (m(input_ids=rehearsal.ids).logits[:, :-1].log_softmax(-1) for m in (language, changed))
    whole = float(F.kl_div(now, before, reduction="none", log_target=True).sum(-1).mean())
    assert 0 < found <= whole * 1.2


def test_the_key_draws_the_texts(written) -> None:
    language, rehearsal = written
    changed = copy.deepcopy(language)
    with torch.no_grad():
        changed.get_output_embeddings().weight.mul_(1.5)
    found = [rehearsal.divergence(changed, "a", at).item() for at in range(8)]
    assert rehearsal.divergence(changed, "a", 3).item() == found[3]
    assert len(set(found)) > 1


def test_with_it_learning_one_text_changes_the_others_less(written) -> None:
    language, _ = written
    rehearsal = remember(language, models.byte_bpe(), Rehearse(texts=24, tokens=12, batch=6), seed=0)
    text = torch.tensor([models.byte_bpe()("two dogs run along the beach")["input_ids"]])
    fresh = remember(language, models.byte_bpe(), SMALL, seed=7)

    def forgotten(weight: float) -> tuple[float, float]:
        model = copy.deepcopy(language).requires_grad_(True)
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.003)
        for step in range(20):
            learned = model(input_ids=text, labels=text).loss
            (learned + weight * rehearsal.divergence(model, step)).backward()
            optimiser.step()
            optimiser.zero_grad()
        with torch.no_grad():
            return learned.item(), float(fresh.divergence(model, "all"))

    (learned, lost), (also_learned, lost_less) = forgotten(0.0), forgotten(10.0)
    start = language(input_ids=text, labels=text).loss.item()
    assert max(learned, also_learned) < 0.7 * start
    assert lost_less < 0.6 * lost


def test_what_is_frozen_needs_no_rehearsal() -> None:
    with pytest.raises(ValueError, match="nothing of the language model learns"):
        TuneStage("connect", Policy(connector=Learns(0.1)), steps=1, rehearsal=SMALL)
    TuneStage("instruct", Policy(lora=LoraLearns(0.1)), steps=1, rehearsal=SMALL)


def test_an_encoder_decoder_cannot_rehearse() -> None:
    shape = T5Config(vocab_size=600, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    with pytest.raises(InputError, match=r"encoder-decoder.*leave `rehearsal` out"):
        remember(T5ForConditionalGeneration(shape), models.byte_bpe(), SMALL, seed=0)


def test_half_of_the_texts_are_a_users_turn_and_what_follows() -> None:
    model = models.model("chatml-llama")
    turn = opening_turn(model.template, model.prompts)
    assert model.tokenizer.decode(turn).endswith("<|im_end|>\n<|im_start|>user\n"), "behind what the system says"
    wide = Rehearse(texts=7, tokens=2 * len(turn), batch=3)
    ids = remember(model.language_model, model.tokenizer, wide, seed=0, turn=turn).ids
    assert ids.shape == (7, wide.tokens)
    assert [tuple(row[: len(turn)].tolist()) == turn for row in ids] == [False] * 4 + [True] * 3
    short = Rehearse(texts=7, tokens=2 * len(turn) - 1, batch=3)
    ids = remember(model.language_model, model.tokenizer, short, seed=0, turn=turn).ids
    assert not any(tuple(row[: len(turn)].tolist()) == turn for row in ids), "nothing would be left to write"


@pytest.mark.parametrize(
    ("template", "begins"),
    [
        (Blip2(), ""),  # asks about pictures only
        (Mistral(bos="</s>"), "</s>[INST] "),
        (ChatML(system="Be brief."), "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"),
    ],
)
def test_what_stands_before_a_users_words(template: Template, begins: str) -> None:
    model = models.model("chatml-llama")
    assert model.tokenizer.decode(opening_turn(template, model.prompts)) == begins


def test_the_shortest_text_has_one_written_token() -> None:
    shortest = Rehearse(texts=2, tokens=3, batch=1)
    begun = models.byte_bpe(opens="<image>")
    assert begun.bos_token_id is not None
    assert remember(models.llama(), begun, shortest, seed=0).ids.shape == (2, 3)
    with pytest.raises(ValidationError, match="greater than or equal to 3"):
        TypeAdapter(Rehearse).validate_json('{"tokens": 2}')
