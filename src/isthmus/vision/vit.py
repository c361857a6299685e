"""One vision transformer for CLIP, SigLIP, SigLIP 2, DINOv2 and our own: the families differ only in VisionConfig.

Pictures of one size and of many sizes take the same way through it: all tokens stand in one sequence [S, D], pictures
of equal length side by side, and each picture attends to itself alone (see `packing`). A batch of equal pictures is
the case of a single run, and costs nothing extra.

Notation: B pictures, N tokens of a picture, S all tokens of the batch, D width, P patch side, C channels.

Sources: An Image is Worth 16x16 Words (Dosovitskiy et al., 2021); Patch n' Pack (Dehghani et al., 2023).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.vision.packing import Grid, Packing, patchify
from isthmus.vision.positions import Interpolation, resize_positions, rotary_angles, rotate

Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "swiglu"]


@dataclass(frozen=True)
class VisionConfig:
    """The architecture. Two towers with equal configs compute the same function of their weights.

    `grid` is the side of the learned position table in patches; other grids are interpolated from it. `mlp_width` is
    the hidden width (of the gate, for "swiglu"). `norm` says what the last layer norm sees: "tokens", all of them,
    before pooling; "pooled", the pooled vector alone, so the tokens come out as the last block left them.
    """

    width: int
    layers: int
    heads: int
    mlp_width: int
    patch: int
    grid: int
    channels: int = 3
    activation: Activation = "gelu"
    norm_eps: float = 1e-6
    patch_bias: bool = True
    qkv_bias: bool = True
    class_token: bool = False
    registers: int = 0
    pre_norm: bool = False
    layer_scale: bool = False
    positions: Literal["learned", "rotary"] = "learned"
    interpolation: Interpolation = "bicubic"
    rotary_theta: float = 10_000.0
    norm: Literal["tokens", "pooled"] = "tokens"
    pool: Literal["class", "attention", "mean"] = "mean"

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InputError(f"a width of {self.width} cannot be split over {self.heads} attention heads")
        if self.positions == "rotary" and (self.width // self.heads) % 4:
            raise InputError(
                f"2-D rotary positions need heads of a multiple of 4 channels, not {self.width // self.heads}"
            )
        if self.pool == "class" and not self.class_token:
            raise InputError("a class-token pool needs class_token=True")

    @property
    def prefix(self) -> int:
        """Tokens in front of the patches: class token, then registers."""
        return int(self.class_token) + self.registers


class VisionOutput(NamedTuple):
    """tokens: [B, N, D], or packed [S, D]; pooled: [B, D], before any projection to a shared space."""

    tokens: Tensor
    pooled: Tensor


class VisionTransformer(nn.Module):
    """Patches to tokens, and one vector for the whole picture."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        width, eps = config.width, config.norm_eps
        self.patch_embed = nn.Linear(config.channels * config.patch**2, width, bias=config.patch_bias)
        self.class_token = nn.Parameter(torch.zeros(width)) if config.class_token else None
        self.registers = nn.Parameter(torch.zeros(config.registers, width)) if config.registers else None
        rows = config.grid**2 + int(config.class_token)  # the class token's own row comes first
        self.positions = nn.Parameter(torch.zeros(rows, width)) if config.positions == "learned" else None
        self.pre_norm = nn.LayerNorm(width, eps) if config.pre_norm else nn.Identity()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width, eps)
        self.head = AttentionPool(config) if config.pool == "attention" else None
        self.apply(_initialise)

    def forward(self, pixels: Tensor, layer: int | None = None) -> VisionOutput:
        """pixels [B, C, H, W] of one size, normalised -> tokens [B, N, D], pooled [B, D].

        `layer` as in `packed`. Rows and columns that do not fill a patch are left out, as a convolution would.
        """
        patches, grid = patchify(pixels, self.config.patch)
        out = self.packed(patches.flatten(0, 1), [grid] * len(pixels), layer)
        return VisionOutput(out.tokens.view(len(pixels), -1, self.config.width), out.pooled)

    def packed(self, patches: Tensor, grids: Sequence[Grid], layer: int | None = None) -> VisionOutput:
        """Pictures of any sizes: patches [sum of rows x columns, C P P], one picture after the other, grids B times
        (rows, columns) -> tokens [S, D] in the same order (each picture's prefix tokens first), pooled [B, D].

        `layer`: None for the architecture's own last tokens; 0 for the input of the first block, k for the output of
        block k, negative from the end (LLaVA reads -2), all before the last layer norm. `pooled` does not depend on
        it. Raises InputError where grids and patches disagree, or there is no such layer.
        """
        wanted = self._resolve_layer(layer)
        packing = Packing.of(grids, self.config.prefix)
        if len(patches) != packing.patches or patches.shape[1] != self.patch_embed.in_features:
            raise InputError(
                f"{tuple(patches.shape)} patches do not fit",
                why=f"the grids ask for {packing.patches} of {self.patch_embed.in_features} values",
            )
        x = self._embed(packing.sort_patches(patches), packing)
        rotary = self._rotary(packing, x) if self.config.positions == "rotary" else None
        states = x
        for depth, block in enumerate(self.blocks, start=1):
            x = block(x, packing, rotary)
            if depth == wanted:
                states = x
        if self.config.norm == "tokens":
            x = self.norm(x)
        pooled = self._pool(x, packing)
        if self.config.norm == "pooled":
            pooled = self.norm(pooled)
        tokens = x if wanted is None else states
        return VisionOutput(packing.unsort_tokens(tokens), packing.unsort_pictures(pooled))

    def _resolve_layer(self, layer: int | None) -> int | None:
        layers = self.config.layers
        if layer is None:
            return None
        if not -layers - 1 <= layer <= layers:
            raise InputError(f"there is no layer {layer}", why=f"this tower has layers 0 to {layers}")
        return layer % (layers + 1)

    def _embed(self, patches: Tensor, packing: Packing) -> Tensor:
        """[patches, C P P] -> [S, D]: project, add positions, put the prefix in front, pre-norm."""
        x = self.patch_embed(patches.to(self.patch_embed.weight.dtype))
        table = self.positions
        prefix = self._prefix(table)
        runs = []
        for run, (rows, columns), count in packing.by_grid(x):
            run = run.view(count, rows * columns, -1)
            if table is not None:
                config = self.config
                grid_table = table[int(config.class_token) :]
                run = run + resize_positions(grid_table, config.grid, (rows, columns), config.interpolation)
            if prefix is not None:
                run = torch.cat([prefix.expand(count, -1, -1), run], dim=1)
            runs.append(run.flatten(0, 1))
        x = runs[0] if len(runs) == 1 else torch.cat(runs)
        return self.pre_norm(x)  # type: ignore[no-any-return]

    def _prefix(self, table: Tensor | None) -> Tensor | None:
        """[prefix, D] or None. The class token has a learned position, registers have none."""
        parts = []
        if self.class_token is not None:
            parts.append((self.class_token if table is None else self.class_token + table[0])[None])
        if self.registers is not None:
            parts.append(self.registers)
        return torch.cat(parts) if parts else None

    def _rotary(self, packing: Packing, x: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin [S, 1, D/heads]; prefix tokens are not turned."""
        head = self.config.width // self.config.heads
        angles = [
            F.pad(rotary_angles(grid, head, self.config.rotary_theta, x.device), (0, 0, self.config.prefix, 0))
            .expand(count, -1, -1)
            .flatten(0, 1)
            for grid, count in packing.grids
        ]
        turned = torch.cat(angles)[:, None]
        return turned.cos().to(x.dtype), turned.sin().to(x.dtype)

    def _pool(self, x: Tensor, packing: Packing) -> Tensor:
        """[S, D] -> [B, D], in packing order."""
        if self.head is not None:
            return self.head(x, packing)  # type: ignore[no-any-return]
        if self.config.pool == "class":
            return torch.cat([run[:, 0] for run in packing.by_length(x)])
        return torch.cat([run[:, self.config.prefix :].mean(dim=1) for run in packing.by_length(x)])


class Block(nn.Module):
    """Pre-norm attention and MLP, each added to the stream, scaled by channel in DINOv2. [S, D] -> [S, D]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, config.norm_eps)
        self.attention = Attention(config)
        self.scale1 = nn.Parameter(torch.ones(config.width)) if config.layer_scale else None
        self.norm2 = nn.LayerNorm(config.width, config.norm_eps)
        self.mlp = Mlp(config)
        self.scale2 = nn.Parameter(torch.ones(config.width)) if config.layer_scale else None

    def forward(self, x: Tensor, packing: Packing, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        change: Tensor = self.attention(self.norm1(x), packing, rotary)
        x = x + (change if self.scale1 is None else change * self.scale1)
        change = self.mlp(self.norm2(x))
        return x + (change if self.scale2 is None else change * self.scale2)


class Attention(nn.Module):
    """Multi-head self-attention inside each picture. [S, D] -> [S, D]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.qkv_bias)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, packing: Packing, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        q, k, v = self.qkv(x).view(len(x), 3, self.heads, -1).unbind(1)  # each [S, heads, D/heads]
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        mixed: Tensor = self.out(_attend(packing.by_length(q), packing.by_length(k), packing.by_length(v)))
        return mixed


class Mlp(nn.Module):
    """Two affine maps and an activation; for "swiglu" the first gives a gate and a value (Shazeer, 2020)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.activation = config.activation
        gates = 2 if config.activation == "swiglu" else 1
        self.up = nn.Linear(config.width, gates * config.mlp_width)
        self.down = nn.Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(_activate(self.up(x), self.activation))
        return out


class AttentionPool(nn.Module):
    """SigLIP's head: one learned query attends to all tokens, then an MLP block. [S, D] -> [B, D].

    Source: Scaling Vision Transformers (Zhai et al., 2022), multihead attention pooling.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.probe = nn.Parameter(torch.zeros(config.width))
        self.qkv = nn.Linear(config.width, 3 * config.width)  # q sees the probe alone, k and v the tokens
        self.out = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, config.norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        width = len(self.probe)
        query = F.linear(self.probe, self.qkv.weight[:width], self.qkv.bias[:width]).view(1, 1, self.heads, -1)
        key_value = F.linear(x, self.qkv.weight[width:], self.qkv.bias[width:])
        k, v = key_value.view(len(x), 2, self.heads, -1).unbind(1)
        queries = (query.expand(count, -1, -1, -1) for _, count in packing.lengths)
        pooled = self.out(_attend(queries, packing.by_length(k), packing.by_length(v)))
        return pooled + self.mlp(self.norm(pooled))  # type: ignore[no-any-return]


def _attend(queries: Iterable[Tensor], keys: Iterable[Tensor], values: Iterable[Tensor]) -> Tensor:
    """Runs of q, k, v, each [count, length, heads, D/heads] -> [sum of count x length of q, D]."""
    runs = [
        F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)
        for q, k, v in zip(queries, keys, values, strict=True)
    ]
    flat = [run.flatten(0, 1).flatten(1) for run in runs]
    return flat[0] if len(flat) == 1 else torch.cat(flat)


def _activate(x: Tensor, activation: Activation) -> Tensor:
    """The activation of x, which may be overwritten."""
    if activation == "swiglu":
        gate, value = x.chunk(2, dim=-1)
        return F.silu(gate) * value
    if activation == "quick_gelu":
        # x sigmoid(1.702 x) = silu(1.702 x) / 1.702; in place, for the allocations cost more than the arithmetic
        return F.silu(x.mul_(1.702)).mul_(1 / 1.702)
    return F.gelu(x, approximate="tanh" if activation == "gelu_tanh" else "none")


def _initialise(module: nn.Module) -> None:
    """Weights of a fresh tower: normal with deviation .02, biases zero (as in the original ViT and CLIP)."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, VisionTransformer | AttentionPool):
        for parameter in module.parameters(recurse=False):
            nn.init.trunc_normal_(parameter, std=0.02)
