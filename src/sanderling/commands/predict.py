"""`predict`: pictures, folders, globs, lists, videos and cameras in; detections, drawn pictures, JSON and CSV out."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.commands.folders import output_folder
from sanderling.commands.open_detector import open_detector
from sanderling.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from sanderling.models.predictor import TorchDetector
    from sanderling.runtimes.detector import ArtefactDetector
    from sanderling.streams.sources import Frame, Item, Unreadable
    from sanderling.structures.detections import Detections

logger = logging.getLogger(__name__)

DEFAULT_SCORE = 0.25
"""Lowest score that people see; a model's own threshold is for measuring."""


def predict(
    model: str | Path,
    sources: Sequence[Any],
    *,
    output: str | Path | None = None,
    save: bool = True,
    imgsz: int | Sequence[int] | None = None,
    resize: str | None = None,
    conf: float = DEFAULT_SCORE,
    iou: float | None = None,
    max_det: int | None = None,
    classes: Sequence[str | int] | None = None,
    device: str | None = None,
    threads: int | None = None,
    fast_decode: bool = False,
    on_unreadable: Callable[[Unreadable], None] | None = None,
    assignments: Sequence[str] = (),
) -> Iterator[Detections]:
    """Detect in everything that the sources hold, in their order.

    What is wrong with the model or a source's name is raised at once; pictures are read as the iterator runs. A
    picture that cannot be read is logged, noted in `predictions.json`, and the rest goes on.

    Args:
        model: a weights file, a run folder or an exported artefact; an artefact needs no torch.
        sources: paths, folders, globs, `.txt` lists, videos, camera numbers, stream addresses, NumPy RGB arrays, PIL
            pictures or bytes.
        output: folder of the results, not one that holds a source; by default `runs/predict/NAME`.
        save: write drawn pictures and videos, `predictions.json` and `predictions.csv`.
        imgsz: side of the network input, or height and width.
        resize: `letterbox` or `stretch`; the model's own by default.
        conf: lowest score.
        iou: overlap above which the better box stays alone; the model's own by default.
        max_det: most detections a picture; the model's own by default.
        classes: only these, by name or number.
        device: where a weights file runs.
        threads: threads on the processor.
        fast_decode: decode large JPEG files at a reduced scale: quicker, not quite the same pixels.
        on_unreadable: told of each source that cannot be read.
        assignments: `key=value` for anything else in the model's rules: `postprocess.suppression.kind=matrix`.

    Raises:
        UsageError: a value that does not fit, an unknown class, or an `output` that holds a source.
        ModelError: the model cannot be used.
        DataError: a source does not exist; while running, that not a single picture could be read.

    >>> for found in predict("model.onnx", ["pictures/"], save=False):  # doctest: +SKIP
    ...     print(found.source, len(found))
    """
    detector = open_detector(
        model,
        imgsz=imgsz,
        resize=resize,
        conf=conf,
        iou=iou,
        max_det=max_det,
        device=device,
        threads=threads,
        assignments=assignments,
    )
    return predict_with(
        detector,
        sources,
        model=str(model),
        output=output,
        save=save,
        classes=classes,
        fast_decode=fast_decode,
        on_unreadable=on_unreadable,
    )


def predict_with(
    detector: TorchDetector | ArtefactDetector,
    sources: Sequence[Any],
    *,
    model: str,
    output: str | Path | None = None,
    save: bool = True,
    classes: Sequence[str | int] | None = None,
    fast_decode: bool = False,
    on_unreadable: Callable[[Unreadable], None] | None = None,
) -> Iterator[Detections]:
    """`predict` with a detector that is open already, for callers that come back with more pictures.

    Args:
        detector: from `open_detector`.
        sources: as in `predict`.
        model: name for the record.
        output: as in `predict`, and so are the others.
        save: see there.
        classes: see there.
        fast_decode: see there.
        on_unreadable: see there.
    """
    from sanderling.streams.sources import locate, read

    wanted = None if classes is None else class_numbers(classes, detector.class_names)
    items = locate(sources)
    # Made last: a mistake in the names of classes or sources leaves no folder behind.
    folder = _results_folder(model, output, items) if save else None
    frames = read(items, smallest_hw=detector.picture.size_hw if fast_decode else None)
    return _run(detector, frames, model=model, folder=folder, wanted=wanted, on_unreadable=on_unreadable)


def class_numbers(classes: Sequence[str | int], class_names: tuple[str, ...]) -> list[int]:
    """Classes by name or number, as numbers.

    Raises:
        UsageError: the model knows no such class.
    """
    numbers = []
    for wanted in classes:
        text = str(wanted)
        if text in class_names:
            numbers.append(class_names.index(text))
        elif text.isdecimal() and int(text) < len(class_names):
            numbers.append(int(text))
        else:
            raise UsageError(f"classes: the model knows no class {text!r}; {nearest(text, class_names)}")
    return numbers


def _results_folder(model: str, output: str | Path | None, items: Sequence[Item]) -> Path:
    from sanderling.streams.sources import folders

    if output is not None and Path(output).resolve() in folders(items):
        raise UsageError(
            f"output {output}: holds pictures that are to be read, and drawn ones would take their place; "
            "name another folder"
        )
    return output_folder("predict", Path(model).stem, None if output is None else Path(output), True)


def _run(
    detector: TorchDetector | ArtefactDetector,
    frames: Iterator[Frame | Unreadable],
    *,
    model: str,
    folder: Path | None,
    wanted: list[int] | None,
    on_unreadable: Callable[[Unreadable], None] | None,
) -> Iterator[Detections]:
    from sanderling.streams.recorder import Recorder
    from sanderling.streams.sources import Unreadable

    count = 0
    unreadable: list[Unreadable] = []
    with Recorder(folder, model=model) if folder is not None else nullcontext() as recorder:
        for frame in frames:
            if isinstance(frame, Unreadable):
                logger.warning("skipped: %s", frame.error)
                unreadable.append(frame)
                if recorder is not None:
                    recorder.add_unreadable(frame)
                if on_unreadable is not None:
                    on_unreadable(frame)
                continue
            start = time.perf_counter()
            in_frame = detector([frame.image])[0]
            if wanted is not None:
                in_frame = in_frame.select(np.isin(in_frame.labels, wanted))
            found = _in_original(in_frame, frame)
            logger.info("%s: %s, %.1f ms", _place(found), _tally(found), (time.perf_counter() - start) * 1e3)
            if recorder is not None:
                recorder.add(frame, found, in_frame.plot(frame.image))
            count += 1
            yield found
    if unreadable:
        logger.warning("%d of %d sources could not be read", len(unreadable), count + len(unreadable))
    if folder is not None:
        logger.info("results: %s", folder)
    if unreadable and not count:
        raise DataError(f"not a single picture could be read; the first reason: {unreadable[0].error}")


def _in_original(found: Detections, frame: Frame) -> Detections:
    """Boxes in pixels of the original picture, with their source."""
    height, width = frame.original_hw
    scale = np.array([width / frame.image.shape[1], height / frame.image.shape[0]] * 2, np.float32)
    return dataclasses.replace(
        found,
        boxes_xyxy=found.boxes_xyxy * scale,
        source=frame.source,
        frame=frame.number,
        size_hw=frame.original_hw,
    )


def _place(found: Detections) -> str:
    return found.source if found.frame is None else f"{found.source} frame {found.frame}"


def _tally(found: Detections) -> str:
    """What was found, in words: `2 person, 1 kite`."""
    numbers = np.bincount(found.labels, minlength=len(found.class_names))
    return ", ".join(f"{numbers[label]} {found.class_names[label]}" for label in np.flatnonzero(numbers)) or "nothing"
