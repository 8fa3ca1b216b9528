"""`val`: any model, measured on a split of a data set."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.commands.data import known_format
from sanderling.commands.open_detector import open_detector
from sanderling.commands.progress import progress_bar
from sanderling.errors import DataError, UsageError

if TYPE_CHECKING:
    from sanderling.datasets.dataset import Dataset
    from sanderling.models.predictor import TorchDetector
    from sanderling.runtimes.detector import ArtefactDetector
    from sanderling.structures.artefact import PostprocessRule
    from sanderling.structures.report import Report

logger = logging.getLogger(__name__)

_DEFAULT_SPLIT = "val"
_NAMED = 10


def val(
    model: str | Path,
    *,
    data: str | Path,
    split: str | None = None,
    data_format: str | None = None,
    imgsz: int | Sequence[int] | None = None,
    resize: str | None = None,
    conf: float | None = None,
    iou: float | None = None,
    max_det: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    fast_decode: bool = False,
    threshold: float | None = None,
    false_alarm_rate: float = 0.1,
    predictions: Path | None = None,
    limit: int | None = None,
    assignments: Sequence[str] = (),
) -> Report:
    """Measure a model: COCO's and VOC's precision, false alarms and misses.

    Pictures are decoded at full size, and the model's own post-processing thresholds hold unless others are given.
    Classes are matched by name; classes of the model that the data set does not have are left out.

    Args:
        model: a weights file, a run folder or an exported artefact; an artefact needs no torch.
        data: path of the data set.
        split: by default the split that `data` itself is, else val.
        data_format: coco, yolo or voc, where a folder holds several.
        imgsz: side of the network input, or height and width; the model's own by default.
        resize: `letterbox` or `stretch`; the model's own by default.
        conf: lowest score; the model's own by default, as `iou` and `max_det`.
        iou: overlap above which the better box stays alone.
        max_det: most detections a picture.
        device: where a weights file runs.
        threads: threads on the processor.
        fast_decode: decode large JPEG files at a reduced scale: quicker, not quite the same pixels.
        threshold: score at which false alarms and misses are counted, the same for all classes.
        false_alarm_rate: without `threshold`: each class gets the lowest one that keeps to so many false alarms a
            picture.
        predictions: write the detections here, in COCO's results format.
        limit: measure only so many pictures, the first ones.
        assignments: `key=value` for anything else in the model's rules: `postprocess.suppression.kind=matrix`.

    Raises:
        UsageError: a value that does not fit, or no such split; those that exist are named.
        DataError: the data set cannot be used, or has a class that the model does not know.
        ModelError: the model cannot be used.
        MissingDependencyError: torch or an engine is not installed.

    >>> val("model.onnx", data="birds/").metrics["AP50"]  # doctest: +SKIP
    0.81
    """
    from sanderling.evaluation.evaluate import check_thresholds

    check_thresholds(threshold, false_alarm_rate)
    dataset = open_split(data, split=split, data_format=data_format, limit=limit)
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
    return val_with(
        detector,
        dataset,
        model=str(model),
        fast_decode=fast_decode,
        threshold=threshold,
        false_alarm_rate=false_alarm_rate,
        predictions=predictions,
    )


def val_with(
    detector: TorchDetector | ArtefactDetector,
    dataset: Dataset,
    *,
    model: str,
    fast_decode: bool = False,
    threshold: float | None = None,
    false_alarm_rate: float = 0.1,
    predictions: Path | None = None,
) -> Report:
    """`val` with a detector and a split that are open already.

    Args:
        detector: from `open_detector`.
        dataset: what it is measured on.
        model: name for the record.
        fast_decode: as in `val`, and so are the others.
        threshold: see there.
        false_alarm_rate: see there.
        predictions: see there.

    Raises:
        DataError: the data set has a class that the model does not know, or not a single picture can be read.
    """
    from sanderling.evaluation.detect import detect_all
    from sanderling.evaluation.evaluate import evaluate
    from sanderling.evaluation.flat import class_map
    from sanderling.evaluation.results_file import write_results

    _name_left_out(detector.class_names, class_map(detector.class_names, dataset.class_names).tolist())
    with progress_bar("detecting") as progress:
        detected = detect_all(
            detector, dataset, progress=progress, fast_decode_for=detector.picture if fast_decode else None
        )
    if detected.unreadable:
        reason = next(iter(detected.unreadable.values()))
        if len(detected.unreadable) == len(dataset):
            raise DataError(f"not a single picture could be read; the first reason: {reason}")
        logger.warning("%d of %d pictures could not be read", len(detected.unreadable), len(dataset))
    report = evaluate(dataset, detected.detections, threshold=threshold, false_alarm_rate=false_alarm_rate)
    if predictions is not None:
        write_results(predictions, detected.detections, dataset)
    return dataclasses.replace(
        report,
        protocol=f"{report.protocol}; {_manner(detector, fast_decode)}",
        counts={**report.counts, "unreadable": len(detected.unreadable)},
        timings={"predict_s": detected.seconds, **report.timings},
        model=model,
    )


def open_split(
    data: str | Path, *, split: str | None = None, data_format: str | None = None, limit: int | None = None
) -> Dataset:
    """The split to measure on: the one that is named, the one that `data` itself is, else val.

    Raises:
        UsageError: no such split or format, or `limit` below 1.
        DataError: the data set cannot be read, or the split has no pictures.
    """
    from sanderling.datasets.locate import open_dataset

    chosen = known_format(data_format)
    if limit is not None and limit < 1:
        raise UsageError(f"limit = {limit}: at least 1 picture is expected")
    # A COCO file is itself one split; anything else holds several, and measuring on train by chance would be a trap.
    is_split = Path(data).suffix.lower() == ".json"
    wanted = split or (None if is_split else _DEFAULT_SPLIT)
    dataset = open_dataset(Path(data), split=wanted, data_format=chosen)
    if not len(dataset):
        raise DataError(f"{data}: the split {dataset.split!r} has no pictures; name another with --split")
    if dataset.skipped:
        logger.warning(
            "%s %s: %d faulty entries are left out; see: sanderling data check %s",
            dataset.name,
            dataset.split,
            len(dataset.skipped),
            data,
        )
    return dataset if limit is None else dataset.subset(range(min(limit, len(dataset))))


def _name_left_out(model_classes: tuple[str, ...], places: Sequence[int]) -> None:
    left_out = [name for name, place in zip(model_classes, places, strict=True) if place < 0]
    if left_out:
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        logger.info(
            "%d of the model's %d classes are not in the data set and are left out: %s%s",
            len(left_out),
            len(model_classes),
            ", ".join(left_out[:_NAMED]),
            more,
        )


def _manner(detector: TorchDetector | ArtefactDetector, fast_decode: bool) -> str:
    """How pictures went in and boxes came out, for the record."""
    picture, rule = detector.picture, detector.postprocess
    height, width = picture.size_hw
    return (
        f"input {height}x{width} (height x width), {picture.resize}"
        + (", JPEG decoded at a reduced scale" if fast_decode else "")
        + f"; score above {rule.score:g}, {_suppression(rule)}, "
        f"at most {rule.max_detections} a picture, {'several classes' if rule.multi_label else 'one class'} a point"
    )


def _suppression(rule: PostprocessRule) -> str:
    """What becomes of overlapping boxes, for the record."""
    by = rule.suppression
    if by.kind == "none":
        return "no suppression"
    said = "NMS" if by.kind == "greedy" else f"{by.kind.capitalize()} NMS {by.decay}"
    if by.kind != "greedy" and by.decay == "gaussian":
        said += f" (sigma {by.sigma:g})"
    if rule.takes_iou:
        said += f" {rule.iou:g}"
    return f"{said} {'over all classes' if rule.class_agnostic else 'per class'}"
