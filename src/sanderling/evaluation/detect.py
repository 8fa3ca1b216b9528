"""Running any detector over all pictures of a split."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError
from sanderling.pictures import decode
from sanderling.structures.artefact import PictureRule
from sanderling.structures.detections import Detections

logger = logging.getLogger(__name__)

_BATCH = 8
_DECODED_AHEAD = 16


class PictureDetector(Protocol):
    """Anything that finds objects in pictures: a torch network, an exported artefact, a test's stand-in."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of all classes that it knows, in the order of its labels."""
        ...

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Detect in pictures, uint8 HxWx3 RGB of any size; boxes are in each picture's own pixels."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectedSplit:
    """What a detector found in a split.

    Attributes:
        detections: one entry per picture in the order of the data set, empty for an unreadable one.
        unreadable: path to reason of the pictures that could not be decoded.
        seconds: wall time, decoding included.
    """

    detections: list[Detections]
    unreadable: dict[str, str]
    seconds: float


def detect_all(
    detector: PictureDetector,
    dataset: Dataset,
    *,
    progress: Callable[[int, int], None] | None = None,
    fast_decode_for: PictureRule | None = None,
) -> DetectedSplit:
    """Detect in every picture; the next ones are decoded by another thread meanwhile.

    A picture that cannot be decoded is logged, noted and gets no detections.

    Args:
        detector: what detects.
        dataset: the pictures.
        progress: called with pictures done and pictures in all.
        fast_decode_for: decode large JPEG files at the smallest scale that suffices for this rule; by default at full
            size, as metrics are measured.
    """
    started = time.perf_counter()
    detections: list[Detections] = []
    unreadable: dict[str, str] = {}
    pictures = _decoded(dataset, fast_decode_for)
    while batch := list(islice(pictures, _BATCH)):
        readable = [picture for picture in batch if not isinstance(picture, DataError)]
        found = iter(detector(readable) if readable else [])
        for picture in batch:
            index = len(detections)
            path, size_hw = str(dataset.picture_paths[index]), _size_of(dataset, index)
            if isinstance(picture, DataError):
                logger.warning("not measured: %s", picture)
                unreadable[path] = str(picture)
                detections.append(Detections.empty(detector.class_names, source=path, size_hw=size_hw))
            else:
                decoded_hw = (picture.shape[0], picture.shape[1])
                original_hw = decoded_hw if fast_decode_for is None or size_hw is None else size_hw
                detections.append(_at_size(next(found), decoded_hw, original_hw, path))
        if progress is not None:
            progress(len(detections), len(dataset))
    return DetectedSplit(detections=detections, unreadable=unreadable, seconds=time.perf_counter() - started)


def _decoded(dataset: Dataset, rule: PictureRule | None) -> Iterator[NDArray[np.uint8] | DataError]:
    """Pictures in order, or why one cannot be had.

    A thread stays some pictures ahead; OpenCV frees the interpreter while it decodes.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        waiting: deque[Future[NDArray[np.uint8] | DataError]] = deque()
        try:
            for index in range(len(dataset)):
                waiting.append(pool.submit(_read, dataset, index, rule))
                if len(waiting) > _DECODED_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(dataset: Dataset, index: int, rule: PictureRule | None) -> NDArray[np.uint8] | DataError:
    path, size_hw = Path(dataset.picture_paths[index]), _size_of(dataset, index)
    try:
        return decode(path, smallest_hw=None if rule is None or size_hw is None else _needed(size_hw, rule))
    except DataError as error:
        return error


def _needed(size_hw: tuple[int, int], rule: PictureRule) -> tuple[int, int]:
    """Height and width that a picture has in the network input."""
    height, width = rule.size_hw
    if rule.resize == "stretch":
        return height, width
    scale = min(height / size_hw[0], width / size_hw[1])
    return round(size_hw[0] * scale), round(size_hw[1] * scale)


def _size_of(dataset: Dataset, index: int) -> tuple[int, int] | None:
    height, width = (int(side) for side in dataset.sizes_hw[index])
    return (height, width) if height and width else None


def _at_size(found: Detections, decoded_hw: tuple[int, int], original_hw: tuple[int, int], source: str) -> Detections:
    """Detections in the pixels of the original picture, with its path."""
    boxes_xyxy = found.boxes_xyxy
    if decoded_hw != original_hw:
        scale = np.array([original_hw[1] / decoded_hw[1], original_hw[0] / decoded_hw[0]] * 2, np.float32)
        boxes_xyxy = boxes_xyxy * scale
    return dataclasses.replace(found, boxes_xyxy=boxes_xyxy, source=source, size_hw=original_hw)
