"""A training batch and its targets. Axes: B pictures, T boxes of all pictures together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sanderling.structures.sample import PictureId


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Targets:
    """The boxes of a whole batch in flat tensors.

    Attributes:
        boxes_xyxy: float32 Tx4, pixels of the network input.
        labels: int64 T.
        weights: float32 T, share of the loss of each box.
        picture_index: int64 T, 0..B-1, ascending.
        pictures: B.
    """

    boxes_xyxy: Tensor
    labels: Tensor
    weights: Tensor
    picture_index: Tensor
    pictures: int

    def of(self, picture: int) -> Targets:
        """The targets of one picture, as a batch of one."""
        mine = self.picture_index == picture
        return Targets(
            boxes_xyxy=self.boxes_xyxy[mine],
            labels=self.labels[mine],
            weights=self.weights[mine],
            picture_index=torch.zeros_like(self.picture_index[mine]),
            pictures=1,
        )

    def to(self, device: torch.device | str) -> Targets:
        """The same on another device."""
        return Targets(
            boxes_xyxy=self.boxes_xyxy.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            weights=self.weights.to(device, non_blocking=True),
            picture_index=self.picture_index.to(device, non_blocking=True),
            pictures=self.pictures,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """Pictures of one size with their targets.

    Attributes:
        images: uint8 Bx3xHxW, RGB.
        targets: boxes in pixels of `images`.
        picture_ids: B identifiers (of the first source picture where several were mixed).
        placements: float32 Bx2x3 on the CPU, from shares of the source picture's sides (0..1) to pixels of the image;
            NaN where several pictures are seen. None where nobody knows.
    """

    images: Tensor
    targets: Targets
    picture_ids: tuple[PictureId, ...]
    placements: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(
            images=self.images.to(device, non_blocking=True),
            targets=self.targets.to(device),
            picture_ids=self.picture_ids,
            placements=self.placements,
        )
