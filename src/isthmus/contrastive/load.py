"""`load_embedder(name)`: the default embedder, or a dual encoder by Hugging Face id or folder."""

from typing import TYPE_CHECKING

from isthmus.checkpoints import resolve
from isthmus.contrastive.embedder import Embedder

if TYPE_CHECKING:
    import torch

DEFAULT = "default/embedder"


def load_embedder(
    name: str = DEFAULT, *, device: "str | torch.device" = "cpu", dtype: "torch.dtype | None" = None
) -> Embedder:
    """The embedder of that name, frozen. `dtype` None: float32.

    A folder of trained heads, which `isthmus train` writes, gives an embedder of the default's kind; one of a dual
    encoder that was trained further gives that.
    Raises MissingPart and CorruptPart as `resolve`, InputError for a model that is no dual encoder.
    """
    checkpoint = resolve(name)
    # Each kind is imported only when it is asked for, so that a search pays for one.
    config = checkpoint.json("config.json") or {}
    if "heads" in config:
        from isthmus.contrastive.default import load_default_embedder

        return load_default_embedder(checkpoint, device=device, dtype=dtype)
    if config.get("model_type") == "isthmus-dual-encoder":
        from isthmus.contrastive.tuned import load_tuned_dual

        return load_tuned_dual(checkpoint, load_embedder, device=device, dtype=dtype)
    from isthmus.contrastive.dual_checkpoint import load_dual_encoder

    return load_dual_encoder(checkpoint, device=device, dtype=dtype)
