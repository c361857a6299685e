"""Language models in four bits: an eighth of float32's memory, frozen, for adapters to learn beside.

NormalFloat4 with double quantisation, by bitsandbytes: QLoRA (Dettmers et al., 2023), section 3. Embeddings, norms and
head stay as they are.
"""

from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from isthmus.errors import InputError, MissingPart

Quantize: TypeAlias = Literal["nf4", "full"]
"""Four bits, or as the weights are stored."""


def from_pretrained(
    made: Any, folder: Any, quantize: Quantize | None, device: str | torch.device, dtype: Any, **settings: Any
) -> Any:
    """`made.from_pretrained` of `transformers`, which takes the `settings`: on `device`, frozen and in eval mode.

    Raises MissingPart where four bits are asked for without bitsandbytes, InputError where it cannot make them.
    """
    settings |= {"dtype": dtype, "attn_implementation": "sdpa"}
    if quantize != "nf4":
        return made.from_pretrained(folder, **settings).to(device).eval().requires_grad_(False)
    if find_spec("bitsandbytes") is None:
        raise MissingPart("weights in four bits need bitsandbytes", todo="pip install 'isthmus[qlora]'")
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32 if dtype == "auto" else dtype,
    )
    try:
        model = made.from_pretrained(folder, quantization_config=config, device_map={"": str(device)}, **settings)
    except torch.OutOfMemoryError:
        raise
    except (ImportError, RuntimeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError("the language model cannot be had in four bits", why=why, todo="leave quantize out") from None
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # It would lay its weights out anew at the first answer, and training would go on with wrong ones.
            module.support_avx512bf16_for_cpu = False
    return model.eval().requires_grad_(False)


def is_quantised(language_model: nn.Module) -> bool:
    return bool(getattr(language_model, "is_loaded_in_4bit", False))


def count(parameter: nn.Parameter) -> int:
    """How many numbers it stands for: one in four bits holds two in each of its own."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(torch.Size(state.shape).numel())
