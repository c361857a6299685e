"""transformers' vision towers with random weights that hide nothing: the reference for every parity test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    Blip2VisionConfig,
    Blip2VisionModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches, pad_along_first_dim

TOLERANCE = 1e-4
"""max |difference| in float32, of tokens and pooled."""

_SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "patch_size": 8}
_SQUARE = {**_SMALL, "image_size": 48}
_WITH_MLP = {**_SQUARE, "intermediate_size": 128}
_NAFLEX = {**_SMALL, "intermediate_size": 128, "num_patches": 36}


def small_clip(**changes: Any) -> CLIPVisionModel:
    return perturbed(CLIPVisionModel(CLIPVisionConfig(**{**_WITH_MLP, **changes})))


def small_siglip(**changes: Any) -> SiglipVisionModel:
    return perturbed(SiglipVisionModel(SiglipVisionConfig(**{**_WITH_MLP, **changes})))


def small_siglip2(**changes: Any) -> Siglip2VisionModel:
    return perturbed(Siglip2VisionModel(Siglip2VisionConfig(**{**_NAFLEX, **changes})))


def small_dinov2(**changes: Any) -> Dinov2Model:
    return perturbed(Dinov2Model(Dinov2Config(**{**_SQUARE, **changes})))


def small_dinov2_registers(**changes: Any) -> Dinov2WithRegistersModel:
    return perturbed(Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**{**_SQUARE, **changes})))


def small_blip2(**changes: Any) -> Blip2VisionModel:
    return perturbed(Blip2VisionModel(Blip2VisionConfig(**{**_WITH_MLP, **changes})))


def perturbed(model: nn.Module, seed: int = 0) -> Any:
    """Every parameter drawn anew, so that a dropped bias, a swapped norm or a lost position shows in the
    output.

    (As initialised, biases are 0, norms 1 and position tables tiny: their loss would pass unseen.)
    """
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_matrix = parameter.ndim in (2, 4) and "position" not in name and "token" not in name
            if is_matrix:
                parameter.normal_(0, 0.8 * parameter[0].numel() ** -0.5, generator=random)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.2, generator=random)
            elif "norm" in name or "lambda" in name:
                parameter.normal_(1, 0.2, generator=random)
            else:  # class token, positions, registers, probe
                parameter.normal_(0, 0.5, generator=random)
    return model.eval()


@dataclass(frozen=True)
class Reference:
    """tokens [B, N, D], pooled [B, D], and the states before and after each block."""

    tokens: Tensor
    pooled: Tensor
    states: tuple[Tensor, ...]


@torch.no_grad()
def run(model: Any, pixels: Tensor) -> Reference:
    """The reference's answer for equal pictures [B, 3, H, W] of any size."""
    if isinstance(model, Siglip2VisionModel):
        patch = model.config.patch_size  # its processor makes whole patches only
        height, width = (side // patch * patch for side in pixels.shape[2:])
        return run_naflex(model, list(pixels[:, :, :height, :width]))[0]
    unasked = isinstance(model, Dinov2Model | Dinov2WithRegistersModel)  # these interpolate without being told
    flags = {} if unasked else {"interpolate_pos_encoding": True}
    out = model(pixels, output_hidden_states=True, **flags)
    pooled = out.pooler_output
    if isinstance(model, Blip2VisionModel):
        # Theirs is normed twice, which BLIP-2's own code does not do, and nothing reads it.
        pooled = out.last_hidden_state[:, 0]
    return Reference(out.last_hidden_state, pooled, out.hidden_states)


@torch.no_grad()
def run_naflex(model: Siglip2VisionModel, pictures: list[Tensor]) -> tuple[Reference, Tensor]:
    """The NaFlex reference for pictures [3, H, W] of any sizes in one padded batch, and its mask [B, N]."""
    patch = model.config.patch_size
    grids = [(p.shape[1] // patch, p.shape[2] // patch) for p in pictures]
    longest = max(rows * columns for rows, columns in grids)
    padded = [pad_along_first_dim(convert_image_to_patches(p.numpy(), patch), longest) for p in pictures]
    mask = torch.stack([torch.from_numpy(m) for _, m in padded])
    out = model(
        pixel_values=torch.stack([torch.from_numpy(p) for p, _ in padded]),
        pixel_attention_mask=mask,
        spatial_shapes=torch.tensor(grids),
        output_hidden_states=True,
    )
    return Reference(out.last_hidden_state, out.pooler_output, out.hidden_states), mask.bool()


def save(model: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    return str(folder)


def pictures(*shape: int, seed: int = 0) -> Tensor:
    """Normalised pixels [*shape]: noise over a slope, so that neither a flip nor a transposition goes
    unseen."""
    random = torch.Generator().manual_seed(seed)
    slope = torch.linspace(-1, 1, shape[-1]) + torch.linspace(0, 2, shape[-2])[:, None]
    return torch.randn(shape, generator=random) + slope


SMALL: dict[str, Callable[..., Any]] = {
    "CLIP": small_clip,
    "SigLIP": small_siglip,
    "SigLIP 2 NaFlex": small_siglip2,
    "DINOv2": small_dinov2,
    "DINOv2 with registers": small_dinov2_registers,
    "BLIP-2": small_blip2,
}
