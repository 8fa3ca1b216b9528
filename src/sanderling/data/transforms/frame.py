"""What of a picture is fitted to a sample: all of it, more (expand) or less (crop). Axes: S samples, T boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sanderling.data.transforms.crop import CropConfig, draw_crop
from sanderling.data.transforms.expand import ExpandConfig, draw_expand

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frames:
    """The frames of S samples.

    Attributes:
        xyxy: float64 Sx4, pixels of the original picture; wider than the picture where it was expanded.
        expanded: bool S, something beside the picture is seen.
        cropped: bool S; of these, boxes whose middle is outside are dropped.
    """

    xyxy: Floats
    expanded: NDArray[np.bool_]
    cropped: NDArray[np.bool_]


def draw_frames(
    expand: ExpandConfig | None,
    crop: CropConfig | None,
    rng: np.random.Generator,
    original_xy: Floats,
    boxes_xyxy: Sequence[Floats],
) -> Frames:
    """Draw the frames of S pictures; a crop is cut out of the expanded plane.

    Args:
        expand: None expands none.
        crop: None crops none.
        rng: where the randomness comes from.
        original_xy: Sx2, widths and heights of the pictures.
        boxes_xyxy: S times the boxes of the picture (T, 4), its own pixels.
    """
    whole = np.concatenate([np.zeros_like(original_xy), original_xy], axis=1)
    frames = whole.copy()
    for index, (width, height) in enumerate(original_xy.astype(int).tolist()):
        canvas_xy, corner_xy = (width, height), np.zeros(2)
        if expand is not None:
            expansion = draw_expand(canvas_xy, expand, rng)
            canvas_xy, corner_xy = expansion.canvas_xy, -np.array(expansion.offset_xy, np.float64)
            frames[index] = np.concatenate([corner_xy, corner_xy + canvas_xy])
        if crop is not None:
            corner = np.tile(corner_xy, 2)
            frames[index] = draw_crop(boxes_xyxy[index] - corner, canvas_xy, crop, rng) + corner
    return Frames(
        xyxy=frames,
        expanded=np.asarray(((frames[:, :2] < whole[:, :2]) | (frames[:, 2:] > whole[:, 2:])).any(axis=1)),
        cropped=np.asarray(((frames[:, :2] > whole[:, :2]) | (frames[:, 2:] < whole[:, 2:])).any(axis=1)),
    )
