"""Epochs of a data set in its own order, with samples of one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sanderling.data.drawing import EpochWindows
from sanderling.datasets.dataset import Dataset


def epoch_windows(
    dataset: Dataset,
    size_hw: tuple[int, int],
    *,
    epoch: int = 0,
    mosaic: bool = True,
    progress: float = 0.0,
    marks: NDArray[np.bool_] | None = None,
) -> EpochWindows:
    """All pictures, each once."""
    order = np.arange(len(dataset))
    samples_hw = np.tile(np.array(size_hw, np.int64), (len(order), 1))
    return EpochWindows(dataset, order, samples_hw, epoch=epoch, mosaic=mosaic, progress=progress, marks=marks)
