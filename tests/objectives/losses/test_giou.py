from __future__ import annotations

import pytest
import torch

from sanderling.objectives.losses.giou import giou_loss


def test_values() -> None:
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(3, 1)
    others = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    loss, iou = giou_loss(box, others)
    assert iou.tolist() == pytest.approx([1, 1 / 3, 0])
    # The third pair spans 30 x 10, of which 10 x 10 belong to neither.
    assert loss.tolist() == pytest.approx([0, 2 / 3, 4 / 3])


def test_boxes_apart_are_pulled_together_and_the_iou_carries_no_gradient() -> None:
    predicted = torch.tensor([[0.0, 0.0, 10.0, 10.0]], requires_grad=True)
    loss, iou = giou_loss(predicted, torch.tensor([[20.0, 0.0, 30.0, 10.0]]))
    assert not iou.requires_grad
    loss.sum().backward()
    assert predicted.grad is not None
    assert predicted.grad[0, 2] < 0  # moving the right side to the right makes the loss smaller


def test_boxes_without_area_stay_finite() -> None:
    point = torch.tensor([[3.0, 3.0, 3.0, 3.0]], requires_grad=True)
    loss, _ = giou_loss(point, point.detach())
    loss.sum().backward()
    assert loss.isfinite().all()
    assert point.grad is not None
    assert point.grad.isfinite().all()
