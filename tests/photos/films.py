"""Small films, made here."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np


def film(
    path: Path,
    *,
    frames: int = 40,
    black: int = 10,
    size: tuple[int, int] = (64, 48),
    tags: Mapping[str, str] | None = None,
    ratio: Fraction | None = None,
    colour: tuple[int, int, int] = (220, 30, 30),
) -> Path:
    """Ten frames a second, the first of them black, then a colour whose left half is darker."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "use_metadata_tags"} if path.suffix.lower() in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", 10
        if ratio is not None:
            stream.codec_context.sample_aspect_ratio = ratio
        for at in range(frames):
            picture = np.zeros((size[1], size[0], 3), np.uint8)
            if at >= black:
                picture[:] = colour
                picture[:, : size[0] // 2] //= 4
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def sound(path: Path) -> Path:
    """One that shows nothing."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    return path
