"""Writing what was found: drawn pictures and videos, one JSON and one CSV for all of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from sanderling.streams.sources import Frame, Unreadable
from sanderling.streams.video import VideoWriter
from sanderling.structures.detections import Detections

_COLUMNS = ("source", "frame", "label", "class_name", "score", "x1", "y1", "x2", "y2")
_JPEG_QUALITY = 92


class Recorder:
    """A folder of results: drawn pictures and videos, `predictions.json` and `predictions.csv`.

    Both lists are written as results come, so that a camera may run for days, and get their names at the end.

    Args:
        folder: where; made when missing. Files of an earlier run with the same names are replaced.
        model: what predicted, noted in the JSON.
    """

    def __init__(self, folder: Path, *, model: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._json = _Aside(folder / "predictions.json")
        self._csv = _Aside(folder / "predictions.csv")
        self._rows = csv.writer(self._csv.file)
        self._rows.writerow(_COLUMNS)
        self._json.file.write(f'{{"model": {json.dumps(model)}, "pictures": [')
        self._entries = 0
        self._unreadable: list[dict[str, str]] = []
        self._names: set[str] = set()
        self._video: tuple[tuple[str, tuple[int, int]], VideoWriter] | None = None

    def add(self, frame: Frame, found: Detections, drawn: NDArray[np.uint8]) -> None:
        """Take one picture's detections, in pixels of the original picture, and the picture with boxes drawn on it."""
        self._json.file.write(",\n " if self._entries else "\n ")
        self._json.file.write(found.to_json())
        self._entries += 1
        for entry in found.to_plain()["detections"]:
            number = "" if found.frame is None else found.frame
            box = entry["box_xyxy"]
            self._rows.writerow((found.source, number, entry["label"], entry["class_name"], entry["score"], *box))
        if frame.number is None:
            self._close_video()
            _write_jpeg(self.folder / self._free_name(frame.source, ".jpg"), drawn)
        else:
            self._video_of(frame).write(drawn)

    def add_unreadable(self, item: Unreadable) -> None:
        """Note a source that could not be read."""
        self._unreadable.append({"source": item.source, "reason": str(item.error)})

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish all files, also when stopped midway: what was written until then is complete and valid."""
        self._close_video()
        self._json.file.write(f'\n], "unreadable": {json.dumps(self._unreadable, indent=1)}}}\n')
        self._json.put_in_place()
        self._csv.put_in_place()

    def _video_of(self, frame: Frame) -> VideoWriter:
        size_hw = (frame.image.shape[0], frame.image.shape[1])
        # A stream may change its size midway; a video file cannot.
        if self._video is None or self._video[0] != (frame.source, size_hw) or frame.number == 0:
            self._close_video()
            path = self.folder / self._free_name(frame.source, ".mp4")
            writer = VideoWriter(path, size_hw=size_hw, frames_per_second=frame.frames_per_second)
            self._video = ((frame.source, size_hw), writer)
        return self._video[1]

    def _close_video(self) -> None:
        if self._video is not None:
            self._video[1].close()
            self._video = None

    def _free_name(self, source: str, suffix: str) -> str:
        """The source's own name, with a number where two sources share it."""
        stem = Path(source).stem.replace(" ", "_") or "picture"
        name, count = stem + suffix, 1
        while name in self._names:
            count += 1
            name = f"{stem}-{count}{suffix}"
        self._names.add(name)
        return name


class _Aside:
    """A text file that gets its name when it is complete."""

    def __init__(self, path: Path) -> None:
        self._path, self._partial = path, path.with_name(path.name + ".partial")
        # A source's name may hold bytes that are no text.
        self.file: IO[str] = self._partial.open("w", encoding="utf-8", errors="backslashreplace", newline="")

    def put_in_place(self) -> None:
        self.file.close()
        self._partial.replace(self._path)


def _write_jpeg(path: Path, picture: NDArray[np.uint8]) -> None:
    import cv2

    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    path.write_bytes(data.tobytes())
