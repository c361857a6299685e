"""A model's folder whose language model was "trained": its weights moved a little, everything else as it was."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def change_weights(folder: str, new: Path, by: float, part: str = "mlp") -> str:
    """Adds noise of `by` times their own spread to the tensors of the language model whose name holds `part`."""
    shutil.copytree(folder, new)
    path = new / "model.safetensors"
    tensors = load_file(path)
    random = torch.Generator().manual_seed(0)
    for name, tensor in sorted(tensors.items()):
        if "language_model" in name and part in name and tensor.ndim > 1:
            tensors[name] = tensor + by * tensor.std() * torch.randn(tensor.shape, generator=random)
    save_file(tensors, path, metadata={"format": "pt"})
    return str(new)
