"""May several conversations stand in one row? Only where the language model keeps them apart: which is tried.

`transformers` parts a row where positions begin again, for most causal models; some make a mask of their own before it
looks (OPT), some hand a state on from token to token (Mamba), and none of them says so.

Notation: S positions of the row that is tried, D width.
"""

import inspect

import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.vlm.model import VisionLanguageModel

BEFORE, BEHIND = 5, 7
"""Tokens of the two texts that are tried."""
EXACT, HALF = 1e-3, 0.05
"""How far a state may be from the same text's alone, relative to its length: rounding, in single or half precision."""


def require_packing(model: VisionLanguageModel) -> None:
    """Raises InputError unless a text behind another one in a row is read as if it stood alone: nothing of the other
    reaches it (its gradient there is 0 to the bit), and its positions count from its own first token.

    Costs one pass over twelve tokens, there and back.
    """
    why = _mixed(model)
    if why:
        raise InputError(
            f"{model.name} cannot have several conversations in a row",
            why=f"its language model, {model.language_model.config.model_type}, {why}",
            todo="use arrange: length",
        )


def _mixed(model: VisionLanguageModel) -> str:
    """What becomes of two texts in one row; "" where they stay apart."""
    if model.language_model.config.is_encoder_decoder:
        return "is an encoder-decoder, whose encoder sees all of a row"
    if "position_ids" not in inspect.signature(model.language_model.base_model.forward).parameters:
        return "takes no positions"
    embedding = model.language_model.get_input_embeddings()
    device = embedding.weight.device
    ids = torch.linspace(0, embedding.weight.shape[0] - 1, BEFORE + BEHIND).long().to(device)
    positions = torch.cat([torch.arange(BEFORE), torch.arange(BEHIND)]).to(device)
    training = model.training
    model.eval()
    with torch.enable_grad():
        embeds = embedding(ids).detach().requires_grad_()  # [S, D]
        behind = _states(model, embeds, positions)[BEFORE:]
        (reached,) = torch.autograd.grad(behind.float().square().sum(), embeds)
    behind = behind.detach()
    with torch.no_grad():
        alone = _states(model, embeds[BEFORE:], positions[BEFORE:])
    model.train(training)
    if bool(reached[:BEFORE].ne(0).any()):
        return "lets a conversation see the one before it"
    allowed = EXACT if alone.dtype in (torch.float32, torch.float64) else HALF
    far = (behind - alone).float().norm(dim=1) / alone.float().norm(dim=1)
    if float(far.max()) > allowed:
        return "reads a conversation otherwise behind another one"
    return ""


def _states(model: VisionLanguageModel, embeds: Tensor, positions: Tensor) -> Tensor:
    """[S, D] -> [S, D], as `VisionLanguageModel.hidden` has packed rows read."""
    out = model.language_model.base_model(inputs_embeds=embeds[None], position_ids=positions[None], use_cache=False)
    states: Tensor = out.last_hidden_state[0]
    return states
