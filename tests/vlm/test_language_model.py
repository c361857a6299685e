"""The default language model out of its GGUF: tied weights, end token and chat template are right, and it speaks."""

from pathlib import Path

import pytest
import torch

from isthmus.checkpoints import resolve
from isthmus.errors import CorruptPart
from isthmus.vlm.language_model import LanguageModel, load_language_model

pytestmark = pytest.mark.xdist_group("smollm2")


@pytest.fixture(scope="module")
def language() -> LanguageModel:
    return load_language_model("default/smollm2")


def test_it_is_frozen_small_and_tied(language: LanguageModel) -> None:
    model = language.model
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.dtype == torch.bfloat16
    assert language.fingerprint == resolve("default/smollm2").fingerprint


def test_it_answers_and_ends_its_turn(language: LanguageModel) -> None:
    tokenizer, model = language.tokenizer, language.model
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**ids, max_new_tokens=24, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(out)
    assert tokenizer.eos_token == "<|im_end|>"
    assert out[-1] == tokenizer.eos_token_id == model.config.eos_token_id


def test_text_comes_back_as_it_went_in(language: LanguageModel) -> None:
    text = "two red cats , left of a dog !  Is n't it ?"
    assert language.tokenizer.decode(language.tokenizer(text)["input_ids"]) == text


def test_what_is_no_language_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(CorruptPart, match="no causal language model") as caught:
        load_language_model(str(tmp_path))
    assert "\n" not in str(caught.value)
