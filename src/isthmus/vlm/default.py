"""The default models: the default encoder read at all depths, a small trained connector, SmolLM2-135M.

A checkpoint holds what was trained and the classes' vectors; the frozen parts come by name and are checked by their
fingerprints. `isthmus train` writes such folders, `default/vlm` is one.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.checkpoints.trained import require_trained_fit, write_trained
from isthmus.connectors.align import AlignConnector
from isthmus.connectors.hint import HintConnector, HintShape
from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.names import NamesConnector, NamesShape
from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.connectors.soft_prompt import SoftPromptConnector
from isthmus.errors import CorruptPart
from isthmus.precision import fast_dtype
from isthmus.vision.depths import OVERVIEWS, DepthsEncoder
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vlm.language_model import load_language_model
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.quantised import Quantize
from isthmus.vlm.questions import LastQuestion
from isthmus.vlm.template import ChatML

MODEL_TYPE = "isthmus-vlm"


def load_default_vlm(
    checkpoint: Checkpoint,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The model of a folder that `save_default_vlm` wrote, frozen. dtype None: encoder and connector in float32, the
    language model in what is fast on the device (`precision.fast_dtype`).

    Raises MissingPart where a part is not installed, CorruptPart and FitMismatch where one is not what it was trained
    on.
    """
    config = checkpoint.config
    try:
        tensors = checkpoint.tensors()
        classes = tensors.pop("classes")
        seen = config["encoder"]
        base = load_efficientnet(resolve(seen["name"]), device=device, dtype=dtype, size=seen["size"])
        encoder = DepthsEncoder(base, classes)
        require_trained_fit(checkpoint.name, seen["fit"], encoder.fit.fingerprint)
        language = load_language_model(
            _within(checkpoint, config["language_model"]["name"]),
            device=device,
            dtype=dtype or fast_dtype(device),
            quantize=quantize,
        )
        for part, found in (("encoder", encoder.fingerprint), ("language_model", language.fingerprint)):
            if config[part]["fingerprint"] != found:
                raise CorruptPart(
                    f"{config[part]['name']} is not the {part.replace('_', ' ')} that {checkpoint.name} was trained on",
                    todo="train it again",
                )
        rows = language.model.get_input_embeddings().weight
        connector = _connector(config["connector"], encoder.width, rows)
        state = {key.removeprefix("connector."): value for key, value in tensors.items()}
        connector.load_state_dict(
            # words are kept as ids
            {key: rows[value] if key.split(".")[-1] == "words" else value for key, value in state.items()}
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise CorruptPart(f"{checkpoint.folder} holds no default model", why=str(error)) from None
    return VisionLanguageModel(
        encoder,
        connector.to(device, dtype or torch.float32),
        language.model,
        language.tokenizer,
        ChatML(),
        name=checkpoint.name,
        trainable=(),
        question_tokenizer=question_tokenizer_of(connector, language.tokenizer),
    ).eval()


def save_default_vlm(
    model: VisionLanguageModel,
    folder: Path,
    *,
    language_model: tuple[str, str],
    about: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Writes model.safetensors (in `dtype`; words as their ids in the language model) and config.json.
    `language_model`: its name ("./" before a folder within this one) and fingerprint; `about`: lineage and
    measurements, as JSON. Raises MissingPart where the disk refuses."""
    encoder = model.encoder
    assert isinstance(encoder, DepthsEncoder)
    trained = {f"connector.{key}": value for key, value in model.connector.state_dict().items()}
    tensors = {
        key: (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in trained.items()
    }
    rows = model.language_model.get_input_embeddings().weight
    for name, part in model.connector.named_modules():
        if isinstance(part, AlignConnector):
            tensors[f"connector.{name}.words".replace("..", ".")] = _ids_of(part.words, rows)
    # in full: they are part of the encoder's fingerprint
    tensors["classes"] = encoder.classes.cpu().contiguous()
    config = {
        "model_type": MODEL_TYPE,
        "encoder": {
            "name": encoder.base.name,
            "size": encoder.side * 32,
            "fingerprint": encoder.fingerprint,
            "fit": encoder.fit.fingerprint,
        },
        "connector": _described(model.connector),
        "language_model": {"name": language_model[0], "fingerprint": language_model[1]},
        **about,
    }
    write_trained(folder, tensors, config)


def _within(checkpoint: Checkpoint, name: str) -> str:
    return str(checkpoint.folder / name) if name.startswith("./") else name


def _ids_of(words: Tensor, rows: Tensor) -> Tensor:
    """words [W, D], each a row of `rows` [V, D] -> [W] int32, which one. Raises ValueError where one is none."""
    at = {row.tobytes(): id_ for id_, row in enumerate(rows.detach().float().cpu().numpy())}
    found = [at.get(word.tobytes()) for word in words.float().cpu().numpy()]
    if None in found:
        raise ValueError("a connector speaks words that the language model does not have")
    return torch.tensor(found, dtype=torch.int32)


def question_tokenizer_of(connector: Any, tokenizer: Any) -> LastQuestion | None:
    """For a connector of these models that reads the question, in the language model's own ids."""
    while isinstance(connector, SoftPromptConnector):
        connector = connector.inner
    return LastQuestion(tokenizer, connector.shape.longest) if isinstance(connector, HintConnector) else None


def pooled_mlp(width_in: int, width_out: int, *, layers: int, pool: int, trainable: bool = True) -> MlpConnector:
    """On a DepthsEncoder's tokens: of `pool` x `pool` cells their mean, of its overviews each by itself."""
    if pool == 1:
        return MlpConnector(width_in, width_out, layers=layers, trainable=trainable)
    return MlpConnector(
        width_in, width_out, layers=layers, reduction="average", factor=pool, leading=OVERVIEWS, trainable=trainable
    )


def _connector(config: Mapping[str, Any], width_in: int, rows: Tensor) -> nn.Module:
    """Empty. `rows` [V, D]: the language model's embeddings."""
    width_out = rows.shape[1]
    match config["kind"]:
        case "soft prompt":
            inner = _connector(config["inner"], width_in, rows)
            prompt, cue = (torch.zeros(config[key], width_out) for key in ("tokens", "cue"))
            return SoftPromptConnector(prompt, inner, cue=cue, trainable=False)
        case "hint":
            spoken = _connector(config["inner"], width_in, rows)
            assert isinstance(spoken, AlignConnector | NamesConnector)
            return HintConnector(spoken, rows, HintShape(**config["shape"]), trainable=False)
        case "names":
            spoken = _connector(config["inner"], width_in, rows)
            assert isinstance(spoken, AlignConnector)
            spelled = torch.zeros(config["names"], config["longest"])
            at = config["shape"] | {"starts": tuple(config["shape"]["starts"])}
            return NamesConnector(spoken, spelled, NamesShape(**at), trainable=False)
        case "align":
            inner = _connector(config["inner"], width_in, rows)
            words = torch.zeros(config["words"], width_out)
            return AlignConnector(words, inner, sharpness=config["sharpness"], trainable=False)
        case "qformer":
            shape = {key: value for key, value in config.items() if key != "kind"}
            return QFormerConnector(QFormerConfig(**shape), trainable=False)
        case "mlp":
            return pooled_mlp(width_in, width_out, layers=config["layers"], pool=config["pool"], trainable=False)
    raise KeyError(f"connector {config['kind']!r}")


def _described(connector: Any) -> dict[str, Any]:
    if isinstance(connector, SoftPromptConnector):
        return {
            "kind": "soft prompt",
            "tokens": len(connector.prompt),
            "cue": len(connector.cue),
            "inner": _described(connector.inner),
        }
    if isinstance(connector, HintConnector):
        return {"kind": "hint", "shape": asdict(connector.shape), "inner": _described(connector.inner)}
    if isinstance(connector, NamesConnector):
        names, longest = connector.spelled.shape
        return {
            "kind": "names",
            "names": names,
            "longest": longest,
            "shape": asdict(connector.shape),
            "inner": _described(connector.inner),
        }
    if isinstance(connector, AlignConnector):
        return {
            "kind": "align",
            "words": len(connector.words),
            "sharpness": connector.sharpness,
            "inner": _described(connector.inner),
        }
    if isinstance(connector, QFormerConnector):
        return {"kind": "qformer", **asdict(connector.config)}
    assert isinstance(connector, MlpConnector)
    return {"kind": "mlp", "layers": len(connector.maps), "pool": connector.reduction.factor}
