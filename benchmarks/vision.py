"""The vision tower's speed: against transformers at equal weights, and four ways to keep packed pictures apart.

    OMP_NUM_THREADS=1 python -m benchmarks.vision

Prints ratios of CPU time, measured in pairs, shuffled, in one run (median and the middle half of the pairs): on shared
cores those hold where milliseconds do not. Peak memory is that of a process of its own (Linux only).
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, Siglip2VisionConfig, Siglip2VisionModel

from isthmus.checkpoints import resolve
from isthmus.images.fits import native_grid
from isthmus.vision.described import Describe, session_for
from isthmus.vision.efficientnet import AT_ONCE, load_efficientnet
from isthmus.vision.families import read_vision_config
from isthmus.vision.packing import Grid, Packing
from isthmus.vision.vit import VisionTransformer, _attend

HEADS, HEAD = 12, 64
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--peak", nargs=2, metavar=("WORKLOAD", "MECHANISM"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak(*arguments.peak))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)\n")
    print("CPU time as a multiple of ours; above 1, ours is faster")
    for dtype in (torch.float32, torch.bfloat16):
        against_clip(arguments.pairs, dtype)
    against_naflex(arguments.pairs)
    against_torch(arguments.pairs)
    for workload in WORKLOADS:
        mechanisms(workload, arguments.pairs)


def against_clip(pairs: int, dtype: torch.dtype) -> None:
    """One size: ViT-B/32, 16 pictures of 224 x 224."""
    theirs = CLIPVisionModel(CLIPVisionConfig()).eval().to(dtype)
    ours = VisionTransformer(read_vision_config(theirs.config.to_dict())[1]).eval().to(dtype)
    pixels = torch.randn(16, 3, 224, 224).to(dtype)
    ratios = paired(lambda: ours(pixels), lambda: theirs(pixels), pairs)
    print(f"  transformers' CLIPVisionModel, ViT-B/32, 16 pictures, {dtype}: {spread(ratios)}")


def against_torch(pairs: int) -> None:
    """What the default embedder reads of 16 pictures of 224 x 224: ONNX Runtime against torch."""
    checkpoint = resolve("default/efficientnet-lite0")
    encoder = load_efficientnet(checkpoint)
    describe = Describe(encoder.net.levels)
    session = session_for(describe, checkpoint.fingerprint, 224)
    if session is None:
        print("  no ONNX Runtime: pip install 'isthmus[onnx]'")
        return
    pixels = torch.randn(16, 3, 224, 224).to(memory_format=torch.channels_last)
    plain = pixels.contiguous().numpy()

    def by_torch() -> None:
        for start in range(0, 16, AT_ONCE):
            describe(pixels[start : start + AT_ONCE])

    ratios = paired(lambda: session(plain), by_torch, pairs)
    print(f"  torch, EfficientNet-Lite0 as the default embedder has it: {spread(ratios)}")


def against_naflex(pairs: int) -> None:
    """Several sizes: SigLIP 2 NaFlex B/16, 8 pictures of camera shapes within 256 patches; the reference pads."""
    theirs = Siglip2VisionModel(Siglip2VisionConfig(num_hidden_layers=4)).eval()
    ours = VisionTransformer(read_vision_config(theirs.config.to_dict())[1]).eval()
    grids = WORKLOADS["NaFlex, 256 patches"]()[:8]
    patches = [torch.randn(rows * columns, 768) for rows, columns in grids]
    padded = torch.nn.utils.rnn.pad_sequence(patches, batch_first=True)
    padded = F.pad(padded, (0, 0, 0, 256 - padded.shape[1]))  # as its processor does
    mask = torch.arange(256) < torch.tensor([len(p) for p in patches])[:, None]
    shapes, packed = torch.tensor(grids), torch.cat(patches)
    ratios = paired(
        lambda: ours.packed(packed, grids),
        lambda: theirs(pixel_values=padded, pixel_attention_mask=mask.long(), spatial_shapes=shapes),
        pairs,
    )
    print(f"  transformers' Siglip2VisionModel, B/16 cut to 4 layers, 8 pictures, fp32: {spread(ratios)}\n")


def mechanisms(workload: str, pairs: int) -> None:
    grids = WORKLOADS[workload]()
    lengths = sorted(rows * columns for rows, columns in grids)
    print(f"{workload}: {len(grids)} pictures, {sum(lengths)} tokens of {lengths[0]} to {lengths[-1]}, attention alone")
    q, k, v = qkv(sum(lengths))
    built = {name: make(grids) for name, make in MECHANISMS.items()}
    wanted = built["runs"](q, k, v)
    base = memory(workload, "none")
    for name, attend in built.items():
        difference = float((attend(q, k, v) - wanted).abs().max())
        ratios = paired(lambda: built["runs"](q, k, v), lambda attend=attend: attend(q, k, v), pairs)  # type: ignore[misc]
        extra = memory(workload, name) - base
        print(f"  {name:8} {spread(ratios)}, {extra:6.0f} MB above its input, max difference {difference:.0e}")
    print()


def runs(grids: Sequence[Grid]) -> Attend:
    """Ours: equal lengths side by side, one unmasked call for each length."""
    packing = Packing.of(grids, 0)
    return lambda q, k, v: _attend(packing.by_length(q), packing.by_length(k), packing.by_length(v))


def dense(grids: Sequence[Grid]) -> Attend:
    """One call with a block-diagonal mask [S, S]."""
    lengths = torch.tensor(sorted(rows * columns for rows, columns in grids))
    owner = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    mask = owner[:, None] == owner

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = F.scaled_dot_product_attention(*(t.transpose(0, 1)[None] for t in (q, k, v)), attn_mask=mask)
        return out[0].transpose(0, 1).flatten(1)

    return attend


def padded(grids: Sequence[Grid]) -> Attend:
    """Attention alone is padded to the longest, with a key mask; the linear layers stay packed."""
    lengths = torch.tensor(sorted(rows * columns for rows, columns in grids))
    mask = torch.arange(int(lengths.max())) < lengths[:, None]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        stacks = [q.new_zeros(*mask.shape, *q.shape[1:]) for _ in range(3)]
        for stack, t in zip(stacks, (q, k, v), strict=True):
            stack[mask] = t
        out = F.scaled_dot_product_attention(*(s.transpose(1, 2) for s in stacks), attn_mask=mask[:, None, None])
        return out.transpose(1, 2)[mask].flatten(1)

    return attend


def nested(grids: Sequence[Grid]) -> Attend:
    """torch.nested, jagged layout."""
    lengths = torch.tensor(sorted(rows * columns for rows, columns in grids))
    offsets = F.pad(lengths.cumsum(0), (1, 0))

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        jagged = [torch.nested.nested_tensor_from_jagged(t.contiguous(), offsets) for t in (q, k, v)]
        return F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in jagged)).transpose(1, 2).values().flatten(1)

    return attend


MECHANISMS: dict[str, Callable[[Sequence[Grid]], Attend]] = {
    "runs": runs, "padded": padded, "dense": dense, "nested": nested,
}  # fmt: skip


def camera_shapes() -> list[Grid]:
    draw = random.Random(0)
    shapes = [(4000, 3000), (3000, 4000), (1920, 1080), (1080, 1920), (6000, 4000), (1200, 1200)]
    return [native_grid(*draw.choice(shapes), 16, 256) for _ in range(24)] + [
        native_grid(draw.randint(300, 4000), draw.randint(300, 4000), 16, 256) for _ in range(8)
    ]


def any_sizes() -> list[Grid]:
    draw = random.Random(0)
    return [(draw.randint(4, 32), draw.randint(4, 32)) for _ in range(32)]


def one_size() -> list[Grid]:
    return [(16, 16)] * 32


WORKLOADS: dict[str, Callable[[], list[Grid]]] = {
    "NaFlex, 256 patches": camera_shapes,
    "all sizes different": any_sizes,
    "one size": one_size,
}


def qkv(tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(tokens, 3, HEADS, HEAD).unbind(1)  # strided, as it comes out of the joint projection


def paired(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> list[float]:
    """Ratios theirs / ours of CPU time, each pair in random order, after one round of warming up."""
    draw = random.Random(0)
    ratios = []
    for at in range(pairs + 1):
        both = [(0, ours), (1, theirs)]
        draw.shuffle(both)
        spent = [0.0, 0.0]
        for which, call in both:
            start = time.process_time()
            call()
            spent[which] = time.process_time() - start
        if at:
            ratios.append(spent[1] / spent[0])
    return ratios


def spread(ratios: list[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):5.2f} x ({low:.2f} to {high:.2f})"


def memory(workload: str, mechanism: str) -> float:
    """Peak resident memory in MB of a process that attends once."""
    command = [sys.executable, __file__, "--peak", workload, mechanism]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak(workload: str, mechanism: str) -> float:
    grids = WORKLOADS[workload]()
    q, k, v = qkv(sum(rows * columns for rows, columns in grids))
    F.scaled_dot_product_attention(*(torch.ones(1, 1, 8, 8) for _ in range(3)))  # whatever a first call sets up
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew: importing took more than attending does
    if mechanism != "none":
        MECHANISMS[mechanism](grids)(q, k, v)
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
