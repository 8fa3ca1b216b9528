from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sanderling.errors import ModelError
from sanderling.models.auxiliary.guidance import Guidance, GuidanceConfig
from sanderling.models.features import FeatureSpec
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.necks.ghost_pan import GhostPan, GhostPanConfig
from sanderling.structures.predictions import Predictions

SIZE_HW = (96, 160)
FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))
CONFIG = GuidanceConfig(depth=2, groups=4, detach_epoch=3)


def _parts() -> tuple[GhostPan, Guidance, list[Tensor], Predictions]:
    torch.manual_seed(0)
    neck = GhostPanConfig(channels=8).build(FEATURES)
    head = DistributionHeadConfig(depth=1, bins=5, prior_offset=0.0).build(neck.features, num_classes=3)
    guidance = CONFIG.build(neck, neck.features, num_classes=3, box_numbers=20)
    maps = [
        torch.randn(2, width, SIZE_HW[0] // stride, SIZE_HW[1] // stride, requires_grad=True)
        for width, stride in zip(FEATURES.channels, FEATURES.strides, strict=True)
    ]
    return neck, guidance, maps, head(neck(maps), SIZE_HW)


def test_it_speaks_of_the_same_points_in_the_same_order() -> None:
    neck, guidance, maps, predictions = _parts()
    found = guidance(maps, neck(maps), predictions, epoch=0)
    assert found.class_logits.shape == predictions.class_logits.shape == (2, 240 + 60 + 15 + 6, 3)
    assert found.box_logits.shape == predictions.box_logits.shape
    assert found.priors_cxcywh is predictions.priors_cxcywh
    assert found.coding == predictions.coding
    pairs = [torch.cat(pair, 1) for pair in zip(neck(maps), guidance.aux_fpn(maps), strict=True)]
    head = guidance.aux_head
    guidance.aux_head.scales[2].get_parameter("scale").data.fill_(3.0)
    found = guidance(maps, neck(maps), predictions, epoch=0)
    # Third level, row 1, column 2 of its five.
    point = 240 + 60 + 1 * 5 + 2
    classes = head.gfl_cls(head.cls_convs(pairs[2]))[:, :, 1, 2]
    boxes = 3 * head.gfl_reg(head.reg_convs(pairs[2]))[:, :, 1, 2]
    torch.testing.assert_close(found.class_logits[:, point], classes)
    torch.testing.assert_close(found.box_logits[:, point], boxes)


def test_the_neck_is_copied_with_its_weights_and_learns_on_its_own() -> None:
    neck, guidance, _, _ = _parts()
    ours, copied = dict(neck.named_parameters()), dict(guidance.aux_fpn.named_parameters())
    assert ours.keys() == copied.keys()
    assert all(torch.equal(copied[name], value) for name, value in ours.items())
    assert not {id(parameter) for parameter in neck.parameters()} & {id(p) for p in guidance.parameters()}


@pytest.mark.parametrize(("epoch", "learns"), [(0, True), (2, True), (3, False), (9, False)])
def test_backbone_and_neck_learn_from_it_until_they_are_detached(epoch: int, learns: bool) -> None:
    neck, guidance, maps, predictions = _parts()
    found = guidance(maps, neck(maps), predictions, epoch=epoch)
    (found.class_logits.square().sum() + found.box_logits.square().sum()).backward()
    assert all((x.grad is not None) == learns for x in maps)
    assert all((parameter.grad is not None) == learns for parameter in neck.parameters())
    assert all(parameter.grad is not None for parameter in guidance.parameters())


def test_its_scores_start_near_one_in_a_hundred() -> None:
    neck, guidance, maps, predictions = _parts()
    scores = guidance(maps, neck(maps), predictions, epoch=0).class_logits.sigmoid()
    assert 0.003 < scores.min() < 0.01 < scores.max() < 0.03


def test_full_precision_when_the_network_runs_in_bfloat16() -> None:
    neck, guidance, maps, predictions = _parts()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = guidance(maps, neck(maps), predictions, epoch=0)
    assert found.class_logits.dtype == found.box_logits.dtype == torch.float32


def test_groups_that_do_not_divide_are_refused() -> None:
    neck = GhostPanConfig(channels=8).build(FEATURES)
    with pytest.raises(ModelError, match=r"auxiliary\.groups = 32 for a neck with 8, 8, 8, 8 channels.*divide twice"):
        GuidanceConfig().build(neck, neck.features, num_classes=3, box_numbers=20)
