"""What an assigner says: which points learn which box."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Assignment:
    """The positive points of a batch, ordered by picture and point; every other point is background.

    Attributes:
        pictures: int64 P, 0..B-1.
        points: int64 P, 0..A-1.
        boxes: int64 P, index into the targets' T boxes.
    """

    pictures: Tensor
    points: Tensor
    boxes: Tensor
