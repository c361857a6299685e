"""EfficientNet-Lite: the default encoder. A convolutional network whose last grid of features serves as tokens.

Source: Tan & Le, 2019 (arXiv 1905.11946); the Lite variants (no squeeze-excitation, ReLU6, stem and head not
scaled) are TensorFlow's, and so are the weights: hence "same" padding that depends on the input size, and a batch
norm epsilon of 1e-3.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checkpoints import Checkpoint
from isthmus.errors import CorruptPart, InputError
from isthmus.images.boxes import patch_boxes
from isthmus.images.fits import Letterbox
from isthmus.images.views import Fit, View, Views
from isthmus.vision.described import Describe, Session, session_for
from isthmus.vision.features import Features, pad

# kernel, stride, expansion, output channels, repeats: the B0 stages before scaling (Tan & Le, table 1)
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
WHITE = (255, 255, 255)
WIDTH = 1280
AT_ONCE = 4
"""Pictures in one pass on a processor: 33 ms each at 288 pixels, where 32 at once take 58 (one core, AVX2)."""

PAYS = 100
"""Pictures of one size after which ONNX Runtime takes over: to make its graph takes one to three seconds."""


@dataclass(frozen=True)
class LiteConfig:
    """width and depth multiply the channels and repeats of B0; size is the side in pixels it was trained at."""

    width: float
    depth: float
    size: int


LITE = {
    "efficientnet-lite0": LiteConfig(width=1.0, depth=1.0, size=224),
    "efficientnet-lite1": LiteConfig(width=1.0, depth=1.1, size=240),
    "efficientnet-lite2": LiteConfig(width=1.1, depth=1.2, size=260),
}


class EfficientNetLite(nn.Module):
    """pixels [B, 3, H, W] -> grid [B, 1280, ceil(H/32), ceil(W/32)]. The classifier is kept beside it."""

    def __init__(self, config: LiteConfig, classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 32, kernel=3, stride=2)
        blocks: list[nn.Module] = []
        ends: list[int] = []
        channels = 32
        for stage, (kernel, stride, expansion, wide, repeats) in enumerate(STAGES):
            out = round_channels(wide * config.width)
            fixed = stage in (0, len(STAGES) - 1)  # Lite keeps the depth of the first and the last stage
            for i in range(repeats if fixed else math.ceil(repeats * config.depth)):
                blocks.append(InvertedResidual(channels, out, kernel, stride if i == 0 else 1, expansion))
                channels = out
            ends.append(len(blocks) - 1)
        self.blocks = nn.Sequential(*blocks)
        self.taps = ends[1:]
        self.head = ConvNorm(channels, WIDTH, kernel=1)
        self.classifier = nn.Linear(WIDTH, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        grid: Tensor = self.head(self.blocks(self.stem(pixels)))
        return grid

    def levels(self, pixels: Tensor) -> list[Tensor]:
        """The output of each stage but the first, finest grid first, then the last grid as `forward` gives it."""
        x = self.stem(pixels)
        grids = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                grids.append(x)
        return [*grids, self.head(x)]


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; a residual where shapes allow (MobileNetV2)."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = ConvNorm(channels, wide, kernel=1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.project = ConvNorm(wide, out, kernel=1, activate=False)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class ConvNorm(nn.Module):
    """Convolution with batch norm folded into it at conversion, TensorFlow's "same" padding, ReLU6."""

    def __init__(
        self, channels: int, out: int, *, kernel: int, stride: int = 1, groups: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, groups=groups)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        if kernel > 1:
            high, wide = (_same_padding(side, kernel, stride) for side in x.shape[-2:])
            if high == wide and high[0] == high[1]:
                x = F.conv2d(x, self.conv.weight, self.conv.bias, stride, high[0], 1, self.conv.groups)
            else:
                x = self.conv(F.pad(x, (*wide, *high)))
        else:
            x = self.conv(x)
        if not self.activate:
            return x
        return F.relu6(x, inplace=not torch.is_grad_enabled())


class EfficientNetEncoder:
    """The default Encoder: one token per cell of the last grid, pooled = their mean.

    `encode` takes Views of any one or several shapes; each shape is one batch.
    """

    def __init__(self, name: str, net: EfficientNetLite, fit: Fit, weights: str) -> None:
        self.name, self.net, self.fit, self.width = name, net.eval().requires_grad_(False), fit, WIDTH
        self._weights = weights
        self._describe = Describe(net.levels)
        self._sessions: dict[int, Session | None] = {}
        self._described: Counter[int] = Counter()

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self._weights}:{self.fit.fingerprint}".encode()).hexdigest()[:16]

    # no_grad, not inference_mode: a connector trained on these tokens saves them for its backward pass
    @torch.no_grad()
    def encode(self, views: Sequence[Views]) -> Features:
        """Features of B pictures, in the network's dtype. Views of one shape go through the network together.

        A picture's tokens are those of its views, one after the other; `pooled` is the mean over the first view.
        Raises InputError where there are no pictures.
        """
        flat = [view for picture in views for view in picture.views]
        tokens: dict[int, Tensor] = {}
        boxes: dict[int, Tensor] = {}
        for members, pixels in self.by_shape(flat):
            grid = self.net(pixels)
            rows, columns = grid.shape[-2:]
            for at, cells in zip(members, grid.flatten(2).transpose(1, 2), strict=True):
                tokens[at] = cells
                boxes[at] = torch.from_numpy(patch_boxes(flat[at].box, rows, columns))
        starts = [0, *accumulate(len(picture.views) for picture in views)]
        spans = [range(start, end) for start, end in pairwise(starts)]
        # the mean in float32: bf16 keeps 8 bits, too few for a sum of 49 cells
        pooled = torch.stack([tokens[span.start].float().mean(0) for span in spans])
        return pad(
            [torch.cat([tokens[at] for at in span]) for span in spans],
            [torch.cat([boxes[at] for at in span]) for span in spans],
            pooled,
        )

    @property
    def width_described(self) -> int:
        """Numbers in `describe`: 1280 means, then mean, deviation and maximum of each stage's channels."""
        return WIDTH + 3 * sum(self.channels)

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each stage that `levels` gives before the last grid, finest first."""
        blocks = [self.net.blocks[i] for i in self.net.taps]
        return tuple(b.project.conv.out_channels for b in blocks if isinstance(b, InvertedResidual))

    @torch.no_grad()
    def describe(self, views: Sequence[Views]) -> Tensor:
        """[B, width_described] float32: what the whole network saw in each picture's first view.

        The first 1280 are `pooled` of `encode`. The statistics of the earlier stages behind them know of colour,
        stroke and texture, which a classifier of photographs forgets towards its end and drawings are made of.
        Raises InputError where there are no pictures.
        """
        described = torch.empty(len(views), self.width_described, device=self.net.stem.conv.weight.device)
        for members, pixels in self.by_shape([picture.views[0] for picture in views]):
            session = self._session(pixels)
            some = self._describe(pixels) if session is None else session(pixels.contiguous().numpy())
            described[torch.tensor(members, device=described.device)] = some
        return described

    def _session(self, pixels: Tensor) -> Session | None:
        """ONNX Runtime's, once so many pictures came that making it pays; None where torch is to do it."""
        side = pixels.shape[-1]
        if pixels.device.type != "cpu" or pixels.dtype != torch.float32 or pixels.shape[-2] != side:
            return None
        self._described[side] += len(pixels)
        if side not in self._sessions and self._described[side] > PAYS:
            self._sessions[side] = session_for(self._describe, self._weights, side)
        return self._sessions.get(side)

    def by_shape(self, views: Sequence[View]) -> Iterator[tuple[list[int], Tensor]]:
        """Places of equally shaped views, and their pixels [b, 3, H, W] where and as the network wants them: on a
        processor so few at a time that what is between two layers stays in its cache."""
        if not views:
            raise InputError("there is nothing to encode", why="no pictures were given")
        shapes: dict[tuple[int, ...], list[int]] = {}
        for at, view in enumerate(views):
            shapes.setdefault(view.pixels.shape, []).append(at)
        weight = self.net.stem.conv.weight
        most = AT_ONCE if weight.device.type == "cpu" else len(views)
        parts = (same[at : at + most] for same in shapes.values() for at in range(0, len(same), most))
        for members in parts:
            pixels = torch.from_numpy(np.stack([views[at].pixels for at in members]))
            yield members, pixels.to(weight.device, weight.dtype, memory_format=torch.channels_last)

    @torch.no_grad()
    def classify(self, pooled: Tensor) -> Tensor:
        """pooled [B, 1280] -> logits [B, 1000] over ImageNet-1k's classes, float32."""
        head = self.net.classifier
        return F.linear(pooled.float(), head.weight.float(), head.bias.float())


def load_efficientnet(
    checkpoint: Checkpoint,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    size: int | None = None,
) -> EfficientNetEncoder:
    """The encoder of a converted `default/efficientnet-lite*` checkpoint. `size`: side in pixels at which it sees
    (None: at which it was trained); a larger one shows it small things. Raises CorruptPart on foreign weights."""
    config = checkpoint.config
    variant = config.get("variant")
    if variant not in LITE:
        raise CorruptPart(f"{checkpoint.folder} is no EfficientNet-Lite", todo=f"variants are {', '.join(LITE)}")
    with torch.device("meta"):
        net = EfficientNetLite(LITE[variant])
    try:
        net.load_state_dict(checkpoint.tensors(), strict=True, assign=True)
    except RuntimeError as error:
        raise CorruptPart(f"{checkpoint.folder} does not fit {variant}", why=str(error)) from None
    net = net.to(device=device, dtype=dtype or torch.float32)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch documents it, its stub lacks it
    # (x - 127) / 128 on bytes, as the network was trained
    fit = Letterbox(size=size or LITE[variant].size, fill=WHITE, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    return EfficientNetEncoder(checkpoint.name, net, fit, checkpoint.fingerprint)


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's: enough zeros that the output has ceil(side / stride) cells, the odd one at the end."""
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def round_channels(channels: float, divisor: int = 8) -> int:
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
