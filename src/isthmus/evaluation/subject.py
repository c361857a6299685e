"""Subject: whatever is judged, by its name, taken apart into what can be probed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from isthmus.backends.backend import Backend
from isthmus.backends.load import dtype_of, is_ours, load_backend
from isthmus.backends.native import NativeBackend
from isthmus.checkpoints import resolve
from isthmus.checkpoints.cache import written_whole
from isthmus.contrastive.embedder import Embedder
from isthmus.contrastive.load import load_embedder
from isthmus.errors import InputError
from isthmus.evaluation.drawn import SHAPES, drawn
from isthmus.evaluation.judging import Meter
from isthmus.evaluation.probes import Probe, language_items, language_probes, probe_from_json
from isthmus.evaluation.speaker import Speaker, speaker_of
from isthmus.evaluation.vision import linear_probe, zero_shot_probe
from isthmus.precision import fast_dtype
from isthmus.progress import Progress
from isthmus.vision.features import Encoder
from isthmus.vlm.language_model import load_language_model

EMBEDDERS = ("clip", "siglip", "siglip2", "chinese_clip")
TRAIN, HELD = 16, 16
"""Drawn pictures of each shape."""


@dataclass(frozen=True)
class Subject:
    """A model as its parts: None for those it has not. `backend`: answers about pictures."""

    name: str
    backend: Backend | None = None
    speaker: Speaker | None = None
    encoder: Encoder | None = None
    embedder: Embedder | None = None


def load_subject(name: str, *, device: str | None = None, dtype: str | None = None) -> Subject:
    """A composed model (answers, language, encoder), a causal language model (language), or an embedder.

    `transformers:NAME`, `openai:MODEL@URL` and GGUF files answer only. dtype None: as `load_backend`; a language model
    alone in what is fast on the device. Raises MissingPart and CorruptPart as `resolve`, InputError for a model that is
    none of these.
    """
    ours = is_ours(name)
    config = (resolve(name).json("config.json") or {}) if ours else {}
    kind = config.get("model_type")
    place = _place(device)
    number = None if dtype is None else dtype_of(dtype)
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        fast = fast_dtype(place) if number is None else number
        return Subject(name, speaker=speaker_of(load_language_model(name, device=place, dtype=fast)))
    if kind in EMBEDDERS or "heads" in config or (kind is None and ours):
        return Subject(name, embedder=load_embedder(name, device=place, dtype=number))
    return subject_of(load_backend(name, device, dtype))


def _place(device: str | None) -> str:
    """cuda where there is one, unless a device is named. Raises InputError where that cannot be had."""
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # no such device, torch built without it
        why = str(error).splitlines()[0]
        raise InputError(f"there is no device {device!r} to use", why=why, todo="give cpu, cuda or cuda:1") from None
    return device


def subject_of(backend: Backend) -> Subject:
    """What can be probed of a backend that is loaded already."""
    if not isinstance(backend, NativeBackend):
        return Subject(backend.name, backend)
    causal = not getattr(backend.model.language_model.config, "is_encoder_decoder", False)
    speaker = speaker_of(backend.model) if causal else None
    return Subject(backend.name, backend, speaker, backend.model.encoder)


def language(subject: Subject, meter: Meter, *, kept: Path | None = None, seed: int = 0) -> tuple[Probe, ...]:
    """The language probes; of a model without a language model of its own, none. `kept`: a folder for measurements."""
    speaker = subject.speaker
    if speaker is None:
        return ()
    return _kept(
        kept,
        f"language-{speaker.fingerprint}-{language_items(seed=seed)}",
        lambda: language_probes(speaker, lambda total: meter(f"probing {subject.name}", total, "items"), seed=seed),
    )


def vision(subject: Subject, meter: Meter, *, kept: Path | None = None, seed: int = 0) -> tuple[Probe, ...]:
    """The vision probes on drawn pictures: linear of an encoder, zero-shot of an embedder."""
    encoder, embedder = subject.encoder, subject.embedder
    total = (0 if encoder is None else TRAIN + HELD) + (0 if embedder is None else HELD)
    found: tuple[Probe, ...] = ()

    def measure() -> tuple[Probe, ...]:
        reporter: Progress
        with meter(f"probing {subject.name}", total * len(SHAPES), "pictures") as reporter:
            held = drawn(HELD, seed=2 * seed + 1)
            probes = []
            if encoder is not None:
                probes.append(linear_probe(encoder, drawn(TRAIN, seed=2 * seed), held, reporter=reporter))
            if embedder is not None:
                probes.append(zero_shot_probe(embedder, held, reporter=reporter))
        return tuple(probes)

    seeing = [each.fingerprint for each in (encoder, embedder) if each is not None]
    if seeing:
        found = _kept(kept, f"vision-{'-'.join(seeing)}-{seed}", measure)
    return found


def probes(subject: Subject, meter: Meter, *, kept: Path | None = None, seed: int = 0) -> tuple[Probe, ...]:
    """All that apply. What was measured before on equal weights is read from `kept`: so parts that are equal, bit for
    bit, have equal figures, and a run that was broken off measures only the rest."""
    return language(subject, meter, kept=kept, seed=seed) + vision(subject, meter, kept=kept, seed=seed)


def _kept(folder: Path | None, name: str, measure: Callable[[], tuple[Probe, ...]]) -> tuple[Probe, ...]:
    path = None if folder is None else folder / f"{name}.json"
    if path is not None:
        try:
            return tuple(probe_from_json(each) for each in json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not measured yet, or damaged
    found = measure()
    if path is not None:
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps([each.to_json() for each in found]), encoding="utf-8")
    return found
