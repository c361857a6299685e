"""One name, the right family."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from isthmus.errors import CorruptPart, InputError, MissingPart
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.seq2seq import Seq2SeqModel

from . import models, test_blip2, test_blip2_t5, test_instructblip, test_llava, test_llava_next, test_smolvlm

SAVED: dict[str, tuple[Callable[[Path], str], type[VisionLanguageModel], str]] = {
    "BLIP-2 OPT": (lambda to: test_blip2.save(test_blip2.reference(), to), VisionLanguageModel, "Blip2"),
    "BLIP-2 FLAN-T5": (lambda to: test_blip2_t5.save(test_blip2_t5.reference(), to), Seq2SeqModel, "Blip2T5"),
    "InstructBLIP": (
        lambda to: test_instructblip.save(test_instructblip.reference(), to), VisionLanguageModel, "InstructBlip",
    ),
    "LLaVA-1.5": (lambda to: test_llava.save(test_llava.reference(), to), VisionLanguageModel, "Vicuna"),
    "LLaVA-NeXT": (lambda to: test_llava_next.save(test_llava_next.reference(), to), VisionLanguageModel, "Vicuna"),
    "SmolVLM": (lambda to: test_smolvlm.save(test_smolvlm.reference(), to), VisionLanguageModel, "Idefics3"),
    "Idefics3": (
        lambda to: test_smolvlm.save(test_smolvlm.reference("idefics3"), to), VisionLanguageModel, "Idefics3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", list(SAVED))
def test_every_family_by_name(family: str, tmp_path: Path) -> None:
    save, kind, template = SAVED[family]
    name = save(tmp_path)
    model = load_vlm(name)
    assert type(model) is kind
    assert type(model.template).__name__ == template
    assert not model.training
    trained = {name.split(".")[0] for name, each in model.named_parameters() if each.requires_grad}
    assert trained == {"connector"}
    answer = model.ask(models.picture(), "what is it?", max_tokens=3)
    assert answer.model == name
    assert answer.tokens_out >= 1
    assert load_vlm(name, dtype=torch.bfloat16).head(torch.zeros(1, 48, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("config", [{"model_type": "qwen2_vl"}, {}])
def test_another_family_is_named_with_the_way_to_it(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError) as raised:
        load_vlm(str(tmp_path))
    line = str(raised.value)
    assert f"is of the family {config.get('model_type')}: composed models are BLIP-2, InstructBLIP" in line
    assert line.endswith(f"--model transformers:{tmp_path})")
    assert "\n" not in line


def test_no_folder_and_no_config(tmp_path: Path) -> None:
    with pytest.raises(CorruptPart, match=r"has no config\.json"):
        load_vlm(str(tmp_path))
    with pytest.raises(InputError, match="no model 'nowhere'"):
        load_vlm("nowhere")
    with pytest.raises(MissingPart, match="no part default/nothing"):
        load_vlm("default/nothing")
