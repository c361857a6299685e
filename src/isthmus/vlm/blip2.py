"""BLIP-2 and InstructBLIP out of Hugging Face folders and back: ViT-g, Q-Former, and OPT, Vicuna or T5.

Folders from before `transformers` marked pictures by an "<image>" token, and those with it, hold the same tensors and
load alike: a picture's 32 tokens stand before the text in both.
Sources: BLIP-2 (Li et al., 2023); InstructBLIP (Dai et al., 2023).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Blip2Config, Blip2VisionConfig, InstructBlipConfig, InstructBlipVisionConfig

from isthmus.checkpoints import resolve
from isthmus.connectors.qformer import QFormerConnector
from isthmus.connectors.qformer_checkpoint import load_qformer
from isthmus.connectors.qformer_names import Family, export_config, export_qformer
from isthmus.errors import CorruptPart
from isthmus.vision.encoder import VitEncoder, read_fit
from isthmus.vision.importers import export_tower, load_vision_tower
from isthmus.vlm.blip_templates import Blip2T5, InstructBlip
from isthmus.vlm.composed_checkpoint import build_language_model, read_config, read_tokenizer
from isthmus.vlm.export import (
    Folder,
    language_tensors,
    other_shape,
    processor_file,
    text_config,
    vision_config,
    vit_of,
    with_image_token,
)
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.quantised import Quantize
from isthmus.vlm.questions import QuestionTokenizer
from isthmus.vlm.seq2seq import Seq2SeqModel
from isthmus.vlm.template import Blip2, Template

QUESTIONS = "qformer_tokenizer"
"""The folder within an InstructBLIP's that holds the Q-Former's tokenizer."""


@dataclass(frozen=True)
class _Kind:
    label: str
    family: Family
    config: Any
    vision: Any
    model: str
    processor: str


_BLIP2 = _Kind("BLIP-2", "blip-2", Blip2Config, Blip2VisionConfig, "Blip2ForConditionalGeneration", "Blip2Processor")
_INSTRUCTBLIP = _Kind(
    "InstructBLIP",
    "instructblip",
    InstructBlipConfig,
    InstructBlipVisionConfig,
    "InstructBlipForConditionalGeneration",
    "InstructBlipProcessor",
)


def load_blip2(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    template: Template | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The BLIP-2 model `name`, a Hugging Face id or a folder, in eval mode, everything frozen but the Q-Former and its
    map.

    dtype None: as the language model is stored. `template` None: "Question: ... Answer:".
    Raises MissingPart and CorruptPart as `resolve`, InputError for another kind of model.
    """
    return _load(_BLIP2, name, device, dtype, template, quantize)


def load_instructblip(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    template: Template | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The InstructBLIP model `name`, as load_blip2. `template` None: the question alone, which the Q-Former reads too,
    in the ids of the tokenizer in `qformer_tokenizer/`."""
    return _load(_INSTRUCTBLIP, name, device, dtype, template, quantize)


def save_blip2(model: VisionLanguageModel, folder: Path, *, max_shard_size: str = "5GB") -> None:
    """Write weights, configs, tokenizer and picture preparation to `folder`, in the layout BLIP-2 is published in.

    Raises InputError where the model is not of that shape: a tower of BLIP-2's kind whose last tokens are read, a
    Q-Former without a text side, a language model whose embeddings have a row for "<image>".
    """
    _save(_BLIP2, model, folder, max_shard_size)


def save_instructblip(model: VisionLanguageModel, folder: Path, *, max_shard_size: str = "5GB") -> None:
    """As save_blip2, in InstructBLIP's layout: a Q-Former with a text side, and the tokenizer it reads by."""
    _save(_INSTRUCTBLIP, model, folder, max_shard_size)


def _load(
    kind: _Kind,
    name: str,
    device: str | torch.device,
    dtype: torch.dtype | None,
    template: Template | None,
    quantize: Quantize | None,
) -> VisionLanguageModel:
    checkpoint = resolve(name)
    config = read_config(checkpoint, kind.config, kind.label)
    state = checkpoint.tensors("language_model.")
    if not state:
        raise CorruptPart(f"{name} holds no language model", todo="a BLIP-2 for retrieval has none; give another")
    dtype = dtype or next(iter(state.values())).dtype
    tower = load_vision_tower(checkpoint, device=device, dtype=dtype)
    tokenizer = read_tokenizer(checkpoint)
    asked, writes_apart = kind is _INSTRUCTBLIP, config.text_config.is_encoder_decoder
    return (Seq2SeqModel if writes_apart else VisionLanguageModel)(
        VitEncoder(name, tower, read_fit(checkpoint), weights=checkpoint.fingerprint),
        load_qformer(checkpoint, device=device, dtype=dtype),
        build_language_model(checkpoint, config.text_config, state, device, dtype, quantize),
        tokenizer,
        template or _template(asked, writes_apart, tokenizer),
        name=name,
        question_tokenizer=QuestionTokenizer(read_tokenizer(checkpoint, QUESTIONS)) if asked else None,
    ).eval()


def _template(asked: bool, writes_apart: bool, tokenizer: Any) -> Template:
    if not asked:
        return Blip2T5() if writes_apart else Blip2()
    end = tokenizer.eos_token
    return InstructBlip(None, end, lead="", closes=end) if writes_apart else InstructBlip(tokenizer.bos_token, end)


def _save(kind: _Kind, model: VisionLanguageModel, folder: Path, max_shard_size: str) -> None:
    encoder, connector, asked = vit_of(model, kind.label), model.connector, model.question_tokenizer
    reads = kind is _INSTRUCTBLIP
    if not isinstance(connector, QFormerConnector) or bool(connector.config.vocabulary) != reads:
        raise other_shape(kind.label, f"its connector is no Q-Former with{'' if reads else 'out'} a text side")
    if (asked is not None) != reads:
        raise other_shape(kind.label, f"it has {'no' if reads else 'a'} tokenizer for the Q-Former")
    if encoder.layer is not None or encoder.drop_class_token:
        raise other_shape(kind.label, "not all of its tower's last tokens are read")
    tokenizer, image = with_image_token(model)
    config = kind.config(
        vision_config=vision_config(encoder, kind.vision, kind.label, "BLIP-2"),
        qformer_config=export_config(connector.config, kind.family),
        text_config=text_config(model),
        num_query_tokens=connector.config.queries,
        image_token_index=image,
    )
    config.architectures, config.dtype = [kind.model], model.language_model.dtype
    state = {
        **{f"vision_model.{key}": each for key, each in export_tower(encoder.tower, "blip2").items()},
        **export_qformer(connector, kind.family),
        **{f"language_model.{key}": each for key, each in language_tensors(model).items()},
    }
    files = {
        "preprocessor_config.json": processor_file(encoder.fit, kind.label),
        "processor_config.json": {"processor_class": kind.processor, "num_query_tokens": connector.config.queries},
    }
    tokenizers = {"": tokenizer, **({QUESTIONS: asked.tokenizer} if asked is not None else {})}
    generation_config = model.language_model.generation_config
    Folder(state, config, generation_config, tokenizers, files).write(folder, max_shard_size)
