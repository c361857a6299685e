"""Vision transformers: patches to tokens."""

from dataclasses import dataclass

from isthmus.latency.blocks import Block, layers, look, think
from isthmus.latency.operations import How, Operations, add, everyone, linear, norm, windows
from isthmus.latency.sights import Sight


@dataclass(frozen=True)
class Tower:
    """`patch_values`: numbers in a patch; `prefix`: tokens that are no patch; `positions`: a learned table is added;
    `norms`: over all tokens, beside those of the blocks; `windowed`: so many layers look within windows."""

    block: Block
    layers: int
    patch_values: int
    prefix: int = 0
    positions: bool = True
    norms: int = 1
    windowed: int = 0

    def operations(self, sight: Sight, batch: int, how: How) -> Operations:
        """Of `batch` pictures, all layers, whichever is read."""
        views, width = batch * sight.views, self.block.width
        rows = views * (sight.patches + self.prefix)
        out = [linear("patches", views * sight.patches, self.patch_values, width, how)]
        if self.positions:
            out.append(add("positions", rows, width, how))
        whole = everyone(views, sight.patches + self.prefix)
        out += layers(self.layers - self.windowed, look(self.block, whole, how))
        if self.windowed:
            out += layers(self.windowed, look(self.block, windows(views, sight.windows), how))
        out += layers(self.layers, think(self.block, rows, how))
        out += layers(self.norms, (norm("norm", rows, width, how, rms=self.block.rms),))
        return tuple(out)
