"""What the default embedder's heads are, and what an embedder with them is known by; without torch."""

import hashlib
import json
from dataclasses import asdict, dataclass

WIDTH_TEXT = 384


@dataclass(frozen=True)
class HeadsConfig:
    """`prior_weight` is the prior's share against the learned part's 1; `temperature` divides the class logits,
    of whose probabilities the `top` largest count; `centre` is how much of the mean caption is taken out of
    every text, which all captions share and which tells none apart."""

    width_image: int = 3584
    width_text: int = WIDTH_TEXT
    dim: int = 384
    prior_weight: float = 2.0
    temperature: float = 2.0
    top: int = 50
    centre: float = 0.4


def fingerprint_of(weights: str, config: HeadsConfig, fit: str) -> str:
    """Of an embedder. `weights`: the fingerprints of all three parts; `fit`: that of the Fit."""
    return hashlib.sha256(json.dumps([weights, asdict(config), fit], sort_keys=True).encode()).hexdigest()[:16]
