"""Which samples of a window are made of two, and what becomes of their boxes. Axes: N samples of a window, T boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sanderling.data.transforms.blend import (
    CutMixConfig,
    MixupConfig,
    Rectangle,
    boxes_after_cutmix,
    cutmix_rectangle,
    draw_share,
    mix,
    paste_rectangle,
)
from sanderling.data.transforms.geometry import Outlines
from sanderling.pictures import Picture

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mixture:
    """A sample and what is mixed into it.

    Attributes:
        partner: place in the window of the other picture.
        other: number of the other sample, which is drawn for this one alone.
        share: of the first sample, 0..1.
        rectangle_xyxy: what CutMix pastes, pixels; None for mixup.
        keep_all: CutMix keeps the boxes that it pastes over.
    """

    partner: int
    other: int
    share: float
    rectangle_xyxy: Rectangle | None = None
    keep_all: bool = False

    def apply(self, image: Picture, other: Picture) -> None:
        """Mix the other sample into the first, both uint8 HxWx3, in place."""
        if self.rectangle_xyxy is None:
            mix(image, other, self.share)
        else:
            paste_rectangle(image, other, self.rectangle_xyxy)


def draw_mixtures(
    mixup: MixupConfig | None,
    cutmix: CutMixConfig | None,
    rng: np.random.Generator,
    samples_hw: Ints,
    *,
    progress: float,
) -> dict[int, Mixture]:
    """Draw which of N samples are mixed, and how. A sample is mixed in one way only, and mixup goes first.

    Args:
        mixup: None mixes none.
        cutmix: None pastes none.
        rng: where the randomness comes from.
        samples_hw: Nx2, heights and widths.
        progress: how much of the run is over, 0..1.
    """
    mixtures: dict[int, Mixture] = {}
    count = len(samples_hw)
    if count < 2 or (mixup is None and cutmix is None):
        return mixtures
    for sample, (height, width) in enumerate(samples_hw.tolist()):
        partner = (sample + int(rng.integers(1, count))) % count
        other = count + len(mixtures)
        if mixup is not None and progress < mixup.until and (share := draw_share(mixup, rng)) < 1:
            mixtures[sample] = Mixture(partner=partner, other=other, share=share)
        elif cutmix is not None and progress < cutmix.until and (share := draw_share(cutmix, rng)) < 1:
            rectangle = cutmix_rectangle((height, width), share, rng)
            mixtures[sample] = Mixture(
                partner=partner, other=other, share=share, rectangle_xyxy=rectangle, keep_all=cutmix.keep_all
            )
    return mixtures


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MixedBoxes:
    """T boxes of N samples after mixing, samples ascending.

    Attributes:
        boxes_xyxy: float32 Tx4, pixels of the sample.
        weights: float32 T, share of the loss.
        sample: int64 T.
        source_box: int64 T, which of the boxes before mixing each was.
    """

    boxes_xyxy: NDArray[np.float32]
    weights: NDArray[np.float32]
    sample: Ints
    source_box: Ints


def mix_boxes(
    boxes_xyxy: NDArray[np.float32],
    sample: Ints,
    mixtures: Mapping[int, Mixture],
    *,
    min_visible: float,
    min_side: float,
    outlines: Outlines | None = None,
) -> MixedBoxes:
    """What becomes of boxes when their samples are mixed.

    Args:
        boxes_xyxy: Tx4, of the samples and of those that are mixed into them.
        sample: T, ascending.
        mixtures: of the samples that are mixed.
        min_visible: smallest share of a box's area that CutMix has to leave.
        min_side: shortest side that it has to leave, pixels.
        outlines: T, what the boxes are around; None where they are what they cover.
    """
    boxes, owner = boxes_xyxy.copy(), sample.copy()
    weights, kept = np.ones(len(boxes), np.float32), np.ones(len(boxes), np.bool_)
    for first, mixture in mixtures.items():
        ours, theirs = (np.arange(*np.searchsorted(sample, (one, one + 1))) for one in (first, mixture.other))
        owner[theirs] = first
        if mixture.rectangle_xyxy is None:
            weights[ours], weights[theirs] = mixture.share, 1 - mixture.share
            continue
        both = np.concatenate([ours, theirs])
        blended = boxes_after_cutmix(
            boxes[ours],
            boxes[theirs],
            mixture.rectangle_xyxy,
            share=mixture.share,
            min_visible=min_visible,
            keep_all=mixture.keep_all,
            outlines=None if outlines is None else outlines[both],
        )
        kept[both] = False
        places = both[blended.source_box]
        kept[places] = True
        boxes[places], weights[places] = blended.boxes_xyxy, blended.weights
        if not mixture.keep_all:
            kept[places] = (boxes[places, 2:] - boxes[places, :2] >= min_side).all(axis=1)
    order = np.flatnonzero(kept)
    order = order[np.argsort(owner[order], kind="stable")]
    return MixedBoxes(boxes_xyxy=boxes[order], weights=weights[order], sample=owner[order], source_box=order)
