from __future__ import annotations

import torch

from sanderling.ops.tensor.coding import DistributionCoding
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
