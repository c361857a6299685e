"""Every Fit read from a processor's file makes what `transformers` makes of the same picture."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.chinese_clip.image_processing_pil_chinese_clip import ChineseCLIPImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from isthmus.errors import InputError
from isthmus.images.fits import Crop, Letterbox, Native, Squash
from isthmus.images.processors import fit_from_config
from isthmus.images.tiles import Tiles
from isthmus.images.views import Picture

from .samples import noise


def square(side: int) -> dict[str, dict[str, int]]:
    return {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}


PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
SMALL = [[h // 7, w // 7] for h, w in PINPOINTS]

PROCESSORS: dict[str, Any] = {
    "CLIP": CLIPImageProcessorPil(),
    "CLIP L/14-336": CLIPImageProcessorPil(**square(336)),
    "CLIP, unscaled": CLIPImageProcessorPil(**square(64), do_rescale=False),
    "CLIP, unnormalised": CLIPImageProcessorPil(**square(64), do_normalize=False),
    "CLIP, scaled to -1..1": CLIPImageProcessorPil(
        **square(64), rescale_factor=1 / 127.5, image_mean=[1, 1, 1], image_std=[1, 1, 1]
    ),
    "Chinese-CLIP": ChineseCLIPImageProcessorPil(),
    "DINOv2": BitImageProcessorPil(
        size={"shortest_edge": 256}, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    ),
    "crop beyond the picture": CLIPImageProcessorPil(size={"shortest_edge": 50}, crop_size={"height": 65, "width": 65}),
    "SigLIP": SiglipImageProcessorPil(),
    "SigLIP 2, fixed": SiglipImageProcessorPil(size={"height": 256, "width": 256}, resample=2),
    "SigLIP 2, NaFlex": Siglip2ImageProcessorPil(),
    "SigLIP 2, NaFlex, few": Siglip2ImageProcessorPil(max_num_patches=30),
    "BLIP-2": BlipImageProcessorPil(size={"height": 224, "width": 224}),
    "LLaVA-1.5": LlavaImageProcessorPil(**square(336)),
    "LLaVA-1.5, pad": LlavaImageProcessorPil(**square(336), do_pad=True),
    "LLaVA-NeXT": LlavaNextImageProcessorPil(**square(336), image_grid_pinpoints=PINPOINTS),
    "Idefics3": Idefics3ImageProcessorPil(size={"longest_edge": 200}, max_image_size={"longest_edge": 64}),
    "SmolVLM": SmolVLMImageProcessorPil(size={"longest_edge": 128}, max_image_size={"longest_edge": 40}),
    "SmolVLM, one tile": SmolVLMImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 64}),
    "SmolVLM, not split": SmolVLMImageProcessorPil(
        size={"longest_edge": 100}, max_image_size={"longest_edge": 64}, do_image_splitting=False
    ),
    "LLaVA-NeXT, small": LlavaNextImageProcessorPil(**square(48), image_grid_pinpoints=SMALL),
}
LARGE = {"CLIP L/14-336", "LLaVA-1.5", "LLaVA-1.5, pad", "LLaVA-NeXT"}


def reference(processor: Any, image: Image.Image) -> np.ndarray:
    """[V, 3, H, W] as the processor makes it; SigLIP 2's flattened patches put back in their places."""
    made = processor(image, return_tensors="np")
    pixels = made["pixel_values"][0]
    if "spatial_shapes" not in made:
        return pixels if pixels.ndim == 4 else pixels[None]
    (rows, columns), patch = made["spatial_shapes"][0], processor.patch_size
    assert made["pixel_attention_mask"][0].sum() == rows * columns
    patches = pixels[: rows * columns].reshape(rows, columns, patch, patch, 3)
    return patches.transpose(4, 0, 2, 1, 3).reshape(1, 3, rows * patch, columns * patch)


def assert_equal(processor: Any, image: Image.Image) -> None:
    fit = fit_from_config(processor.to_dict())
    views = fit(Picture(image, *image.size))
    ours, theirs = np.stack([view.pixels for view in views.views]), reference(processor, image)
    assert ours.shape == theirs.shape
    levels = np.array(processor.image_std if processor.do_normalize else [1.0] * 3).reshape(3, 1, 1)
    factor = processor.rescale_factor if processor.do_rescale else 1.0
    difference = np.abs(ours - theirs) * levels / factor
    assert difference.max() < 0.01, f"{difference.max():.2f} of 255 levels"  # in fact bit-equal before normalisation
    if isinstance(fit, Tiles) and views.grid is not None:
        rows, columns = views.grid
        best = processor.get_image_patches(np.asarray(image).transpose(2, 0, 1), processor.image_grid_pinpoints,
                                           (fit.size, fit.size), fit.size, processor.resample)  # fmt: skip
        assert len(best) == 1 + rows * columns


SHAPES = st.one_of(  # no more than 120 times as long as wide: see `pixels.affordable`
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(100, 700), st.integers(100, 700)),
    st.tuples(st.integers(8, 20), st.integers(200, 900)),
    st.tuples(st.integers(200, 900), st.integers(8, 20)),
    st.tuples(st.integers(1, 4), st.integers(1, 120)),
    st.tuples(st.integers(1, 120), st.integers(1, 4)),
)


@pytest.mark.parametrize("name", [name for name in PROCESSORS if name not in LARGE])
@settings(max_examples=20)
@given(shape=SHAPES, hard=st.booleans())
def test_views_are_equal(name: str, shape: tuple[int, int], hard: bool) -> None:
    """On noise, and on noise of black and white, where filters overshoot and clip."""
    image = noise(*shape)
    if hard:
        image = image.point(lambda value: 255 * (value > 127))
    assert_equal(PROCESSORS[name], image)


@pytest.mark.parametrize("name", sorted(LARGE))
@pytest.mark.parametrize(
    "shape", [(640, 480), (480, 641), (1, 1), (337, 335), (1500, 90), (7, 400), (1009, 1011), (400, 1200)]
)
def test_large_views_are_equal(name: str, shape: tuple[int, int]) -> None:
    assert_equal(PROCESSORS[name], noise(*shape))


@pytest.mark.full
@pytest.mark.parametrize("name", PROCESSORS)
@settings(max_examples=300)
@given(shape=SHAPES)
def test_views_are_equal_over_many_shapes(name: str, shape: tuple[int, int]) -> None:
    assert_equal(PROCESSORS[name], noise(*shape))


@pytest.mark.parametrize("shape", [(3, 1600), (1600, 3), (1, 700)])
@pytest.mark.parametrize("name", ["CLIP", "LLaVA-1.5", "LLaVA-1.5, pad"])
def test_threads_of_pictures_are_nearly_equal(name: str, shape: tuple[int, int]) -> None:
    """Hundreds of times longer than wide, the axes may be resampled in the other order, which rounds differently: a
    level on what has the contrast of photographs."""
    processor = PROCESSORS[name]
    image = noise(max(shape[0] // 20, 1), max(shape[1] // 20, 1)).resize(shape, Image.Resampling.BILINEAR)
    fit = fit_from_config(processor.to_dict())
    (view,) = fit(Picture(image, *image.size)).views
    std = np.array(processor.image_std).reshape(3, 1, 1)
    assert np.abs((view.pixels - reference(processor, image)[0]) * std).max() < 1.01 / 255


@given(size=st.tuples(st.integers(1, 6000), st.integers(1, 6000)), budget=st.sampled_from([64, 256, 729, 1024]))
def test_native_grids_are_equal(size: tuple[int, int], budget: int) -> None:
    from transformers.models.siglip2.image_processing_pil_siglip2 import get_image_size_for_max_num_patches

    from isthmus.images.fits import native_grid

    height, width = get_image_size_for_max_num_patches(size[1], size[0], 16, budget)
    assert native_grid(*size, 16, budget) == (height // 16, width // 16)


@given(size=st.tuples(st.integers(1, 6000), st.integers(1, 6000)))
def test_tile_grids_are_equal(size: tuple[int, int]) -> None:
    from transformers.image_processing_utils import select_best_resolution

    height, width = select_best_resolution((size[1], size[0]), PINPOINTS)
    assert Tiles(size=336).grid(*size) == (height // 336, width // 336)


def test_boxes_follow_the_references_geometry() -> None:
    """What the reference scales and cuts, undone by hand."""
    image = Picture(noise(640, 480), 640, 480)
    (crop,) = fit_from_config(PROCESSORS["CLIP"].to_dict())(image).views
    # 640 x 480 to 298 x 224, columns 37 to 261.
    assert np.allclose([crop.box.left, crop.box.right], [37 * 640 / 298, 261 * 640 / 298])
    assert (crop.box.top, crop.box.bottom) == (0, 480)
    (pad,) = fit_from_config(PROCESSORS["LLaVA-1.5, pad"].to_dict())(image).views
    assert (pad.box.left, pad.box.top, pad.box.right, pad.box.bottom) == (0, -80, 640, 560)
    _, first, *_ = fit_from_config(PROCESSORS["LLaVA-NeXT"].to_dict())(image).views
    # 672 x 504 in the middle of 672 x 672: the first tile begins 84 rows above the picture.
    assert np.allclose([first.box.left, first.box.top, first.box.right, first.box.bottom], [0, -80, 320, 240])


# Files.

OPENAI = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}


@pytest.mark.parametrize(
    ("config", "fit"),
    [
        # As the files of well-known models are written, old style and new.
        (
            {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "resample": 3,
             "do_resize": True, "do_center_crop": True, "do_normalize": True, **OPENAI},
            Crop(size=224),
        ),
        ({"image_processor_type": "CLIPImageProcessorFast"}, Crop(size=224)),
        ({"image_processor_type": "CLIPImageProcessor", **square(336)}, Crop(size=336)),
        (
            {"image_processor_type": "ChineseCLIPImageProcessor", "do_center_crop": False,
             "size": {"height": 224, "width": 224}, **OPENAI},
            Squash(size=224),
        ),
        (
            {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256},
             "crop_size": {"height": 224, "width": 224}},
            Crop(size=224, shortest=256),
        ),
        (
            {"image_processor_type": "SiglipImageProcessor", "size": {"height": 384, "width": 384}, "resample": 3},
            Squash(size=384, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        ),
        ({"image_processor_type": "Siglip2ImageProcessor", "max_num_patches": 729}, Native(max_tokens=729)),
        ({"image_processor_type": "BlipImageProcessor", "size": {"height": 224, "width": 224}}, Squash(size=224)),
        ({"image_processor_type": "BlipImageProcessor", "size": 384}, Squash(size=384)),
        ({"image_processor_type": "LlavaImageProcessor", "do_pad": True, **square(336)}, Letterbox(size=336)),
        (
            {"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": PINPOINTS, **square(336)},
            Tiles(size=336),
        ),
        ({"image_processor": {"image_processor_type": "CLIPImageProcessor"}, "processor_class": "X"}, Crop(size=224)),
    ],
)  # fmt: skip
def test_files_are_read(config: dict[str, Any], fit: object) -> None:
    assert fit_from_config(config) == fit


def test_saved_files_are_read(tmp_path: Path) -> None:
    for name, processor in PROCESSORS.items():
        processor.save_pretrained(tmp_path)
        saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
        assert fit_from_config(saved) == fit_from_config(processor.to_dict()), name


def clip(**change: object) -> dict[str, object]:
    return {"image_processor_type": "CLIPImageProcessor", **change}


@pytest.mark.parametrize(
    "config",
    [
        clip(do_resize=False),
        clip(do_center_crop=False),
        clip(crop_size={"height": 224, "width": 200}),
        clip(size={"height": 224, "width": 200}),
        clip(size={"shortest_edge": 224, "longest_edge": 500}),
        clip(size={"height": 256, "width": 256}),
        clip(resample=0),
        {"image_processor_type": "LlavaImageProcessor", "do_pad": True, "size": {"shortest_edge": 336}},
        {"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": [[300, 600]]},
    ],
)
def test_settings_without_a_fit_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(InputError, match="no fit stands for"):
        fit_from_config(config)


@pytest.mark.parametrize("config", [{"image_processor_type": "Qwen2VLImageProcessor"}, {}, {"size": 224}])
def test_unknown_processors_are_named(config: dict[str, object]) -> None:
    with pytest.raises(InputError, match=repr(config.get("image_processor_type", ""))):
        fit_from_config(config)
