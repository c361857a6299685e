"""`resolve(name)`: a default part, a folder, or a Hugging Face id, in that order of looking."""

import re
from pathlib import Path

from isthmus.checkpoints.cache import convert, sha256_of
from isthmus.checkpoints.checkpoint import Checkpoint
from isthmus.checkpoints.parts import open_part
from isthmus.errors import InputError, MissingPart

# what a model needs: never the .bin or .h5 twins of safetensors, never code
WANTED = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")
FOREIGN = ("pytorch_model.bin", "open_clip_pytorch_model.bin")


def resolve(name: str) -> Checkpoint:
    """The checkpoint of that name, on disk.

    `default/NAME` is a part inside a pip package, verified by its SHA-256. A path to a folder is taken as it is. Any
    other `OWNER/NAME` (with `@REVISION` to pin one) is a Hugging Face id, taken from the hub's cache or fetched;
    HF_HUB_OFFLINE, HF_HOME, HF_ENDPOINT and HF_TOKEN are respected.
    Raises MissingPart where it cannot be had, CorruptPart where it is damaged, InputError where it is no name.
    """
    if name.startswith("default/"):
        return open_part(name)
    if name and Path(name).is_dir():
        return _with_safetensors(Checkpoint(name=name, folder=Path(name), origin="folder"))
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name):
        raise InputError(f"no model {name!r}", why="neither a folder nor OWNER/NAME", todo="isthmus models lists parts")
    return _with_safetensors(_from_hub(name))


def _from_hub(name: str) -> Checkpoint:
    # imported here: the default parts never need the hub's client
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = name.partition("@")
    try:
        folder = snapshot_download(repository, revision=revision or None, allow_patterns=list(WANTED))
        if not any(Path(folder).glob("*.safetensors")):
            folder = snapshot_download(repository, revision=revision or None, allow_patterns=[*WANTED, *FOREIGN])
    except GatedRepoError:
        raise MissingPart(f"{repository} is gated", todo="accept its terms on the hub, then set HF_TOKEN") from None
    except RevisionNotFoundError:
        raise MissingPart(f"{repository} has no revision {revision}", todo="look at its page on the hub") from None
    except RepositoryNotFoundError:
        raise MissingPart(f"the hub knows no {repository}", todo="check the name, or set HF_TOKEN if private") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, HTTPError, OSError) as error:
        raise MissingPart(
            f"{repository} is not in the cache and the hub cannot be reached",
            why=type(error).__name__,
            todo="connect once, or give a folder that holds it, or use a default/... part",
        ) from None
    return Checkpoint(name=name, folder=Path(folder), origin="hub")


def _with_safetensors(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint, or, where it has only a PyTorch pickle, a converted copy in our cache."""
    folder = checkpoint.folder
    if any(folder.glob("*.safetensors")):
        return checkpoint
    pickle = next((path for file in FOREIGN if (path := checkpoint.path(file))), None)
    if pickle is None:
        return checkpoint  # a tokenizer or a processor alone; whoever asks for tensors is told by Checkpoint
    beside = [path for pattern in ("*.json", "*.jinja", "*.txt", "*.model") for path in sorted(folder.glob(pattern))]
    files = {path.name: path.read_bytes() for path in beside}
    converted = convert(pickle, sha256_of(pickle), dict, files)
    return Checkpoint(name=checkpoint.name, folder=converted, origin=checkpoint.origin)
