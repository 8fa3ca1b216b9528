from __future__ import annotations

import math

import pytest
import torch

from sanderling.objectives.losses.iou_family import IouForm, iou_family_loss

FORMS: tuple[IouForm, ...] = ("iou_squared", "giou", "diou", "ciou")


def _loss(predicted: list[float], target: list[float], form: IouForm) -> float:
    loss, _ = iou_family_loss(torch.tensor([predicted]), torch.tensor([target]), form)
    return float(loss)


def test_values_worked_out_by_hand() -> None:
    # 4 x 2 and 2 x 2, 4 shared of 8 together; hull 4 x 2; centres 1 apart, diagonal squared 20.
    first, second = [0.0, 0.0, 4.0, 2.0], [2.0, 0.0, 4.0, 2.0]
    assert _loss(first, second, "iou_squared") == pytest.approx(1 - 0.25)
    assert _loss(first, second, "giou") == pytest.approx(1 - 0.5)
    assert _loss(first, second, "diou") == pytest.approx(1 - 0.5 + 1 / 20)
    ratio = (4 / math.pi**2) * (math.atan(2 / 2) - math.atan(4 / 2)) ** 2
    assert _loss(first, second, "ciou") == pytest.approx(1 - 0.5 + 1 / 20 + ratio**2 / (1 - 0.5 + ratio))


def test_boxes_apart() -> None:
    # 2 x 2 each, 2 apart: hull 6 x 2, centres 4 apart, diagonal squared 40.
    first, second = [0.0, 0.0, 2.0, 2.0], [4.0, 0.0, 6.0, 2.0]
    assert _loss(first, second, "iou_squared") == 1
    assert _loss(first, second, "giou") == pytest.approx(1 + 4 / 12)
    assert _loss(first, second, "diou") == pytest.approx(1 + 16 / 40)
    assert _loss(first, second, "ciou") == pytest.approx(1 + 16 / 40)


@pytest.mark.parametrize("form", FORMS)
def test_equal_boxes_lose_nothing_and_the_iou_has_no_gradient(form: IouForm) -> None:
    boxes = torch.tensor([[3.0, 5.0, 10.0, 9.0]], requires_grad=True)
    loss, iou = iou_family_loss(boxes, boxes.detach(), form)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert iou.item() == pytest.approx(1)
    assert not iou.requires_grad


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_right_in_double_precision(form: IouForm) -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(6, 2, generator=generator, dtype=torch.float64)
    target = torch.cat((low, low + 0.3 + torch.rand(6, 2, generator=generator, dtype=torch.float64)), 1)
    boxes = target + 0.1 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    if form == "ciou":
        # The weight of the shape is held fast; the true derivative would move it as well.
        found = boxes.clone().requires_grad_()
        iou_family_loss(found, target, form)[0].sum().backward()
        plain = boxes.clone().requires_grad_()
        iou_family_loss(plain, target, "diou")[0].sum().backward()
        angle = boxes.clone().requires_grad_()
        width, height = (angle[:, 2:] - angle[:, :2]).unbind(1)
        wanted = ((target[:, 2] - target[:, 0]) / (target[:, 3] - target[:, 1])).atan()
        value = (4 / math.pi**2) * (wanted - (width / height).atan()) ** 2
        _, iou = iou_family_loss(boxes, target, form)
        (value * (value / (1 - iou + value)).detach()).sum().backward()
        assert found.grad is not None
        assert plain.grad is not None
        assert angle.grad is not None
        torch.testing.assert_close(found.grad, plain.grad + angle.grad)
    else:
        assert torch.autograd.gradcheck(
            lambda value: iou_family_loss(value, target, form)[0], boxes.requires_grad_(), atol=1e-6
        )


@pytest.mark.parametrize("form", FORMS)
def test_boxes_without_size_and_no_boxes_at_all_are_finite(form: IouForm) -> None:
    point = torch.tensor([[5.0, 5.0, 5.0, 5.0]], requires_grad=True)
    loss, _ = iou_family_loss(point, torch.tensor([[5.0, 5.0, 5.0, 5.0]]), form)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert point.grad is not None
    assert torch.isfinite(point.grad).all()
    loss, iou = iou_family_loss(torch.zeros(0, 4), torch.zeros(0, 4), form)
    assert loss.shape == iou.shape == (0,)
