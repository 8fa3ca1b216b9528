from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.heads.fcos import FcosHeadConfig
from sanderling.ops.tensor.decode import decode

FEATURES = FeatureSpec((8, 8, 8), (8, 16, 32))
SIZE_HW = (64, 96)
SMALL = FcosHeadConfig(depth=1, groups=4)


def _maps(batch: int = 2) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(batch, 8, 64 // stride, 96 // stride, generator=draw) for stride in FEATURES.strides]


@pytest.mark.parametrize("shared", [True, False])
def test_points_are_by_stride_and_row_major(shared: bool) -> None:
    head = FcosHeadConfig(depth=1, groups=4, shared=shared).build(FEATURES, num_classes=3).eval()
    assert len(head.levels) == (1 if shared else 3)
    torch.nn.init.uniform_(head.scales, 0.5, 2)
    maps = _maps()
    found = head(maps, SIZE_HW)
    assert found.class_logits.shape == (2, 96 + 24 + 6, 3)
    assert found.objectness_logits is not None
    start = 0
    for level, x in enumerate(maps):
        classes, sides, central = head.levels[0 if shared else level](x)
        height, width = x.shape[-2:]
        for row, column in ((0, 0), (height - 1, 1), (1, width - 1)):
            point = start + row * width + column
            torch.testing.assert_close(found.class_logits[:, point], classes[:, :, row, column])
            torch.testing.assert_close(found.box_logits[:, point], sides[:, :, row, column] * head.scales[level])
            torch.testing.assert_close(found.objectness_logits[:, point], central[:, 0, row, column])
        start += height * width


def test_a_shared_head_costs_the_same_for_any_number_of_levels() -> None:
    two = FeatureSpec((8, 8), (8, 16))
    counts = [sum(p.numel() for p in SMALL.build(features, 3).parameters()) for features in (two, FEATURES)]
    assert counts[1] - counts[0] == 1  # the factor of its distances


def test_a_fresh_head_says_boxes_of_a_cell_around_its_points_and_low_scores() -> None:
    head = SMALL.build(FEATURES, num_classes=3).eval()
    boxes, scores = decode(head(_maps(), SIZE_HW))
    sizes = boxes[:, 96 + 7, 2:] - boxes[:, 96 + 7, :2]  # a point of stride 16 away from the border
    torch.testing.assert_close(sizes, torch.full((2, 2), 32.0), rtol=0.2, atol=0)
    assert scores.max() < 0.02


def test_outputs_that_depend_on_the_classes_are_named() -> None:
    few, many = (FcosHeadConfig(depth=0, shared=False).build(FEATURES, num_classes=classes) for classes in (2, 7))
    shapes = {name: value.shape for name, value in many.state_dict().items()}
    differing = {name for name, value in few.state_dict().items() if value.shape != shapes[name]}
    assert differing == {f"{name}.{kind}" for name in few.class_rows for kind in ("weight", "bias")}
    assert few.class_rows["levels.2.classes"].classes(7) == 7


def test_levels_of_different_widths_need_heads_of_their_own() -> None:
    features = FeatureSpec((8, 16), (8, 16))
    with pytest.raises(ModelError, match=r"head.shared = true: the neck's levels have 8, 16 channels"):
        SMALL.build(features, num_classes=2)
    apart = FcosHeadConfig(depth=1, groups=4, shared=False).build(features, num_classes=2)
    found = apart([torch.randn(1, 8, 2, 4), torch.randn(1, 16, 1, 2)], (16, 32))
    assert found.class_logits.shape == (1, 10, 2)


def test_groups_must_divide_the_width() -> None:
    with pytest.raises(ModelError, match=r"head\.groups = 3: no divisor of the neck's 8 channels"):
        FcosHeadConfig(groups=3).build(FEATURES, num_classes=2)
