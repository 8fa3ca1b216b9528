"""Stitches the next batch while small objects add little to the loss of the boxes.

Stitcher, https://arxiv.org/abs/2004.12432.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sanderling.data.augment import StitcherConfig
from sanderling.data.stitcher import stitch
from sanderling.objectives.box_losses import loss_of_each_box
from sanderling.ops.tensor.distributed import mean_over_processes
from sanderling.ops.tensor.iou import area
from sanderling.structures.batch import Batch


class Stitching:
    """A `Feedback` that keeps one number: the share of small boxes in the loss of the boxes of the last batch.

    The share is over the batch of all processes, and over each batch by itself where several make one step. A batch
    without boxes, or with a loss that is not finite, leaves it as it is. It begins at 0: the first batch is stitched.

    Args:
        config: what is small, and what is little.
        box_terms: names of the losses that teach where a box is.
        min_side: a box of a stitched batch is dropped when a side of it gets shorter, in pixels.
    """

    name = "stitcher"

    def __init__(self, config: StitcherConfig, *, box_terms: Sequence[str], min_side: float) -> None:
        self._config, self._box_terms, self._min_side = config, box_terms, min_side
        self._small_share = torch.zeros(())

    def before(self, batch: Batch) -> Batch:
        """Stitched or as it is; the weights of its boxes are ready to tell what each box adds."""
        if self._small_share < self._config.threshold:
            batch = stitch(batch, min_side=self._min_side)
        targets = dataclasses.replace(batch.targets, weights=batch.targets.weights.detach().requires_grad_())
        return dataclasses.replace(batch, targets=targets)

    def after(self, batch: Batch, losses: Mapping[str, Tensor]) -> None:
        """Measure the share."""
        each = loss_of_each_box(losses, batch.targets.weights, terms=self._box_terms)
        small = area(batch.targets.boxes_xyxy) <= self._config.small_side**2
        of_small, of_all = mean_over_processes(torch.stack([(each * small).sum(), each.sum()]))
        share = of_small / of_all
        self._small_share = share.where(share.isfinite(), self._small_share.to(share.device))

    def epoch_ended(self) -> None:
        """Nothing changes: an epoch begins as the last one ended."""

    def state(self) -> dict[str, Any]:
        """The share."""
        return {"small_share": float(self._small_share)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self._small_share = torch.tensor(state["small_share"])
