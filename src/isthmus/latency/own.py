"""The arithmetic of the default models (model_type isthmus-vlm): EfficientNet-Lite at all depths, small connectors.

Their shapes stand in the encoder's own code, which imports torch. What is less than a thousandth of a part is left out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from isthmus.checkpoints import resolve
from isthmus.latency.blocks import Block, layers, look, look_across, think
from isthmus.latency.connectors import QFormer
from isthmus.latency.families import read_language
from isthmus.latency.model import Model
from isthmus.latency.operations import How, Operation, Operations, Span, activate, convolution, everyone, linear, norm
from isthmus.latency.sights import Sight
from isthmus.vision.depths import OVERVIEWS, PLACE
from isthmus.vision.efficientnet import LITE, STAGES, WIDTH, LiteConfig, round_channels

CLASSES = 1000


def read_own(name: str, config: Mapping[str, Any]) -> Model:
    """The model of a folder that `isthmus train` wrote. Raises as `resolve` where a part is not installed."""
    seen = config["encoder"]
    lite = LITE[seen["name"].removeprefix("default/")]
    side = -(-seen["size"] // 32)
    language = read_language(resolve(config["language_model"]["name"]).config)
    encoder = Depths(lite, seen["size"])
    connector = Spoken(config["connector"], OVERVIEWS + side**2, encoder.width, language.width)
    sight = Sight(1, side**2, connector.tokens)
    return Model(name, lambda _w, _h: sight, encoder, connector, language).as_ours()


@dataclass(frozen=True)
class Depths:
    """EfficientNet-Lite of `size` pixels a side, then what DepthsEncoder makes of its stages: the last grid once more,
    and the classes' evidence in each cell and over all."""

    lite: LiteConfig
    size: int
    class_width: int = 384

    @property
    def width(self) -> int:
        """Of a token: the last grid, what three earlier stages saw in its cell, evidence and place."""
        fine, middle, coarse = (round_channels(STAGES[at][3] * self.lite.width) for at in (1, 2, 4))
        return WIDTH + 4 * coarse + 2 * middle + 2 * fine + self.class_width + PLACE

    def operations(self, sight: Sight, batch: int, how: How) -> Operations:  # noqa: ARG002  one size
        side = -(-self.size // 2)
        out = [convolution("stem", batch * self.size**2, batch * side**2, 3, 32, 3, how)]
        channels = 32
        for at, (kernel, stride, expansion, wide, repeats) in enumerate(STAGES):
            to = round_channels(wide * self.lite.width)
            count = repeats if at in (0, len(STAGES) - 1) else math.ceil(repeats * self.lite.depth)
            for i in range(count):
                step = stride if i == 0 else 1
                out += self._residual(at, batch, side, step, channels, to, kernel, expansion, how)
                side, channels = -(-side // step), to
        cells = batch * side**2
        out.append(convolution("head", cells, cells, channels, WIDTH, 1, how))
        places = cells + batch  # in each cell, and over all of them
        out += [
            linear("last grid", cells, channels, WIDTH, how),
            linear("classes", places, WIDTH, CLASSES, how),
            linear("evidence", places, CLASSES, self.class_width, how),
        ]
        return tuple(out)

    def _residual(
        self,
        stage: int,
        batch: int,
        side: int,
        step: int,
        channels: int,
        to: int,
        kernel: int,
        expansion: int,
        how: How,
    ) -> list[Operation]:
        cells, after, wide = batch * side**2, batch * (-(-side // step)) ** 2, channels * expansion
        name = f"stage {stage}"
        expand = [convolution(f"{name}: expand", cells, cells, channels, wide, 1, how)] if expansion > 1 else []
        return [
            *expand,
            convolution(f"{name}: each channel", cells, after, wide, wide, kernel, how, groups=wide),
            convolution(f"{name}: project", after, after, wide, to, 1, how),
        ]


@dataclass(frozen=True)
class Spoken:
    """The connector that `config` describes: a prompt, a hint, names and words around a Q-Former or an MLP.

    `seen` tokens of the encoder, `width_in` wide.
    """

    config: Mapping[str, Any]
    seen: int
    width_in: int
    width_out: int
    tables: int = 0

    @property
    def tokens(self) -> int:
        config = self.config
        match config["kind"]:
            case "soft prompt":
                return int(config["tokens"] + config["cue"]) + self.inner.tokens
            case "hint":
                return int(config["shape"]["tokens"]) + self.inner.tokens
            case "names" | "align":
                return self.inner.tokens
            case "qformer":
                return int(config["queries"])
            case "mlp":
                return OVERVIEWS + (self.seen - OVERVIEWS) // int(config["pool"]) ** 2
        raise KeyError(f"connector {config['kind']!r}")

    @property
    def inner(self) -> "Spoken":
        return replace(self, config=self.config["inner"])

    @property
    def words(self) -> int:
        """How many words the tokens are mixtures of."""
        return int(self.config["words"]) if "words" in self.config else self.inner.words

    def operations(self, sight: Sight, text: float, batch: int, how: How) -> Operations:
        match self.config["kind"]:
            case "qformer":
                return self._qformer(batch, how)
            case "mlp":
                return self._mlp(batch, how)
            case "soft prompt":
                own: Operations = ()
            case "align":
                own = self._in_words(batch * self.tokens, how)
            case "names":
                own = self._names(batch, how)
            case "hint":
                own = self._hint(text, batch, how)
        return (*self.inner.operations(sight, text, batch, how), *own)

    def _qformer(self, batch: int, how: How) -> Operations:
        config = self.config
        heads, width = config["heads"], config["width"]
        block = Block(width, heads, width // heads, config["width_ffn"], heads)
        every = config["cross_every"]
        qformer = QFormer(block, config["layers"], config["queries"], self.width_in, self.width_out, cross_every=every)
        return qformer.operations(Sight(1, self.seen, 0), 0, batch, how)

    def _mlp(self, batch: int, how: How) -> Operations:
        """Of neighbours their mean, then maps."""
        rows = batch * self.tokens
        out: list[Operation] = []
        for i in range(self.config["layers"]):
            if i:
                out.append(activate("activation", rows, self.width_out, "plain", how))
            out.append(linear(f"map {i + 1}", rows, self.width_out if i else self.width_in, self.width_out, how))
        return tuple(out)

    def _in_words(self, rows: float, how: How) -> Operations:
        """How near each word is, and their mixture: one table of words, read twice."""
        words, width = self.words, self.width_out
        return linear("near words", rows, width, words, how), linear("mixture", rows, words, width, how)

    def _names(self, batch: int, how: How) -> Operations:
        shape = self.config["shape"]
        said = batch * len(shape["starts"]) * self.config["longest"]
        return (
            linear("overviews", batch, shape["overviews"] * self.width_in, shape["rank"], how),
            linear("names", batch, shape["rank"], self.config["names"], how),
            linear("names in words", said, self.words, self.width_out, how),
        )

    def _hint(self, text: float, batch: int, how: How) -> Operations:
        """Question and hints look at each other and at what the picture's tokens say."""
        shape, told, width = self.config["shape"], self.inner.tokens, self.width_out
        inner, hints, heads = shape["width"], shape["tokens"], shape["heads"]
        asked = min(text, shape["longest"])
        rows, memory = batch * (asked + hints), batch * told
        block = Block(inner, heads, inner // heads, shape["width_ffn"], heads)
        across, math = Span(rows * told, rows, memory), how.plain.math
        return (
            linear("read the picture", memory, width, inner, how),
            linear("read the question", batch * asked, width, inner, how),
            Operation("alike", 2 * batch * asked * told * (width + inner), 0, 0, 2, math),
            *layers(shape["layers"], look(block, everyone(batch, asked + hints), how)),
            *layers(shape["layers"], look_across(block, across, inner, how, rows=memory)),
            *layers(shape["layers"], think(block, rows, how)),
            norm("norm", rows, inner, how),
            linear("point", batch * hints, inner, inner, how),
            linear("pointed", memory, inner, inner, how),
            Operation("near", 2 * batch * hints * told * (inner + width), 0, 0, 2, math),
            linear("speak", batch * hints, inner, width, how),
            *self._in_words(batch * hints, how),
        )
