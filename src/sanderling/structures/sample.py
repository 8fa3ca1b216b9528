"""One labelled picture: what data sets give and transforms return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PictureId = int | str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """A picture with its boxes.

    Attributes:
        image: uint8 HxWx3, RGB.
        boxes_xyxy: float32 Nx4, pixels of `image`.
        labels: int64 N, index into the data set's class names.
        weights: float32 N, share of the loss that each box carries (1 except after mixing pictures).
        crowd: bool N, a region of many objects rather than one.
        difficult: bool N, a box that VOC's protocol leaves out of the score.
        picture_id: the data set's own identifier of the picture.
        original_size_hw: height and width of the picture before any transform.
    """

    image: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    picture_id: PictureId
    original_size_hw: tuple[int, int]

    def __post_init__(self) -> None:
        """Check shapes and dtypes."""
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"Sample.image is {self.image.dtype} {self.image.shape}; uint8 HxWx3 is expected")
        count = len(self.boxes_xyxy)
        if self.boxes_xyxy.shape != (count, 4):
            raise ValueError(f"Sample.boxes_xyxy has shape {self.boxes_xyxy.shape}; Nx4 is expected")
        for name in ("labels", "weights", "crowd", "difficult"):
            shape = getattr(self, name).shape
            if shape != (count,):
                raise ValueError(f"Sample.{name} has shape {shape}; ({count},) is expected, one per box")
