from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.models.features import FeatureSpec
from sanderling.models.heads.distribution import DistributionHeadConfig

FEATURES = FeatureSpec((6, 6, 6), (8, 16, 32))
SIZE_HW = (64, 96)


def _maps(batch: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, 6, 64 // stride, 96 // stride, generator=generator) for stride in FEATURES.strides]


def test_points_are_by_stride_and_row_major_classes_first_and_sides_in_order() -> None:
    head = DistributionHeadConfig(depth=1, bins=4).build(FEATURES, num_classes=3).eval()
    maps = _maps()
    found = head(maps, SIZE_HW)
    assert found.class_logits.shape == (2, 96 + 24 + 6, 3)
    assert found.box_logits.shape == (2, 96 + 24 + 6, 16)
    start = 0
    for x, tower, output in zip(maps, head.cls_convs, head.gfl_cls, strict=True):
        raw = output(tower(x))
        height, width = raw.shape[-2:]
        for row, column in ((0, 0), (height - 1, 1), (1, width - 1)):
            point = start + row * width + column
            torch.testing.assert_close(found.class_logits[:, point], raw[:, :3, row, column])
            torch.testing.assert_close(found.box_logits[:, point], raw[:, 3:, row, column])
        start += height * width
    assert start == len(found.strides)


@pytest.mark.parametrize("train", [False, True])
def test_layouts_agree(train: bool) -> None:
    head = DistributionHeadConfig().build(FEATURES, num_classes=3).train(train)
    plain = head(_maps(), SIZE_HW)
    fast = head([x.contiguous(memory_format=torch.channels_last) for x in _maps()], SIZE_HW)
    torch.testing.assert_close(fast.class_logits, plain.class_logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fast.box_logits, plain.box_logits, rtol=1e-4, atol=1e-5)


def test_geometry() -> None:
    found = DistributionHeadConfig(prior_scale=5.0).build(FEATURES, num_classes=3)(_maps(), SIZE_HW)
    assert found.size_hw == SIZE_HW
    assert found.priors_cxcywh[0].tolist() == [4, 4, 40, 40]
    assert found.priors_cxcywh[13].tolist() == [12, 12, 40, 40]  # second row of twelve
    assert found.priors_cxcywh[-1].tolist() == [80, 48, 160, 160]
    assert found.strides.unique_consecutive(return_counts=True)[1].tolist() == [96, 24, 6]


def test_every_score_starts_near_one_in_a_hundred() -> None:
    head = DistributionHeadConfig().build(FEATURES, num_classes=3).eval()
    scores = head(_maps(), SIZE_HW).class_logits.sigmoid()
    assert scores.min() > 0.005
    assert scores.max() < 0.02


def test_predictions_are_float32_when_the_network_runs_in_bfloat16() -> None:
    head = DistributionHeadConfig().build(FEATURES, num_classes=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head(_maps(), SIZE_HW)
    assert found.class_logits.dtype == found.box_logits.dtype == torch.float32


def test_unused_outputs_are_carried_on_request_and_change_nothing() -> None:
    torch.manual_seed(0)
    without = DistributionHeadConfig().build(FEATURES, num_classes=3).eval()
    carrying = DistributionHeadConfig(unused_box_outputs=True).build(FEATURES, num_classes=3).eval()
    missing, unexpected = carrying.load_state_dict(without.state_dict(), strict=False)
    assert unexpected == []
    assert missing == [f"gfl_reg.{level}.{kind}" for level in range(3) for kind in ("weight", "bias")]
    assert torch.equal(carrying(_maps(), SIZE_HW).class_logits, without(_maps(), SIZE_HW).class_logits)


def test_a_plain_tower_is_whole_convolutions_with_norm_and_activation() -> None:
    head = DistributionHeadConfig(depth=2, tower="plain", kernel=5, act="relu").build(FEATURES, num_classes=3).eval()
    tower, x = head.cls_convs[1], _maps()[1]
    assert isinstance(tower, nn.Sequential)
    expected = x
    for step in tower:
        weight = step.get_parameter("conv.weight")
        assert weight.shape == (6, 6, 5, 5)
        expected = step.get_submodule("norm")(torch.nn.functional.conv2d(expected, weight, padding=2)).relu()
    torch.testing.assert_close(tower(x), expected)


def test_points_may_lie_in_the_corner_of_their_cell() -> None:
    found = DistributionHeadConfig(prior_offset=0.0).build(FEATURES, num_classes=3)(_maps(), SIZE_HW)
    assert found.priors_cxcywh[0, :2].tolist() == [0, 0]
    assert found.priors_cxcywh[13, :2].tolist() == [8, 8]
