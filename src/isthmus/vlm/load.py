"""`load_vlm(name)`: a composed model out of a folder, of whichever family its config.json names."""

import torch

from isthmus.checkpoints import resolve
from isthmus.errors import InputError
from isthmus.vlm.blip2 import load_blip2, load_instructblip
from isthmus.vlm.default import load_default_vlm
from isthmus.vlm.idefics3 import load_idefics3
from isthmus.vlm.llava import load_llava
from isthmus.vlm.llava_next import load_llava_next
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.qformer_folder import load_before_stage2
from isthmus.vlm.quantised import Quantize
from isthmus.vlm.tuned import load_tuned

FAMILIES = ("BLIP-2", "InstructBLIP", "LLaVA-1.5", "LLaVA-NeXT", "Idefics3", "SmolVLM")


def load_vlm(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The model `name`, a default part, a Hugging Face id or a folder, in eval mode, with its family's template;
    everything is frozen but the connector. dtype None: as the weights are stored. `quantize`: its language model in
    four bits, or not; None: as it was trained, and mostly not.

    Raises MissingPart and CorruptPart as `resolve`, InputError for a family that is not among FAMILIES, and as
    `quantised.from_pretrained`.
    """
    checkpoint = resolve(name)
    kind = checkpoint.config.get("model_type")
    match kind:
        case "isthmus-vlm":
            return load_default_vlm(checkpoint, device=device, dtype=dtype, quantize=quantize)
        case "isthmus-qformer":
            return load_before_stage2(checkpoint, device=device, dtype=dtype, quantize=quantize)
        case "isthmus-tuned":
            return load_tuned(checkpoint, load_vlm, device=device, dtype=dtype, quantize=quantize)
        case "blip-2":
            return load_blip2(name, device=device, dtype=dtype, quantize=quantize)
        case "instructblip":
            return load_instructblip(name, device=device, dtype=dtype, quantize=quantize)
        case "llava":
            return load_llava(name, device=device, dtype=dtype, quantize=quantize)
        case "llava_next":
            return load_llava_next(name, device=device, dtype=dtype, quantize=quantize)
        case "idefics3" | "smolvlm":
            return load_idefics3(name, device=device, dtype=dtype, quantize=quantize)
    raise InputError(
        f"{name} is of the family {kind}",
        why=f"composed models are {', '.join(FAMILIES)}",
        todo=f"let transformers run it whole: --model transformers:{name}",
    )
