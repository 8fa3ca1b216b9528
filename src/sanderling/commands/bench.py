"""`bench`: what exported artefacts cost on this machine, side by side."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.commands.predict import DEFAULT_SCORE
from sanderling.errors import DataError, UsageError

if TYPE_CHECKING:
    from sanderling.benchmark.result import BenchResult
    from sanderling.datasets.dataset import Dataset

logger = logging.getLogger(__name__)

_MOST_PICTURES = 16
_SCENE_HW = (720, 1280)
_SCENE_JPEG_QUALITY = 90


def bench(
    artefacts: Sequence[str | Path],
    *,
    pictures: str | Path | None = None,
    data: str | Path | None = None,
    split: str | None = None,
    threads: int = 1,
    rounds: int = 50,
    conf: float = DEFAULT_SCORE,
    memory: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> list[BenchResult]:
    """Measure latency, throughput and peak memory, with and without pre- and post-processing; accuracy on request.

    Artefacts are measured in turns, one picture each, after a warm-up. Needs no torch.

    Args:
        artefacts: exported files.
        pictures: a picture, folder or glob (at most 16 pictures take turns); by default one rendered
            scene of 720x1280 as JPEG.
        data: a data set; when given, accuracy is measured on it as `val` does.
        split: of the data set.
        threads: threads per picture.
        rounds: measured pictures per artefact.
        conf: lowest score that post-processing keeps.
        memory: measure peak memory, in processes of their own.
        progress: called with rounds done and rounds in all.

    Raises:
        UsageError: a value that does not fit, or no such split.
        ModelError: a file is missing or no artefact.
        DataError: a picture or the data set cannot be read.
        MissingDependencyError: an engine is not installed.

    >>> for result in bench(["exported/nanodet-m.onnx"]):  # doctest: +SKIP
    ...     print(result.timings["end_to_end"].median_ms)
    """
    for name, value in (("threads", threads), ("rounds", rounds)):
        if value < 1:
            raise UsageError(f"{name} = {value}: at least 1 is expected")
    if not 0 <= conf <= 1:
        raise UsageError(f"conf = {conf}: 0 to 1 is expected")
    if not artefacts:
        raise UsageError("no artefact is named; write one with: sanderling export MODEL -o FOLDER")
    from sanderling.benchmark.measure import measure
    from sanderling.commands.val import open_split

    dataset = None if data is None else open_split(data, split=split)
    results = measure(
        [Path(artefact) for artefact in artefacts],
        pictures=[_scene()] if pictures is None else _read(pictures),
        threads=threads,
        rounds=rounds,
        score=conf,
        memory=memory,
        progress=progress,
    )
    if dataset is None:
        return results
    return [
        dataclasses.replace(result, accuracy=_accuracy(result.artefact, dataset, threads=threads)) for result in results
    ]


def _accuracy(artefact: str, dataset: Dataset, *, threads: int) -> dict[str, float | None]:
    from sanderling.commands.open_detector import open_detector
    from sanderling.commands.val import val_with

    return val_with(open_detector(artefact, threads=threads), dataset, model=artefact).metrics


def _scene() -> bytes:
    """A rendered scene as a camera would give it."""
    import cv2

    from sanderling.datasets.synthetic import render_scene

    scene = render_scene(0, size_hw=_SCENE_HW).image
    _, data = cv2.imencode(".jpg", scene[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _SCENE_JPEG_QUALITY])
    return data.tobytes()


def _read(pictures: str | Path) -> list[bytes]:
    """The bytes of the named picture files."""
    from sanderling.pictures import decode
    from sanderling.streams.sources import locate

    files = [item for item in locate([pictures]) if isinstance(item, Path)]
    if not files:
        raise DataError(f"pictures: {pictures} names no picture file; name a picture, a folder or a glob of them")
    if len(files) > _MOST_PICTURES:
        logger.info("%d of %d pictures take turns, evenly spread", _MOST_PICTURES, len(files))
        files = [files[index * len(files) // _MOST_PICTURES] for index in range(_MOST_PICTURES)]
    for file in files:
        # A picture that cannot be decoded is told by its name, before anything is measured.
        decode(file)
    return [file.read_bytes() for file in files]
