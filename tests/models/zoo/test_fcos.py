from __future__ import annotations

import dataclasses

import torch

from sanderling.models import zoo
from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.heads.fcos import FcosHeadConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.objectives.fcos import FcosObjectiveConfig
from sanderling.recipes.teaching import objective_of
from tests.support.targets import random_targets


def test_the_head_stands_behind_any_backbone_and_pyramid_and_is_taught_the_same_way() -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(
        zoo.config("fcos-debug", ("a", "b")),
        name="mine",
        backbone=ShuffleNetV2Config(stem=8, channels=(16, 32, 64), units=(1, 1, 1)),
        neck=TinyPanConfig(channels=16),
        head=FcosHeadConfig(depth=2, groups=4, shared=False),
    )
    objective = objective_of(config)
    assert objective == FcosObjectiveConfig()
    predictions = config.build()(torch.zeros(2, 3, 96, 160, dtype=torch.uint8))
    assert predictions.class_logits.shape == (2, 12 * 20 + 6 * 10 + 3 * 5, 2)
    losses = objective.build()(predictions, random_targets(0, [2, 3], size_hw=(96, 160), classes=2))
    assert all(loss > 0 for loss in losses.values())
