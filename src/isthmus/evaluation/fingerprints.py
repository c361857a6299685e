"""What was judged: hashes of models, and the versions and the command with which a figure can be made again."""

import hashlib
import json
import sys
from importlib.metadata import PackageNotFoundError, version

from isthmus.backends.backend import Backend
from isthmus.backends.native import NativeBackend
from isthmus.backends.transformers import TransformersBackend
from isthmus.checkpoints import resolve
from isthmus.messages import ImagePart, user
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.seal import seal

PACKAGES = ("isthmus", "torch", "transformers", "tokenizers", "numpy", "pillow")


def model_fingerprint(backend: Backend) -> str:
    """Hex hash over all that its answers depend on; equal models have equal ones, whatever their names.

    Of our own models: over the weights as they are in memory. Of transformers': over the weight files. Of any other
    backend only the name is known, and the fingerprint says so.
    """
    match backend:
        case NativeBackend():
            return vlm_fingerprint(backend.model)
        case TransformersBackend():
            return _hash("transformers", resolve(backend.name).fingerprint)
    return f"name {backend.name}"


def vlm_fingerprint(model: VisionLanguageModel) -> str:
    """Over encoder, Fit, connector and language model as they are, and how a prompt is written."""
    written = repr(model.template.pieces([user(ImagePart("a picture"), "?")], prompt=True))
    parts = (model.encoder.fingerprint, model.encoder.fit.fingerprint, seal(model.connector, model.language_model))
    return _hash(*parts, written)


def versions() -> dict[str, str]:
    """Of Python and the packages that figures depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # run from a source tree
    return found


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
