from __future__ import annotations

import pytest
import torch

from sanderling.ops.tensor.coding import DistributionCoding, YoloCoding
from sanderling.ops.tensor.decode import decode
from sanderling.ops.tensor.points import grid_priors
from sanderling.structures.predictions import Predictions


def test_boxes_are_clamped_to_a_picture_that_is_not_square_and_scores_are_probabilities() -> None:
    size_hw = (32, 96)
    priors, strides = grid_priors(size_hw, (32,), scale=5, device=torch.device("cpu"))
    coding = DistributionCoding(8)
    generator = torch.Generator().manual_seed(0)
    predictions = Predictions(
        class_logits=torch.randn(2, 3, 4, generator=generator),
        box_logits=3 * torch.randn(2, 3, 32, generator=generator),
        priors_cxcywh=priors,
        strides=strides,
        coding=coding,
        size_hw=size_hw,
    )
    boxes, scores = decode(predictions)
    free = coding.decode(predictions.box_logits, priors, strides)
    assert (free < 0).any()
    assert (free[..., 3] > 32).any()
    limits = torch.tensor([96.0, 32.0, 96.0, 32.0])
    torch.testing.assert_close(boxes, torch.minimum(free.clamp(min=0), limits))
    torch.testing.assert_close(scores, 1 / (1 + (-predictions.class_logits).exp()))


def _one_point(*, objectness: float, iou: float | None = None, power: float = 0.5) -> Predictions:
    """A point in the middle of a picture of 32 x 64, whose classes have the probabilities 0.5 and 0.8."""
    return Predictions(
        class_logits=torch.tensor([[[0.5, 0.8]]]).logit(),
        box_logits=torch.zeros(1, 1, 4),
        objectness_logits=torch.tensor([[objectness]]).logit(),
        iou_logits=None if iou is None else torch.tensor([[iou]]).logit(),
        iou_power=power,
        priors_cxcywh=torch.tensor([[32.0, 16.0, 20.0, 10.0]]),
        strides=torch.tensor([32.0]),
        coding=YoloCoding(),
        size_hw=(32, 64),
    )


def test_objectness_multiplies_the_classes() -> None:
    boxes, scores = decode(_one_point(objectness=0.5))
    assert boxes[0, 0].tolist() == pytest.approx([22, 11, 42, 21])
    assert scores[0, 0].tolist() == pytest.approx([0.25, 0.4])


@pytest.mark.parametrize(
    ("objectness", "iou", "power", "expected"),
    [(0.65, 0.65, 0.4, 0.65), (0.6, 0.95, 0.4, 0.7211), (0.6, 0.95, 0.5, 0.7550), (0.6, 0.95, 0.0, 0.6)],
)
def test_the_predicted_iou_has_its_share_of_the_objectness(
    objectness: float, iou: float, power: float, expected: float
) -> None:
    _, scores = decode(_one_point(objectness=objectness, iou=iou, power=power))
    assert scores[0, 0].tolist() == pytest.approx([0.5 * expected, 0.8 * expected], abs=1e-4)
