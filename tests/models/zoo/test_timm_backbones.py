from __future__ import annotations

import dataclasses

import torch

from sanderling.models import zoo
from sanderling.models.backbones.timm_features import TimmConfig


def test_another_model_of_timm_is_a_change_of_its_name() -> None:
    config = zoo.config("timm-debug", ("a", "b"))
    other = dataclasses.replace(config, backbone=TimmConfig(model="test_resnet", strides=(8, 16, 32)))
    predictions = other.build()(torch.zeros(1, 3, 64, 96, dtype=torch.uint8))
    assert predictions.class_logits.shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 2)
