"""Random targets for objectives and assigners."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sanderling.structures.batch import Targets


def random_targets(
    seed: int,
    counts: Sequence[int],
    *,
    size_hw: tuple[int, int],
    classes: int,
    largest: float = 0.7,
    least_weight: float = 1.0,
) -> Targets:
    """`counts[i]` boxes in picture i, from a few pixels to `largest` of the picture, inside it.

    Their weights rise evenly from `least_weight` to 1.
    """
    generator = torch.Generator().manual_seed(seed)
    total = sum(counts)
    limit = torch.tensor([size_hw[1], size_hw[0]], dtype=torch.float32)
    sides = 3 + torch.rand(total, 2, generator=generator) ** 2 * (limit * largest - 3)
    low = torch.rand(total, 2, generator=generator) * (limit - sides)
    return Targets(
        boxes_xyxy=torch.cat((low, low + sides), 1),
        labels=torch.randint(classes, (total,), generator=generator),
        weights=torch.linspace(least_weight, 1, total),
        picture_index=torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)),
        pictures=len(counts),
    )


def targets_of(boxes: Sequence[Sequence[float]], *, labels: Sequence[int] | None = None) -> Targets:
    """The targets of one picture, written out."""
    count = len(boxes)
    return Targets(
        boxes_xyxy=torch.tensor(boxes, dtype=torch.float32).reshape(count, 4),
        labels=torch.tensor(labels if labels is not None else [0] * count, dtype=torch.int64),
        weights=torch.ones(count),
        picture_index=torch.zeros(count, dtype=torch.int64),
        pictures=1,
    )
