"""One split of a data set, from whatever format it came. Axes: P pictures, T boxes of all pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.finding import Finding
from sanderling.errors import DataError
from sanderling.pictures import decode
from sanderling.structures.sample import PictureId, Sample


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Pictures with their boxes in flat arrays, so that worker processes share them without copying.

    Attributes:
        name: the data set's folder.
        split: train, val or another name.
        class_names: in the order of `labels`.
        category_ids: the file's own number of each class, in the same order.
        picture_paths: P absolute paths.
        picture_ids: P, the file's own identifiers, int64 or text.
        sizes_hw: int32 Px2, height and width of the upright picture; (0, 0) where neither file nor picture tells.
        first_box: int64 P+1; the boxes of picture i are `first_box[i]:first_box[i + 1]`.
        boxes_xyxy: float64 Tx4, pixels, clipped to the picture.
        areas: float64 T, square pixels: COCO's area where the file states it, else width times height.
        labels: int64 T, index into `class_names`.
        crowd: bool T, a region of many objects rather than one.
        difficult: bool T, a box that VOC's protocol leaves out of the score.
        skipped: what the reader left out and why.
    """

    name: str
    split: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    picture_paths: NDArray[np.str_]
    picture_ids: NDArray[Any]
    sizes_hw: NDArray[np.int32]
    first_box: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float64]
    areas: NDArray[np.float64]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    skipped: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        pictures, boxes = len(self.picture_paths), len(self.boxes_xyxy)
        expected: dict[str, tuple[int, ...]] = {
            "picture_ids": (pictures,),
            "sizes_hw": (pictures, 2),
            "first_box": (pictures + 1,),
            "boxes_xyxy": (boxes, 4),
            "areas": (boxes,),
            "labels": (boxes,),
            "crowd": (boxes,),
            "difficult": (boxes,),
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(
                    f"Dataset.{name} has shape {found}; {shape} is expected for {pictures} pictures and {boxes} boxes"
                )
        if self.first_box[0] != 0 or self.first_box[-1] != boxes or (np.diff(self.first_box) < 0).any():
            raise ValueError(f"Dataset.first_box must rise from 0 to {boxes}")
        if len(self.category_ids) != len(self.class_names):
            raise ValueError(
                f"Dataset.category_ids has {len(self.category_ids)} entries; "
                f"{len(self.class_names)} are expected, one per class"
            )
        if boxes and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(
                f"Dataset.labels span {self.labels.min()}..{self.labels.max()}; "
                f"0..{len(self.class_names) - 1} is expected for {len(self.class_names)} classes"
            )

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.picture_paths)

    def boxes_of(self, index: int) -> slice:
        """Where the boxes of a picture stand in the flat arrays."""
        return slice(int(self.first_box[index]), int(self.first_box[index + 1]))

    def picture_id(self, index: int) -> PictureId:
        """The file's own identifier of a picture, as a Python int or str."""
        found: PictureId = self.picture_ids[index].item()
        return found

    def read(self, index: int) -> Sample:
        """Decode a picture at full size and give it with its boxes.

        Raises:
            DataError: the picture is missing or cannot be decoded.
        """
        return self.sample_with(index, decode(Path(self.picture_paths[index])))

    def sample_with(self, index: int, image: NDArray[np.uint8]) -> Sample:
        """The sample of a picture that is already decoded, uint8 HxWx3 RGB at full size."""
        where = self.boxes_of(index)
        labels = self.labels[where]
        return Sample(
            image=image,
            boxes_xyxy=self.boxes_xyxy[where].astype(np.float32),
            labels=labels,
            weights=np.ones(len(labels), np.float32),
            crowd=self.crowd[where],
            difficult=self.difficult[where],
            picture_id=self.picture_id(index),
            original_size_hw=(image.shape[0], image.shape[1]),
        )

    def subset(self, indices: Sequence[int] | NDArray[np.integer]) -> Dataset:
        """The pictures at `indices`, in that order, with their boxes."""
        chosen = np.asarray(indices, np.int64).reshape(-1)
        counts = np.diff(self.first_box)[chosen]
        first_box = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Every box's place: the start of its picture plus its rank within the picture.
        within = np.arange(first_box[-1]) - np.repeat(first_box[:-1], counts)
        boxes = np.repeat(self.first_box[chosen], counts) + within
        return replace(
            self,
            picture_paths=self.picture_paths[chosen],
            picture_ids=self.picture_ids[chosen],
            sizes_hw=self.sizes_hw[chosen],
            first_box=first_box,
            boxes_xyxy=self.boxes_xyxy[boxes],
            areas=self.areas[boxes],
            labels=self.labels[boxes],
            crowd=self.crowd[boxes],
            difficult=self.difficult[boxes],
        )


def check_same_classes(datasets: Sequence[Dataset]) -> None:
    """Make sure that a label means the same in every split.

    Raises:
        DataError: the splits do not have the same classes.
    """
    first = datasets[0]
    for other in datasets[1:]:
        if (other.class_names, other.category_ids) != (first.class_names, first.category_ids):
            raise DataError(
                f"{first.name}: the splits {first.split!r} and {other.split!r} have different classes "
                f"({', '.join(first.class_names)}; {', '.join(other.class_names)}); give every split the same list"
            )


def join(datasets: Sequence[Dataset], *, split: str) -> Dataset:
    """All pictures of several splits of one data set as one split.

    Raises:
        DataError: the splits do not have the same classes.
    """
    check_same_classes(datasets)
    counts = np.concatenate([np.diff(dataset.first_box) for dataset in datasets])
    return replace(
        datasets[0],
        split=split,
        picture_paths=np.concatenate([dataset.picture_paths for dataset in datasets]),
        picture_ids=np.concatenate([dataset.picture_ids for dataset in datasets]),
        sizes_hw=np.concatenate([dataset.sizes_hw for dataset in datasets]),
        first_box=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes_xyxy=np.concatenate([dataset.boxes_xyxy for dataset in datasets]),
        areas=np.concatenate([dataset.areas for dataset in datasets]),
        labels=np.concatenate([dataset.labels for dataset in datasets]),
        crowd=np.concatenate([dataset.crowd for dataset in datasets]),
        difficult=np.concatenate([dataset.difficult for dataset in datasets]),
        skipped=tuple(finding for dataset in datasets for finding in dataset.skipped),
    )
