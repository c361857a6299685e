"""A video's picture: of a few key frames the one with most in it. FFmpeg reads them (PyAV), where it is installed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from isthmus.errors import PictureError
from isthmus.images.open import MAX_PIXELS, UPRIGHT
from isthmus.images.sniff import sniff
from isthmus.images.views import Picture
from isthmus.photos.metadata.quicktime import is_video

AT = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of a video's length, where key frames are looked at."""

PACKETS = 2000
"""That are read on for one frame at most."""

SMALL = 64
"""Pixels of a side, at which frames are compared."""

TURNED = {90: 8, 180: 3, 270: 6}
"""Degrees counterclockwise as an EXIF orientation."""


@dataclass(frozen=True)
class Video:
    """`picture`: a frame, upright; `tags`: what the file says of itself, by their names there."""

    picture: Picture
    tags: dict[str, str]


@cache
def readable() -> bool:
    return find_spec("av") is not None


def is_one(head: bytes) -> bool:
    """Of the first HEAD bytes of a file: no picture, but a video (pictures are kept in such containers too)."""
    try:
        sniff(head, "it")
    except PictureError as error:
        return error.reason == "not a picture" and is_video(head)
    return False


def look(file: BinaryIO) -> Video:
    """Of a video in a file that can be gone through. Raises PictureError "corrupt", "unsupported", "too large"."""
    if not readable():
        raise PictureError("unsupported", "it is a video", todo="pip install 'isthmus[video]'")
    import av

    file.seek(0, os.SEEK_SET)
    try:
        with av.open(file, metadata_errors="ignore") as container:
            stream = next((each for each in container.streams.video if not _is_cover(each)), None)
            if stream is None:
                raise PictureError("unsupported", "the video has no picture")
            if stream.width * stream.height > MAX_PIXELS:
                raise PictureError("too large", f"the video has {stream.width} x {stream.height} pixels")
            stream.thread_type, stream.codec_context.skip_frame = "NONE", "NONKEY"
            best: tuple[float, Any] | None = None
            for frame in _frames(container, stream):
                score = _contrast(frame)
                if best is None or score > best[0]:
                    best = score, frame
            if best is None:
                raise PictureError("corrupt", "the video shows no frame")
            tags = {**stream.metadata, **container.metadata}
            return Video(_upright(best[1], stream), {str(name): str(value) for name, value in tags.items()})
    except (av.FFmpegError, ValueError, MemoryError, OSError) as error:
        raise PictureError("corrupt", "the video cannot be read", why=str(error)) from None


def _is_cover(stream: Any) -> bool:
    """A picture that stands for a sound."""
    import av

    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """A key frame at each of AT, where the length is known and the file can be gone through; else the first."""
    import av

    length = container.duration or 0
    for share in AT if length else (0.0,):
        try:
            if length:
                container.seek(int(share * length))
            frame = _next(container, stream)
        except av.FFmpegError:
            continue
        if frame is not None:
            yield frame


def _next(container: Any, stream: Any) -> Any:
    for count, packet in enumerate(container.demux(stream)):
        for frame in packet.decode():
            return frame
        if count > PACKETS:
            return None
    return None


def _contrast(frame: Any) -> float:
    """Of black, white and fades there is little."""
    small = frame.reformat(width=SMALL, height=SMALL, format="gray").to_ndarray()
    return float(np.std(small.astype(np.float32)))


def _upright(frame: Any, stream: Any) -> Picture:
    image: Image.Image = frame.to_image()
    if (ratio := stream.sample_aspect_ratio) and ratio != 1:  # its pixels are no squares
        image = image.resize((max(1, round(image.width * float(ratio))), image.height), Image.Resampling.BICUBIC)
    if (turn := TURNED.get(round(frame.rotation) % 360)) is not None:
        image = image.transpose(UPRIGHT[turn])
    return Picture(image, image.width, image.height)
