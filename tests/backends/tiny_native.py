"""A tiny random LLaVA-1.5 that Isthmus builds itself, in Hugging Face layout."""

import json
from pathlib import Path
from typing import Any

import torch

from isthmus.vlm.model import VisionLanguageModel
from tests.vlm import models
from tests.vlm.test_llava import reference, save

PICTURE_TOKENS = 16


def save_native_llava(folder: Path, context: int = 1024) -> str:
    """It never ends an answer by itself: the row of its end token is 0."""
    made: Any = reference()
    with torch.no_grad():
        made.lm_head.weight[models.spm_bpe().convert_tokens_to_ids("</s>")] = 0
    save(made, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["text_config"]["max_position_embeddings"] = context
    path.write_text(json.dumps(config))
    return str(folder)


class Steps:
    """Lengths of what the language model reads, call by call."""

    def __init__(self, model: VisionLanguageModel) -> None:
        self.lengths: list[int] = []
        self.hook = model.language_model.base_model.register_forward_hook(self._note, with_kwargs=True)

    def _note(self, _: Any, __: Any, given: dict[str, Any], ___: Any) -> None:
        read = given.get("inputs_embeds")
        self.lengths.append((given["input_ids"] if read is None else read).shape[1])
