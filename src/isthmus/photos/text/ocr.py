"""Reading the text in a picture with PP-OCR's models, which come with the package rapidocr: no network is used.

A detector finds where lines of text are, a small classifier those that stand on their head, and a recogniser reads each
line; where there is no text, the detector is all that runs.
"""

import logging
import unicodedata
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.errors import MissingPart
from isthmus.images.views import Picture
from isthmus.photos.text.bands import Band, bands
from isthmus.photos.text.lines import Line

SHORTER_SIDE = 1500
"""Pixels of the shorter side at most, out of which lines are cut for the recogniser."""
DETECTED_AT = 960
"""Pixels of the longer side at most for the detector: a line is found while its letters are too small to be read. More
finds no more, and 736 loses letters of 32 pixels in photos of 12 megapixels."""
LEAST_CONFIDENCE = 0.7
"""Lines below are dropped. On drawn pictures (`benchmarks.text_in_pictures`, tune) what was read rightly had more than
.75. Not all that is wrong goes: a drawn square is read as 口, a ring as 0, with up to .95."""
MODELS = "PP-OCRv6 small"
_FILES = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}


class Ocr:
    """A `TextReader`. `least`: the confidence below which lines are dropped. Several threads share one.

    Raises MissingPart where the extra `ocr` is not installed.
    """

    def __init__(
        self, *, shorter_side: int = SHORTER_SIDE, detected_at: int = DETECTED_AT, least: float = LEAST_CONFIDENCE
    ) -> None:
        self._engine = _engine(detected_at)
        self._least = least
        self.at_least = shorter_side
        self.name = f"{MODELS}, rapidocr {version('rapidocr')}"

    def read(self, picture: Picture) -> tuple[Line, ...]:
        return tuple(line for band in bands(picture.image, self.at_least) for line in self._read(band, picture))

    def _read(self, band: Band, picture: Picture) -> list[Line]:
        # The models were trained on what OpenCV reads: blue first.
        pixels = np.ascontiguousarray(np.asarray(band.image)[..., ::-1])
        found = self._engine(pixels)
        if found.txts is None or found.boxes is None:
            return []
        width, height = picture.image.size
        scale = np.array([band.box.right - band.box.left, band.box.bottom - band.box.top]) / band.image.size
        lines = []
        for text, confidence, corners in zip(found.txts, found.scores, found.boxes, strict=True):
            corners = np.asarray(corners, np.float64) * scale + (band.box.left, band.box.top)  # [4, 2], x and y
            (left, top), (right, bottom) = corners.min(0), corners.max(0)
            said = _printable(text)
            if said and confidence >= self._least and band.owns((left + right) / 2, (top + bottom) / 2):
                box = (left / width, top / height, (right - left) / width, (bottom - top) / height)
                lines.append(Line(said, round(float(confidence), 4), *(round(float(each), 5) for each in box)))
        return lines


def _engine(detected_at: int) -> Any:
    if find_spec("rapidocr") is None or find_spec("onnxruntime") is None:
        raise MissingPart(
            "text in pictures cannot be read here",
            why="the package rapidocr is not installed",
            todo="pip install 'isthmus[ocr]'",
        )
    import cv2
    import rapidocr

    cv2.setNumThreads(1)
    folder = Path(rapidocr.__file__).parent / "models"
    settings: dict[str, object] = {
        "Global.log_level": "critical",
        "Global.text_score": 0.0,  # lines are dropped here
        "Global.max_side_len": 100_000,  # and scaled here
        "Det.limit_type": "max",
        "Det.limit_side_len": detected_at,
        # As many pictures are read at once as there are threads: each stays on its own processor.
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        # Named, the models are those of the package; else they might be fetched.
        **{f"{part}.model_path": str(folder / file) for part, file in _FILES.items()},
    }
    for file in _FILES.values():
        if not (folder / file).is_file():
            raise MissingPart(
                "text in pictures cannot be read here",
                why=f"rapidocr {version('rapidocr')} has no {file}",
                todo="pip install 'rapidocr==3.10.0'",
            )
    engine = rapidocr.RapidOCR(params=settings)
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    return engine


def _printable(text: str) -> str:
    return " ".join("".join(" " if unicodedata.category(each)[0] == "C" else each for each in text).split())
