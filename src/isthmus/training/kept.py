"""What took long to compute, kept in the cache under everything it depends on."""

import hashlib
import json
from collections.abc import Callable, Sequence

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from isthmus.checkpoints.cache import cache_folder, written_whole


def kept(key: Sequence[object], make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `make` gives, from the cache where it was made before with an equal key (of what JSON can hold).

    Read lazily from disk. Raises MissingPart where the disk refuses.
    """
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    path = cache_folder() / "features" / f"{name}.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        made = make()  # not made yet, or damaged
    with written_whole(path) as temporary:
        save_file(made, temporary)
    return made
