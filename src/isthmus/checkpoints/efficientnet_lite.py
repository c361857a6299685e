"""EfficientNet-Lite's published `.pth` layout -> the layout of our network, batch norms folded in."""

from typing import TYPE_CHECKING

from isthmus.errors import CorruptPart

if TYPE_CHECKING:
    from torch import Tensor


def fold_batch_norms(foreign: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Names and tensors of the published `.pth` (batch norms apart) -> those of `vision.efficientnet` (folded in).

    Folding halves the elementwise work of inference; in fp32 it moves outputs by about 1e-5.
    Raises CorruptPart where a tensor is missing.
    """
    out: dict[str, Tensor] = {}

    def conv(theirs: str, norm: str, ours: str) -> None:
        try:
            weight = foreign[f"{theirs}.weight"].double()
            mean, var = foreign[f"{norm}.running_mean"].double(), foreign[f"{norm}.running_var"].double()
            gain, bias = foreign[f"{norm}.weight"].double(), foreign[f"{norm}.bias"].double()
        except KeyError as error:
            raise CorruptPart("these are no EfficientNet-Lite weights", why=f"{error} is missing") from None
        scale = gain / (var + 1e-3).sqrt()
        out[f"{ours}.conv.weight"] = (weight * scale[:, None, None, None]).float().contiguous()
        out[f"{ours}.conv.bias"] = (bias - mean * scale).float().contiguous()

    conv("_conv_stem", "_bn0", "stem")
    for i in range(1 + max(int(key.split(".")[1]) for key in foreign if key.startswith("_blocks."))):
        block = f"_blocks.{i}."
        if f"{block}_expand_conv.weight" in foreign:
            conv(f"{block}_expand_conv", f"{block}_bn0", f"blocks.{i}.expand")
        conv(f"{block}_depthwise_conv", f"{block}_bn1", f"blocks.{i}.depthwise")
        conv(f"{block}_project_conv", f"{block}_bn2", f"blocks.{i}.project")
    conv("_conv_head", "_bn1", "head")
    out["classifier.weight"] = foreign["_fc.weight"].float().contiguous()
    out["classifier.bias"] = foreign["_fc.bias"].float().contiguous()
    return out
