from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.ops import batched_nms

from sanderling.ops.array.boxes import iou
from sanderling.ops.array.nms import greedy_nms
from tests.support.crowded import crowd


def slow_nms(boxes_xyxy: NDArray[np.floating], scores: NDArray[np.floating], threshold: float) -> list[int]:
    """Keep the best, drop what overlaps it too much, repeat; first come first served among equals."""
    left = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [index for index in left if iou(boxes_xyxy[[best]], boxes_xyxy[[index]])[0, 0] <= threshold]
    return kept


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.3, 0.6, 1.0])
def test_like_the_slow_one(seed: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 60, (50, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (50, 2))], axis=1).astype(np.float32)
    # Few different scores, so that there are ties.
    scores = random.integers(1, 8, 50).astype(np.float32) / 8
    assert greedy_nms(boxes, scores, threshold).tolist() == slow_nms(boxes, scores, threshold)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threshold", [0.3, 0.6])
@pytest.mark.parametrize("classes", [1, 5])
def test_like_torchvision(seed: int, threshold: float, classes: int) -> None:
    boxes, _, labels = crowd(seed, 300, classes=classes, extent=200)
    # It breaks ties in its own way.
    scores = np.random.default_rng(seed).permutation(300).astype(np.float32)
    theirs = batched_nms(*(torch.from_numpy(part) for part in (boxes, scores, labels)), threshold)
    apart = boxes + 300 * labels[:, None]
    assert 20 < len(theirs) < 300
    assert greedy_nms(apart, scores, threshold).tolist() == theirs.tolist()


def test_equal_scores_keep_their_order() -> None:
    boxes = np.array([[0, 0, 9, 9], [50, 0, 59, 9], [0, 0, 9, 9]], np.float32)
    assert greedy_nms(boxes, np.full(3, 0.5, np.float32), 0.5).tolist() == [0, 1]


def test_limit_gives_the_first_of_all() -> None:
    boxes = np.arange(40, dtype=np.float32).reshape(10, 4) * [10, 10, 10, 10]
    boxes[:, 2:] = boxes[:, :2] + 1
    scores = np.linspace(0.1, 1, 10).astype(np.float32)
    assert greedy_nms(boxes, scores, 0.5, limit=3).tolist() == [9, 8, 7]
    assert greedy_nms(boxes, scores, 0.5, limit=0).tolist() == []


def test_nothing_in_nothing_out() -> None:
    kept = greedy_nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


def test_empty_boxes_suppress_nothing() -> None:
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 10, 10]], np.float32)
    assert greedy_nms(boxes, np.array([0.9, 0.8, 0.7], np.float32), 0.5).tolist() == [0, 1, 2]
