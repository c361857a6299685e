"""The default models themselves, their FLOPs counted while they answer."""

from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from isthmus.connectors.connector import Text
from isthmus.images.open import open_picture
from isthmus.latency.named import model_named
from isthmus.latency.operations import How
from isthmus.latency.precisions import precision
from isthmus.latency.work import Request, work_of
from isthmus.vlm.last_position import last_position_alone
from isthmus.vlm.load import load_vlm
from tests.latency.counted import count
from tests.vlm import models

TEXT = 20


@pytest.mark.parametrize("name", ["default/vlm", "default/vlm-llava"])
def test_a_default_model(name: str, tmp_path: Path) -> None:
    work = work_of(model_named(name), Request(text=TEXT, how=How(precision("fp32"))))
    model = load_vlm(name, dtype=torch.float32)
    models.picture(1).save(tmp_path / "picture.png")
    features = model.encode([open_picture(tmp_path / "picture.png")])
    ids = torch.ones(1, TEXT, dtype=torch.long)
    text = Text(ids, ids.bool()) if model.question_tokenizer else None
    tokens = model.connect(features, text).tokens
    assert tokens.shape[1] == work.picture_tokens
    embeds = torch.randn(1, work.prompt, tokens.shape[2])
    # what the fused kernel of a processor does is not counted
    with sdpa_kernel(SDPBackend.MATH), last_position_alone(model.language_model):
        theirs = {
            "encoder": count(lambda: model.encode([open_picture(tmp_path / "picture.png")])),
            "connector": count(lambda: model.connect(features, text)),
            "prefill": count(lambda: model.language_model.base_model(inputs_embeds=embeds)),
            "sample": count(lambda: model.head(embeds[:, -1])),
        }
    ours = {part: sum(each.flops for each in work.parts[part]) for part in theirs}  # type: ignore[index]
    assert ours == pytest.approx(theirs, rel=1e-5)
