"""The folder of a Q-Former after BLIP-2's first stage: it, the heads it was trained by, its tokenizer, and the names of
the frozen encoder it reads and of the language model it is to speak to.

With a language model it is a composed model too, whose map to that model is still fresh: what stage 2 begins as.
Source: BLIP-2 (Li et al., 2023), section 3.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.checkpoints.cache import written_whole
from isthmus.checkpoints.trained import lasting_name, require_trained_fit, write_trained
from isthmus.connectors.objectives import Stage1
from isthmus.connectors.qformer import QFormer, QFormerConfig, QFormerConnector, without_text
from isthmus.contrastive.tokenizer import Tokenizer, load_tokenizer
from isthmus.errors import CorruptPart, InputError
from isthmus.vision.encoder import load_encoder
from isthmus.vision.features import Encoder
from isthmus.vlm.chat_template import ChatTemplate
from isthmus.vlm.language_model import load_language_model
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.quantised import Quantize
from isthmus.vlm.template import Blip2

MODEL_TYPE = "isthmus-qformer"
PREFIX = "stage1."


def save_qformer(
    stage1: Stage1,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    encoder: Encoder,
    language_model: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes model.safetensors, config.json and the tokenizer. `encoder` is known by its name; `language_model` by the
    one given, whose map is drawn from torch's global random numbers. `about`: lineage and measurements, as JSON.

    Raises MissingPart where the disk refuses or the language model cannot be had.
    """
    config = stage1.qformer.config
    tensors = {f"{PREFIX}{name}": each for name, each in stage1.state_dict().items()}
    spoken_to = None
    if language_model is not None:
        language = load_language_model(language_model)
        config = replace(config, width_out=language.model.get_input_embeddings().weight.shape[1])
        spoken_to = {"name": lasting_name(resolve(language_model)), "fingerprint": language.fingerprint}
        fresh = torch.nn.Linear(config.width, config.width_out)
        tensors |= {f"project.{name}": each for name, each in fresh.state_dict().items()}
    with written_whole(folder / "tokenizer.json") as temporary:
        temporary.write_text(tokenizer.backend.to_str(), encoding="utf-8")
    with written_whole(folder / "tokenizer_config.json") as temporary:
        padding = tokenizer.backend.id_to_token(tokenizer.padding)
        temporary.write_text(json.dumps({"pad_token": padding, "model_max_length": tokenizer.max_tokens}))
    told = {
        "model_type": MODEL_TYPE,
        "encoder": {
            "name": lasting_name(resolve(encoder.name)),
            "fingerprint": encoder.fingerprint,
            "fit": encoder.fit.fingerprint,
        },
        "qformer": asdict(config),
        "dim": stage1.text_map.out_features,
        "start_token": stage1.start_token,
        "smoothing": stage1.smoothing,
        "language_model": spoken_to,
        **(about or {}),
    }
    write_trained(folder, tensors, told)


def read_qformer(checkpoint: Checkpoint) -> tuple[Stage1, Tokenizer]:
    """Stage 1 as it was saved, on the CPU in float32, to go on from; and its tokenizer. Raises CorruptPart."""
    config = checkpoint.config
    try:
        shape = QFormerConfig(**config["qformer"])
        made = Stage1(QFormer(shape), config["dim"], start_token=config["start_token"], smoothing=config["smoothing"])
        made.load_state_dict(checkpoint.tensors(PREFIX))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CorruptPart(f"{checkpoint.folder} holds no Q-Former of a first stage", why=str(error)) from None
    return made, load_tokenizer(checkpoint, max_tokens=shape.max_text)


def load_before_stage2(
    checkpoint: Checkpoint,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The composed model in eval mode, everything frozen but the Q-Former, without its text side, and its map.

    dtype: of encoder and language model, None: float32 and as stored. The template is the language model's own chat
    template, or BLIP-2's where it has none. Raises InputError where no language model was named, CorruptPart and
    FitMismatch where a part is not what the Q-Former was made for.
    """
    config = checkpoint.config
    try:
        spoken_to, seen, shape = config["language_model"], config["encoder"], QFormerConfig(**config["qformer"])
        if spoken_to is None:
            raise InputError(
                f"{checkpoint.name} holds a Q-Former alone",
                why="its recipe names no language model for it to speak to",
                todo="train it with --set language_model=NAME",
            )
        encoder = load_encoder(seen["name"], device=device, dtype=dtype)
        language = load_language_model(spoken_to["name"], device=device, dtype=dtype, quantize=quantize)
        tensors = checkpoint.tensors()
        connector = QFormerConnector(shape)
        connector.load_state_dict(_connector(tensors))
        fingerprints = [
            (seen["name"], seen["fingerprint"], encoder.fingerprint),
            (spoken_to["name"], spoken_to["fingerprint"], language.fingerprint),
        ]
        fit = seen["fit"]
    except (KeyError, TypeError, RuntimeError) as error:
        raise CorruptPart(f"{checkpoint.folder} holds no Q-Former of a first stage", why=str(error)) from None
    require_trained_fit(checkpoint.name, fit, encoder.fit.fingerprint)
    for name, expected, found in fingerprints:
        if expected != found:
            raise CorruptPart(
                f"{name} is not what {checkpoint.name} was made for",
                why="its weights have another fingerprint",
                todo="give the one it began with",
            )
    has_template = bool(getattr(language.tokenizer, "chat_template", None))
    return VisionLanguageModel(
        encoder,
        without_text(connector).to(device),
        language.model,
        language.tokenizer,
        ChatTemplate(language.tokenizer) if has_template else Blip2(),
        name=checkpoint.name,
    ).eval()


def _connector(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    own = f"{PREFIX}qformer."
    return {
        (f"qformer.{key.removeprefix(own)}" if key.startswith(own) else key): each
        for key, each in tensors.items()
        if key.startswith((own, "project."))
    }
