"""A model that was trained further as a folder on its own, or its adapters alone.

On its own: adapters are merged into the language model, and where the model it began as is of a family that
`transformers` has, the folder is in that layout. Where it is not, as of the default models, it is in ours.
"""

import copy
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.errors import InputError, MissingPart
from isthmus.vlm.adapters import MARK, has_adapters, merge_adapters, save_adapters
from isthmus.vlm.blip2 import save_blip2, save_instructblip
from isthmus.vlm.default import MODEL_TYPE as DEFAULT
from isthmus.vlm.default import save_default_vlm
from isthmus.vlm.export import Folder, language_tensors
from isthmus.vlm.idefics3 import save_smolvlm
from isthmus.vlm.llava_export import save_llava
from isthmus.vlm.llava_next import save_llava_next
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.qformer_folder import MODEL_TYPE as QFORMER
from isthmus.vlm.template import Blip2
from isthmus.vlm.tuned import MODEL_TYPE, adapter_shape

LINEAGE = "lineage.json"
INNER = "./language_model"
"""Where our own layout has the merged language model, within its folder."""
SHARD = "5GB"
WRITERS: Mapping[str, tuple[str, Callable[[VisionLanguageModel, Path], None]]] = {
    "llava": ("LLaVA-1.5", save_llava),
    "llava_next": ("LLaVA-NeXT", save_llava_next),
    "blip-2": ("BLIP-2", save_blip2),
    "instructblip": ("InstructBLIP", save_instructblip),
    "idefics3": ("SmolVLM", save_smolvlm),
    "smolvlm": ("SmolVLM", save_smolvlm),
}
"""By the `model_type` of what a model began as."""


@dataclass(frozen=True)
class Exported:
    """`layout`: whose it is; `read_by`: what loads the folder; `notes`: what is not in it, in lines."""

    folder: str
    layout: str
    read_by: tuple[str, ...]
    notes: tuple[str, ...] = ()


def export_model(name: str, out: Path, *, dtype: torch.dtype | None = None) -> Exported:
    """Writes the model of a folder that training wrote to the folder `out`, whole or not at all.

    dtype None: as what it began as is stored; of a default model its language model in bfloat16, which it was stored
    in, and all else in float32. Raises as `load_vlm`; InputError where it was not trained further, or no layout holds
    it, or `out` holds something; MissingPart where the disk refuses.
    """
    trained, begun = _trained(name)
    kind = str(begun.config.get("model_type"))
    _require_empty(out)
    model = load_vlm(name, dtype=dtype, quantize="full")
    if kind == QFORMER and not isinstance(model.template, Blip2):
        raise _no_layout(name, "its language model is spoken to by a chat template, which BLIP-2's layout cannot say")
    if kind not in (*WRITERS, DEFAULT, QFORMER):
        raise _no_layout(name, f"it began as {kind}")
    merge_adapters(model.language_model)
    notes: tuple[str, ...] = ()
    if trained.config.get("quantize") is not None:
        notes = ("its adapters learned beside weights in four bits and are merged into the full ones",)
    with _whole(out) as folder:
        if kind == DEFAULT:
            made = _export_default(model, begun, trained, folder, out, dtype)
            return replace(made, notes=(*made.notes, *notes))
        label, write = WRITERS["blip-2" if kind == QFORMER else kind]
        write(model, folder)
        told = json.dumps(_lineage(trained), indent=1, ensure_ascii=False)
        (folder / LINEAGE).write_text(told + "\n", encoding="utf-8")
    return Exported(str(out), label, ("transformers", "load_vlm"), notes)


def export_adapters(name: str, out: Path) -> Exported:
    """Writes the adapters alone, as peft does: `peft.PeftModel.from_pretrained` puts them onto the language model.

    Raises as `export_model`, and InputError where the model has none.
    """
    trained, _ = _trained(name)
    shape = adapter_shape(trained)
    if shape is None:
        raise InputError(f"{name} has no adapters", todo="leave out --adapters")
    _require_empty(out)
    model = load_vlm(name, quantize="full")
    assert has_adapters(model.language_model)
    with _whole(out) as folder:
        save_adapters(model.language_model, shape, folder, base=str(trained.config["start"]["name"]))
    others = {key.split(".")[0] for key in trained.keys() if MARK not in key}  # noqa: SIM118  a method
    notes = tuple(f"its {part.replace('_', ' ')} learned too and is not among the adapters" for part in sorted(others))
    return Exported(str(out), "peft", ("peft",), notes)


def _trained(name: str) -> tuple[Checkpoint, Checkpoint]:
    """The folder and what its model began as. Raises InputError where it is no model that was trained further."""
    trained = resolve(name)
    kind = (trained.json("config.json") or {}).get("model_type")
    if kind != MODEL_TYPE:
        raise InputError(
            f"{name} is no composed model that was trained further",
            why=f"its model_type is {kind}",
            todo="give the --out folder of isthmus train; a dual encoder is written so by export: true in its recipe",
        )
    return trained, resolve(str(trained.config["start"]["name"]))


def _no_layout(name: str, why: str) -> InputError:
    return InputError(
        f"{name} cannot be exported whole", why=why, todo="load_vlm reads it as it is; --adapters writes these alone"
    )


def _export_default(
    model: VisionLanguageModel,
    begun: Checkpoint,
    trained: Checkpoint,
    folder: Path,
    out: Path,
    dtype: torch.dtype | None,
) -> Exported:
    inner, config = folder / INNER, copy.deepcopy(model.language_model.config)
    config.dtype = dtype or torch.bfloat16
    state = {key: each.to(config.dtype) for key, each in language_tensors(model).items()}
    Folder(state, config, model.language_model.generation_config, {"": model.tokenizer}).write(inner, SHARD)
    fingerprint = resolve(str(inner)).fingerprint
    try:
        save_default_vlm(
            model, folder, language_model=(INNER, fingerprint), about=_lineage(trained), dtype=dtype or torch.float32
        )
    except ValueError as error:
        raise _no_layout(trained.name, f"its embeddings learned, and its connector speaks in them ({error})") from None
    encoder = begun.config["encoder"]["name"]
    note = f"transformers has no such model; the encoder stays {encoder}, by name, out of its package"
    return Exported(str(out), "Isthmus", ("load_vlm",), (note,))


def _lineage(trained: Checkpoint) -> dict[str, Any]:
    kept = {key: trained.config[key] for key in ("start", "lineage", "measured") if key in trained.config}
    return {"exported": {"name": trained.name, "fingerprint": trained.fingerprint, **kept}}


def _require_empty(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out} holds something already", todo="give another folder")


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name when the block ends without an error."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            yield made
            if out.exists():
                out.rmdir()
            made.replace(out)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise MissingPart(f"cannot write {out}", why=why, todo="free some room, or give another folder") from None
