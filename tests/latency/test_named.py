"""Models and devices by name, and what is no model."""

import json
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import InputError
from isthmus.latency.devices import DEVICES, Device, device_named
from isthmus.latency.named import CONFIGS, model_named, names
from isthmus.latency.this_machine import measure_device
from isthmus.latency.work import Request, work_of


def test_a_hubs_id_is_its_short_name() -> None:
    for name in names():
        for hub in json.loads((CONFIGS / f"{name}.json").read_text())["hub"]:
            request = Request((300, 200))
            assert work_of(model_named(hub), request) == work_of(model_named(name), request)


def write(folder: Path, config: dict[str, Any], **beside: dict[str, Any]) -> Path:
    for name, value in {"config": config, **beside}.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def test_a_folder_as_the_hub_has_it(tmp_path: Path) -> None:
    """LLaVA's config leaves out what is Llama's default."""
    config = {
        "model_type": "llava",
        "vision_config": json.loads((CONFIGS / "llava-1.5-7b.json").read_text())["vision_config"],
        "text_config": {"model_type": "llama", "vocab_size": 32064, "max_position_embeddings": 4096},
    }
    write(tmp_path, config)
    shipped = work_of(model_named("llava-1.5-7b"), Request())
    assert work_of(model_named(str(tmp_path)), Request()) == shipped
    assert work_of(model_named(str(tmp_path / "config.json")), Request()) == shipped


def test_a_qwens_text_beside_its_vision_and_its_processor_in_a_file_of_its_own(tmp_path: Path) -> None:
    shipped = json.loads((CONFIGS / "qwen2.5-vl-7b.json").read_text())
    flat = {**shipped["text_config"], **{key: value for key, value in shipped.items() if key != "text_config"}}
    flat.pop("processor")
    write(tmp_path, flat, preprocessor_config={"min_pixels": 3136, "max_pixels": 28 * 28 * 64})
    model = model_named(str(tmp_path))
    assert work_of(model, Request((224, 224))) == work_of(model_named("qwen2.5-vl-7b"), Request((224, 224)))
    assert model.sight(2000, 2000).tokens <= 64


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert"}, "its model_type is bert"),
        ({}, "its model_type is None"),
        ({"model_type": "llava"}, "it has no 'text_config'"),
        ({"model_type": "llava", "text_config": {"model_type": "mamba"}}, "the arithmetic of mamba is not known"),
        ({"model_type": "llava", "text_config": {}, "vision_config": {"model_type": "pixtral"}}, "tower pixtral"),
        ({"model_type": "llava", "text_config": {"hidden_size": "wide"}}, "makes no model"),
        ({"model_type": "llava", "text_config": {"num_attention_heads": 0}}, "makes no model"),
        ({"model_type": "qwen2_vl", "vision_config": None}, "makes no model"),
    ],
)
def test_what_is_no_model(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    write(tmp_path, config)
    with pytest.raises(InputError, match=message):
        model_named(str(tmp_path))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*config\.json"):
        model_named(str(tmp_path))
    (tmp_path / "config.json").write_text("[1")
    with pytest.raises(InputError, match="cannot be read"):
        model_named(str(tmp_path))
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(InputError, match="no JSON object"):
        model_named(str(tmp_path))
    with pytest.raises(InputError, match=r"there is no model 'llava-9'.*llava-1\.5-7b.*default/vlm"):
        model_named("llava-9")


def test_devices() -> None:
    assert device_named("A100-80G").bandwidth == 2039e9
    assert device_named("t4").base == "fp16"
    assert device_named("m2-max").precision("int4").plain.math == "fp16"
    with pytest.raises(InputError, match=r"no device 'gpu9'.*a100-80g.*here"):
        device_named("gpu9")
    for each in DEVICES.values():
        assert each.peaks[each.base] >= each.peaks["fp32"]
        assert each.peaks["fp32"] / each.bandwidth > 1  # more FLOPs than bytes, everywhere


def test_a_device_without_fast_16_bits_keeps_models_in_32() -> None:
    device = Device("slow halves", {"fp32": 1e11, "bf16": 1e9}, 1e10, 1e10, 1e-6)
    assert device.base == "fp32"
    assert device.precision("int8").plain.weight == 4


def test_this_machine_is_measured() -> None:
    found = measure_device(budget=0.02)
    assert {"fp32", "bf16"} <= set(found.peaks)
    assert all(peak > 1e7 for peak in found.peaks.values())
    assert 1e8 < found.bandwidth < 1e13
    assert found.memory > 1e9
    assert 0 < found.launch < 1e-2


def test_our_own_way_leaves_out_the_last_layers_mlp_but_for_one_position() -> None:
    theirs = model_named("llava-1.5-7b")
    parts = [work_of(each, Request(batch=3)).parts["prefill"] for each in (theirs, theirs.as_ours())]
    flops = [sum(each.flops for each in part) for part in parts]
    assert flops[0] - flops[1] == pytest.approx(3 * (676 - 1) * 6 * 4096 * 11008, rel=1e-9)
    reads_both_ways = model_named("blip2-flan-t5-xl")
    assert reads_both_ways.as_ours() is reads_both_ways
