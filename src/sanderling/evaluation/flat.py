"""All detections of a split in flat arrays, in the classes of the data set. Axes: P pictures, N detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError, UsageError, nearest
from sanderling.structures.detections import Detections

_LONGEST_HINT, _NAMED = 200, 5


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FlatDetections:
    """Detections of P pictures, one row each, all of them finite.

    Attributes:
        picture_index: int64 N, index of the picture in the data set.
        boxes_xyxy: float64 Nx4, pixels of the original picture.
        scores: float64 N.
        labels: int64 N, index into the data set's classes.
        pictures: P.
        not_finite: how many were left out because box or score is NaN or infinite.
    """

    picture_index: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    pictures: int
    not_finite: int = 0

    def __len__(self) -> int:
        """The number of detections."""
        return len(self.scores)

    @classmethod
    def of(cls, detections: Sequence[Detections], class_names: tuple[str, ...]) -> FlatDetections:
        """Join the detections of all pictures; labels become indices into `class_names`.

        Classes that the detector knows beyond `class_names` are left out.

        Args:
            detections: one entry per picture.
            class_names: the classes of the data set.

        Raises:
            DataError: the detector does not know one of `class_names`.
        """
        if not detections:
            none = np.zeros(0)
            return cls(
                picture_index=none.astype(np.int64),
                boxes_xyxy=np.zeros((0, 4)),
                scores=none,
                labels=none.astype(np.int64),
                pictures=0,
            )
        counts = np.fromiter((len(found.scores) for found in detections), np.int64, len(detections))
        labels = np.concatenate(
            [
                _mapped(np.concatenate([found.labels for found in group]), names, class_names)
                for names, group in groupby(detections, key=lambda found: found.class_names)
            ]
        )
        boxes_xyxy = np.concatenate([found.boxes_xyxy for found in detections])
        scores = np.concatenate([found.scores for found in detections])
        return cls.finite(
            picture_index=np.repeat(np.arange(len(detections)), counts),
            boxes_xyxy=boxes_xyxy.astype(np.float64),
            scores=scores.astype(np.float64),
            labels=labels,
            pictures=len(detections),
        )

    @classmethod
    def finite(
        cls,
        *,
        picture_index: NDArray[np.int64],
        boxes_xyxy: NDArray[np.float64],
        scores: NDArray[np.float64],
        labels: NDArray[np.int64],
        pictures: int,
    ) -> FlatDetections:
        """Leave out what is NaN or beyond the range of float32, and labels below 0 (classes not asked for)."""
        # A sum is finite only if every part is, and one sum per row is cheaper than five tests.
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite((np.abs(boxes_xyxy).sum(axis=1) + np.abs(scores)).astype(np.float32))
        keep = finite & (labels >= 0)
        if keep.all():
            return cls(
                picture_index=picture_index, boxes_xyxy=boxes_xyxy, scores=scores, labels=labels, pictures=pictures
            )
        return cls(
            picture_index=picture_index[keep],
            boxes_xyxy=boxes_xyxy[keep],
            scores=scores[keep],
            labels=labels[keep],
            pictures=pictures,
            not_finite=int(np.count_nonzero(~finite)),
        )

    def per_picture(self, class_names: tuple[str, ...]) -> list[Detections]:
        """One `Detections` per picture, best first; `class_names` are those of the data set."""
        order = np.lexsort((-self.scores, self.picture_index))
        first = np.searchsorted(self.picture_index[order], np.arange(self.pictures + 1))
        boxes_xyxy, scores = self.boxes_xyxy[order].astype(np.float32), self.scores[order].astype(np.float32)
        labels = self.labels[order]
        return [
            Detections(boxes_xyxy=boxes_xyxy[a:b], scores=scores[a:b], labels=labels[a:b], class_names=class_names)
            for a, b in pairwise(first.tolist())
        ]


def flatten(dataset: Dataset, detections: Sequence[Detections] | FlatDetections) -> FlatDetections:
    """Detections of a split in flat arrays, whatever form they come in.

    Raises:
        UsageError: not one entry per picture of `dataset`.
        DataError: the detector does not know a class of the data set.
    """
    pictures = detections.pictures if isinstance(detections, FlatDetections) else len(detections)
    if pictures != len(dataset):
        raise UsageError(
            f"detections of {pictures} pictures were given for {len(dataset)} pictures of {dataset.name} "
            f"({dataset.split}); give one entry per picture, empty where nothing was found"
        )
    if isinstance(detections, FlatDetections):
        return detections
    return FlatDetections.of(detections, dataset.class_names)


def class_map(model_classes: tuple[str, ...], dataset_classes: tuple[str, ...]) -> NDArray[np.int64]:
    """For every class of a model its index in the data set, -1 where the data set does not have it.

    Raises:
        DataError: the model does not know a class of the data set, or a name stands twice.

    >>> class_map(("smoke", "fire", "crane"), ("fire", "smoke"))
    array([ 1,  0, -1])
    """
    unknown = [name for name in dataset_classes if name not in model_classes]
    if unknown:
        hint = nearest(unknown[0], model_classes)
        if len(hint) > _LONGEST_HINT:
            hint = f"it knows {len(model_classes)}: {', '.join(model_classes[:_NAMED])} ..."
        raise DataError(
            f"class {unknown[0]!r} of the data set is unknown to the model ({len(unknown)} of {len(dataset_classes)} "
            f"classes are); {hint}; use a model that was trained on these classes, or "
            "rename the classes of the data set"
        )
    if len(set(model_classes)) < len(model_classes) and model_classes != dataset_classes:
        twice = next(name for name in model_classes if model_classes.count(name) > 1)
        raise DataError(f"class {twice!r} stands twice among the model's classes; they cannot be told apart by name")
    place = {name: index for index, name in enumerate(dataset_classes)}
    if model_classes == dataset_classes:
        return np.arange(len(model_classes))
    return np.array([place.get(name, -1) for name in model_classes], np.int64)


def _mapped(
    labels: NDArray[np.int64], model_classes: tuple[str, ...], dataset_classes: tuple[str, ...]
) -> NDArray[np.int64]:
    if model_classes == dataset_classes:
        return labels
    return class_map(model_classes, dataset_classes)[labels]
