"""Hugging Face `preprocessor_config.json` to Fit: the same sizes, boxes and pixels as `transformers` makes.

Only what the file says is read; code is never imported from a name in it. Where a file leaves a setting out, the
processor's own default counts, as it does in `transformers`.
"""

from collections.abc import Mapping
from typing import Any

from isthmus.errors import InputError
from isthmus.images.fit_json import AnyFit
from isthmus.images.fits import CLIP_MEAN, CLIP_STD, HALF, Crop, Letterbox, Native, Squash
from isthmus.images.pixels import Resample
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles

FILTER_NUMBERS: dict[int, Resample] = {1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers of its filters, which the files use."""

_CLIP: dict[str, Any] = {
    "size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True,
    "resample": 3, "image_mean": CLIP_MEAN, "image_std": CLIP_STD,
}  # fmt: skip
_IDEFICS3: dict[str, Any] = {
    "size": {"longest_edge": 1456}, "max_image_size": {"longest_edge": 364}, "do_image_splitting": True,
    "resample": 1, "image_mean": HALF, "image_std": HALF,
}  # fmt: skip
_SQUARE: dict[str, Any] = {"resample": 3, "do_center_crop": False}

DEFAULTS: dict[str, dict[str, Any]] = {
    "CLIPImageProcessor": _CLIP,
    "ChineseCLIPImageProcessor": _CLIP,
    "BitImageProcessor": _CLIP,  # DINOv2
    "LlavaImageProcessor": _CLIP,
    "LlavaNextImageProcessor": _CLIP
    | {"image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]},
    "SiglipImageProcessor": _SQUARE
    | {"size": {"height": 224, "width": 224}, "image_mean": HALF, "image_std": HALF},
    "BlipImageProcessor": _SQUARE
    | {"size": {"height": 384, "width": 384}, "image_mean": CLIP_MEAN, "image_std": CLIP_STD},
    "Siglip2ImageProcessor": {
        "resample": 2, "image_mean": HALF, "image_std": HALF, "patch_size": 16, "max_num_patches": 256,
    },
    "Idefics3ImageProcessor": _IDEFICS3,
    "SmolVLMImageProcessor": _IDEFICS3,
}  # fmt: skip

RESCALE = 1 / 255


def fit_from_config(preprocessor_config: Mapping[str, Any]) -> AnyFit:
    """The Fit of a processor for CLIP, Chinese-CLIP, SigLIP, SigLIP 2, BLIP(-2), DINOv2, LLaVA-1.5, LLaVA-NeXT,
    Idefics3 or SmolVLM.

    Takes the parsed `preprocessor_config.json`, or a `processor_config.json` that holds one under "image_processor".
    Raises InputError for another processor, and for settings that no Fit stands for.
    """
    config = preprocessor_config.get("image_processor", preprocessor_config)
    name = processor_name(config)
    if name not in DEFAULTS:
        known = ", ".join(sorted(DEFAULTS))
        raise InputError(f"no fit is known for the image processor {name!r}", todo=f"known are {known}")
    settings = DEFAULTS[name] | {key: value for key, value in config.items() if value is not None}
    if settings.get("do_resize") is False:
        raise _odd(name, "do_resize is false", "pictures keep their size")
    sampling = _sampling(name, settings)
    if name == "Siglip2ImageProcessor":
        return Native(patch=settings["patch_size"], max_tokens=settings["max_num_patches"], **sampling)
    if "max_image_size" in settings:
        return _split(name, settings, sampling)
    if name == "LlavaNextImageProcessor":
        return _tiles(name, settings, sampling)
    if settings.get("do_pad") and name == "LlavaImageProcessor":
        return _letterbox(name, settings, sampling)
    return _crop_or_squash(name, settings, sampling)


def processor_name(config: Mapping[str, Any]) -> str:
    """The slow, unsuffixed name of the processor: "CLIPImageProcessorFast" and "CLIPFeatureExtractor" are CLIP's."""
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    for suffix in ("Fast", "Pil"):
        name = name.removesuffix(suffix)
    return name.removesuffix("FeatureExtractor") + "ImageProcessor" if name.endswith("FeatureExtractor") else name


def _sampling(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Sampling`. A processor counts value * factor; ours are always of 0 to 1, so others are scaled."""
    if settings["resample"] not in FILTER_NUMBERS:
        raise _odd(name, f"resample is {settings['resample']}", "it is none of Pillow's averaging filters")
    factor = settings.get("rescale_factor", RESCALE) if settings.get("do_rescale", True) else 1.0
    scale = 1.0 if abs(factor * 255 - 1) < 1e-3 else factor * 255
    normal = settings.get("do_normalize", True)
    mean = _triple(settings["image_mean"]) if normal else (0.0, 0.0, 0.0)
    std = _triple(settings["image_std"]) if normal else (1.0, 1.0, 1.0)
    return {
        "resample": FILTER_NUMBERS[settings["resample"]],
        "mean": tuple(value / scale for value in mean),
        "std": tuple(value / scale for value in std),
    }


def _crop_or_squash(name: str, settings: dict[str, Any], sampling: dict[str, Any]) -> Crop | Squash:
    shortest, square = _size(name, settings)
    crop = _crop_size(name, settings)
    if shortest is not None:
        if crop is None:
            raise _odd(name, "it scales the shortest side and crops nothing", "views would differ in shape")
        return Crop(size=crop, shortest=None if shortest == crop else shortest, **sampling)
    assert square is not None
    if crop is not None and crop != square:
        raise _odd(name, f"it crops {crop} out of a squashed {square}", "no Fit does that")
    return Squash(size=square, **sampling)


def _letterbox(name: str, settings: dict[str, Any], sampling: dict[str, Any]) -> Letterbox:
    """LLaVA-1.5's pad mode: onto a square of the mean colour, then to size."""
    shortest, square = _size(name, settings)
    size = shortest or square
    assert size is not None
    if _crop_size(name, settings) not in (None, size):
        raise _odd(name, "it crops what it padded", "no Fit does that")
    red, green, blue = (int(value * 255) for value in _triple(settings["image_mean"]))
    return Letterbox(size=size, fill=(red, green, blue), **sampling)


def _tiles(name: str, settings: dict[str, Any], sampling: dict[str, Any]) -> Tiles:
    shortest, square = _size(name, settings)
    size = _crop_size(name, settings | {"do_center_crop": True}) or square or shortest
    assert size is not None
    if (shortest or square) != size:
        raise _odd(name, f"the overview has {shortest or square} pixels and the tiles {size}", "they must be equal")
    pinpoints = settings["image_grid_pinpoints"]
    if any(edge % size for pinpoint in pinpoints for edge in pinpoint):
        raise _odd(name, f"image_grid_pinpoints are no multiples of {size}", "tiles would differ in size")
    return Tiles(size=size, grids=tuple((h // size, w // size) for h, w in pinpoints), **sampling)


def _split(name: str, settings: dict[str, Any], sampling: dict[str, Any]) -> Split:
    longest, tile = (settings[key].get("longest_edge") for key in ("size", "max_image_size"))
    if longest is None or tile is None:
        raise _odd(name, "size or max_image_size has no longest_edge", "only a longest side is known")
    return Split(size=tile, longest=longest, tiles=settings["do_image_splitting"], **sampling)


def _size(name: str, settings: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """(shortest side, None) or (None, side of the square). Old files give a bare number."""
    size = settings["size"]
    if isinstance(size, int):
        return (None, size) if DEFAULTS[name].get("do_center_crop") is False else (size, None)
    if "shortest_edge" in size and "longest_edge" not in size:
        return int(size["shortest_edge"]), None
    if size.get("height") is not None and size.get("height") == size.get("width"):
        return None, int(size["height"])
    raise _odd(name, f"size is {dict(size)}", "only a shortest side or a square is known")


def _crop_size(name: str, settings: Mapping[str, Any]) -> int | None:
    if not settings.get("do_center_crop"):
        return None
    crop = settings.get("crop_size")
    if isinstance(crop, int) or crop is None:
        return crop
    if crop.get("height") != crop.get("width") or crop.get("height") is None:
        raise _odd(name, f"crop_size is {dict(crop)}", "only squares are known")
    return int(crop["height"])


def _triple(value: Any) -> tuple[float, float, float]:
    red, green, blue = (value,) * 3 if isinstance(value, int | float) else value
    return float(red), float(green), float(blue)


def _odd(name: str, what: str, why: str) -> InputError:
    return InputError(f"no fit stands for this {name}: {what}", why=why, todo="use a model with other settings")
