from __future__ import annotations

import dataclasses

import pytest
import torch

from sanderling.ops.tensor.coding import DistributionCoding
from sanderling.structures.predictions import BoxCoding, Predictions


def test_outputs_that_a_head_does_not_have_are_none_and_nothing_can_be_exchanged() -> None:
    coding: BoxCoding = DistributionCoding(4)
    predictions = Predictions(
        class_logits=torch.zeros(1, 2, 3),
        box_logits=torch.zeros(1, 2, 16),
        priors_cxcywh=torch.ones(2, 4),
        strides=torch.ones(2),
        coding=coding,
        size_hw=(8, 16),
    )
    assert predictions.objectness_logits is None
    assert predictions.iou_logits is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        predictions.size_hw = (1, 1)  # type: ignore[misc]
    boxes = predictions.coding.decode(predictions.box_logits, predictions.priors_cxcywh, predictions.strides)
    assert boxes.shape == (1, 2, 4)
