"""What the default encoder describes pictures with, as an ONNX graph: on a processor ONNX Runtime is faster than torch.

The graph is made here once, from the weights, and kept in the cache; it is held against torch when it is made, and
never used where the two differ. Without the extra `onnx`, or on a GPU, torch does the work.
"""

import os
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isthmus.checkpoints.cache import cache_folder, written_whole

FORMAT = 1
"""Of the graph. Raise it where `Describe` changes."""
FARTHEST = 1e-3
"""How far a number may be from torch's, over the largest there is."""
OFF = "ISTHMUS_NO_ONNX"
"""Set in the environment, it leaves all to torch."""


class Describe(nn.Module):
    """pixels [B, 3, H, W] -> [B, C]: means of the last grid; then mean, deviation and maximum of each stage before."""

    def __init__(self, levels: Callable[[Tensor], list[Tensor]]) -> None:
        super().__init__()
        self._levels = levels

    def forward(self, pixels: Tensor) -> Tensor:
        *stages, last = (grid.float().flatten(2) for grid in self._levels(pixels))
        parts = [last.mean(2)]
        for grid in stages:
            parts += [grid.mean(2), grid.std(2, correction=0), grid.amax(2)]
        return torch.cat(parts, dim=1)


class Session:
    """`describe` of one network at one size."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # As torch: who wants all processors says so, and indexing leaves half of them to the decoders.
        options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
        options.log_severity_level = 4
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, pixels: NDArray[np.float32]) -> Tensor:
        """pixels [B, 3, H, W] -> [B, C] float32. One picture after the other: what is between two layers then stays in
        the processor's cache."""
        rows = [self._session.run(None, {"pixels": pixels[at : at + 1]})[0] for at in range(len(pixels))]
        return torch.from_numpy(np.concatenate(rows))


def session_for(describe: Describe, fingerprint: str, side: int) -> Session | None:
    """For pictures of side x side pixels. None where there is no ONNX Runtime, or it does not compute the same."""
    if os.environ.get(OFF) or any(find_spec(package) is None for package in ("onnxruntime", "onnx")):
        return None
    runtime = version("onnxruntime")
    path = cache_folder() / "onnx" / f"{fingerprint[:16]}-{side}-{FORMAT}-{runtime}-{version('torch')}.onnx"
    try:
        if path.exists():
            return Session(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            _export(describe, side, temporary)
            if not _same(describe, Session(temporary), side):
                raise ValueError("ONNX Runtime computes otherwise than torch")
        return Session(path)
    except Exception as error:  # noqa: BLE001 - a faster way that fails is no failure: torch is there
        path.unlink(missing_ok=True)
        warnings.warn(f"pictures are encoded by torch: {type(error).__name__}: {error}", stacklevel=2)
        return None


def _export(describe: Describe, side: int, path: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter is an older one; the newer needs a package more
        torch.onnx.export(
            describe,
            (torch.zeros(1, 3, side, side),),
            str(path),
            input_names=["pixels"],
            output_names=["described"],
            dynamic_axes={"pixels": {0: "pictures"}, "described": {0: "pictures"}},
            opset_version=17,
            dynamo=False,
        )


@torch.no_grad()
def _same(describe: Describe, session: Session, side: int) -> bool:
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    mine, its = describe(pixels), session(pixels.numpy())
    return bool((mine - its).abs().max() <= FARTHEST * mine.abs().max())
