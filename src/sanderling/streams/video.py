"""Videos, cameras and network streams through PyAV, in and out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import DataError, MissingDependencyError

_DEFAULT_RATE = 25
_CREDENTIALS = re.compile(r"(?<=://)[^/]*@")


def read_video(address: str) -> Iterator[tuple[NDArray[np.uint8], float | None]]:
    """Frames of a video file, a camera number or a stream address: uint8 HxWx3 RGB and frames per second.

    Raises:
        DataError: it cannot be opened, holds no video, or breaks off.
        MissingDependencyError: PyAV is not installed.
    """
    av = _av()
    file, form = (f"/dev/video{address}", "v4l2") if address.isdigit() else (address, None)
    shown = without_credentials(address)
    options = {"rtsp_transport": "tcp"} if address.lower().startswith("rtsp") else {}
    try:
        with av.open(file, format=form, options=options) as container:
            if not container.streams.video:
                raise DataError(f"{shown}: holds no video")
            stream = container.streams.video[0]
            rate = None if stream.average_rate is None else float(stream.average_rate)
            for frame in container.decode(stream):
                yield _upright(frame), rate
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{shown}: cannot be read as a video: {error.strerror or error}") from None


def without_credentials(address: str) -> str:
    """An address as it may be printed and stored: without the user and password of a camera.

    >>> without_credentials("rtsp://viewer:secret@10.0.0.7:554/main")
    'rtsp://10.0.0.7:554/main'
    """
    return _CREDENTIALS.sub("", address)


class VideoWriter:
    """Writes frames to one `.mp4`, in place only when it is complete.

    Args:
        path: the file.
        size_hw: height and width of every frame; odd sides grow by a pixel (the format wants even ones).
        frames_per_second: None where unknown.

    Raises:
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(self, path: Path, *, size_hw: tuple[int, int], frames_per_second: float | None) -> None:
        av = _av()
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._size_hw = size_hw
        self._container = av.open(str(self._partial), mode="w", format="mp4")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        rate = Fraction(frames_per_second or _DEFAULT_RATE).limit_denominator(1001)
        self._stream: Any = self._container.add_stream(codec, rate=rate)
        self._stream.height, self._stream.width = (side + side % 2 for side in size_hw)
        self._stream.pix_fmt = "yuv420p"

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one frame, uint8 HxWx3 RGB."""
        av = _av()
        below, right = self._stream.height - self._size_hw[0], self._stream.width - self._size_hw[1]
        padded = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge") if below or right else image
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(padded, format="rgb24")))

    def close(self) -> None:
        """Finish the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._partial.replace(self._path)


def _upright(frame: Any) -> NDArray[np.uint8]:
    """A frame as RGB, turned as its video says."""
    image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    quarters = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise MissingDependencyError.for_extra("av", extra="video", purpose="reading or writing videos") from None
    return av
