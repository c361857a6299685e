"""Our models inside lmms-eval: against its own base class where it is installed, else one of the same shape."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from isthmus.backends.backend import Options, complete
from isthmus.backends.native import NativeBackend
from isthmus.errors import InputError, MissingPart
from isthmus.evaluation import lmms
from isthmus.evaluation.lmms import adapter, messages_of, options_of
from isthmus.messages import user
from tests.vlm import models


class StandIn:
    """What lmms-eval 0.7.3's `lmms.api.model.lmms` gives and asks of a model, and nothing else."""

    is_simple = True

    def __init__(self) -> None:
        self._rank, self._world_size = 0, 1
        self.cache_hook = SimpleNamespace(add_partial=lambda *_: None)
        self.task_dict: dict[str, Any] = {}


def base() -> Any:
    if importlib.util.find_spec("lmms_eval") is None:
        return StandIn
    from lmms_eval.api.model import lmms as installed

    return installed


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(lmms, "load_backend", lambda *_: NativeBackend(models.model()))
    made = adapter(base())(pretrained="tiny", batch_size="2", max_batch_size=None, device="cpu")
    made.task_dict = {"task": {"test": [{"seed": at, "text": f"what is {at}?"} for at in range(5)]}}
    return made


def request(at: int, **settings: Any) -> Any:
    def doc_to_messages(doc: dict[str, Any]) -> list[dict[str, Any]]:
        picture = {"type": "image", "url": models.picture(doc["seed"])}
        return [{"role": "user", "content": [picture, {"type": "text", "text": doc["text"]}]}]

    given = {"max_new_tokens": 5, **settings}
    return SimpleNamespace(args=(f"context {at}", doc_to_messages, given, at, "task", "test"))


def test_answers_come_in_the_order_of_the_requests(model: Any) -> None:
    requests = [request(at, max_new_tokens=5 if at % 2 else 3) for at in range(5)]
    backend = NativeBackend(models.model())
    expected = [
        complete(backend, [user(models.picture(at), f"what is {at}?")], Options(max_tokens=5 if at % 2 else 3)).text
        for at in range(5)
    ]
    assert model.generate_until(requests) == expected
    assert model.is_simple is False
    assert model.batch_size == 2


def test_what_it_cannot_do_is_said(model: Any) -> None:
    for way in (model.loglikelihood, model.generate_until_multi_round):
        with pytest.raises(NotImplementedError, match="isthmus answers"):
            way([])
    with pytest.raises(InputError, match="no model argument 'quantise'"):
        adapter(base())(pretrained="tiny", quantise="4bit")


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, Options(max_tokens=256, seed=0)),
        ({"max_new_tokens": 16, "temperature": 0, "do_sample": False}, Options(max_tokens=16, seed=0)),
        ({"until": ["\n\n", ""]}, Options(max_tokens=256, stop=("\n\n",), seed=0)),
        ({"until": "."}, Options(max_tokens=256, stop=(".",), seed=0)),
        ({"until": None, "top_p": None, "num_beams": 1}, Options(max_tokens=256, seed=0)),
        ({"temperature": 0.7, "top_p": 0.9}, Options(max_tokens=256, temperature=0.7, top_p=0.9, seed=0)),
        ({"temperature": 0.7, "do_sample": False}, Options(max_tokens=256, seed=0)),
    ],
)
def test_settings_of_tasks(settings: dict[str, Any], options: Options) -> None:
    assert options_of(settings) == options


def test_videos_and_sounds_are_refused() -> None:
    with pytest.raises(InputError, match="cannot read a video"):
        messages_of([{"role": "user", "content": [{"type": "video", "url": "a.mp4"}]}])


def test_without_lmms_eval_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "lmms_eval",
        "lmms_eval.api",
        "lmms_eval.api.model",
        "lmms_eval.models",
        "lmms_eval.models.registry_v2",
    ):
        monkeypatch.setitem(sys.modules, name, None)
    lmms.lmms_class.cache_clear()
    with pytest.raises(MissingPart, match="pip install lmms_eval"):
        lmms.manifest()
    with pytest.raises(MissingPart, match="pip install lmms_eval"):
        _ = lmms.Isthmus
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        _ = lmms.Other


def test_its_registry_finds_the_class_by_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    """As lmms-eval does it: the manifest's path is imported, the class taken by its name."""
    registry, model = ModuleType("lmms_eval.models.registry_v2"), ModuleType("lmms_eval.api.model")
    registry.ModelManifest = SimpleNamespace  # type: ignore[attr-defined]
    model.lmms = StandIn  # type: ignore[attr-defined]
    for name, module in (("lmms_eval.models.registry_v2", registry), ("lmms_eval.api.model", model)):
        for parent in ("lmms_eval", name.rsplit(".", 1)[0]):
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        monkeypatch.setitem(sys.modules, name, module)
    lmms.lmms_class.cache_clear()
    module_name, class_name = lmms.manifest().chat_class_path.rsplit(".", 1)
    found = getattr(importlib.import_module(module_name), class_name)
    assert issubclass(found, StandIn)
    assert found.__name__ == "Isthmus"
    lmms.lmms_class.cache_clear()
