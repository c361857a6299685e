"""Loading: no torchvision, every weight read, and one line where a model cannot be had."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from isthmus.backends import processor
from isthmus.backends.backend import Options, complete
from isthmus.backends.load import load_backend
from isthmus.backends.native import NativeBackend
from isthmus.backends.processor import UNDECLARED, load_processor
from isthmus.backends.transformers import TransformersBackend
from isthmus.checkpoints import resolve
from isthmus.errors import CorruptPart, InputError, IsthmusError, MissingPart
from isthmus.messages import user
from tests.backends.conformance import picture
from tests.backends.test_prompt import copied
from tests.backends.tiny_native import save_native_llava
from tests.checkpoints.hub import serve

Folders = Callable[[str], str]


@pytest.mark.parametrize("model", ["llava", "qwen2-vl", "qwen2.5-vl", "qwen3-vl", "idefics3"])
def test_a_processor_needs_no_torchvision(folder: Folders, model: str) -> None:
    checkpoint = resolve(folder(model))
    made = load_processor(checkpoint, AutoConfig.from_pretrained(folder(model)))
    assert type(made.image_processor).__name__.endswith("Pil")
    assert getattr(made, "video_processor", None) is None


@pytest.mark.parametrize("name", UNDECLARED)
def test_the_undeclared_pil_processors_work(name: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": name}))
    made = processor._image_processor(resolve(str(tmp_path)))
    pixels = made([[Image.new("RGB", (90, 60), (255, 0, 0))]], return_tensors="pt")["pixel_values"]
    assert pixels.dtype == torch.float32
    assert np.isfinite(pixels.numpy()).all()


def test_smolvlm_says_which_package_it_lacks_and_works_with_it(
    folder: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SmolVLM's processor takes a video processor as a required argument, and wants num2words for videos."""
    settings = json.loads((Path(folder("idefics3")) / "processor_config.json").read_text())
    settings["processor_class"] = "SmolVLMProcessor"
    settings["image_processor"]["image_processor_type"] = "SmolVLMImageProcessor"
    changed = copied(folder("idefics3"), tmp_path, "processor_config.json", json.dumps(settings))
    config = AutoConfig.from_pretrained(changed)
    place = "transformers.models.smolvlm.processing_smolvlm.num2words"
    monkeypatch.setattr(place, None)
    with pytest.raises(MissingPart, match="processor for it needs num2words"):
        load_processor(resolve(changed), config)
    monkeypatch.setattr(place, str)
    made = load_processor(resolve(changed), config)
    assert (made.video_processor, made.image_seq_len) == (None, 4)


def test_a_processor_with_no_pillow_form_says_that_it_needs_torchvision(folder: Folders, tmp_path: Path) -> None:
    settings = json.loads((Path(folder("llava")) / "processor_config.json").read_text())
    settings["image_processor"]["image_processor_type"] = "Llama4ImageProcessor"
    changed = copied(folder("llava"), tmp_path, "processor_config.json", json.dumps(settings))
    error = refused(changed, MissingPart)
    assert "needs torchvision (pip install torchvision, or use another model)" in error
    assert changed in error


@pytest.mark.parametrize("name", ["SomebodysProcessor", "Trainer"])
def test_a_processor_of_the_repositorys_own_is_not_run(folder: Folders, tmp_path: Path, name: str) -> None:
    settings = json.loads((Path(folder("llava")) / "processor_config.json").read_text())
    changed = copied(
        folder("llava"), tmp_path, "processor_config.json", json.dumps(settings | {"processor_class": name})
    )
    assert f"has the processor {name}" in refused(changed, InputError)


def test_an_architecture_transformers_does_not_have_is_refused(folder: Folders, tmp_path: Path) -> None:
    changed = copied(folder("llava"), tmp_path, "config.json", json.dumps({"model_type": "unheard-of"}))
    assert "cannot be read by transformers" in refused(changed, InputError)


def test_a_model_that_answers_no_text_is_refused(folder: Folders, tmp_path: Path) -> None:
    changed = copied(folder("llava"), tmp_path, "config.json", json.dumps({"model_type": "clip"}))
    assert "is a clip: it answers no text" in refused(changed, InputError)


def test_qwen_vl_answers_by_its_name_on_the_hub(folder: Folders, tmp_path: Path) -> None:
    """In the layout of its repositories: the template in chat_template.json. A fresh process, because the hub's client
    reads its environment at import."""
    files = {path.name: path.read_bytes() for path in Path(folder("qwen2-vl")).iterdir()}
    template = files.pop("chat_template.jinja").decode()
    files["chat_template.json"] = json.dumps({"chat_template": template}).encode()
    (tmp_path / "picture.png").write_bytes(picture(0))
    code = (
        "import sys; from pathlib import Path; from isthmus.backends.backend import Options, complete\n"
        "from isthmus.backends.transformers import TransformersBackend; from isthmus.messages import user\n"
        "question = user(Path(sys.argv[2]), 'what is this?')\n"
        "reply = complete(TransformersBackend(sys.argv[1]), [question], Options(max_tokens=20))\n"
        "sys.stdout.buffer.write(reply.text.encode()); assert 'torchvision' not in sys.modules"
    )
    with serve({"Qwen/Tiny-VL": files}) as hub:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", code, "Qwen/Tiny-VL", str(tmp_path / "picture.png")]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    here = TransformersBackend(folder("qwen2-vl"))
    expected = complete(here, [user(picture(0), "what is this?")], Options(max_tokens=20))
    assert done.stdout.decode() == expected.text


def test_every_weight_is_read_from_the_checkpoint(folder: Folders, tmp_path: Path) -> None:
    changed = copied(folder("llava"), tmp_path, "README", "")
    weights = Path(changed) / "model.safetensors"
    tensors = load_file(weights)
    key = next(each for each in tensors if "multi_modal_projector" in each and each.endswith("weight"))
    del tensors[key]
    save_file(tensors, weights, {"format": "pt"})
    assert "multi_modal_projector" in refused(changed, CorruptPart)


def test_damaged_and_missing_weights_are_refused(folder: Folders, tmp_path: Path) -> None:
    cut = copied(folder("llava"), tmp_path / "cut", "README", "")
    weights = Path(cut) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "cannot be loaded" in refused(cut, CorruptPart)
    gone = copied(folder("llava"), tmp_path / "gone", "model.safetensors", None)
    assert "has no model.safetensors" in refused(gone, CorruptPart)


@pytest.mark.parametrize("content", ["{}", '{"version": "1.0"', '{"added_tokens": [], "model": {"type": "odd"}}'])
@pytest.mark.parametrize("model", ["llava", "text only"])
def test_a_damaged_tokenizer_is_refused(folder: Folders, tmp_path: Path, model: str, content: str) -> None:
    changed = copied(folder(model), tmp_path, "tokenizer.json", content)
    assert "has no tokenizer that can be read" in refused(changed, CorruptPart)


def test_weights_of_another_shape_are_refused(folder: Folders, tmp_path: Path) -> None:
    config = json.loads((Path(folder("llava")) / "config.json").read_text())
    config["text_config"]["intermediate_size"] += 8
    changed = copied(folder("llava"), tmp_path, "config.json", json.dumps(config))
    refused(changed, CorruptPart)


def test_a_device_that_is_not_there_is_refused(folder: Folders) -> None:
    with pytest.raises(InputError, match="cannot be put on cuda:99"):
        TransformersBackend(folder("text only"), device="cuda:99")


def test_a_name_that_is_none_is_refused() -> None:
    assert "no model" in refused("not a name", InputError)


def refused(name: str, expected: type[IsthmusError]) -> str:
    with pytest.raises(expected) as raised:
        TransformersBackend(name)
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 600
    return str(raised.value)


@pytest.mark.parametrize("name", ["openai:gpt@http://127.0.0.1:1/v1", "llama.cpp:none.gguf", "transformers:none"])
def test_what_is_remembered_cannot_be_chosen_of_models_that_are_not_ours(name: str) -> None:
    with pytest.raises(InputError, match="cannot be told what to remember"):
        load_backend(name, remembered=0)


def test_what_is_remembered_is_chosen_in_bytes(tmp_path: Path) -> None:
    backend = load_backend(save_native_llava(tmp_path), remembered=0)
    assert isinstance(backend, NativeBackend)
    complete(backend, [user(picture(1), "what is it?")], Options(max_tokens=3))
    assert backend.remembers == 0
